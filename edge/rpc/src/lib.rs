//! Ethereum's JSON-RPC, over HTTP and WebSocket: what wallets, libraries and development tools call.
//!
//! A node asks the validators for everything, through the [`Network`](hedgerow_gateway::Network): on a gateway the answer is
//! what f + 1 of them say alike. Signed transactions wait in a pool until they are ordered.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

#[cfg(test)]
#[path = "../../../ledger/evm/tests/chain/accounts.rs"]
mod accounts;
mod args;
mod block;
mod chain;
mod error;
mod filters;
mod methods;
mod openrpc;
mod pool;
mod request;
mod server;
mod subscriptions;

pub use chain::Terms;
pub use openrpc::document;
pub use pool::PoolLimits;
pub use server::{Rpc, RpcLimits};

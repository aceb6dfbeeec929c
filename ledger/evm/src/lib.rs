//! Contracts: Ethereum's transactions, executed by [revm] over the ledger's state.
//!
//! [`Contracts::execute`] is what a block's Ethereum transactions do, a pure function of the state before and the block,
//! as [`SPEC`] has it. [`Contracts::call`] asks a contract something without changing anything (`eth_call`).
//! [`Contracts::trace`] and [`Contracts::trace_call`] show how either went, within [`MAX_TRACE`] bytes.
//!
//! What differs from Ethereum's main network:
//!
//! - **Gas has one price**, [`Rules::gas_price`], which is 0 unless the members set another. Who offers more pays no more:
//!   there is no market for places in a block, because the members order. GASPRICE gives that price. It goes to
//!   [`Rules::beneficiary`] as a whole: there is no base fee that would be burnt, and BASEFEE gives 0.
//! - **An order is agreed on before anybody executes it**, so a block's list may have transactions that can't be executed,
//!   such as one that two gateways carried. They are refused, change nothing, and take no gas.
//! - **No blobs** (EIP-4844), no transaction without a chain id (before EIP-155): it would hold on every network.
//! - **Contracts see streams.** At [`STREAMS_ADDRESS`] the ledger itself answers,
//!   by the interface in `contracts/src/streams/IStreams.sol`; who has subscribed to a stream is called in the block of
//!   each record ([`Delivery`]). At [`ROLES_ADDRESS`] it says who may do what (`contracts/src/roles/IRoles.sol`).
//! - PREVRANDAO gives the root of all headers before the block. It is no randomness: whoever orders knows it before.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod calls;
mod code;
mod contracts;
mod database;
mod native;
mod overrides;
mod refusal;
mod replay;
mod roles;
mod streams;
mod trace;
mod transaction;

pub use calls::{Call, Touched};
pub use code::{NATIVE_CODE, TABLES, code, put_code};
pub use contracts::{Block, Contracts, Executed, MAX_GAS, Outcome, Rules, SPEC, Work, check};
pub use database::Ancestors;
pub use hedgerow_proofs::layout::{ROLES_ADDRESS, STREAMS_ADDRESS};
pub use overrides::{AccountOverride, BlockOverrides, Overrides};
pub use refusal::Refusal;
pub use replay::{Part, Replayed};
pub use streams::{Delivery, is_subscribed};
pub use trace::{MAX_TRACE, Tracer, Untraced};
pub use transaction::{MAX_TRANSACTION, Transaction};

use std::net::SocketAddr;

use hedgerow_rpc::{PoolLimits, RpcLimits};
use serde::{Deserialize, Serialize};

/// What the JSON-RPC server's section says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpcConfig {
    /// Where wallets and tools reach it, by HTTP and WebSocket. It has no access control and no TLS.
    pub listen: SocketAddr,
    /// Connections at a time; more are refused.
    #[serde(default = "RpcConfig::max_connections")]
    pub max_connections: u32,
    /// Requests in one batch.
    #[serde(default = "RpcConfig::max_batch")]
    pub max_batch: u32,
    /// Blocks over which one question for events goes.
    #[serde(default = "RpcConfig::max_log_blocks")]
    pub max_log_blocks: u64,
    /// Whether `eth_sendRawTransaction` answers when the transaction is final.
    #[serde(default)]
    pub send_waits: bool,
    /// Transactions that wait, in all and of one sender.
    #[serde(default = "RpcConfig::max_pool")]
    pub max_pool: usize,
    /// See `max_pool`.
    #[serde(default = "RpcConfig::max_pool_per_sender")]
    pub max_pool_per_sender: usize,
}

impl RpcConfig {
    fn max_connections() -> u32 {
        RpcLimits::default().connections
    }

    fn max_batch() -> u32 {
        RpcLimits::default().batch
    }

    fn max_log_blocks() -> u64 {
        RpcLimits::default().log_blocks
    }

    fn max_pool() -> usize {
        RpcLimits::default().pool.transactions
    }

    fn max_pool_per_sender() -> usize {
        RpcLimits::default().pool.per_sender
    }

    /// The server's limits.
    #[must_use]
    pub fn limits(&self) -> RpcLimits {
        let usual = RpcLimits::default();
        RpcLimits {
            connections: self.max_connections,
            batch: self.max_batch,
            log_blocks: self.max_log_blocks,
            send_waits: self.send_waits,
            pool: PoolLimits {
                transactions: self.max_pool,
                per_sender: self.max_pool_per_sender,
                ..usual.pool
            },
            ..usual
        }
    }
}

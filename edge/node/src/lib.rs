//! One member's node: ordering, ledger and attestation together.

mod cause;
mod config;
mod executor;
mod finality;
mod invocations;
mod keys;
mod link;
mod metrics;
mod network;
mod node;
pub mod ordering;
mod questions;
mod reply;

pub use config::{
    Address, ConfigError, Durability, LogConfig, LogFormat, NodeConfig, OrderingConfig, RpcConfig,
    StorageConfig, ValidatorConfig,
};
pub use invocations::{Invocations, Refused};
pub use keys::{KeyFileError, SecretKeys, write_private};
pub use link::LinkError;
pub use node::{Node, NodeError, read_genesis};

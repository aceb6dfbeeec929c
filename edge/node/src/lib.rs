//! One member's node: ordering, ledger and attestation together.

mod config;
mod keys;

pub use config::{
    Address, ConfigError, Durability, GatewayConfig, LogConfig, LogFormat, MqttTlsConfig,
    NodeConfig, OrderingConfig, StorageConfig, ValidatorConfig,
};
pub use keys::{KeyFileError, SecretKeys};

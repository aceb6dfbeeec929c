//! The door for devices: MQTT, HTTP and store-and-forward.
//!
//! ```text
//! MQTT ──► broker ──► door ──► spool ──► forwarder ──► Network
//! HTTP ──────────────► ┘   (durable, then PUBACK/202)     │
//!   ▲                                                     │
//!   └────────── receipts: accepted, final, proof ◄────────┘
//! ```
//!
//! The broker ([`broker::Broker`]) is a state machine without sockets. What a device sends passes the door, is durable
//! in the spool before it is acknowledged, and goes to the network in bundles that grow with the load.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod broker;
pub mod codec;
mod config;
mod door;
mod forwarder;
mod gateway;
mod http;
mod mqtt;
mod network;
mod outcome;
mod roles;
mod spool;
mod telemetry;
mod tls;

pub use config::{
    ConfigError, ForwardConfig, GatewayConfig, HttpConfig, MqttConfig, SpoolConfig, TlsConfig,
};
pub use door::{Checked, Door, DoorError};
pub use gateway::{Addresses, Gateway, HttpOnly, StartError};
pub use http::{HttpState, MetricsText, Problem, router};
pub use mqtt::{RECEIPTS, RECORDS, receipts_topic};
pub use network::{MemberStatus, Network, NetworkStatus, QueryError, SubmitError};
pub use outcome::Outcome;
pub use roles::RoleBook;
pub use spool::{Done, Spool, SpoolError, SpoolThread, Waiting};
pub use telemetry::prometheus;

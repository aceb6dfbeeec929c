//! Measures a network of replicas and clients on loopback.

mod latency;
mod host;
mod options;
mod report;

pub use latency::Latencies;
pub use host::{Host, cpu_time};
pub use options::{Durability, Options, Workload};
pub use report::{LatencyMs, Report, Row};

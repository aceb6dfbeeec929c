//! Measures a network of replicas and clients on loopback.

mod latency;
mod machine;

pub use latency::Latencies;
pub use machine::{Host, cpu_time};

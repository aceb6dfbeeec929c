//! Measures a network of replicas and clients on loopback: real sockets, TLS, disks and threads, in one process.

mod clock;
mod crash;
mod host;
mod latency;
mod members;
mod null;
mod options;
mod records;
mod report;
mod threads;

pub use crash::Crash;
pub use host::{Host, cpu_time};
pub use latency::Latencies;
pub use options::{Durability, Options, Workload};
pub use report::{Busiest, LatencyMs, Ratio, Report, Row};
pub use threads::MemberCpu;

/// Runs one measurement.
///
/// # Errors
/// When the network can't be started, or nothing completes.
pub fn run(options: &Options) -> anyhow::Result<Row> {
    match options.workload {
        Workload::Null { request, reply } => null::run(options, request, reply),
        Workload::Records { payload, bundle } => records::run(options, payload, bundle),
    }
}

/// The usual measurements: null requests of 0/0, 4/0 and 0/4 KiB and signed records, with durability on and off.
#[must_use]
pub fn usual(base: &Options) -> Vec<Options> {
    let null = |request, reply| Workload::Null { request, reply };
    let records = Workload::Records {
        payload: 100,
        bundle: records::BUNDLE,
    };
    let workloads = [null(0, 0), null(4096, 0), null(0, 4096), records];
    let with = |durability| {
        workloads.map(|workload| Options {
            workload,
            durability,
            ..base.clone()
        })
    };
    [with(Durability::Fsync), with(Durability::None)].concat()
}

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::{Latencies, LatencyMs, Options, Row, cpu_time, report::Busiest, threads::Threads};

/// What was counted up to some moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Requests completed.
    pub(crate) completed: u64,
    /// Batches that were executed by one replica.
    pub(crate) batches: u64,
    /// Bytes that all members have put on their links.
    pub(crate) bytes: u64,
}

/// Whether latencies are being counted now.
#[derive(Debug, Default)]
pub(crate) struct Window(AtomicBool);

impl Window {
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Waits out the warm-up, then measures; `halfway` happens in the middle.
pub(crate) fn measure(
    options: &Options,
    window: &Window,
    threads: &Threads,
    totals: impl Fn() -> Totals,
    latencies: impl FnOnce() -> Latencies,
    halfway: impl FnOnce(),
) -> Result<Row> {
    std::thread::sleep(
        options
            .duration
            .div_f64(5.0)
            .max(Duration::from_millis(500)),
    );
    let (before, cpu_before, began) = (totals(), cpu_time(), Instant::now());
    let used_before = threads.used();
    window.0.store(true, Ordering::Relaxed);
    std::thread::sleep(options.duration / 2);
    halfway();
    std::thread::sleep((options.duration).saturating_sub(began.elapsed()));
    let (after, cpu, elapsed) = (totals(), cpu_time() - cpu_before, began.elapsed());
    let used = threads.used();
    window.0.store(false, Ordering::Relaxed);
    let committed = after.completed - before.completed;
    ensure!(
        committed > 0,
        "nothing was committed in {:.1} s",
        elapsed.as_secs_f64()
    );
    let latencies = latencies();
    let mut replicas = used.since(&used_before, committed);
    let clients = replicas.split_off(replicas.len().min(options.replicas as usize));
    Ok(Row {
        options: options.clone(),
        name: options.workload.name(),
        throughput_per_s: committed as f64 / elapsed.as_secs_f64(),
        latency_ms: LatencyMs {
            p50: latencies.quantile_ms(0.5),
            p99: latencies.quantile_ms(0.99),
        },
        cpu_s_per_1000: cpu.as_secs_f64() * 1000.0 / committed as f64,
        busiest_replica: Busiest::of(&replicas),
        replicas_cpu: replicas,
        clients_cpu_s_per_1000: clients.iter().map(|one| one.cpu_s_per_1000).sum(),
        crash: None,
        bytes_per_request: (after.bytes - before.bytes) as f64 / committed as f64,
        committed,
        batches: after.batches - before.batches,
        cores_used: cpu.as_secs_f64() / elapsed.as_secs_f64(),
    })
}

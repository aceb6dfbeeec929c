use serde::Serialize;

use crate::{Host, Options};

/// Latencies of completed operations, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LatencyMs {
    /// The median.
    pub p50: f64,
    /// What 99 % do not exceed.
    pub p99: f64,
}

/// What one measurement found. A request is an operation; with records it is one record.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    #[serde(flatten)]
    pub options: Options,
    /// The workload's name in the table.
    pub name: String,
    /// Requests completed per second.
    pub throughput_per_s: f64,
    /// From invocation to completion.
    pub latency_ms: LatencyMs,
    /// Processor seconds, of all replicas and clients together, per 1,000 requests.
    pub cpu_s_per_1000: f64,
    /// Bytes that replicas and clients put on their links per request, before TLS.
    pub bytes_per_request: f64,
    /// Requests completed while it was measured.
    pub committed: u64,
    /// Batches that they were ordered in.
    pub batches: u64,
    /// How many of the host's processors were busy with it: what limits it when near all of them.
    pub cores_used: f64,
}

/// Several measurements on one host.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The host.
    pub host: Host,
    /// The measurements.
    pub runs: Vec<Row>,
}

impl Report {
    /// What limits a row: the processors when nearly all are busy, the disk when votes wait for it, else waiting.
    #[must_use]
    pub fn limit(&self, row: &Row) -> &'static str {
        let busy = row.cores_used / self.host.cores as f64;
        match row.options.durability {
            _ if busy > 0.85 => "processor",
            crate::Durability::Fsync => "disk sync and messages' round trips",
            crate::Durability::None => {
                "messages' round trips: more clients would use the processors"
            }
        }
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> String {
        let host = &self.host;
        let mut text = format!(
            "{}, {} cores, {} GiB, Linux {}, load {:.2} before\n\n",
            host.cpu, host.cores, host.memory_gib, host.kernel, host.load
        );
        text += "protocol  request/reply    durability  replicas  clients   requests/s  p50 ms  p99 ms  CPU s/1000  bytes/request  limited by\n";
        for row in &self.runs {
            let durability = match row.options.durability {
                crate::Durability::Fsync => "fsync",
                crate::Durability::None => "none",
            };
            text += &format!(
                "{:<9} {:<16} {durability:<10} {:>9} {:>8} {:>12.0} {:>7.2} {:>7.2} {:>11.4} {:>14.0}  {}\n",
                row.options.protocol,
                row.name,
                row.options.replicas,
                row.options.clients,
                row.throughput_per_s,
                row.latency_ms.p50,
                row.latency_ms.p99,
                row.cpu_s_per_1000,
                row.bytes_per_request,
                self.limit(row),
            );
        }
        text + &self.ratios()
    }

    /// Each protocol beside the first one that was measured with the same load.
    fn ratios(&self) -> String {
        let mut text = String::new();
        for row in &self.runs {
            let same = |other: &&Row| {
                let (a, b) = (&row.options, &other.options);
                a.workload == b.workload && a.durability == b.durability && a.clients == b.clients
            };
            let Some(first) = self.runs.iter().find(same) else {
                continue;
            };
            if first.options.protocol == row.options.protocol {
                continue;
            }
            text += &format!(
                "{} beside {}, {}, {:?}: {:.2} times the requests/s, {:.2} times the median latency\n",
                row.options.protocol,
                first.options.protocol,
                row.name,
                row.options.durability,
                row.throughput_per_s / first.throughput_per_s,
                row.latency_ms.p50 / first.latency_ms.p50,
            );
        }
        if text.is_empty() {
            text
        } else {
            format!("\n{text}")
        }
    }
}

use serde::Serialize;

use crate::{Crash, Host, MemberCpu, Options};

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
    /// Each replica's share of that, by identifier. Empty for records: nodes share threads.
    pub replicas_cpu: Vec<MemberCpu>,
    /// All clients' share, as `cpu_s_per_1000`.
    pub clients_cpu_s_per_1000: f64,
    /// The replica that used most, and what it could do alone. Absent where `replicas_cpu` is empty.
    pub busiest_replica: Option<Busiest>,
    /// What the crash in the middle did, where there was one. The other numbers are of the whole run.
    pub crash: Option<Crash>,
    /// Bytes that replicas and clients put on their links per request, before TLS.
    pub bytes_per_request: f64,
    /// Requests completed while it was measured.
    pub committed: u64,
    /// Batches that they were ordered in.
    pub batches: u64,
    /// How many of the host's processors were busy with it: what limits it when near all of them.
    pub cores_used: f64,
}

/// The replica that used most processor time: what limits a network whose members each have a machine.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Busiest {
    /// Which.
    pub replica: u32,
    /// What it used.
    #[serde(flatten)]
    pub cpu: MemberCpu,
    /// Derived: the requests per second at which it would fill one processor of its own.
    pub alone_per_s: f64,
    /// The same for two processors, where its busiest thread may be what limits it.
    pub alone_2_cores_per_s: f64,
}

impl Busiest {
    /// Of all replicas, by identifier.
    pub(crate) fn of(replicas: &[MemberCpu]) -> Option<Self> {
        let by_time = |a: &(u32, &MemberCpu), b: &(u32, &MemberCpu)| {
            a.1.cpu_s_per_1000.total_cmp(&b.1.cpu_s_per_1000)
        };
        let (replica, cpu) = (0..).zip(replicas).max_by(by_time)?;
        Some(Self {
            replica,
            cpu: *cpu,
            alone_per_s: cpu.alone_per_s(1),
            alone_2_cores_per_s: cpu.alone_per_s(2),
        })
    }
}

/// A protocol beside the first one that was measured with the same load: its number divided by the first one's.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// Which.
    pub protocol: String,
    /// The first one.
    pub beside: String,
    /// The load.
    pub name: String,
    /// Whether votes waited for the disk.
    pub durability: crate::Durability,
    /// Closed-loop clients.
    pub clients: u32,
    /// Of requests per second.
    pub throughput: f64,
    /// Of median latencies.
    pub median_latency: f64,
    /// Of processor time per request, all members together.
    pub cpu: f64,
    /// Of [`Busiest::alone_per_s`].
    pub alone: Option<f64>,
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
        text + &self.busiest() + &self.crashes() + &self.ratio_lines()
    }

    /// What crashes did.
    fn crashes(&self) -> String {
        let mut text = String::new();
        for row in &self.runs {
            let Some(crash) = row.crash else {
                continue;
            };
            let recovered = crash
                .recovered_ms
                .map_or_else(|| "never".to_owned(), |ms| format!("{ms:.0} ms"));
            text += &format!(
                "\n{}, {}, {} clients, request_timeout_ms {}: replica 0 stopped; a request invoked after that completed after {recovered}; longest time without a completion {:.0} ms; {:.0} requests/s from then on\n",
                row.options.protocol,
                row.name,
                row.options.clients,
                row.options.request_timeout_ms,
                crash.longest_gap_ms,
                crash.throughput_after_per_s,
            );
        }
        text
    }

    /// What limits a network whose members do not share a machine.
    fn busiest(&self) -> String {
        let mut text = String::new();
        for row in &self.runs {
            let Some(busiest) = row.busiest_replica else {
                continue;
            };
            text += &format!(
                "{:<9} {:<16} {:>8} {:>11} {:>13.4} {:>13.4} {:>13.4} {:>15.0} {:>15.0}\n",
                row.options.protocol,
                row.name,
                row.options.clients,
                busiest.replica,
                busiest.cpu.cpu_s_per_1000,
                busiest.cpu.busiest_thread_s_per_1000,
                row.clients_cpu_s_per_1000,
                busiest.alone_per_s,
                busiest.alone_2_cores_per_s,
            );
        }
        if text.is_empty() {
            return text;
        }
        format!(
            "\nCPU s/1000 of the busiest replica, of its busiest thread and of all clients. Derived, not measured: at how\n\
             many requests/s that replica would be busy all the time on a machine of its own with 1 or 2 cores.\n\
             protocol  request/reply     clients  busiest is       replica        thread       clients  alone, 1 core/s  alone, 2 core/s\n{text}"
        )
    }

    /// Each protocol beside the first one that was measured with the same load.
    #[must_use]
    pub fn ratios(&self) -> Vec<Ratio> {
        let mut ratios = Vec::new();
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
            let alone = row.busiest_replica.zip(first.busiest_replica);
            ratios.push(Ratio {
                protocol: row.options.protocol.clone(),
                beside: first.options.protocol.clone(),
                name: row.name.clone(),
                durability: row.options.durability,
                clients: row.options.clients,
                throughput: row.throughput_per_s / first.throughput_per_s,
                median_latency: row.latency_ms.p50 / first.latency_ms.p50,
                cpu: row.cpu_s_per_1000 / first.cpu_s_per_1000,
                alone: alone.map(|(mine, other)| mine.alone_per_s / other.alone_per_s),
            });
        }
        ratios
    }

    fn ratio_lines(&self) -> String {
        let line = |ratio: &Ratio| {
            let alone = ratio.alone.map_or_else(String::new, |alone| {
                format!(", {alone:.2} times the busiest replica's requests/s alone")
            });
            format!(
                "{} beside {}, {}, {:?}, {} clients: {:.2} times the requests/s, {:.2} times the median latency, {:.2} times the CPU time{alone}\n",
                ratio.protocol,
                ratio.beside,
                ratio.name,
                ratio.durability,
                ratio.clients,
                ratio.throughput,
                ratio.median_latency,
                ratio.cpu,
            )
        };
        let text: String = self.ratios().iter().map(line).collect();
        if text.is_empty() {
            text
        } else {
            format!("\n{text}")
        }
    }
}

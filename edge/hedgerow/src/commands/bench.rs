use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use hedgerow_bench::{Durability, Host, Options, Ratio, Report, Row, Workload, run, usual};
use serde::Serialize;

use crate::output::Output;

/// Each is a thread's worth of work on this one machine.
const MAX_REPLICAS: u32 = 100;
const MAX_CLIENTS: u32 = 16_384;

/// Measure a network of replicas and clients on this machine
#[derive(Args, Debug)]
#[command(after_help = "\
All replicas and clients run in one process, with real sockets, TLS, disks and threads. Clients are closed loops: each
has one request (or one bundle of records) under way. Without --request, --reply, --records and --durability, the
usual measurements are made: null requests of 0/0, 4/0 and 0/4 KiB and signed records, with durability on and off.

All members share this machine's processors, so what is measured is the work of all of them together. With machines of
their own the busiest replica would be the limit: for null requests the report has each replica's processor time and,
derived from the busiest one's, how many requests/s would fill its own processor. Of loopback's TCP the sender does both
halves.

With --json, or in the file of -o, the report is one object: throughput_per_s, latency_ms {p50, p99}, cpu_s_per_1000,
busiest_replica {replica, cpu_s_per_1000, busiest_thread_s_per_1000, alone_per_s, alone_2_cores_per_s}, replicas_cpu,
clients_cpu_s_per_1000, bytes_per_request and committed of the (first) measurement, the host, all measurements in
`runs`, and with --compare the `ratios`.

Examples:
  hedgerow bench
  hedgerow bench --records --durability fsync --seconds 20
  hedgerow bench --compare pbft,chain,aliph --request 0 --reply 0
  hedgerow bench --compare pbft,aliph --request 0 --durability none --clients 8 --crash --request-timeout 100
  hedgerow bench --compare quorum,chain,aliph --clients 1,8,64 --request 0 --durability none
  hedgerow bench --request 4096 --reply 0 --durability none --clients 64 --json")]
pub(crate) struct Bench {
    /// The ordering protocol: pbft, aliph, r-aliph, azyzzyva, zlight, quorum, chain or backup
    #[arg(long, default_value = "pbft")]
    protocol: String,
    /// Several protocols, measured in turns in the same run, and their ratios to the first
    #[arg(
        long,
        value_name = "A,B,..",
        value_delimiter = ',',
        conflicts_with = "protocol"
    )]
    compare: Vec<String>,
    /// How often each is measured, in turns, with --compare; the median by throughput is shown
    #[arg(long, value_name = "N", default_value_t = 3, requires = "compare")]
    rounds: usize,
    /// How many replicas
    #[arg(long, value_name = "N", default_value_t = 4)]
    replicas: u32,
    /// How many clients, carried by up to 4 members; several numbers are measured one after the other [default: 1024
    /// for null requests of 0/0, 256 for larger ones, 8 for records]
    #[arg(long, value_name = "C,..", value_delimiter = ',')]
    clients: Vec<u32>,
    /// Null requests of so many bytes
    #[arg(long, value_name = "BYTES", conflicts_with = "records")]
    request: Option<usize>,
    /// Replies of so many bytes
    #[arg(long, value_name = "BYTES", conflicts_with = "records")]
    reply: Option<usize>,
    /// Signed records of one reading each, executed by the whole ledger
    #[arg(long)]
    records: bool,
    /// Whether votes wait for the disk
    #[arg(long, value_enum)]
    durability: Option<DurabilityArg>,
    /// Stop replica 0, the first primary and head, in the middle, and tell how long nobody is served; null requests only
    #[arg(long, conflicts_with = "records")]
    crash: bool,
    /// The validators' request_timeout_ms, of which the other time-outs are shares; null requests only
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 1000,
        conflicts_with = "records"
    )]
    request_timeout: u64,
    /// How long each measurement takes
    #[arg(long, value_name = "S", default_value_t = 5)]
    seconds: u64,
    /// Write the report as JSON to this file too
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DurabilityArg {
    /// They do: `fdatasync` before a vote leaves
    Fsync,
    /// They do not, and nothing is written
    None,
}

/// The one in the middle by throughput, or by what a crash did.
fn median(mut rows: Vec<Row>) -> Option<Row> {
    let by = |row: &Row| {
        row.crash
            .map_or(row.throughput_per_s, |crash| crash.longest_gap_ms)
    };
    rows.sort_by(|a, b| by(a).total_cmp(&by(b)));
    let middle = rows.len() / 2;
    rows.into_iter().nth(middle)
}

/// The report, with the first measurement's numbers in front.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    first: &'a Row,
    #[serde(flatten)]
    report: &'a Report,
    ratios: Vec<Ratio>,
}

impl Bench {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        if !(1..=MAX_REPLICAS).contains(&self.replicas) {
            bail!("--replicas {}: use 1 to {MAX_REPLICAS}", self.replicas);
        }
        if let Some(clients) = self
            .clients
            .iter()
            .find(|c| !(1..=MAX_CLIENTS).contains(*c))
        {
            bail!("--clients {clients}: use 1 to {MAX_CLIENTS}");
        }
        if !(10..=60_000).contains(&self.request_timeout) {
            bail!(
                "--request-timeout {}: use 10 to 60000",
                self.request_timeout
            );
        }
        if self.crash && self.request.is_none() && self.reply.is_none() {
            bail!("--crash: say --request or --reply, too");
        }
        if !(1..=3600).contains(&self.seconds) {
            bail!("--seconds {}: use 1 to 3600", self.seconds);
        }
        let mut report = Report {
            host: Host::look(),
            runs: Vec::new(),
        };
        if !(1..=100).contains(&self.rounds) {
            bail!("--rounds {}: use 1 to 100", self.rounds);
        }
        let protocols = if self.compare.is_empty() {
            vec![self.protocol.clone()]
        } else {
            self.compare.clone()
        };
        let rounds = if self.compare.is_empty() {
            1
        } else {
            self.rounds
        };
        for options in self.measurements() {
            let mut rows = vec![Vec::new(); protocols.len()];
            for _ in 0..rounds {
                for (protocol, rows) in protocols.iter().zip(&mut rows) {
                    let options = Options {
                        protocol: protocol.clone(),
                        ..options.clone()
                    };
                    output.note(format_args!(
                        "measuring {protocol}, {}, {:?} ...",
                        options.workload.name(),
                        options.durability
                    ));
                    rows.push(run(&options)?);
                }
            }
            report.runs.extend(rows.into_iter().filter_map(median));
        }
        let first = report.runs.first().context("nothing was measured")?;
        let whole = Whole {
            first,
            report: &report,
            ratios: report.ratios(),
        };
        if let Some(file) = &self.output {
            fs::write(file, serde_json::to_vec_pretty(&whole)?)
                .with_context(|| format!("-o {}: can't write it", file.display()))?;
        }
        output.tell(report.table().trim_end(), &whole);
        Ok(ExitCode::SUCCESS)
    }

    /// The usual ones, narrowed to what was asked for, each with all numbers of clients.
    fn measurements(&self) -> Vec<Options> {
        let mut all = Vec::new();
        for options in self.workloads() {
            if self.clients.is_empty() {
                all.push(options.clone());
            }
            for &clients in &self.clients {
                all.push(Options {
                    clients,
                    ..options.clone()
                });
            }
        }
        all
    }

    fn workloads(&self) -> Vec<Options> {
        let null = self.request.is_some() || self.reply.is_some();
        let workload = Workload::Null {
            request: self.request.unwrap_or(0),
            reply: self.reply.unwrap_or(0),
        };
        let base = Options {
            protocol: self.protocol.clone(),
            replicas: self.replicas,
            clients: workload.usual_clients(),
            workload,
            durability: Durability::Fsync,
            request_timeout_ms: self.request_timeout,
            crash: self.crash,
            duration: Duration::from_secs(self.seconds),
        };
        if null {
            let both = [DurabilityArg::Fsync, DurabilityArg::None];
            let chosen = both
                .into_iter()
                .filter(|one| self.durability.is_none_or(|wanted| wanted == *one));
            return chosen
                .map(|durability| Options {
                    durability: durability.into(),
                    ..base.clone()
                })
                .collect();
        }
        let wanted = |options: &Options| {
            (!self.records || matches!(options.workload, Workload::Records { .. }))
                && self
                    .durability
                    .is_none_or(|durability| options.durability == durability.into())
        };
        let usual = usual(&base).into_iter().filter(wanted);
        usual
            .map(|options| Options {
                clients: options.workload.usual_clients(),
                ..options
            })
            .collect()
    }
}

impl From<DurabilityArg> for Durability {
    fn from(argument: DurabilityArg) -> Self {
        match argument {
            DurabilityArg::Fsync => Self::Fsync,
            DurabilityArg::None => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: Bench,
    }

    fn measured(arguments: &[&str]) -> Vec<String> {
        let line = Line::parse_from([&["bench"], arguments].concat());
        let names = line.bench.measurements().into_iter();
        names
            .map(|options| {
                let Options {
                    workload,
                    durability,
                    clients,
                    ..
                } = options;
                format!("{} {durability:?}, {clients}", workload.name())
            })
            .collect()
    }

    #[test]
    fn what_is_asked_for_is_measured() {
        assert_eq!(measured(&[]).len(), 8);
        assert_eq!(
            measured(&["--records"]),
            ["records, 100 B Fsync, 8", "records, 100 B None, 8"]
        );
        assert_eq!(
            measured(&["--records", "--durability", "none"]),
            ["records, 100 B None, 8"]
        );
        assert_eq!(
            measured(&["--request", "4096", "--durability", "fsync"]),
            ["4/0 Fsync, 256"]
        );
        assert_eq!(measured(&["--durability", "none"]).len(), 4);
        assert!(Line::try_parse_from(["bench", "--records", "--reply", "1"]).is_err());
        assert_eq!(
            measured(&["--request", "0", "--durability", "none", "--clients", "1,8"]),
            ["0/0 None, 1", "0/0 None, 8"]
        );
    }
}

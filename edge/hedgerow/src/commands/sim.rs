mod curves;

use std::{ops::Range, path::PathBuf, process::ExitCode, thread};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use hedgerow_subjects::{Payload, Request, Sweep, run, trace};
use hedgerow_world::{Load, MS, Mode, Options, Window};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// Simulate whole networks with faults and liars, one per seed, and check what they promise
#[derive(Args, Debug)]
#[command(after_help = "\
One seed decides everything: topology, options, faults, liars, ties. A seed in which a property does not hold is
printed with the command that replays it; the same seed always gives the same run.

Modes:
  safety        anything goes within the fault model: agreement, linearizability, durability, bounded memory
  liveness      chaos, then a quorum is healed and the rest stays broken or lying: progress within ten seconds
  performance   no faults; computing takes time by a cost model, so throughput of other machines can be studied

Examples:
  hedgerow sim --protocol pbft --seeds 0..200
  hedgerow sim --protocol pbft --seeds 0..100 --mode liveness --requests 500 --json
  hedgerow sim --protocol pbft --seeds 17..18 --trace              a transcript of one run
  hedgerow sim --mode performance --protocol chain --seeds 0..1 --requests 100000 --clients 64 --outstanding 1 --payload 4/0
  hedgerow sim --mode performance --protocol pbft,aliph --seeds 0..3 --no-disk --plot curves

Exit codes: 0 nothing was violated; 1 something was; 2 the arguments are wrong.")]
pub(crate) struct Sim {
    /// The ordering protocol: pbft, aliph, r-aliph, azyzzyva, zlight, quorum, chain or backup; `changing` goes from one
    /// to the next; several with --plot
    #[arg(long, default_value = "pbft", value_delimiter = ',')]
    protocol: Vec<String>,
    /// The seeds, from A up to but without B
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Range<u64>,
    /// Requests of correct clients per seed; with --measure, those that are measured [default: 500; with --plot 20000]
    #[arg(long, value_name = "R")]
    requests: Option<u32>,
    /// What is demanded
    #[arg(long, value_enum, default_value = "safety")]
    mode: ModeArg,
    /// How many replicas [default: the seed chooses]
    #[arg(long, value_name = "N")]
    replicas: Option<u32>,
    /// Only this way to misbehave; `none`: nobody lies [default: the seed chooses]
    #[arg(long, value_name = "NAME")]
    attack: Option<String>,
    /// Print a transcript of the run; for one seed
    #[arg(long)]
    trace: bool,
    /// Draw latency against throughput into this folder: for each payload a PNG, an SVG, and the data as CSV and JSON.
    /// Runs every protocol with every payload and number of clients; performance mode
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    load: LoadArgs,
    /// How many seeds run at the same time; the results do not depend on it [default: the processors]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// The load of performance mode.
#[derive(Args, Debug)]
struct LoadArgs {
    /// How many clients; several numbers with --plot [default: 4; with --plot 1,2,4,8,16,32,64,128,200]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1000))]
    clients: Vec<u32>,
    /// How many requests each client has under way [default: 256; with --plot 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512))]
    outstanding: Option<u32>,
    /// Sizes of request and reply in KiB, such as 4/0; several with --plot [default: small; with --plot 0/0,4/0,0/4]
    #[arg(long, value_name = "R/S", value_delimiter = ',')]
    payload: Vec<Payload>,
    /// What is logged is durable at once, as with a log in memory [default: a sync takes 0.2 to 1 ms]
    #[arg(long)]
    no_disk: bool,
    /// Milliseconds of virtual time before what is measured [default: with --plot 500]
    #[arg(long, value_name = "MS")]
    warm_up: Option<u32>,
    /// Measure for so many milliseconds of virtual time at most, instead of until every request is answered
    /// [default: with --plot 1000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    measure: Option<u32>,
}

impl LoadArgs {
    fn is_given(&self) -> bool {
        !self.clients.is_empty()
            || self.outstanding.is_some()
            || !self.payload.is_empty()
            || self.no_disk
            || self.warm_up.is_some()
            || self.measure.is_some()
    }

    /// The load of a single kind of run.
    fn single(&self) -> Result<Load> {
        let default = Load::default();
        let payload = at_most_one(&self.payload, "--payload")?;
        let window = |most| Window {
            warm_up_ns: u64::from(self.warm_up.unwrap_or(0)) * MS,
            most_ns: u64::from(most) * MS,
        };
        if self.warm_up.is_some() && self.measure.is_none() {
            bail!("--warm-up: say with --measure for how long to measure after it");
        }
        Ok(Load {
            clients: at_most_one(&self.clients, "--clients")?.unwrap_or(default.clients),
            outstanding: self
                .outstanding
                .map_or(default.outstanding, |outstanding| outstanding as usize),
            request_bytes: payload.map(|payload| usize::from(payload.request_kib) << 10),
            reply_bytes: payload.map_or(default.reply_bytes, |payload| {
                usize::from(payload.reply_kib) << 10
            }),
            disk: !self.no_disk,
            window: self.measure.map(window),
        })
    }
}

fn at_most_one<T: Copy>(values: &[T], argument: &str) -> Result<Option<T>> {
    match values {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        _ => bail!("{argument}: several go with --plot only"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModeArg {
    Safety,
    Liveness,
    Performance,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("\"{text}\" is not A..B, such as 0..100");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let range = from.parse().map_err(|_| wrong())?..to.parse().map_err(|_| wrong())?;
    if range.is_empty() {
        Err(format!("{text} has no seed: B must be above A"))
    } else {
        Ok(range)
    }
}

impl Sim {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let mode = match self.mode {
            ModeArg::Safety => Mode::Safety,
            ModeArg::Liveness => Mode::Liveness,
            ModeArg::Performance => Mode::Performance,
        };
        if mode != Mode::Performance && (self.plot.is_some() || self.load.is_given()) {
            bail!(
                "--plot, and what the load is, go with --mode performance: in the other modes the seed chooses the load"
            );
        }
        let threads = self
            .threads
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        if self.plot.is_some() {
            return self.curves(output, threads);
        }
        let [protocol] = &self.protocol[..] else {
            bail!("--protocol: several go with --plot only");
        };
        let options = Options {
            mode,
            requests: self.requests.unwrap_or(500),
            replicas: self.replicas,
            attack: self.attack,
            load: self.load.single()?,
        };
        if self.trace {
            if self.seeds.end - self.seeds.start != 1 {
                bail!(
                    "--trace: name one seed, such as --seeds {}..{}",
                    self.seeds.start,
                    self.seeds.start + 1
                );
            }
            return transcript(output, protocol, self.seeds.start, &options);
        }
        let total = self.seeds.end - self.seeds.start;
        let request = Request {
            protocol: protocol.clone(),
            seeds: self.seeds,
            options,
            threads,
        };
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr())
            .with_style(ProgressStyle::with_template(
                "{wide_bar} {pos}/{len} seeds, {eta} left",
            )?);
        let report = run(&request, &|done| bar.set_position(done)).context("--protocol")?;
        bar.finish_and_clear();
        output.tell(report.to_string().trim_end(), &report);
        Ok(if report.violations.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(1)
        })
    }
}

impl Sim {
    /// Draws latency against throughput.
    fn curves(self, output: Output, threads: usize) -> Result<ExitCode> {
        if self.trace || self.attack.is_some() {
            bail!("--plot goes neither with --trace nor with --attack");
        }
        let Some(dir) = self.plot else {
            return Ok(ExitCode::SUCCESS);
        };
        let or = |given: Vec<u32>, default: &[u32]| {
            if given.is_empty() {
                default.to_vec()
            } else {
                given
            }
        };
        let payloads = match self.load.payload {
            given if given.is_empty() => ["0/0", "4/0", "0/4"]
                .iter()
                .map(|text| text.parse())
                .collect::<Result<_, String>>()
                .map_err(anyhow::Error::msg)?,
            given => given,
        };
        let millis = |given: Option<u32>, default| u64::from(given.unwrap_or(default)) * MS;
        let sweep = Sweep {
            protocols: self.protocol,
            payloads,
            clients: or(self.load.clients, &[1, 2, 4, 8, 16, 32, 64, 128, 200]),
            outstanding: self.load.outstanding.unwrap_or(1) as usize,
            seeds: self.seeds,
            replicas: self.replicas.unwrap_or(4),
            requests: self.requests.unwrap_or(20_000),
            window: Window {
                warm_up_ns: millis(self.load.warm_up, 500),
                most_ns: millis(self.load.measure, 1_000),
            },
            disk: !self.load.no_disk,
            threads,
        };
        curves::draw(&sweep, &dir, output)
    }
}

fn transcript(output: Output, protocol: &str, seed: u64, options: &Options) -> Result<ExitCode> {
    let outcome = trace(protocol, seed, options, move |line| {
        output.raw(format!("{line}\n").as_bytes())
    })
    .context("--protocol")?;
    match outcome.violation {
        None => Ok(ExitCode::SUCCESS),
        Some(violation) => {
            output.note(format_args!("violated: {violation:?}"));
            Ok(ExitCode::from(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_load_has_one_of_each() {
        let none = LoadArgs {
            clients: vec![],
            outstanding: None,
            payload: vec![],
            no_disk: false,
            warm_up: None,
            measure: None,
        };
        assert!(!none.is_given());
        assert_eq!(none.single().unwrap(), Load::default());
        let several = LoadArgs {
            clients: vec![1, 2],
            ..none
        };
        assert!(several.is_given());
        assert!(several.single().is_err());
        let given = LoadArgs {
            clients: vec![3],
            payload: vec!["4/1".parse().unwrap()],
            measure: Some(5),
            ..several
        };
        let load = given.single().unwrap();
        assert_eq!((load.clients, load.request_bytes), (3, Some(4096)));
        assert_eq!(load.reply_bytes, 1024);
        assert_eq!(load.window.unwrap().most_ns, 5 * MS);
    }

    #[test]
    fn seeds_are_a_range() {
        assert_eq!(seeds("3..7").unwrap(), 3..7);
        for bad in ["3", "7..3", "3..3", "a..b", "..5"] {
            assert!(seeds(bad).is_err(), "{bad}");
        }
    }
}

use std::{ops::Range, process::ExitCode, thread};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use hedgerow_subjects::{Request, run, trace};
use hedgerow_world::{Mode, Options};
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

Exit codes: 0 nothing was violated; 1 something was; 2 the arguments are wrong.")]
pub(crate) struct Sim {
    /// The ordering protocol: pbft, aliph, r-aliph, azyzzyva, zlight, quorum, chain or backup
    #[arg(long, default_value = "pbft")]
    protocol: String,
    /// The seeds, from A up to but without B
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Range<u64>,
    /// Requests of correct clients per seed
    #[arg(long, value_name = "R", default_value_t = 500)]
    requests: u32,
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
    /// How many seeds run at the same time; the results do not depend on it [default: the processors]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
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
        let options = Options {
            mode,
            requests: self.requests,
            replicas: self.replicas,
            attack: self.attack,
        };
        if self.trace {
            if self.seeds.end - self.seeds.start != 1 {
                bail!(
                    "--trace: name one seed, such as --seeds {}..{}",
                    self.seeds.start,
                    self.seeds.start + 1
                );
            }
            return transcript(output, &self.protocol, self.seeds.start, &options);
        }
        let threads = self
            .threads
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        let total = self.seeds.end - self.seeds.start;
        let request = Request {
            protocol: self.protocol,
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
    fn seeds_are_a_range() {
        assert_eq!(seeds("3..7").unwrap(), 3..7);
        for bad in ["3", "7..3", "3..3", "a..b", "..5"] {
            assert!(seeds(bad).is_err(), "{bad}");
        }
    }
}

//! Runs seeds from the command line: `seeds PROTOCOL A..B [REQUESTS] [MODE] [--attack NAME] [--replicas N] [--trace]`.

use std::io::Write as _;

use hedgerow_subjects::{Request, run, trace};
use hedgerow_world::{Mode, Options};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut flag = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.remove(at);
        (at < words.len()).then(|| words.remove(at))
    };
    let attack = flag("--attack");
    let replicas = flag("--replicas").map(|n| n.parse()).transpose()?;
    let traced = words.iter().position(|word| word == "--trace");
    if let Some(at) = traced {
        words.remove(at);
    }
    let word = |at: usize| words.get(at).map(String::as_str);
    let (from, to) = word(1)
        .and_then(|range| range.split_once(".."))
        .ok_or("which seeds? A..B")?;
    let request = Request {
        protocol: word(0).unwrap_or("pbft").to_owned(),
        seeds: from.parse()?..to.parse()?,
        options: Options {
            mode: match word(3) {
                Some("liveness") => Mode::Liveness,
                Some("performance") => Mode::Performance,
                _ => Mode::Safety,
            },
            requests: word(2).unwrap_or("500").parse()?,
            replicas,
            attack,
        },
        threads: 2,
    };
    if traced.is_some() {
        for seed in request.seeds.clone() {
            trace(&request.protocol, seed, &request.options, |line| {
                // A closed pipe ends the transcript, not the run.
                let _ = writeln!(std::io::stdout(), "{line}");
            })?;
        }
        return Ok(());
    }
    let began = std::time::Instant::now();
    let report = run(&request, &|_| {})?;
    println!("{report}  {:.1} s", began.elapsed().as_secs_f64());
    std::process::exit(i32::from(!report.violations.is_empty()));
}

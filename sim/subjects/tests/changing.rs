//! Protocols that change while they run, with faults and liars: a share of the seeds. `hedgerow sim --protocol changing`
//! runs more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::mpsc,
};

use hedgerow_epochs::Consensus;
use hedgerow_subjects::{Request, run, trace};
use hedgerow_world::{Mode, Options};

fn options(mode: Mode) -> Options {
    Options {
        mode,
        requests: 80,
        ..Options::default()
    }
}

#[test]
fn changing_recovers() {
    let request = Request {
        protocol: "changing".to_owned(),
        seeds: 0..20,
        options: options(Mode::Liveness),
        threads: 2,
    };
    let report = run(&request, &|_| ()).unwrap();
    assert!(report.violations.is_empty(), "{report}");
    let least = 20 * 80 * 8 / 10;
    assert!(
        report.requests >= least,
        "hardly anything was answered: {report}"
    );
    assert_eq!(report.unanswered, 0, "{report}");
    assert!(report.longest_recovery_ms <= 10_000, "{report}");
}

/// Safe, and which protocol followed which, over some runs.
#[test]
fn any_protocol_follows_any() {
    let mut pairs = BTreeSet::new();
    for seed in 0..30 {
        let (sender, lines) = mpsc::channel();
        let line = move |line: &str| {
            if line.contains("Began(") {
                sender.send(line.to_owned()).unwrap();
            }
        };
        let outcome = trace("changing", seed, &options(Mode::Safety), line).unwrap();
        assert_eq!(outcome.violation, None, "seed {seed}");
        let begins = lines.iter().filter_map(|line| {
            let (_, rest) = line.split_once("number: ")?;
            let (number, rest) = rest.split_once(", protocol: \"")?;
            let (protocol, _) = rest.split_once('"')?;
            Some((number.parse().ok()?, protocol.to_owned()))
        });
        let epochs: BTreeMap<u64, String> = begins.collect();
        assert!(epochs.len() > 1, "seed {seed} has no epochs");
        let next = |number: &u64| epochs.get(&(number + 1));
        pairs.extend(
            epochs
                .iter()
                .filter_map(|(number, from)| Some((from.clone(), next(number)?.clone()))),
        );
    }
    let from: BTreeSet<_> = pairs.iter().map(|(from, _)| from.as_str()).collect();
    let to: BTreeSet<_> = pairs.iter().map(|(_, to)| to.as_str()).collect();
    for consensus in Consensus::all() {
        let name = consensus.name();
        assert!(
            from.contains(name) && to.contains(name),
            "{name}: {pairs:?}"
        );
    }
    assert!(pairs.len() > 40, "{pairs:?}");
}

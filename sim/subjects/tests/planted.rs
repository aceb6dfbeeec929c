//! The checkers see what they are there for: each planted fault is found, by the checker whose business it is, and
//! without a fault none of them fires.

use hedgerow_subjects::{
    Report, Request, run_subject,
    sequencer::{Planted, Sequencer},
};
use hedgerow_world::{Mode, Options};

/// The sequencer stands neither lies nor lost disks, and needs its first replica: networks of two, in which nobody may
/// be faulty and a quorum is everyone.
fn report(sequencer: Sequencer, mode: Mode, seeds: u64) -> Report {
    let request = Request {
        protocol: "sequencer".into(),
        seeds: 0..seeds,
        options: Options {
            mode,
            requests: 120,
            replicas: Some(2),
            attack: Some("none".into()),
            ..Options::default()
        },
        threads: 2,
    };
    run_subject(&sequencer, &request, &|_| {})
}

#[test]
fn a_sound_protocol_passes() {
    for mode in [Mode::Safety, Mode::Liveness] {
        for guesses in [false, true] {
            let sequencer = Sequencer {
                planted: None,
                guesses,
            };
            let report = report(sequencer, mode, 200);
            assert!(report.violations.is_empty(), "guesses: {guesses}, {report}");
            assert!(report.requests > 10_000, "{report}");
            assert!(report.restarts > 150, "{report}");
        }
    }
}

/// What the checkers say of a planted fault.
fn find(planted: Planted, guesses: bool, mode: Mode, checkers: &[&str]) {
    let sequencer = Sequencer {
        planted: Some(planted),
        guesses,
    };
    let report = report(sequencer, mode, 40);
    let found: Vec<_> = report
        .violations
        .iter()
        .map(|failure| failure.violation.checker.as_str())
        .collect();
    assert!(!found.is_empty(), "{planted:?} was not found");
    assert!(
        found.iter().any(|found| checkers.contains(found)),
        "{planted:?} was found by {found:?}, not by {checkers:?}"
    );
}

#[test]
fn each_planted_fault_is_found() {
    let expected: [(Planted, Mode, &[&str]); 9] = [
        (
            Planted::SaysBeforeStored,
            Mode::Safety,
            &["contradiction", "agreement"],
        ),
        (Planted::IgnoresOrder, Mode::Safety, &["order"]),
        (Planted::ForgetsNumbers, Mode::Safety, &["validity"]),
        (Planted::Invents, Mode::Safety, &["validity"]),
        (Planted::ReadsStale, Mode::Safety, &["linearizability"]),
        (Planted::NeverRetries, Mode::Liveness, &["progress"]),
        (Planted::NeverRests, Mode::Liveness, &["silence"]),
        (Planted::Babbles, Mode::Safety, &["bounds"]),
        (
            Planted::RepliesEarly,
            Mode::Safety,
            &["durability", "linearizability"],
        ),
    ];
    for (planted, mode, checkers) in expected {
        find(planted, false, mode, checkers);
    }
}

#[test]
fn each_planted_fault_of_speculation_is_found() {
    let expected: [(Planted, Mode, &[&str]); 5] = [
        (
            Planted::SaysBeforeStored,
            Mode::Safety,
            &["contradiction", "agreement"],
        ),
        (Planted::ForgetsNumbers, Mode::Safety, &["validity"]),
        (Planted::TrustsGuesses, Mode::Safety, &["interface"]),
        (
            Planted::RepliesToGuesses,
            Mode::Safety,
            &["linearizability"],
        ),
        (Planted::NeverSettles, Mode::Liveness, &["claims"]),
    ];
    for (planted, mode, checkers) in expected {
        find(planted, true, mode, checkers);
    }
}

//! The compositions of Abstract, with faults and liars: a share of the seeds. `hedgerow sim --protocol NAME` runs more.

use hedgerow_subjects::{Request, run};
use hedgerow_world::{Mode, Options};

fn check(protocol: &str, mode: Mode, seeds: std::ops::Range<u64>) {
    let options = Options {
        mode,
        requests: 60,
        replicas: None,
        attack: None,
    };
    let request = Request {
        protocol: protocol.to_owned(),
        seeds: seeds.clone(),
        options,
        threads: 2,
    };
    let report = run(&request, &|_| ()).unwrap();
    assert!(report.violations.is_empty(), "{report}");
    let least = (seeds.end - seeds.start) * 60 * 8 / 10;
    assert!(
        report.requests >= least,
        "hardly anything was answered: {report}"
    );
}

#[test]
fn azyzzyva_is_safe() {
    check("azyzzyva", Mode::Safety, 0..12);
}

#[test]
fn quorum_is_safe() {
    check("quorum", Mode::Safety, 0..12);
}

#[test]
fn backup_is_safe() {
    check("backup", Mode::Safety, 0..12);
}

#[test]
fn an_unfailing_network_answers_everything_in_each_composition() {
    for protocol in ["azyzzyva", "quorum", "backup"] {
        check(protocol, Mode::Performance, 0..2);
    }
}

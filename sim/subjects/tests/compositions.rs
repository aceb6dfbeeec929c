//! The compositions of Abstract, with faults and liars: a share of the seeds. `hedgerow sim --protocol NAME` runs more.

use std::sync::mpsc;

use hedgerow_abstract::Composition;
use hedgerow_subjects::{Composed, Request, run, trace};
use hedgerow_world::{Mode, Options, Subject};

fn check(protocol: &str, mode: Mode, seeds: std::ops::Range<u64>) {
    let options = Options {
        mode,
        requests: 60,
        replicas: None,
        attack: None,
        ..Options::default()
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
fn aliph_is_safe() {
    check("aliph", Mode::Safety, 0..12);
}

#[test]
fn r_aliph_is_safe_and_recovers() {
    check("r-aliph", Mode::Safety, 0..12);
    check("r-aliph", Mode::Liveness, 0..12);
}

#[test]
fn chain_is_safe() {
    check("chain", Mode::Safety, 0..12);
}

/// Aliph has all that there is but ZLight.
#[test]
fn aliph_and_azyzzyva_recover() {
    check("aliph", Mode::Liveness, 0..12);
    check("azyzzyva", Mode::Liveness, 0..12);
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
    for protocol in ["aliph", "azyzzyva", "backup", "chain", "quorum", "r-aliph"] {
        check(protocol, Mode::Performance, 0..2);
    }
}

/// Progress (§3.2): while the condition of an instance holds, nobody is aborted. A single client has a Quorum to itself.
#[test]
fn no_instance_is_left_while_its_condition_holds() {
    for (protocol, clients) in [("azyzzyva", 4), ("chain", 4), ("quorum", 1), ("aliph", 1)] {
        let mut options = Options {
            mode: Mode::Performance,
            requests: 2_000,
            ..Options::default()
        };
        options.load.clients = clients;
        options.load.outstanding = if clients == 1 { 1 } else { 64 };
        let request = Request {
            protocol: protocol.to_owned(),
            seeds: 0..3,
            options,
            threads: 1,
        };
        let report = run(&request, &|_| ()).unwrap();
        assert!(report.violations.is_empty(), "{report}");
        assert_eq!(report.view_changes, 0, "{protocol}: {report}");
    }
}

/// §6.3: a replica that is as slow as clients put up with takes Aliph most of its throughput. R-Aliph leaves it.
#[test]
fn r_aliph_outlasts_a_slow_replica() {
    let measure = |protocol: &str, attack: Option<&str>| {
        let options = Options {
            mode: Mode::Performance,
            requests: 40_000,
            replicas: None,
            attack: attack.map(str::to_owned),
            ..Options::default()
        };
        let request = Request {
            protocol: protocol.to_owned(),
            seeds: 0..1,
            options,
            threads: 1,
        };
        let report = run(&request, &|_| ()).unwrap();
        assert!(report.violations.is_empty(), "{report}");
        report.throughput_per_s
    };
    let aliph = (measure("aliph", None), measure("aliph", Some("slow")));
    let r_aliph = measure("r-aliph", Some("slow"));
    assert!(aliph.1 < aliph.0 / 4.0, "the attack works: {aliph:?}");
    assert!(r_aliph > 3.0 * aliph.1, "{r_aliph} beside {aliph:?}");
}

/// Each liar by itself, so that none is there in name only.
#[test]
fn each_liar_is_withstood() {
    for attack in Composed(Composition::AZYZZYVA).attacks() {
        let options = Options {
            mode: Mode::Safety,
            requests: 30,
            replicas: Some(4),
            attack: Some(attack.name.to_owned()),
            ..Options::default()
        };
        let (send, lines) = mpsc::channel();
        for seed in 1_000..1_004 {
            let (send, line) = (send.clone(), format!(": {}", attack.name));
            let tell = move |text: &str| {
                if text.starts_with("  liar ") && text.ends_with(&line) {
                    let _ = send.send(());
                }
            };
            let outcome = trace("azyzzyva", seed, &options, tell).unwrap();
            assert_eq!(outcome.violation, None, "{}, seed {seed}", attack.name);
        }
        assert!(lines.try_recv().is_ok(), "nobody lies: {}", attack.name);
    }
}

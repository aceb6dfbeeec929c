//! CI's share of the seeds: PBFT with faults and liars. The long run is `hedgerow sim`.

use hedgerow_subjects::{Pbft, Report, Request, run, run_one};
use hedgerow_world::{Mode, Options, Transcript};

fn report(mode: Mode, seeds: std::ops::Range<u64>, requests: u32) -> Report {
    let request = Request {
        protocol: "pbft".into(),
        seeds,
        options: Options {
            mode,
            requests,
            replicas: None,
            attack: None,
            ..Options::default()
        },
        threads: 2,
    };
    run(&request, &|_| {}).unwrap()
}

#[test]
fn it_is_safe_whatever_happens_within_the_model() {
    let report = report(Mode::Safety, 0..90, 150);
    assert!(report.violations.is_empty(), "{report}");
    assert!(report.requests > 5_000, "{report}");
    assert!(report.view_changes > 50, "{report}");
}

#[test]
fn a_healed_quorum_recovers_within_the_bound_and_answers_everything() {
    let report = report(Mode::Liveness, 0..60, 150);
    assert!(report.violations.is_empty(), "{report}");
    assert_eq!(report.unanswered, 0, "{report}");
    assert!(report.longest_recovery_ms <= 10_000, "{report}");
}

#[test]
fn without_faults_requests_share_batches() {
    let report = report(Mode::Performance, 0..1, 2_000);
    assert!(report.violations.is_empty(), "{report}");
    assert_eq!(report.requests, 2_000);
    assert!(report.slots < 1_000, "{report}");
    assert!(
        report.latency_p50_ms > 0.4,
        "not faster than light: {report}"
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let options = Options {
        requests: 80,
        ..Options::default()
    };
    for seed in 200..206 {
        let trace = || run_one(&Pbft, seed, &options, Transcript::silent()).trace;
        assert_eq!(trace(), trace(), "seed {seed}");
    }
}

//! A seed decides everything.

use hedgerow_subjects::{Request, run, run_one, sequencer::Sequencer};
use hedgerow_world::{Mode, Options, Transcript};

fn options() -> Options {
    Options {
        mode: Mode::Safety,
        requests: 100,
        replicas: Some(3),
        attack: Some("none".into()),
        ..Options::default()
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        let one = run_one(
            &Sequencer::default(),
            seed,
            &options(),
            Transcript::silent(),
        );
        let again = run_one(
            &Sequencer::default(),
            seed,
            &options(),
            Transcript::to(|_| {}),
        );
        assert_eq!(one.trace, again.trace, "seed {seed}");
        assert_eq!(one.ended_ns, again.ended_ns);
        assert_eq!(one.completed, again.completed);
    }
}

#[test]
fn different_seeds_give_different_runs() {
    let trace = |seed| {
        run_one(
            &Sequencer::default(),
            seed,
            &options(),
            Transcript::silent(),
        )
        .trace
    };
    assert_ne!(trace(1), trace(2));
}

#[test]
fn the_report_does_not_depend_on_the_number_of_threads() {
    let report = |threads| {
        let request = Request {
            protocol: "sequencer".into(),
            seeds: 0..12,
            options: options(),
            threads,
        };
        serde_json::to_string(&run(&request, &|_| {}).unwrap()).unwrap()
    };
    assert_eq!(report(1), report(3));
}

#[test]
fn a_failing_seed_names_the_command_that_replays_it() {
    let request = Request {
        protocol: "pbft".into(),
        seeds: 0..9,
        options: Options {
            mode: Mode::Liveness,
            requests: 50,
            replicas: None,
            attack: None,
            ..Options::default()
        },
        threads: 1,
    };
    assert_eq!(
        request.replay(7),
        "hedgerow sim --protocol pbft --seeds 7..8 --requests 50 --mode liveness --trace"
    );
}

//! Sweeps: what a performance run measures, and that it is as the papers count it.

use hedgerow_subjects::{Payload, Point, Sweep, sweep};
use hedgerow_world::{MS, Window};

fn tiny() -> Sweep {
    Sweep {
        protocols: vec!["pbft".into(), "aliph".into(), "chain".into()],
        payloads: vec!["0/0".parse().unwrap()],
        clients: vec![1, 4],
        outstanding: 1,
        seeds: 0..2,
        replicas: 4,
        requests: 300,
        window: Window {
            warm_up_ns: 250 * MS,
            most_ns: 1_000 * MS,
        },
        disk: false,
        threads: 2,
    }
}

fn run(wanted: &Sweep) -> Vec<Point> {
    let swept = sweep(wanted, &|_, _| ()).unwrap();
    assert!(swept.violations.is_empty(), "{:?}", swept.violations);
    swept.points
}

fn of<'a>(points: &'a [Point], protocol: &str, clients: u32) -> &'a Point {
    let wanted = |point: &&Point| point.protocol == protocol && point.clients == clients;
    points.iter().find(wanted).unwrap()
}

#[test]
fn a_sweep_has_a_point_per_load_whatever_the_threads() {
    let wanted = tiny();
    let points = run(&wanted);
    let order: Vec<_> = points
        .iter()
        .map(|point| (point.protocol.as_str(), point.clients))
        .collect();
    assert_eq!(
        order,
        [
            ("pbft", 1),
            ("pbft", 4),
            ("aliph", 1),
            ("aliph", 4),
            ("chain", 1),
            ("chain", 4)
        ]
    );
    for point in &points {
        assert_eq!((point.seeds, point.answers), (2, 600), "{point:?}");
        // A closed loop with one request each: Little's law.
        let under_way = point.throughput_per_s * point.latency_mean_ms / 1e3;
        let clients = f64::from(point.clients);
        assert!((under_way / clients - 1.0).abs() < 0.1, "{point:?}");
    }
    let one_thread = Sweep {
        threads: 1,
        ..wanted
    };
    assert_eq!(points, run(&one_thread));
}

/// §5.2: a Quorum answers after two one-way delays, PBFT after four, a Chain of four after five.
#[test]
fn without_contention_quorum_is_the_fastest_and_chain_the_slowest() {
    let points = run(&tiny());
    let latency = |protocol| of(&points, protocol, 1).latency_mean_ms;
    let (aliph, pbft, chain) = (latency("aliph"), latency("pbft"), latency("chain"));
    assert!(aliph < 0.65 * pbft, "{aliph} beside {pbft}");
    assert!(pbft < chain, "{pbft} beside {chain}");
}

/// Table I without batches: a Quorum's replica checks the request's MAC and makes one for its response.
#[test]
fn macs_are_counted_as_the_paper_does() {
    let points = run(&Sweep {
        protocols: vec!["quorum".into()],
        clients: vec![1],
        window: Window {
            warm_up_ns: 30 * MS,
            ..tiny().window
        },
        ..tiny()
    });
    // Checkpoints add a little.
    let macs = points[0].macs_per_request;
    assert!((2.0..2.5).contains(&macs), "{macs}");
}

/// Large requests are a matter of network cards: PBFT's primary sends each request to three, a Chain's replicas to one.
#[test]
fn large_requests_go_faster_down_a_chain() {
    let points = run(&Sweep {
        protocols: vec!["pbft".into(), "chain".into()],
        payloads: vec![Payload {
            request_kib: 4,
            reply_kib: 0,
        }],
        clients: vec![64],
        requests: 1_500,
        window: Window {
            warm_up_ns: 100 * MS,
            ..tiny().window
        },
        seeds: 0..1,
        ..tiny()
    });
    let (pbft, chain) = (of(&points, "pbft", 64), of(&points, "chain", 64));
    assert!(
        chain.throughput_per_s > 1.5 * pbft.throughput_per_s,
        "{chain:?} {pbft:?}"
    );
    assert!(pbft.network_percent > 60.0, "{pbft:?}");
}

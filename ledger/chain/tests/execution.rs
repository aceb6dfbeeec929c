//! What transactions do, and that they do it exactly once.

mod common;

use bytes::Bytes;
use common::*;
use hedgerow_base::{Height, NodeId, Time};
use hedgerow_chain::{Answer, DeviceRef, Ledger, Query};
use hedgerow_kv::MemoryStore;
use hedgerow_records::{Algorithm, Receipt, Rejection, StreamId};
use hedgerow_signer::register;

fn ledger() -> Ledger<MemoryStore> {
    Ledger::open(MemoryStore::new(), genesis()).unwrap()
}

fn rejected(receipt: &Receipt) -> &Rejection {
    match receipt {
        Receipt::Rejected { reason } => reason,
        other => panic!("{other:?}"),
    }
}

fn recorded(receipt: &Receipt) -> (u64, u32, u32) {
    match receipt {
        Receipt::Recorded {
            first_position,
            appended,
            duplicates,
            ..
        } => (*first_position, *appended, *duplicates),
        other => panic!("{other:?}"),
    }
}

#[test]
fn readings_of_every_algorithm_are_recorded_also_in_the_block_of_the_registration() {
    let mut ledger = ledger();
    let keys = [Algorithm::Ed25519, Algorithm::P256, Algorithm::Secp256k1]
        .map(|algorithm| device(algorithm, 9));
    let mut transactions = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        transactions.push(registration(key, &format!("d{n}")));
        transactions.push(record(key, "t", &[(0, "a"), (1, "b")]));
    }
    let receipts = run(&mut ledger, transactions);
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(
            receipts[2 * n],
            Receipt::Registered {
                device: key.device_id()
            }
        );
        assert_eq!(recorded(&receipts[2 * n + 1]), (0, 2, 0));
        let stream = format!("d{n}/t").parse().unwrap();
        let Answer::Reading(found) = ledger
            .query(&Query::Reading {
                stream,
                sequence: 1,
            })
            .unwrap()
        else {
            panic!()
        };
        assert_eq!(
            (&*found.reading.payload, found.position, found.height),
            (&b"b"[..], 1, Height(1))
        );
        assert_eq!(
            (found.reading.time, found.block_time),
            (1_700_000_001_000, 1_700_000_000_050)
        );
    }
    let Answer::Head(head) = ledger.query(&Query::Head).unwrap() else {
        panic!()
    };
    assert_eq!(
        (
            head.devices,
            head.streams,
            head.readings,
            head.block.transactions
        ),
        (3, 3, 6, 6)
    );
}

#[test]
fn a_reading_is_recorded_once_in_whatever_order_and_however_often_it_comes() {
    let mut ledger = ledger();
    let key = device(Algorithm::Ed25519, 9);
    run(&mut ledger, [registration(&key, "d")]);
    let first = record(&key, "t", &[(7, "seven"), (5, "five")]);
    // Twice in one block, then in a later one, then within another record.
    let receipts = run(
        &mut ledger,
        [
            first.clone(),
            first.clone(),
            record(&key, "t", &[(6, "six"), (6, "six")]),
        ],
    );
    assert_eq!(
        [&receipts[0], &receipts[1], &receipts[2]].map(recorded),
        [(0, 2, 0), (2, 0, 2), (2, 1, 1)]
    );
    let receipts = run(
        &mut ledger,
        [
            first,
            record(&key, "t", &[(5, "five"), (0, "zero"), (6, "six")]),
        ],
    );
    assert_eq!(
        [&receipts[0], &receipts[1]].map(recorded),
        [(3, 0, 2), (3, 1, 2)]
    );

    let stream: hedgerow_records::StreamName = "d/t".parse().unwrap();
    let Answer::Range(found) = ledger
        .query(&Query::Range {
            stream: stream.clone(),
            from: 0,
            limit: 10,
        })
        .unwrap()
    else {
        panic!()
    };
    let found: Vec<_> = found
        .iter()
        .map(|found| (found.reading.sequence, found.position))
        .collect();
    assert_eq!(found, [(0, 3), (5, 1), (6, 2), (7, 0)]);
    let Answer::Stream(summary) = ledger.query(&Query::Stream(stream)).unwrap() else {
        panic!()
    };
    assert_eq!(
        (
            summary.length,
            summary.first_sequence,
            summary.last_sequence,
            summary.missing
        ),
        (4, 0, 7, 4)
    );
    assert_eq!(&*summary.latest.unwrap().reading.payload, b"seven");
}

#[test]
fn what_is_not_in_order_is_rejected_and_changes_nothing() {
    let mut ledger = ledger();
    let (key, stranger) = (
        device(Algorithm::Ed25519, 9),
        device(Algorithm::Ed25519, 10),
    );
    run(
        &mut ledger,
        [registration(&key, "d"), record(&key, "t", &[(0, "a")])],
    );
    let state = ledger.head().header.state_root;

    let mut forged = record(&key, "t", &[(1, "b")]);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let mut other_algorithm = record(&key, "t", &[(1, "b")]);
    other_algorithm[last - 64] = 1;
    let mut old_version = record(&key, "t", &[(1, "b")]);
    old_version[5] = 0;
    let mut trailing = record(&key, "t", &[(1, "b")]);
    trailing.push(0);
    let register_as = |key: &hedgerow_signer::DeviceKey, name: &str, member: u32, signer: u32| {
        let name = name.parse().unwrap();
        register(
            NETWORK,
            name,
            *key.public_key(),
            None,
            NodeId(member),
            &common::member(signer),
        )
        .unwrap()
        .to_bytes()
    };
    let cases = [
        (forged, Rejection::BadSignature),
        (
            other_algorithm,
            Rejection::WrongAlgorithm {
                found: Algorithm::P256,
                registered: Algorithm::Ed25519,
            },
        ),
        (
            old_version,
            Rejection::UnknownVersion { found: 0, known: 1 },
        ),
        (trailing, Rejection::Malformed),
        (vec![], Rejection::Malformed),
        (vec![7; 100], Rejection::Malformed),
        (record(&key, "t", &[]), Rejection::Empty),
        (
            record_on(1, &key, "t", &[(1, "b")]),
            Rejection::WrongNetwork {
                found: 1,
                expected: NETWORK,
            },
        ),
        (
            record(&stranger, "t", &[(1, "b")]),
            Rejection::UnknownDevice {
                device: stranger.device_id(),
            },
        ),
        (
            record(&key, "t", &[(1, "b"), (0, "other"), (2, "c")]),
            Rejection::Conflict { sequence: 0 },
        ),
        (
            record(&key, "t", &[(1, "b"), (1, "other")]),
            Rejection::Conflict { sequence: 1 },
        ),
        (
            registration(&key, "e"),
            Rejection::AlreadyRegistered {
                device: key.device_id(),
            },
        ),
        (
            registration(&stranger, "d"),
            Rejection::NameTaken {
                name: "d".parse().unwrap(),
                device: key.device_id(),
            },
        ),
        (
            register_as(&stranger, "x", 9, 4),
            Rejection::NotAMember { member: NodeId(9) },
        ),
        (register_as(&stranger, "x", 3, 4), Rejection::BadSignature),
    ];
    for (transaction, reason) in &cases {
        let receipts = run(&mut ledger, [transaction.clone()]);
        assert_eq!(rejected(&receipts[0]), reason);
        assert_eq!(ledger.head().header.state_root, state, "{reason}");
    }
    // All in one block, beside a good one: a bad signature doesn't hurt its neighbours.
    let mut all: Vec<_> = cases
        .iter()
        .map(|(transaction, _)| transaction.clone())
        .collect();
    all.insert(7, record(&key, "t", &[(1, "b")]));
    let receipts = run(&mut ledger, all);
    assert_eq!(recorded(&receipts[7]), (1, 1, 0));
    assert_eq!(
        receipts
            .iter()
            .filter(|receipt| matches!(receipt, Receipt::Rejected { .. }))
            .count(),
        cases.len()
    );
}

#[test]
fn a_device_registered_after_its_record_in_the_block_is_still_unknown_to_it() {
    let mut ledger = ledger();
    let key = device(Algorithm::Ed25519, 9);
    let receipts = run(
        &mut ledger,
        [record(&key, "t", &[(0, "a")]), registration(&key, "d")],
    );
    assert_eq!(
        rejected(&receipts[0]),
        &Rejection::UnknownDevice {
            device: key.device_id()
        }
    );
    assert!(matches!(receipts[1], Receipt::Registered { .. }));
}

#[test]
fn gaps_are_bounded() {
    let mut ledger = ledger();
    let key = device(Algorithm::Ed25519, 9);
    run(&mut ledger, [registration(&key, "d")]);
    let sparse: Vec<_> = (0..4096).map(|n| (2 * n, "x")).collect();
    let receipts = run(
        &mut ledger,
        [
            record(&key, "t", &sparse),
            record(&key, "t", &[(8192, "x")]),
        ],
    );
    assert_eq!(
        [&receipts[0], &receipts[1]].map(recorded),
        [(0, 4096, 0), (4096, 1, 0)]
    );
    let receipts = run(
        &mut ledger,
        [
            record(&key, "t", &[(9000, "x")]),
            record(&key, "t", &[(1, "x"), (9000, "x")]),
        ],
    );
    assert_eq!(
        rejected(&receipts[0]),
        &Rejection::TooManyGaps { max: 4096 }
    );
    assert_eq!(recorded(&receipts[1]), (4097, 2, 0));
    let receipts = run(
        &mut ledger,
        [record(&key, "t", &[(u64::MAX, "x"), (3, "x"), (5, "x")])],
    );
    assert_eq!(recorded(&receipts[0]), (4099, 3, 0));
}

#[test]
fn null_and_garbage_requests_are_receipted_and_no_request_makes_no_block() {
    let mut ledger = ledger();
    let garbage = Bytes::from_static(&[0xff; 64]);
    let executed = execute(
        &mut ledger,
        &[Bytes::new(), garbage, bundle([]), bundle([vec![], vec![1]])],
    );
    let counts: Vec<_> = executed
        .receipts
        .iter()
        .map(|receipts| receipts.0.len())
        .collect();
    assert_eq!(counts, [1, 1, 0, 2]);
    assert_eq!(rejected(&executed.receipts[0].0[0]), &Rejection::NotABundle);
    assert_eq!(rejected(&executed.receipts[1].0[0]), &Rejection::NotABundle);
    assert_eq!(executed.transactions, 4);

    // A request that is a transaction but no bundle is not executed.
    let key = device(Algorithm::Ed25519, 9);
    let executed = execute(&mut ledger, &[Bytes::from(registration(&key, "d"))]);
    assert_eq!(rejected(&executed.receipts[0].0[0]), &Rejection::NotABundle);

    // A batch without requests makes no block, but takes up its slot.
    let head = ledger.head();
    assert_eq!(
        ledger.execute(head.slot.next(), Time::ZERO, &[]).unwrap(),
        None
    );
    assert_eq!(
        (ledger.head().hash, ledger.head().slot),
        (head.hash, head.slot.next())
    );
}

#[test]
fn time_never_runs_backwards() {
    let mut ledger = ledger();
    let late = ledger
        .execute(
            slot(3),
            Time::from_millis(1_800_000_000_000),
            &requests(&[Bytes::new()]),
        )
        .unwrap()
        .unwrap();
    let early = ledger
        .execute(slot(9), Time::from_millis(5), &requests(&[Bytes::new()]))
        .unwrap()
        .unwrap();
    assert_eq!(
        (late.header.time, early.header.time),
        (1_800_000_000_000, 1_800_000_000_000)
    );
    assert_eq!(
        (early.header.height, early.header.slot, early.header.parent),
        (Height(2), slot(9), late.hash)
    );
}

#[test]
fn queries_page_and_miss() {
    let mut ledger = ledger();
    let keys: Vec<_> = (0..5).map(|n| device(Algorithm::Ed25519, 20 + n)).collect();
    let names = ["b", "a.1", "a", "a-1", "c"];
    let mut transactions: Vec<_> = keys
        .iter()
        .zip(names)
        .map(|(key, name)| registration(key, name))
        .collect();
    transactions.extend(
        keys.iter()
            .flat_map(|key| ["y", "x"].map(|stream| record(key, stream, &[(0, "v")]))),
    );
    run(&mut ledger, transactions);

    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let query = Query::Devices {
            after: after.clone(),
            limit: 2,
        };
        let Answer::Devices(page) = ledger.query_bytes(&query.to_bytes()).unwrap() else {
            panic!()
        };
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        seen.extend(page.iter().map(|device| device.name.to_string()));
    }
    assert_eq!(seen, ["a", "a-1", "a.1", "b", "c"]);
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let Answer::Streams(page) = ledger
            .query(&Query::Streams {
                after: after.clone(),
                limit: 3,
            })
            .unwrap()
        else {
            panic!()
        };
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        seen.extend(page.iter().map(|stream| stream.name.to_string()));
    }
    assert_eq!(
        seen,
        [
            "a/x", "a/y", "a-1/x", "a-1/y", "a.1/x", "a.1/y", "b/x", "b/y", "c/x", "c/y"
        ]
    );

    let stream: hedgerow_records::StreamName = "a/x".parse().unwrap();
    let found = ledger
        .query(&Query::Device(DeviceRef::Name("a".parse().unwrap())))
        .unwrap();
    let Answer::Device(found) = found else {
        panic!()
    };
    assert_eq!(StreamId::new(found.device, &stream.stream), {
        let Answer::Stream(summary) = ledger.query(&Query::Stream(stream.clone())).unwrap() else {
            panic!()
        };
        summary.stream
    });
    for missing in [
        Query::Device(DeviceRef::Name("z".parse().unwrap())),
        Query::Stream("a/z".parse().unwrap()),
        Query::Reading {
            stream: stream.clone(),
            sequence: 1,
        },
        Query::Block(Height(2)),
        Query::Prove {
            stream: stream.clone(),
            sequence: 1,
        },
    ] {
        assert!(
            matches!(ledger.query(&missing).unwrap(), Answer::NotFound(_)),
            "{missing:?}"
        );
    }
    let prove = Query::Prove {
        stream,
        sequence: 0,
    };
    assert_eq!(
        ledger.query(&prove).unwrap(),
        Answer::NotYetFinal {
            certified: Height(0)
        }
    );
    assert_eq!(ledger.query_bytes(&[99]).unwrap(), Answer::Malformed);
}

#[test]
fn what_a_batch_gave_is_recalled() {
    let mut ledger = ledger();
    let key = device(Algorithm::Ed25519, 9);
    let time = Time::from_millis(1_700_000_000_000);
    let first = execute(
        &mut ledger,
        &[bundle([registration(&key, "d")]), Bytes::new()],
    );
    assert_eq!(
        ledger.recall(first.header.slot).unwrap(),
        None,
        "not stable yet"
    );
    ledger.stable(Height(1)).unwrap();
    let empty = ledger.head().slot.next();
    assert_eq!(ledger.execute(empty, time, &[]).unwrap(), None);
    let second = execute(&mut ledger, &[bundle([record(&key, "t", &[(0, "a")])])]);
    ledger.stable(Height(2)).unwrap();

    let mut ledger = Ledger::open(ledger.into_store(), genesis()).unwrap();
    for executed in [&first, &second] {
        let recalled = ledger.recall(executed.header.slot).unwrap().unwrap();
        assert_eq!(recalled.state, executed.hash);
        assert_eq!(
            recalled.block,
            Some((executed.header.height, executed.receipts.clone()))
        );
    }
    let recalled = ledger.recall(empty).unwrap().unwrap();
    assert_eq!((recalled.state, recalled.block), (first.hash, None));
    assert_eq!(ledger.recall(second.header.slot.next()).unwrap(), None);
    execute(&mut ledger, &[bundle([record(&key, "t", &[(1, "b")])])]);
}

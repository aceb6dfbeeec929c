//! The same batches give the same headers: on two ledgers, over rollbacks, crashes and replay.

mod common;

use bytes::Bytes;
use common::*;
use hedgerow_base::{Digest, Height, Time};
use hedgerow_chain::{Answer, Epoch, Ledger, OpenError, Query};
use hedgerow_kv::{KvRead, KvStore, MemoryStore};
use hedgerow_records::Algorithm;
use proptest::prelude::*;

/// What a block has: readings of one of three devices and votes, repetitions and nonsense among them.
#[derive(Clone, Debug)]
enum Item {
    Register(u8),
    Record(u8, u8, Vec<(u8, bool)>),
    Vote(u32, u64, u8),
    Garbage(Vec<u8>),
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        1 => (0..4_u8).prop_map(Item::Register),
        5 => (0..4_u8, 0..2_u8, prop::collection::vec((0..12_u8, prop::bool::weighted(0.95)), 1..4))
            .prop_map(|(device, stream, readings)| Item::Record(device, stream, readings)),
        // Few names, so that many a vote decides; some are of an epoch that is not the present one.
        3 => (0..5_u32, 0..2_u64, 0..2_u8).prop_map(|(who, epoch, name)| Item::Vote(who, epoch, name)),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Item::Garbage),
    ]
}

fn request(items: &[Item]) -> Bytes {
    let algorithms = [
        Algorithm::Ed25519,
        Algorithm::Ed25519,
        Algorithm::Ed25519,
        Algorithm::P256,
    ];
    let key = |n: u8| device(algorithms[n as usize], n + 1);
    bundle(items.iter().map(|item| match item {
        Item::Register(n) => registration(&key(*n), &format!("d{n}")),
        Item::Record(n, stream, readings) => {
            let readings: Vec<_> = readings
                .iter()
                .map(|(n, usual)| (u64::from(*n), if *usual { "v" } else { "w" }))
                .collect();
            record(&key(*n), ["x", "y"][*stream as usize], &readings)
        }
        Item::Vote(who, epoch, name) => vote(*who, *epoch, ["aliph", "pbft"][*name as usize]),
        Item::Garbage(bytes) => bytes.clone(),
    }))
}

fn blocks() -> impl Strategy<Value = Vec<Vec<Item>>> {
    prop::collection::vec(prop::collection::vec(item(), 0..6), 1..8).prop_map(|mut blocks| {
        blocks.insert(0, (0..3).map(Item::Register).collect());
        blocks
    })
}

fn open(store: MemoryStore) -> Ledger<MemoryStore> {
    Ledger::open(store, genesis()).unwrap()
}

/// Each block stable at once.
fn straight(requests: &[Bytes]) -> (Vec<(Digest, Epoch)>, Ledger<MemoryStore>) {
    let mut ledger = open(MemoryStore::new());
    let mut heads = vec![(ledger.head().hash, ledger.epoch().unwrap())];
    for request in requests {
        let executed = execute(&mut ledger, std::slice::from_ref(request));
        ledger.stable(executed.header.height).unwrap();
        heads.push((executed.hash, ledger.epoch().unwrap()));
    }
    (heads, ledger)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn rollbacks_crashes_and_replay_change_nothing(
        blocks in blocks(),
        steps in prop::collection::vec((0..5_u8, any::<prop::sample::Index>()), 0..40),
    ) {
        let requests: Vec<_> = blocks.iter().map(|items| request(items)).collect();
        let (heads, reference) = straight(&requests);

        // A ledger that stumbles: runs ahead, rolls back, syncs late, loses power.
        let mut ledger = open(MemoryStore::new());
        for (step, at) in steps {
            let head = ledger.head();
            let (height, stable) = (head.header.height.0, head.stable.0);
            match step {
                0 | 1 => if let Some(request) = requests.get(height as usize) {
                    let executed = execute(&mut ledger, std::slice::from_ref(request));
                    prop_assert_eq!(executed.hash, heads[height as usize + 1].0);
                },
                2 => ledger.stable(Height(stable + at.index((height - stable) as usize + 1) as u64)).unwrap(),
                3 => ledger.rollback(Height(stable + at.index((height - stable) as usize + 1) as u64)),
                _ => {
                    let mut store = ledger.into_store();
                    let kept = at.index(store.unsynced() + 1);
                    store.crash(kept);
                    ledger = open(store);
                }
            }
            let head = ledger.head();
            prop_assert_eq!(&(head.hash, ledger.epoch().unwrap()), &heads[head.header.height.0 as usize]);
            if at.index(3) == 0 {
                ledger.sync().unwrap();
            }
        }
        while let Some(request) = requests.get(ledger.head().header.height.0 as usize) {
            execute(&mut ledger, std::slice::from_ref(request));
        }
        let end = ledger.head().header.height;
        ledger.stable(end).unwrap();
        prop_assert_eq!(&ledger.head(), &reference.head());
        ledger.sync().unwrap();
        let mut store = ledger.into_store();
        store.crash(0);
        let ledger = open(store);
        prop_assert_eq!(&ledger.head(), &reference.head());

        // Whoever replays the stored batches gets the same ledger, up to the last byte of its store.
        let mut replayed = open(MemoryStore::new());
        for batch in ledger.batches(slot(0), 1000).unwrap() {
            prop_assert_eq!(ledger.batch(batch.slot).unwrap(), Some(batch.clone()));
            let executed = replayed.execute(batch.slot, batch.time, &batch.requests).unwrap().unwrap();
            replayed.stable(executed.header.height).unwrap();
        }
        for table in hedgerow_chain::tables() {
            let all = |ledger: &Ledger<MemoryStore>| ledger.store().scan(table, &[], None, 10_000).unwrap();
            prop_assert_eq!(all(&ledger), all(&replayed), "table {}", table);
        }
        for height in 0..=ledger.head().header.height.0 {
            prop_assert_eq!(ledger.header(Height(height)).unwrap().unwrap().hash(), heads[height as usize].0);
        }
    }
}

/// Executes a batch at the next slot: a request, or none.
fn next(ledger: &mut Ledger<MemoryStore>, request: Option<&Bytes>) {
    let at = ledger.head().slot.next();
    let time = Time::from_millis(1_700_000_000_000 + at.0 * 50);
    let operations: Vec<_> = request.into_iter().cloned().collect();
    ledger.execute(at, time, &requests(&operations)).unwrap();
}

fn contents(ledger: &Ledger<MemoryStore>) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    let all = |table| ledger.store().scan(table, &[], None, 10_000).unwrap();
    hedgerow_chain::tables().map(all).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Speculation leaves no trace: whoever executes ahead, also what turns out wrong, and rolls back, has the same
    /// ledger as one that executed the final batches only. At no time is anything shown that is not final.
    #[test]
    fn what_was_rolled_back_leaves_no_trace(
        blocks in blocks(),
        nulls in prop::collection::vec(prop::bool::weighted(0.3), 16),
        wrong in prop::collection::vec(item(), 1..4),
        steps in prop::collection::vec((0..8_u8, any::<prop::sample::Index>()), 0..60),
    ) {
        let mut batches: Vec<Option<Bytes>> = Vec::new();
        for (items, null) in blocks.iter().zip(nulls) {
            batches.extend(null.then_some(None));
            batches.push(Some(request(items)));
        }
        batches.push(None);
        let wrong = [Some(request(&wrong)), Some(request(&[])), None];

        // The model executes each final batch once and makes it stable at once.
        let mut model = open(MemoryStore::new());
        let mut heads = vec![model.head()];
        let mut shown = vec![model.query(&Query::Head).unwrap()];
        for batch in &batches {
            next(&mut model, batch.as_ref());
            model.stable_to(model.head().slot).unwrap();
            heads.push(model.head());
            shown.push(model.query(&Query::Head).unwrap());
        }

        let mut ledger = open(MemoryStore::new());
        // Up to here what was executed is what will be final.
        let mut right = 0;
        let mut told = Vec::new();
        for (step, at) in steps {
            let head = ledger.head();
            let (slot_now, stable) = (head.slot.0, head.stable_slot.0);
            match step {
                0..=2 => if let Some(batch) = batches.get(slot_now as usize) {
                    next(&mut ledger, batch.as_ref());
                    right += u64::from(right == slot_now);
                },
                3 | 4 => {
                    let batch = at.get(&wrong);
                    let is_wrong = batches.get(slot_now as usize) != Some(batch);
                    next(&mut ledger, batch.as_ref());
                    right += u64::from(right == slot_now && !is_wrong);
                }
                5 => {
                    let to = stable + at.index((slot_now - stable) as usize + 1) as u64;
                    ledger.rollback_to(slot(to));
                    right = right.min(to);
                }
                6 => {
                    let to = stable + at.index((right - stable) as usize + 1) as u64;
                    told.extend(ledger.stable_to(slot(to)).unwrap());
                }
                _ => {
                    let mut store = ledger.into_store();
                    let kept = at.index(store.unsynced() + 1);
                    store.crash(kept);
                    ledger = open(store);
                    right = ledger.head().slot.0;
                    told.truncate(ledger.head().stable.0 as usize);
                }
            }
            let head = ledger.head();
            if head.slot.0 <= right {
                prop_assert_eq!(head.hash, heads[head.slot.0 as usize].hash);
            }
            prop_assert!(head.stable_slot.0 <= right);
            let stable = head.stable_slot.0 as usize;
            prop_assert_eq!(ledger.query(&Query::Head).unwrap(), shown[stable].clone());
            prop_assert_eq!(told.len() as u64, heads[stable].stable.0);
            if at.index(3) == 0 {
                ledger.sync().unwrap();
            }
        }
        ledger.rollback_to(slot(right));
        while let Some(batch) = batches.get(ledger.head().slot.0 as usize) {
            next(&mut ledger, batch.as_ref());
        }
        let end = ledger.head().slot;
        told.extend(ledger.stable_to(end).unwrap());
        prop_assert_eq!(ledger.stable_to(end).unwrap(), vec![]);
        prop_assert_eq!(&ledger.head(), &model.head());
        prop_assert_eq!(contents(&ledger), contents(&model));
        let blocks: Vec<_> = heads.iter().map(|head| (head.header.height, head.hash)).collect();
        let mut blocks = blocks;
        blocks.dedup();
        prop_assert_eq!(told, &blocks[1..]);
    }
}

#[test]
fn what_is_not_stable_is_not_even_said_to_exist() {
    let mut ledger = open(MemoryStore::new());
    let key = device(Algorithm::Ed25519, 9);
    let request = bundle([registration(&key, "d"), record(&key, "t", &[(0, "a")])]);
    next(&mut ledger, Some(&request));
    let prove = Query::Prove {
        stream: "d/t".parse().unwrap(),
        sequence: 0,
    };
    let found = |ledger: &Ledger<MemoryStore>| {
        [Query::Block(Height(1)), prove.clone()]
            .map(|query| !matches!(ledger.query(&query).unwrap(), Answer::NotFound(_)))
    };
    assert_eq!(found(&ledger), [false, false]);
    assert_eq!(ledger.batch(slot(1)).unwrap(), None);
    ledger.stable_to(slot(1)).unwrap();
    assert_eq!(found(&ledger), [true, true]);
}

#[test]
fn a_batch_without_requests_is_rolled_back_too() {
    let mut ledger = open(MemoryStore::new());
    next(&mut ledger, Some(&Bytes::new()));
    next(&mut ledger, None);
    ledger.stable_to(slot(1)).unwrap();
    assert_eq!(
        (ledger.head().stable_slot, ledger.head().slot),
        (slot(1), slot(2))
    );
    assert_eq!(ledger.batch(slot(2)).unwrap(), None);
    ledger.rollback_to(slot(1));
    next(&mut ledger, Some(&Bytes::new()));
    let blocks = ledger.stable_to(slot(2)).unwrap();
    assert_eq!(blocks, [(Height(2), ledger.head().hash)]);
    let ledger = open(ledger.into_store());
    assert_eq!(ledger.batch(slot(2)).unwrap().unwrap().requests.len(), 1);
    assert_eq!(ledger.head().slot, slot(2));
}

#[test]
#[should_panic(expected = "below the stable slot 1")]
fn what_is_stable_is_not_rolled_back() {
    let mut ledger = open(MemoryStore::new());
    next(&mut ledger, None);
    ledger.stable_to(slot(1)).unwrap();
    ledger.rollback_to(slot(0));
}

#[test]
fn an_idle_ledger_writes_nothing() {
    let mut ledger = open(MemoryStore::new());
    execute(&mut ledger, &[Bytes::new()]);
    ledger.stable(Height(1)).unwrap();
    ledger.sync().unwrap();
    ledger.stable(Height(1)).unwrap();
    assert_eq!(ledger.store().unsynced(), 0);
    let ledger = open(ledger.into_store());
    assert_eq!(
        ledger.store().unsynced(),
        0,
        "opening writes nothing either"
    );
}

#[test]
fn a_store_of_another_genesis_is_refused() {
    let store = open(MemoryStore::new()).into_store();
    let mut other = genesis();
    other.time += 1;
    assert!(matches!(
        Ledger::open(store, other),
        Err(OpenError::OtherGenesis { .. })
    ));
}

#[test]
fn damage_is_noticed_when_opening() {
    let mut ledger = open(MemoryStore::new());
    run(
        &mut ledger,
        [registration(&device(Algorithm::Ed25519, 1), "d")],
    );
    let mut store = ledger.into_store();
    let (key, _) = store.scan("state_storage", &[], None, 1).unwrap().remove(0);
    let mut batch = hedgerow_kv::WriteBatch::default();
    batch.put("state_storage", key, [1]);
    store.commit(batch).unwrap();
    assert!(matches!(
        Ledger::open(store, genesis()),
        Err(OpenError::Damaged(_))
    ));
}

/// The formats are for ever: headers, receipts and state of a small ledger. A change here is a new version.
#[test]
fn golden_headers() {
    let mut ledger = open(MemoryStore::new());
    let genesis_hash = ledger.head().hash.to_hex();
    let key = device(Algorithm::Ed25519, 9);
    run(
        &mut ledger,
        [
            registration(&key, "mast-1"),
            record(&key, "temperature", &[(0, "21.5"), (2, "21.7")]),
        ],
    );
    run(
        &mut ledger,
        [record(&key, "temperature", &[(1, "21.6")]), vec![3]],
    );
    assert_eq!(
        [genesis_hash, ledger.head().hash.to_hex()],
        [
            "59ff72cf34cb33c4ed2a954fa1c8d5ff28a1934b40c9b81a361d4c643ec3455f",
            "d8f1e6482d2c0ef3400442464326494ac9ce6cf1754ce026effad23b4213e4f8"
        ]
    );
}

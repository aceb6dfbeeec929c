//! The same batches give the same headers: on two ledgers, over rollbacks, crashes and replay.

mod common;

use bytes::Bytes;
use common::*;
use hedgerow_base::{Digest, Height};
use hedgerow_chain::{Ledger, OpenError};
use hedgerow_kv::{KvStore, MemoryStore};
use hedgerow_records::Algorithm;
use proptest::prelude::*;

/// What a block has: readings of one of three devices, repetitions and nonsense among them.
#[derive(Clone, Debug)]
enum Item {
    Register(u8),
    Record(u8, u8, Vec<(u8, bool)>),
    Garbage(Vec<u8>),
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        1 => (0..4_u8).prop_map(Item::Register),
        5 => (0..4_u8, 0..2_u8, prop::collection::vec((0..12_u8, prop::bool::weighted(0.95)), 1..4))
            .prop_map(|(device, stream, readings)| Item::Record(device, stream, readings)),
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
fn straight(requests: &[Bytes]) -> (Vec<Digest>, Ledger<MemoryStore>) {
    let mut ledger = open(MemoryStore::new());
    let mut hashes = vec![ledger.head().hash];
    for request in requests {
        let executed = execute(&mut ledger, std::slice::from_ref(request));
        ledger.stable(executed.header.height).unwrap();
        hashes.push(executed.hash);
    }
    (hashes, ledger)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn rollbacks_crashes_and_replay_change_nothing(
        blocks in blocks(),
        steps in prop::collection::vec((0..5_u8, any::<prop::sample::Index>()), 0..40),
    ) {
        let requests: Vec<_> = blocks.iter().map(|items| request(items)).collect();
        let (hashes, reference) = straight(&requests);

        // A ledger that stumbles: runs ahead, rolls back, syncs late, loses power.
        let mut ledger = open(MemoryStore::new());
        for (step, at) in steps {
            let head = ledger.head();
            let (height, stable) = (head.header.height.0, head.stable.0);
            match step {
                0 | 1 => if let Some(request) = requests.get(height as usize) {
                    let executed = execute(&mut ledger, std::slice::from_ref(request));
                    prop_assert_eq!(executed.hash, hashes[height as usize + 1]);
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
            prop_assert_eq!(head.hash, hashes[head.header.height.0 as usize]);
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
            prop_assert_eq!(ledger.header(Height(height)).unwrap().unwrap().hash(), hashes[height as usize]);
        }
    }
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
            "ae179f46ef8a3d787fa5d9e144b4120811c66c1980575fb04b260c737ed705f7",
            "f53feeeac1c9f3fe1ec3e98c34bbde5d201bb37e64d7d2bb4ac50dcdbf66fefa"
        ]
    );
}

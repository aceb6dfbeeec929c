//! What a reading costs a validator: one-reading Ed25519 records of 100 bytes of payload, executed, made stable and
//! synced in a store in memory, on one thread. Processor time where the system tells it (Linux), so that other work on
//! the machine counts little; elapsed time elsewhere.
//!
//!     cargo run --release -p hedgerow-chain --example throughput [DEVICES [RECORDS_PER_BLOCK [BLOCKS]]]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use common::*;
use hedgerow_chain::Ledger;
use hedgerow_crypto::{Signature, SignatureCheck, verify_each};
use hedgerow_kv::MemoryStore;
use hedgerow_records::{Algorithm, Receipt, SignedRecord, Transaction};
use hedgerow_signer::{DeviceKey, RecordBuilder, reading};

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse().expect("a number"));
    let devices: usize = arguments.next().unwrap_or(20);
    let per_block: usize = arguments.next().unwrap_or(500);
    let blocks: usize = arguments.next().unwrap_or(100);

    let mut ledger = Ledger::open(MemoryStore::new(), genesis()).expect("an empty store");
    let keys: Vec<_> = (0..devices).map(key).collect();
    for (n, some) in keys.chunks(500).enumerate() {
        let named = some
            .iter()
            .enumerate()
            .map(|(i, key)| registration(key, &format!("d{}", n * 500 + i)));
        run(&mut ledger, named);
    }
    let bundles: Vec<_> = (0..blocks)
        .map(|block| {
            let numbers = block * per_block..(block + 1) * per_block;
            let all: Vec<_> = numbers
                .map(|n| one_reading(&keys[n % devices], (n / devices) as u64))
                .collect();
            all.chunks(256)
                .map(|some| bundle(some.iter().cloned()))
                .collect::<Vec<_>>()
        })
        .collect();

    let (mut execute, mut stable, mut sync) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for operations in &bundles {
        let start = clock();
        let executed = common::execute(&mut ledger, operations);
        execute += clock() - start;
        let appended = |receipt: &Receipt| matches!(receipt, Receipt::Recorded { appended: 1, .. });
        assert!(
            executed
                .receipts
                .iter()
                .flat_map(|receipts| receipts.0.iter())
                .all(appended)
        );
        let start = clock();
        ledger
            .stable(executed.header.height)
            .expect("a store in memory");
        stable += clock() - start;
        let start = clock();
        ledger.sync().expect("a store in memory");
        sync += clock() - start;
    }

    // The signatures alone, in the same batches: a part of what execution took.
    let start = clock();
    for operations in &bundles {
        let checks: Vec<_> = operations.iter().flat_map(|bytes| checks(bytes)).collect();
        assert!(verify_each(&checks).into_iter().all(|valid| valid));
    }
    let verify = clock() - start;

    let each = |time: Duration| time.as_secs_f64() * 1e6 / (blocks * per_block) as f64;
    println!("{devices} devices, {blocks} blocks of {per_block} records; microseconds per record");
    println!("  verify   {:6.2}", each(verify));
    println!(
        "  execute  {:6.2}  (all but the signatures)",
        each(execute.saturating_sub(verify))
    );
    println!(
        "  stable   {:6.2}  (into the store in memory)",
        each(stable)
    );
    println!("  sync     {:6.2}", each(sync));
    println!("  together {:6.2}", each(execute + stable + sync));
}

/// This thread's processor time since some point.
#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn clock() -> Duration {
    use std::{sync::OnceLock, time::Instant};
    static START: OnceLock<Instant> = OnceLock::new();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok());
    nanoseconds.map_or_else(
        || START.get_or_init(Instant::now).elapsed(),
        Duration::from_nanos,
    )
}

fn key(n: usize) -> DeviceKey {
    let mut seed = [1; 32];
    seed[..8].copy_from_slice(&(n as u64).to_be_bytes());
    DeviceKey::from_bytes(Algorithm::Ed25519, &seed).expect("any seed is a key")
}

fn one_reading(key: &DeviceKey, sequence: u64) -> Vec<u8> {
    let mut record = RecordBuilder::new(NETWORK, key.device_id(), "t".parse().expect("a name"));
    let content = reading(
        sequence,
        1_700_000_000_000,
        "application/json",
        &[b'7'; 100],
    )
    .expect("small");
    record.push(content).expect("small");
    [
        &[Transaction::RECORD],
        &record.sign(key).expect("its own key")[..],
    ]
    .concat()
}

fn checks(bundle: &[u8]) -> Vec<SignatureCheck> {
    let transactions = hedgerow_records::Bundle::split(bundle).expect("a bundle");
    let check = |bytes: &&[u8]| {
        let Ok(Transaction::Record(signed)) = Transaction::from_bytes(bytes) else {
            panic!("a record")
        };
        let device = signed.record().expect("a record").device;
        let (message, signature) = (
            SignedRecord::message(&signed.body),
            Signature(signed.signature),
        );
        SignatureCheck::new(key_of(device), &message, signature)
    };
    transactions.iter().map(check).collect()
}

/// Finds a device's key again.
fn key_of(device: hedgerow_records::DeviceId) -> hedgerow_crypto::VerifyingKey {
    use std::{cell::RefCell, collections::BTreeMap};
    thread_local!(static KNOWN: RefCell<(usize, BTreeMap<[u8; 20], hedgerow_crypto::VerifyingKey>)> = RefCell::default());
    KNOWN.with_borrow_mut(|(next, known)| {
        while !known.contains_key(&device.0) {
            let key = key(*next);
            known.insert(
                key.device_id().0,
                key.public_key().as_ed25519().expect("Ed25519"),
            );
            *next += 1;
        }
        known[&device.0]
    })
}

//! A network of four validators and a gateway, its devices, and what they say.
#![allow(dead_code, unreachable_pub)]

use bytes::Bytes;
use hedgerow_base::{NodeId, Slot, Time};
use hedgerow_chain::{Attestations, Executed, Genesis, Ledger, Request};
use hedgerow_crypto::SigningKey;
use hedgerow_kv::KvStore;
use hedgerow_proofs::Attestation;
use hedgerow_records::{Algorithm, Bundle, Receipt, Transaction, VERSION, Vote};
use hedgerow_signer::{DeviceKey, RecordBuilder, reading, register};
use hedgerow_wire::{Blob, List};

pub const NETWORK: u64 = 4711;

pub fn member(node: u32) -> SigningKey {
    SigningKey::from_seed([node as u8 + 1; 32])
}

pub fn genesis() -> Genesis {
    let member = |node: u32, name: &str| {
        let key = member(node).verifying_key().to_hex();
        let mac_key = hex::encode([node as u8 + 100; 32]);
        format!(r#"{{"name": "{name}", "key": "{key}", "mac_key": "{mac_key}"}}"#)
    };
    let validators: Vec<_> = (0..4)
        .map(|node| member(node, &format!("v{node}")))
        .collect();
    let text = format!(
        r#"{{
            "network": {NETWORK}, "name": "test", "time": 1700000000000,
            "validators": [{}], "gateways": [{}],
            "ordering": {{"consensus": "pbft", "checkpoint_interval": 128, "window": 256, "batch": "burst"}}
        }}"#,
        validators.join(","),
        member(4, "g0"),
    );
    Genesis::from_json(&text).unwrap()
}

pub fn device(algorithm: Algorithm, seed: u8) -> DeviceKey {
    DeviceKey::from_bytes(algorithm, &[seed; 32]).unwrap()
}

pub fn registration(key: &DeviceKey, name: &str) -> Vec<u8> {
    let name = name.parse().unwrap();
    register(
        NETWORK,
        name,
        *key.public_key(),
        None,
        NodeId(4),
        &member(4),
    )
    .unwrap()
    .to_bytes()
}

pub fn record_on(network: u64, key: &DeviceKey, stream: &str, readings: &[(u64, &str)]) -> Vec<u8> {
    let mut record = RecordBuilder::new(network, key.device_id(), stream.parse().unwrap());
    for (sequence, payload) in readings {
        let time = 1_700_000_000_000 + sequence % 1_000_000 * 1000;
        record
            .push(reading(*sequence, time, "text/plain", payload.as_bytes()).unwrap())
            .unwrap();
    }
    [&[Transaction::RECORD], &record.sign(key).unwrap()[..]].concat()
}

pub fn record(key: &DeviceKey, stream: &str, readings: &[(u64, &str)]) -> Vec<u8> {
    record_on(NETWORK, key, stream, readings)
}

pub fn ballot(validator: u32, epoch: u64, protocol: &str) -> Vote {
    Vote {
        version: VERSION,
        genesis: genesis().digest(),
        epoch,
        protocol: protocol.parse().unwrap(),
        validator: NodeId(validator),
    }
}

pub fn signed(vote: &Vote, signer: u32) -> Vec<u8> {
    Transaction::Vote(vote.sign(&member(signer))).to_bytes()
}

pub fn vote(validator: u32, epoch: u64, protocol: &str) -> Vec<u8> {
    signed(&ballot(validator, epoch, protocol), validator)
}

pub fn bundle(transactions: impl IntoIterator<Item = Vec<u8>>) -> Bytes {
    let blobs = transactions
        .into_iter()
        .map(|bytes| Blob::new(bytes).unwrap());
    Bytes::from(
        Bundle {
            transactions: List::new(blobs.collect()).unwrap(),
        }
        .to_bytes(),
    )
}

/// As the gateway's requests.
pub fn requests(operations: &[Bytes]) -> Vec<Request> {
    let numbered = (1..).zip(operations);
    numbered
        .map(|(number, operation)| Request {
            client: NodeId(4),
            number,
            operation: operation.clone(),
        })
        .collect()
}

/// Executes a block at the next slot.
pub fn execute<S: KvStore>(ledger: &mut Ledger<S>, operations: &[Bytes]) -> Executed {
    let slot = ledger.head().slot.next();
    let time = Time::from_millis(1_700_000_000_000 + slot.0 * 50);
    ledger
        .execute(slot, time, &requests(operations))
        .unwrap()
        .unwrap()
}

/// Executes a block of one bundle and makes it stable; gives the receipts.
pub fn run<S: KvStore>(
    ledger: &mut Ledger<S>,
    transactions: impl IntoIterator<Item = Vec<u8>>,
) -> Vec<Receipt> {
    let executed = execute(ledger, &[bundle(transactions)]);
    ledger.stable(executed.header.height).unwrap();
    executed.receipts[0].0.to_vec()
}

/// Has validators sign the head.
pub fn certify<S: KvStore>(ledger: &mut Ledger<S>, signers: &[u32]) -> bool {
    let head = ledger.head();
    let mut attestations = Attestations::new(ledger.trust_root().clone());
    for signer in signers {
        let genesis = ledger.trust_root().genesis;
        let attestation = Attestation::sign(
            &genesis,
            head.header.height,
            head.hash,
            NodeId(*signer),
            &member(*signer),
        );
        attestations.add(&attestation).unwrap();
    }
    match attestations.certificate(&head.header) {
        Some(certificate) => ledger.certify(certificate).unwrap().unwrap(),
        None => false,
    }
}

pub fn transaction(bytes: &[u8]) -> Transaction {
    Transaction::from_bytes(bytes).unwrap()
}

pub fn slot(n: u64) -> Slot {
    Slot(n)
}

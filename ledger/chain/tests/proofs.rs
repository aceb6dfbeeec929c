//! Proofs hold under any later certificate, and under nothing else.

mod common;

use std::sync::OnceLock;

use alloy_primitives::{U256, address, keccak256};
use common::*;
use hedgerow_base::{Height, NodeId};
use hedgerow_chain::{Answer, Attestations, Ledger, Proved, Query, Refused};
use hedgerow_kv::MemoryStore;
use hedgerow_proofs::{Attestation, Header};
use hedgerow_records::{Algorithm, StreamId};
use hedgerow_verifier::Verifier;
use proptest::prelude::*;

fn populated() -> Ledger<MemoryStore> {
    let mut ledger = Ledger::open(MemoryStore::new(), genesis()).unwrap();
    let keys: Vec<_> = (0..8).map(|n| device(Algorithm::Ed25519, 30 + n)).collect();
    run(
        &mut ledger,
        keys.iter()
            .enumerate()
            .map(|(n, key)| registration(key, &format!("d{n}"))),
    );
    for block in 0..10_u64 {
        run(
            &mut ledger,
            keys.iter()
                .map(|key| record(key, "t", &[(2 * block, "even"), (2 * block + 1, "odd")])),
        );
    }
    ledger
}

fn verifier(ledger: &Ledger<MemoryStore>) -> Verifier {
    let bytes = Verifier::from_trust_root(ledger.trust_root().clone())
        .unwrap()
        .to_bytes();
    Verifier::new(&bytes).unwrap()
}

fn proof(ledger: &Ledger<MemoryStore>, sequence: u64) -> Vec<u8> {
    match ledger.prove(&"d3/t".parse().unwrap(), sequence).unwrap() {
        Proved::Proof(proof) => proof.to_bytes(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_reading_is_provable_while_the_ledger_goes_on() {
    let mut ledger = populated();
    assert!(
        !certify(&mut ledger, &[2]),
        "one signature of four is no certificate"
    );
    assert!(certify(&mut ledger, &[1, 3]));
    let key = device(Algorithm::Ed25519, 33);
    // The head is beyond the certificate: proofs are still of the certified state.
    run(
        &mut ledger,
        [record(&key, "t", &[(20, "later"), (21, "later")])],
    );
    execute(
        &mut ledger,
        &[bundle([record(&key, "t", &[(22, "speculative")])])],
    );
    let verifier = verifier(&ledger);
    for sequence in 0..20 {
        let bytes = proof(&ledger, sequence);
        let verified = verifier.verify(&bytes).unwrap();
        assert_eq!(
            (verified.reading.sequence, verified.stream.to_string()),
            (sequence, "d3/t".into())
        );
        assert_eq!(
            &*verified.reading.payload,
            if sequence % 2 == 0 {
                &b"even"[..]
            } else {
                b"odd"
            }
        );
        assert_eq!(
            (verified.certified, verified.height),
            (Height(11), Height(2 + sequence / 2))
        );
        assert_eq!(
            (verified.device, verified.signers),
            (key.device_id(), vec![NodeId(1), NodeId(3)])
        );
        assert!(bytes.len() < 8192, "{} bytes", bytes.len());
    }
    for sequence in 20..22 {
        let proved = ledger.prove(&"d3/t".parse().unwrap(), sequence).unwrap();
        assert_eq!(
            proved,
            Proved::NotYetFinal {
                certified: Height(11)
            }
        );
    }
    let speculative = ledger.prove(&"d3/t".parse().unwrap(), 22).unwrap();
    assert_eq!(speculative, Proved::NotFound);
    ledger.stable(Height(13)).unwrap();
    assert!(certify(&mut ledger, &[0, 1, 2]));
    assert_eq!(
        verifier.verify(&proof(&ledger, 22)).unwrap().certified,
        Height(13)
    );
    assert_eq!(
        verifier.verify(&proof(&ledger, 0)).unwrap().certified,
        Height(13)
    );
}

#[test]
fn long_records_are_found_and_proved_reading_by_reading() {
    let mut ledger = Ledger::open(MemoryStore::new(), genesis()).unwrap();
    let key = device(Algorithm::P256, 33);
    let large = "x".repeat(20_000);
    let payload = |n: u64| {
        if n % 100 == 99 {
            large.as_str()
        } else {
            "small"
        }
    };
    let numbers: Vec<_> = (0..700).map(|n| (n, payload(n))).collect();
    // Consecutive ones beyond the size of a group, then every second one downwards, then those between.
    let down: Vec<_> = (0..300).map(|n| (1400 - 2 * n, "down")).collect();
    let between: Vec<_> = (0..300).map(|n| (1401 - 2 * n, "between")).collect();
    run(
        &mut ledger,
        [registration(&key, "d3"), record(&key, "t", &numbers)],
    );
    run(
        &mut ledger,
        [record(&key, "t", &down), record(&key, "t", &between)],
    );
    assert!(certify(&mut ledger, &[0, 1]));
    let verifier = verifier(&ledger);
    let position = |sequence: u64| match sequence {
        0..700 => sequence,
        even if even % 2 == 0 => 700 + (1400 - even) / 2,
        odd => 1000 + (1401 - odd) / 2,
    };
    for sequence in (0..700)
        .step_by(33)
        .chain([699])
        .chain((802..=1401).step_by(29))
        .chain([1400, 1401])
    {
        let verified = verifier.verify(&proof(&ledger, sequence)).unwrap();
        assert_eq!(
            (verified.reading.sequence, verified.position),
            (sequence, position(sequence))
        );
        if sequence < 700 {
            assert_eq!(&*verified.reading.payload, payload(sequence).as_bytes());
        }
    }
    let stream: hedgerow_records::StreamName = "d3/t".parse().unwrap();
    let (mut from, mut seen) = (0, Vec::new());
    loop {
        let query = Query::Range {
            stream: stream.clone(),
            from,
            limit: 333,
        };
        let Answer::Range(page) = ledger.query(&query).unwrap() else {
            panic!()
        };
        let Some(last) = page.last() else { break };
        from = last.reading.sequence + 1;
        seen.extend(page.iter().map(|found| found.reading.sequence));
    }
    assert_eq!(seen, (0..700).chain(802..=1401).collect::<Vec<_>>());
}

#[test]
fn the_certificate_survives_a_restart() {
    let mut ledger = populated();
    certify(&mut ledger, &[1, 3]);
    ledger.sync().unwrap();
    let mut store = ledger.into_store();
    store.crash(0);
    let mut ledger = Ledger::open(store, genesis()).unwrap();
    let verifier = verifier(&ledger);
    assert_eq!(
        verifier.verify(&proof(&ledger, 5)).unwrap().certified,
        Height(11)
    );

    run(&mut ledger, [vec![]]);
    ledger.sync().unwrap();
    let mut ledger = Ledger::open(ledger.into_store(), genesis()).unwrap();
    // The head is not the certified block: its state is gone, and comes back with the next certificate.
    assert_eq!(ledger.certified(), Height(11));
    let name = "d3/t".parse().unwrap();
    assert_eq!(
        ledger.prove(&name, 5).unwrap(),
        Proved::NotYetFinal {
            certified: Height(11)
        }
    );
    assert!(certify(&mut ledger, &[0, 2]));
    assert_eq!(
        verifier.verify(&proof(&ledger, 5)).unwrap().certified,
        Height(12)
    );
}

#[test]
fn a_proof_of_another_network_fails() {
    let mut ledger = populated();
    certify(&mut ledger, &[1, 3]);
    let bytes = proof(&ledger, 0);
    let mut trust = ledger.trust_root().clone();
    trust.genesis.0[0] ^= 1;
    assert!(
        Verifier::from_trust_root(trust)
            .unwrap()
            .verify(&bytes)
            .is_err()
    );
    let mut longer = bytes;
    longer.push(0);
    assert!(verifier(&ledger).verify(&longer).is_err());
}

/// The layout as a Solidity compiler has it: slot of `mapping[key]` is keccak256(key ++ number of the mapping), fields
/// of a struct follow each other, small ones share a word from its right end.
#[test]
fn contracts_find_streams_where_solidity_puts_them() {
    let ledger = populated();
    let key = device(Algorithm::Ed25519, 33);
    let stream = StreamId::new(key.device_id(), &"t".parse().unwrap());
    let mapping = |key: [u8; 32], number: u8| {
        let mut number_word = [0; 32];
        number_word[31] = number;
        U256::from_be_bytes(keccak256([key, number_word].concat()).0)
    };
    let mut device_word = [0; 32];
    device_word[12..].copy_from_slice(&key.device_id().0);
    let first = mapping(stream.0.0, 0);
    let slots = [
        first,
        first + U256::from(1),
        first + U256::from(2),
        first + U256::from(3),
        mapping(device_word, 1) + U256::from(1),
        mapping(keccak256(b"d3").0, 2),
        U256::from(3),
    ];
    let proof = ledger.prove_account(
        &address!("0000000000000000000000000000000000004847"),
        &slots,
    );
    assert_eq!(proof.account.unwrap().nonce, 1);
    let Answer::Stream(summary) = ledger
        .query(&Query::Stream("d3/t".parse().unwrap()))
        .unwrap()
    else {
        panic!()
    };
    let values: Vec<_> = proof.storage.iter().map(|slot| slot.value).collect();
    let owner = U256::from_be_bytes(device_word);
    let sequences = keccak256([0_u64.to_be_bytes(), 19_u64.to_be_bytes()].concat());
    let expected = [
        U256::from(20) + (U256::from(19) << 64_usize),
        U256::from_be_bytes(summary.root.0),
        U256::from_be_bytes(sequences.0),
        owner,
        U256::from(1),
        owner,
        U256::from(8) + (U256::from(8) << 64_usize) + (U256::from(160) << 128_usize),
    ];
    assert_eq!(values, expected);
}

#[test]
fn a_contradicting_header_is_noticed() {
    let ledger = populated();
    let mut header = ledger.header(Height(5)).unwrap().unwrap();
    assert!(!ledger.contradicts(&header).unwrap());
    header.state_root.0[0] ^= 1;
    assert!(ledger.contradicts(&header).unwrap());
    header.height = Height(500);
    assert!(
        !ledger.contradicts(&header).unwrap(),
        "not executed here yet"
    );
}

#[test]
fn headers_are_proved_by_the_history() {
    let ledger = populated();
    let head = ledger.head().header;
    for height in 0..head.height.0 {
        let path = ledger
            .prove_header(Height(height), head.height)
            .unwrap()
            .unwrap();
        let header = ledger.header(Height(height)).unwrap().unwrap();
        let leaf = hedgerow_merkle::leaf_hash(header.hash().as_ref());
        assert!(path.verify(&head.history_root, head.height.0, height, leaf));
        assert!(height == 0 || !path.verify(&head.history_root, head.height.0, height - 1, leaf));
    }
    assert_eq!(ledger.prove_header(head.height, head.height).unwrap(), None);
}

#[test]
fn liars_do_not_make_or_stop_certificates() {
    let ledger = populated();
    let head = ledger.head();
    let mut attestations = Attestations::new(ledger.trust_root().clone());
    let genesis = ledger.trust_root().genesis;
    let height = head.header.height;
    let sign = |node: u32, height, hash| {
        Attestation::sign(&genesis, height, hash, NodeId(node), &member(node))
    };

    let lie = sign(0, height, genesis);
    assert_eq!(attestations.add(&lie), Ok(true));
    assert_eq!(attestations.add(&lie), Ok(false));
    assert_eq!(
        attestations.add(&sign(0, height, head.hash)),
        Err(Refused::Equivocation { first: lie })
    );
    assert_eq!(
        attestations.add(&sign(4, height, head.hash)),
        Err(Refused::BadSignature),
        "a gateway"
    );
    let borrowed = Attestation {
        signer: NodeId(2),
        ..sign(1, height, head.hash)
    };
    assert_eq!(attestations.add(&borrowed), Err(Refused::BadSignature));
    for far in 0..1000 {
        attestations
            .add(&sign(0, Height(1_000_000 + far), head.hash))
            .unwrap();
    }
    assert_eq!(
        attestations.add(&sign(0, Height(5), head.hash)),
        Err(Refused::Old(Height(5)))
    );
    assert_eq!(attestations.add(&sign(1, height, head.hash)), Ok(true));
    assert_eq!(attestations.certificate(&head.header), None);
    assert_eq!(attestations.add(&sign(3, height, head.hash)), Ok(true));
    let certificate = attestations.certificate(&head.header).unwrap();
    assert_eq!(
        certificate.verify(ledger.trust_root()).unwrap(),
        head.header
    );
    attestations.forget_below(height.next());
    assert_eq!(attestations.count(height, &head.hash), 0);
}

fn example() -> &'static (Vec<u8>, Verifier) {
    static EXAMPLE: OnceLock<(Vec<u8>, Verifier)> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        let mut ledger = populated();
        certify(&mut ledger, &[1, 3]);
        (proof(&ledger, 7), verifier(&ledger))
    })
}

/// Every byte, flipped: nothing in a proof is unchecked.
#[test]
fn every_byte_matters() {
    let (bytes, verifier) = example();
    assert!(verifier.verify(bytes).is_ok());
    for at in 0..bytes.len() {
        let mut tampered = bytes.clone();
        tampered[at] ^= 1 << (at % 8);
        assert!(
            verifier.verify(&tampered).is_err(),
            "byte {at} of {}",
            bytes.len()
        );
    }
}

proptest! {
    #[test]
    fn tampered_proofs_fail(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (bytes, verifier) = example();
        let mut tampered = bytes.clone();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            tampered[at] = byte;
        }
        prop_assert!(tampered == *bytes || verifier.verify(&tampered).is_err());
        prop_assert!(verifier.verify(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn a_header_has_one_encoding(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let header = Ledger::open(MemoryStore::new(), genesis()).unwrap().head().header;
        let mut bytes = header.encode();
        prop_assert_eq!(Header::decode(&bytes).unwrap(), header);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(other) = Header::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }
}

/// The format is for ever: a change here is a new version of proofs.
#[test]
fn golden_proof() {
    let digest = hedgerow_records::Transaction::digest(&example().0);
    assert_eq!(
        digest.to_hex(),
        "e177b4fd60f2811f2b6a470f6bccfa8ab0e19c155e4ebf1154a45b968f9c6510"
    );
}

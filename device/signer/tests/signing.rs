//! What a device signs is what the ledger verifies, and the formats stay what they are.

use hedgerow_base::NodeId;
use hedgerow_crypto::{Signature, SigningKey};
use hedgerow_records::{Algorithm, Bundle, SignedRecord, SignedRegistration, Transaction};
use hedgerow_signer::{
    BadKey, DeviceKey, MemoryStorage, OfflineBuffer, RecordBuilder, SignError, reading, register,
};
use hedgerow_wire::{Blob, List};
use proptest::prelude::*;

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Ed25519, Algorithm::P256, Algorithm::Secp256k1];

fn key(algorithm: Algorithm) -> DeviceKey {
    DeviceKey::from_bytes(algorithm, &[7; 32]).unwrap()
}

fn signed(key: &DeviceKey) -> Vec<u8> {
    let mut record = RecordBuilder::new(4711, key.device_id(), "temperature".parse().unwrap());
    record
        .push(
            reading(
                3,
                1_700_000_000_123,
                "application/json",
                br#"{"celsius":21.5}"#,
            )
            .unwrap(),
        )
        .unwrap();
    record.sign(key).unwrap()
}

#[test]
fn every_algorithm_signs_and_verifies() {
    for algorithm in ALGORITHMS {
        let key = key(algorithm);
        assert!(key.public_key().is_point());
        let again = DeviceKey::from_bytes(algorithm, &key.to_bytes()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        let record = SignedRecord::from_bytes(&signed(&key)).unwrap();
        assert!(record.is_signed_by(key.public_key()));
        assert!(record.record().unwrap().is_of(key.public_key()));
        for other in ALGORITHMS {
            let other = DeviceKey::from_bytes(other, &[8; 32]).unwrap();
            assert!(!record.is_signed_by(other.public_key()));
        }
        for bit in 0..512 {
            let mut forged = record.clone();
            forged.signature[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !forged.is_signed_by(key.public_key()),
                "{algorithm} bit {bit}"
            );
        }
        let mut changed = record.clone();
        changed.body = Blob::new([&*record.body, &[0]].concat()).unwrap();
        assert!(!changed.is_signed_by(key.public_key()));
    }
}

#[test]
fn either_s_of_an_ecdsa_signature_is_valid() {
    let key = key(Algorithm::Secp256k1);
    let record = SignedRecord::from_bytes(&signed(&key)).unwrap();
    let signature = k256::ecdsa::Signature::from_slice(&record.signature).unwrap();
    let (r, s) = signature.split_scalars();
    let other = k256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
    let other = SignedRecord {
        signature: other.to_bytes().into(),
        ..record.clone()
    };
    assert_ne!(other.signature, record.signature);
    assert!(other.is_signed_by(key.public_key()) && record.is_signed_by(key.public_key()));
}

#[test]
fn bad_secrets_are_refused() {
    for algorithm in [Algorithm::P256, Algorithm::Secp256k1] {
        assert_eq!(
            DeviceKey::from_bytes(algorithm, &[0; 32]).unwrap_err(),
            BadKey(algorithm)
        );
        assert_eq!(
            DeviceKey::from_bytes(algorithm, &[0xff; 32]).unwrap_err(),
            BadKey(algorithm)
        );
        assert_eq!(
            DeviceKey::generate(algorithm, |seed| seed.fill(0)).unwrap_err(),
            BadKey(algorithm)
        );
    }
    let (key, other) = (
        key(Algorithm::Ed25519),
        DeviceKey::from_bytes(Algorithm::Ed25519, &[9; 32]).unwrap(),
    );
    let record = RecordBuilder::new(1, key.device_id(), "a".parse().unwrap());
    assert!(matches!(
        record.sign(&other),
        Err(SignError::WrongKey { .. })
    ));
}

#[test]
fn the_largest_record_fits() {
    let key = key(Algorithm::Ed25519);
    let stream = "s".repeat(64).parse().unwrap();
    let mut record = RecordBuilder::new(u64::MAX, key.device_id(), stream);
    let mut sequence = 0;
    while record
        .push(reading(sequence, 0, &"c".repeat(64), &[0; 65_536]).unwrap())
        .is_ok()
    {
        sequence += 1;
    }
    assert_eq!(record.len(), 15);
    let bytes = record.sign(&key).unwrap();
    assert!(Transaction::from_bytes(&[&[Transaction::RECORD], &bytes[..]].concat()).is_ok());
    let mut record = RecordBuilder::new(1, key.device_id(), "s".parse().unwrap());
    while record
        .push(reading(record.len() as u64, 0, "", &[]).unwrap())
        .is_ok()
    {}
    assert_eq!(record.len(), 4096);
}

#[test]
fn registrations_are_signed_by_the_member() {
    let (device, member) = (key(Algorithm::P256), SigningKey::from_seed([1; 32]));
    let name = "mast-1".parse().unwrap();
    let transaction = register(4711, name, *device.public_key(), None, NodeId(4), &member).unwrap();
    let bytes = transaction.to_bytes();
    let Transaction::Register(signed) = Transaction::from_bytes(&bytes).unwrap() else {
        panic!("a registration")
    };
    let message = SignedRegistration::message(&signed.body);
    assert!(
        member
            .verifying_key()
            .verifies(&message, &Signature(signed.signature))
    );
    assert_eq!(
        signed.registration().unwrap().public_key,
        *device.public_key()
    );
}

/// The formats are for ever. Whoever changes one changes its version, and this.
#[test]
fn golden_records() {
    let digests =
        ALGORITHMS.map(|algorithm| Transaction::digest(&signed(&key(algorithm))).to_hex());
    assert_eq!(
        digests,
        [
            "88e696fc0f9b7a1ad85117884c34857b6f0af33edd948adfe26b89fd48c4d3b3",
            "f23da2930ef3fbab9d5ca0bc73fba0c2bd9d2229ce3ef135f7926ef50f8ce951",
            "0700f0472c88e568ed4a170a9aed30601959bdb743ab4d774a3e17489dbba2ad"
        ]
    );
    let ids = ALGORITHMS.map(|algorithm| key(algorithm).device_id().to_string());
    assert_eq!(
        ids,
        [
            "0x4cf7d185c4ddec08fcbedb66c81c5d222246045c",
            "0x101c777735993db503125a8779012e5423e3fa8d",
            "0x3994f7ef72c294433232397cc98734b6a4c06e8c",
        ]
    );
}

/// What a client in another language must produce, byte by byte.
#[test]
fn a_record_by_hand() {
    let key = key(Algorithm::Ed25519);
    let text = |bytes: &mut Vec<u8>, text: &[u8]| {
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text);
    };
    let mut body = vec![1];
    body.extend(4711_u64.to_le_bytes());
    body.extend(key.device_id().0);
    text(&mut body, b"temperature");
    body.extend(1_u32.to_le_bytes());
    body.extend(3_u64.to_le_bytes());
    body.extend(1_700_000_000_123_u64.to_le_bytes());
    text(&mut body, b"application/json");
    text(&mut body, br#"{"celsius":21.5}"#);
    let signature = key.sign(&[b"hedgerow/record/1\0", &body[..]].concat());
    let mut bytes = Vec::new();
    text(&mut bytes, &body);
    bytes.push(0);
    bytes.extend(signature);
    assert_eq!(bytes, signed(&key));
}

#[test]
fn the_buffer_keeps_records_until_they_are_final() {
    let mut buffer = OfflineBuffer::new(MemoryStorage::default(), 10);
    for record in [b"one", b"two", b"six"] {
        buffer.push(record).unwrap();
    }
    assert!(buffer.push(b"ten").is_err());
    assert_eq!(buffer.next_to_send().unwrap().unwrap(), b"one");
    assert_eq!(buffer.next_to_send().unwrap().unwrap(), b"two");
    assert!(buffer.settle(b"two").unwrap());
    assert!(!buffer.settle(b"two").unwrap() && !buffer.settle(b"six").unwrap());
    assert_eq!(buffer.len(), 3, "what came first is not final yet");
    assert!(buffer.settle(b"one").unwrap());
    assert_eq!(buffer.len(), 1);
    assert_eq!(buffer.next_to_send().unwrap().unwrap(), b"six");
    assert_eq!(buffer.next_to_send().unwrap(), None);
    buffer.resend();
    assert_eq!(buffer.next_to_send().unwrap().unwrap(), b"six");
    let mut restarted = OfflineBuffer::new(buffer.into_storage(), 10);
    assert_eq!(restarted.next_to_send().unwrap().unwrap(), b"six");
    assert!(restarted.settle(b"six").unwrap() && restarted.is_empty());
}

proptest! {
    #[test]
    fn splitting_a_bundle_is_decoding_it(
        transactions in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
        cut in any::<prop::sample::Index>(),
        flip in any::<u8>(),
    ) {
        let blobs = transactions.iter().map(|bytes| Blob::new(bytes.clone()).unwrap()).collect();
        let mut bytes = Bundle { transactions: List::new(blobs).unwrap() }.to_bytes();
        let at = cut.index(bytes.len());
        for tampered in [false, true] {
            if tampered { bytes[at] ^= flip; }
            let split = Bundle::split(&bytes).map(|parts| parts.iter().map(|part| part.to_vec()).collect::<Vec<_>>());
            let decoded = Bundle::from_bytes(&bytes).ok();
            let decoded = decoded.map(|bundle| bundle.transactions.iter().map(|part| part.to_vec()).collect::<Vec<_>>());
            prop_assert_eq!(split, decoded);
        }
        let truncated = &bytes[..at];
        prop_assert_eq!(Bundle::split(truncated).is_some(), Bundle::from_bytes(truncated).is_ok());
    }

    #[test]
    fn a_record_has_one_encoding(seed in any::<[u8; 32]>(), at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let key = DeviceKey::from_bytes(Algorithm::Ed25519, &seed).unwrap();
        let mut bytes = signed(&key);
        let which = at.index(bytes.len());
        bytes[which] ^= flip;
        if let Ok(record) = SignedRecord::from_bytes(&bytes) {
            prop_assert_eq!(hedgerow_wire::encode(&record), bytes);
            prop_assert!(!record.is_signed_by(key.public_key()));
        }
    }
}

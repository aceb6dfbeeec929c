//! What devices and members say to the ledger, and what it answers.

use std::sync::OnceLock;

use hedgerow_base::{Digest, Height, NodeId};
use hedgerow_crypto::SigningKey;
use hedgerow_records::{
    Algorithm, Bundle, ContentType, DevicePublicKey, Motion, Name, Payload, ProtocolName, Reading,
    Receipt, Receipts, Record, Registration, Rejection, RoleVote, Roles, SignedRecord,
    SignedRegistration, SignedRoleVote, SignedVote, StreamName, Subject, Transaction, VERSION,
    Vote,
};
use hedgerow_wire::{Blob, List, encode};

use super::canonical;
use crate::members::keyrings;

/// The network that everything here is for.
pub(crate) const NETWORK: u64 = 7;

pub(crate) fn run(data: &[u8]) {
    if let Some(signed) = canonical::<SignedRecord>(data) {
        look_into(&signed);
    }
    if let Some(signed) = canonical::<SignedRegistration>(data) {
        let _ = signed.registration();
    }
    if let Some(signed) = canonical::<SignedVote>(data) {
        look_into_vote(&signed);
    }
    if let Some(signed) = canonical::<SignedRoleVote>(data) {
        look_into_role_vote(&signed);
    }
    if let Ok(transaction) = Transaction::from_bytes(data) {
        assert_eq!(
            transaction.to_bytes(),
            data,
            "a second encoding was accepted"
        );
        match transaction {
            Transaction::Record(signed) => look_into(&signed),
            Transaction::Vote(signed) => look_into_vote(&signed),
            Transaction::RoleVote(signed) => look_into_role_vote(&signed),
            Transaction::Register(_) => {}
        }
    }
    if let Ok(bundle) = Bundle::from_bytes(data) {
        assert_eq!(bundle.to_bytes(), data, "a second encoding was accepted");
        for transaction in bundle.transactions.iter() {
            let _ = Transaction::from_bytes(transaction);
        }
    }
    if let Ok(receipts) = Receipts::from_bytes(data) {
        assert_eq!(receipts.to_bytes(), data, "a second encoding was accepted");
        for receipt in receipts.0.iter() {
            if let Receipt::Rejected { reason } = receipt {
                let _ = reason.to_string();
            }
        }
    }
    if let Some(key) = canonical::<DevicePublicKey>(data) {
        let _ = (key.is_point(), key.device_id());
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(name) = text.parse::<StreamName>() {
            assert_eq!(name.to_string(), text, "a second spelling was accepted");
        }
        if let Ok(name) = text.parse::<ProtocolName>() {
            assert_eq!(name.to_string(), text, "a second spelling was accepted");
        }
        if let Ok(roles) = text.parse::<Roles>() {
            assert_eq!(roles.to_string().parse(), Ok(roles));
        }
        if let Ok(subject) = text.parse::<Subject>() {
            assert_eq!(subject.to_string().parse(), Ok(subject));
        }
    }
}

fn look_into(signed: &SignedRecord) {
    let _ = signed.digest();
    let _ = signed.is_signed_by(&device(0).1);
    if let Ok(record) = signed.record() {
        assert_eq!(
            encode(&record),
            *signed.body,
            "a second encoding was accepted"
        );
        let _ = (record.stream_id(), record.is_of(&device(0).1));
    }
}

fn look_into_vote(signed: &SignedVote) {
    if let Ok(vote) = signed.vote() {
        assert_eq!(
            encode(&vote),
            *signed.body,
            "a second encoding was accepted"
        );
        let _ = vote.proposal();
    }
}

fn look_into_role_vote(signed: &SignedRoleVote) {
    if let Ok(vote) = signed.vote() {
        assert_eq!(
            encode(&vote),
            *signed.body,
            "a second encoding was accepted"
        );
        let _ = vote.motion.id(&vote.genesis);
    }
}

/// A device's secret and its public key.
pub(crate) fn device(number: u8) -> (SigningKey, DevicePublicKey) {
    let signing = SigningKey::from_seed([number ^ 0x5a; 32]);
    let public = DevicePublicKey::new(Algorithm::Ed25519, &signing.verifying_key().0);
    (signing, public.expect("a key"))
}

/// A device's name.
pub(crate) fn device_name(number: u8) -> Name {
    Name::new(format!("device-{number}")).expect("a name")
}

/// The genesis that votes are for.
pub(crate) const GENESIS: Digest = Digest([7; 32]);

/// A member's signing key.
pub(crate) fn member(number: u32) -> SigningKey {
    SigningKey::from_seed([number as u8; 32])
}

/// A member's vote.
pub(crate) fn vote(number: u32, epoch: u64, protocol: &str) -> Transaction {
    let vote = Vote {
        version: VERSION,
        genesis: GENESIS,
        epoch,
        protocol: ProtocolName::new(protocol).expect("a name"),
        validator: NodeId(number),
    };
    Transaction::Vote(vote.sign(&member(number % 5)))
}

/// A member's vote on roles.
pub(crate) fn role_vote(number: u32, motion: Motion, approves: bool) -> Transaction {
    let vote = RoleVote {
        version: VERSION,
        genesis: GENESIS,
        motion,
        approves,
        validator: NodeId(number),
    };
    Transaction::RoleVote(vote.sign(&member(number % 5)))
}

/// The registration of a device by a member.
pub(crate) fn registration(number: u8, member: usize) -> Transaction {
    let body = encode(&Registration {
        version: VERSION,
        network: NETWORK,
        name: device_name(number),
        public_key: device(number).1,
        description: None,
    });
    static MEMBERS: OnceLock<Vec<SigningKey>> = OnceLock::new();
    let members = MEMBERS.get_or_init(|| (0..5).map(|n| SigningKey::from_seed([n; 32])).collect());
    let keyring = &keyrings()[member % 5];
    let signature = members[member % 5].sign(&SignedRegistration::message(&body));
    Transaction::Register(SignedRegistration {
        body: Blob::new(body).expect("short"),
        member: keyring.me(),
        signature: signature.0,
    })
}

/// A record of a device: `(sequence, payload)`.
pub(crate) fn record(number: u8, stream: &str, readings: &[(u64, Vec<u8>)]) -> SignedRecord {
    let (signing, public) = device(number);
    let readings = readings
        .iter()
        .map(|(sequence, payload)| Reading {
            sequence: *sequence,
            time: 1_700_000_000_000 + sequence % 1000,
            content_type: ContentType::new("application/json").expect("short"),
            payload: Payload::new(payload.clone()).expect("short"),
        })
        .collect();
    let body = encode(&Record {
        version: VERSION,
        network: NETWORK,
        device: public.device_id(),
        stream: Name::new(stream).expect("a name"),
        readings: List::new(readings).expect("few"),
    });
    let signature = signing.sign(&SignedRecord::message(&body)).0;
    SignedRecord {
        body: Blob::new(body).expect("short"),
        algorithm: Algorithm::Ed25519,
        signature,
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let signed = record(
        0,
        "temperature",
        &[(1, b"21.5".to_vec()), (2, b"21.6".to_vec())],
    );
    let motion = Motion {
        subject: Subject([9; 20]),
        round: 0,
        roles: Roles::CALL,
    };
    let transactions = [
        registration(0, 0).to_bytes(),
        Transaction::Record(signed.clone()).to_bytes(),
        vote(0, 0, "aliph").to_bytes(),
        role_vote(0, motion, true).to_bytes(),
    ];
    let blobs = transactions
        .iter()
        .map(|bytes| Blob::new(bytes.clone()).expect("short"));
    let bundle = Bundle {
        transactions: List::new(blobs.collect()).expect("few"),
    };
    let stream = signed.record().expect("a record").stream_id();
    let receipts = [
        Receipt::Registered {
            device: device(0).1.device_id(),
        },
        Receipt::Recorded {
            stream,
            height: Height(3),
            first_position: 0,
            appended: 2,
            duplicates: 0,
        },
        Receipt::Rejected {
            reason: Rejection::Conflict { sequence: 9 },
        },
        Receipt::Voted {
            proposal: Digest::ZERO,
            height: Height(3),
            votes: 3,
            needed: 3,
            began: Some(1),
        },
        Receipt::RoleVoted {
            motion: Digest::ZERO,
            height: Height(3),
            votes: 3,
            needed: 3,
            decided: true,
        },
    ];
    let mut seeds = vec![
        encode(&signed),
        bundle.to_bytes(),
        Receipts(List::new(receipts.to_vec()).expect("few")).to_bytes(),
        encode(&device(0).1),
        b"device-0/temperature".to_vec(),
        b"call,deploy,subscribe".to_vec(),
        b"0x0000000000000000000000000000000000004852".to_vec(),
    ];
    seeds.extend(transactions);
    seeds
}

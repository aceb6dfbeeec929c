//! Proofs of readings: no change of an honest one convinces.

use std::{collections::BTreeMap, sync::OnceLock};

use hedgerow_base::{Height, NodeId, Slot, Time};
use hedgerow_chain::{Attestations, Genesis, Ledger, Member, Ordering, Proved, Request};
use hedgerow_crypto::{MacSecret, SigningKey};
use hedgerow_kv::MemoryStore;
use hedgerow_proofs::{Attestation, Certificate, Header, Proof, TrustRoot, trie_value};
use hedgerow_records::{Bundle, Transaction};
use hedgerow_wire::{Blob, List, encode};

use super::{
    canonical,
    records::{NETWORK, record, registration},
};

fn genesis() -> Genesis {
    let member = |n: u8| Member {
        name: format!("member-{n}"),
        key: SigningKey::from_seed([n; 32]).verifying_key().0,
        mac_key: MacSecret::from_seed([n + 100; 32]).public(),
    };
    Genesis {
        network: NETWORK,
        name: "fuzz".to_owned(),
        time: 1_000,
        validators: (0..4).map(member).collect(),
        gateways: vec![member(4)],
        ordering: Ordering {
            consensus: "pbft".to_owned(),
            checkpoint_interval: 128,
            options: BTreeMap::new(),
        },
        contracts: Default::default(),
        roles: Default::default(),
    }
}

/// A network's root of trust, and the proof of a reading on its ledger.
fn real() -> &'static (TrustRoot, Proof) {
    static REAL: OnceLock<(TrustRoot, Proof)> = OnceLock::new();
    REAL.get_or_init(|| {
        let trust = genesis().trust_root().expect("a genesis");
        let mut ledger = Ledger::open(MemoryStore::default(), genesis()).expect("an empty store");
        let mut attestations = Attestations::new(trust.clone());
        let readings: Vec<_> = (1..=9)
            .map(|number| (number, vec![number as u8; 5]))
            .collect();
        let transactions = [
            registration(0, 0).to_bytes(),
            registration(1, 1).to_bytes(),
            Transaction::Record(record(0, "temperature", &readings)).to_bytes(),
            Transaction::Record(record(1, "humidity", &readings[..1])).to_bytes(),
        ];
        let blobs = transactions
            .into_iter()
            .map(|bytes| Blob::new(bytes).expect("short"));
        let bundle = Bundle {
            transactions: List::new(blobs.collect()).expect("few"),
        };
        let request = Request {
            client: NodeId(4),
            number: 1,
            operation: bundle.to_bytes().into(),
        };
        let executed = ledger
            .execute(Slot(1), Time::from_millis(2_000), &[request])
            .expect("memory does not fail")
            .expect("a block");
        ledger.stable(Height(1)).expect("memory does not fail");
        for n in [0_u8, 2] {
            let message = Attestation::message(&trust.genesis, Height(1), &executed.hash);
            let attestation = Attestation {
                height: Height(1),
                header: executed.hash,
                signer: NodeId(u32::from(n)),
                signature: SigningKey::from_seed([n; 32]).sign(&message).0,
            };
            attestations.add(&attestation).expect("a validator's");
        }
        let certificate = attestations
            .certificate(&executed.header)
            .expect("two are enough");
        ledger
            .certify(certificate)
            .expect("memory does not fail")
            .expect("a certificate");
        let stream = "device-0/temperature".parse().expect("a name");
        match ledger.prove(&stream, 4).expect("memory does not fail") {
            Proved::Proof(proof) => (trust, *proof),
            other => panic!("no proof: {other:?}"),
        }
    })
}

pub(crate) fn run(data: &[u8]) {
    let (trust, honest) = real();
    if let Ok(proof) = Proof::from_bytes(data) {
        assert_eq!(proof.to_bytes(), data, "a second encoding was accepted");
        judge(trust, honest, &proof);
    }
    // The bytes as changes of the honest proof: where, and by what.
    let mut bytes = honest.to_bytes();
    for change in data.chunks_exact(3).take(16) {
        let at = usize::from(change[0]) * 256 + usize::from(change[1]);
        let length = bytes.len();
        bytes[at % length] ^= change[2];
    }
    if let Ok(proof) = Proof::from_bytes(&bytes) {
        judge(trust, honest, &proof);
    }
    if let Ok(header) = Header::decode(data) {
        assert_eq!(header.encode(), data, "a second encoding was accepted");
    }
    canonical::<Certificate>(data);
    canonical::<Attestation>(data);
    canonical::<TrustRoot>(data);
    // The trie's nodes alone, under a root that the first of them has.
    let nodes: Vec<&[u8]> = data.split(|&byte| byte == 0xfe).collect();
    let root = Header::hash_encoded(nodes.first().unwrap_or(&data));
    let _ = trie_value(&root, &[0x33; 32], nodes.iter().copied());
}

/// Only the honest proof convinces.
fn judge(trust: &TrustRoot, honest: &Proof, proof: &Proof) {
    let proved = proof.verify(trust);
    assert_eq!(proved.is_ok(), proof == honest, "{proved:?}");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let (trust, honest) = real();
    let mut leaf = vec![0xe3, 0xa1, 0x20];
    leaf.extend([0x33; 32]);
    let mut seeds = vec![
        honest.to_bytes(),
        honest.certificate.header.to_vec(),
        encode(&honest.certificate),
        encode(trust),
        leaf,
        vec![0, 9, 1],
    ];
    seeds.extend(
        honest
            .account
            .iter()
            .chain(honest.root_slot.iter())
            .map(|node| node.to_vec()),
    );
    seeds
}

use hedgerow_base::{Digest, Slot};
use hedgerow_chain::{Genesis, Ledger, Member, Ordering, Request};
use hedgerow_crypto::SigningKey;
use hedgerow_kv::MemoryStore;

use super::*;

/// Four validators that have executed the same blocks.
struct Network {
    trust: TrustRoot,
    headers: Vec<Header>,
}

fn key(validator: u32) -> SigningKey {
    SigningKey::from_seed([validator as u8 + 1; 32])
}

impl Network {
    fn new(blocks: u64) -> Self {
        let member = |n: u32| Member {
            name: format!("v{n}"),
            key: key(n).verifying_key().0,
            mac_key: [n as u8 + 1; 32],
        };
        let genesis = Genesis {
            network: 7,
            name: "test".into(),
            time: 1,
            validators: (0..4).map(member).collect(),
            gateways: Vec::new(),
            ordering: Ordering {
                consensus: "pbft".into(),
                checkpoint_interval: 128,
                options: Default::default(),
            },
            contracts: Default::default(),
            roles: Default::default(),
        };
        let mut ledger = Ledger::open(MemoryStore::new(), genesis).unwrap();
        let mut headers = vec![ledger.head().header];
        for slot in 1..=blocks {
            let request = Request {
                client: NodeId(4),
                number: slot,
                operation: vec![slot as u8].into(),
            };
            let executed = ledger
                .execute(Slot(slot), Time::from_millis(slot), &[request])
                .unwrap();
            headers.push(executed.unwrap().header);
        }
        Self {
            trust: ledger.trust_root().clone(),
            headers,
        }
    }

    fn header(&self, height: Height) -> Option<Header> {
        self.headers.get(height.0 as usize).cloned()
    }

    fn attest(&self, validator: u32, height: u64) -> Attestation {
        let hash = self.headers[height as usize].hash();
        Attestation::sign(
            &self.trust.genesis,
            Height(height),
            hash,
            NodeId(validator),
            &key(validator),
        )
    }

    fn validator(&self) -> Finality {
        Finality::new(self.trust.clone(), None)
    }
}

fn said(attestation: Attestation) -> Word {
    Word::Attestations(List::new(vec![attestation]).unwrap())
}

const NOW: Time = Time::from_millis(1_000);

#[test]
fn two_of_four_signatures_make_a_certificate_and_then_silence() {
    let network = Network::new(1);
    let mut one = network.validator();
    let (words, _) = one.executed(NOW, vec![network.attest(0, 1)], |height| {
        network.header(height)
    });
    assert_eq!(words.len(), 1);
    assert!(
        one.deadline().is_some(),
        "it is said again as long as it is not certified"
    );
    let (answer, certificate) = one.heard(NOW, NodeId(1), said(network.attest(1, 1)), |height| {
        network.header(height)
    });
    assert!(matches!(answer, None | Some(Word::Certificate(_))));
    assert_eq!(
        certificate.unwrap().verify(&network.trust).unwrap().height,
        Height(1)
    );
    assert_eq!(one.certified(), Height(1));
    assert_eq!(one.deadline(), None, "an idle network says nothing");
}

#[test]
fn a_lost_signature_is_said_again_and_answered_with_the_certificate() {
    let network = Network::new(2);
    let (mut ahead, mut behind) = (network.validator(), network.validator());
    ahead.executed(NOW, vec![network.attest(0, 2)], |height| {
        network.header(height)
    });
    ahead.heard(NOW, NodeId(1), said(network.attest(1, 2)), |height| {
        network.header(height)
    });
    behind.executed(NOW, vec![network.attest(2, 2)], |height| {
        network.header(height)
    });

    assert!(behind.remind(NOW).is_none(), "never early");
    let later = behind.deadline().unwrap();
    let (Audience::Everyone, again) = behind.remind(later).unwrap() else {
        panic!("said to one only")
    };
    let (answer, _) = ahead.heard(later, NodeId(2), again.clone(), |height| {
        network.header(height)
    });
    let Some(Word::Certificate(certificate)) = answer else {
        panic!("no certificate: {answer:?}")
    };
    assert_eq!(
        ahead.heard(later, NodeId(2), again, |_| None).0,
        None,
        "not again at once"
    );
    let (_, kept) = behind.heard(later, NodeId(0), Word::Certificate(certificate), |height| {
        network.header(height)
    });
    assert!(kept.is_some());
    assert_eq!((behind.certified(), behind.deadline()), (Height(2), None));
}

#[test]
fn a_gateway_asks_for_what_it_waits_for() {
    let network = Network::new(3);
    let mut gateway = network.validator();
    gateway.want(NOW, Height(3));
    let at = gateway.deadline().unwrap();
    assert_eq!(
        gateway.remind(at),
        Some((Audience::Everyone, Word::Wanted(Height(3))))
    );
    for validator in [1, 3] {
        gateway.heard(
            at,
            NodeId(validator),
            said(network.attest(validator, 3)),
            |_| None,
        );
    }
    assert_eq!((gateway.certified(), gateway.deadline()), (Height(3), None));
}

#[test]
fn a_liar_certifies_nothing() {
    let network = Network::new(2);
    let mut one = network.validator();
    let mut forged = network.attest(1, 2);
    forged.signature[5] ^= 1;
    one.heard(NOW, NodeId(1), said(forged), |height| {
        network.header(height)
    });
    // Its own word twice, and a header that nobody else has.
    one.heard(NOW, NodeId(1), said(network.attest(1, 2)), |height| {
        network.header(height)
    });
    one.heard(NOW, NodeId(1), said(network.attest(1, 2)), |height| {
        network.header(height)
    });
    let other = Attestation::sign(
        &network.trust.genesis,
        Height(2),
        Digest([9; 32]),
        NodeId(2),
        &key(2),
    );
    one.heard(NOW, NodeId(2), said(other), |height| network.header(height));
    assert_eq!(one.certified(), Height::ZERO);
    one.heard(NOW, NodeId(3), said(network.attest(3, 2)), |height| {
        network.header(height)
    });
    assert_eq!(one.certified(), Height(2));
}

#[test]
fn words_have_one_encoding() {
    let network = Network::new(1);
    for word in [said(network.attest(0, 1)), Word::Wanted(Height(7))] {
        let bytes = hedgerow_wire::encode(&word);
        assert_eq!(
            hedgerow_wire::decode::<Word>(&bytes, 1 << 16).unwrap(),
            word
        );
        assert!(hedgerow_wire::decode::<Word>(&bytes[1..], 1 << 16).is_err());
    }
}

//! The encodings: pinned by hashes, canonical, bounded; bytes of any kind never panic.

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, NodeSet, Roster, Slot, View};
use hedgerow_crypto::{Checks, Keyring, MacSecret, MemberKeys, Sealed, Sealing, SigningKey, hash};
use hedgerow_machine::{Codec, Target};
use hedgerow_pbft::*;
use hedgerow_wire::List;
use proptest::prelude::*;

fn keyrings() -> Vec<Arc<Keyring>> {
    let signing: Vec<_> = (1..6).map(|id| SigningKey::from_seed([id; 32])).collect();
    let secrets: Vec<_> = (1..6).map(|id| MacSecret::from_seed([id; 32])).collect();
    let members: Vec<_> = signing
        .iter()
        .zip(&secrets)
        .map(|(signing, secret)| MemberKeys {
            verifying: signing.verifying_key(),
            mac: secret.public(),
        })
        .collect();
    let roster = Roster::new(4).unwrap();
    (0..5)
        .map(|id| {
            let (signing, secret) = (signing[id].clone(), &secrets[id]);
            let me = NodeId(id as u32);
            Arc::new(Keyring::new(me, roster, signing, secret, &members).unwrap())
        })
        .collect()
}

fn messages(keys: &[Arc<Keyring>]) -> Vec<Message> {
    let digest = Digest([7; 32]);
    let (view, slot, lsn) = (View(1), Slot(5), Lsn(9));
    let request = Request {
        number: 3,
        operation: Bytes::from_static(b"operation"),
    };
    let request = Sealed::new(request, Sealing::Authenticator, &keys[4]);
    let body = Arc::new(Body::new(1000, vec![request.clone()]));
    let replica = &keys[0];
    let by_all = Sealing::Authenticator;
    let prepare = Sealed::new(
        Prepare {
            view,
            slot,
            digest,
            lsn,
        },
        by_all,
        replica,
    );
    let pre_prepare = PrePrepare {
        view,
        slot,
        digest: body.digest(),
        lsn,
    };
    let pre_prepare = Sealed::new(pre_prepare, by_all, replica);
    let checkpoint = Sealed::new(
        Checkpoint {
            slot: Slot(4),
            digest,
        },
        Sealing::Signature,
        replica,
    );
    let vouched = Vouched {
        slot,
        view: View(0),
        digest,
    };
    let change = ViewChange {
        view,
        stable: Slot(4),
        checkpoints: List::new(vec![(Slot(4), digest)]).unwrap(),
        prepared: List::new(vec![vouched]).unwrap(),
        pre_prepared: List::new(vec![vouched]).unwrap(),
        lsn,
    };
    let change = Sealed::new(change, Sealing::Signature, replica);
    let new_view = NewView {
        view,
        view_changes: List::new(vec![change.digest()]).unwrap(),
        lsn,
    };
    let proof = Arc::new(NewViewProof {
        new_view: Sealed::new(new_view, Sealing::Signature, replica),
        view_changes: vec![change.clone()],
    });
    let own = Sealed::new(
        Commit {
            view,
            slot,
            digest,
            lsn,
        },
        by_all,
        &keys[1],
    );
    vec![
        Message::Requests(vec![request].into()),
        Message::PrePrepare(pre_prepare.clone(), body.clone()),
        Message::Prepare(prepare.clone()),
        Message::Commit(Sealed::new(
            Commit {
                view,
                slot,
                digest,
                lsn,
            },
            by_all,
            replica,
        )),
        Message::Checkpoint(checkpoint.clone()),
        Message::ViewChange(change),
        Message::NewView(proof.clone()),
        Message::Status(Status {
            view,
            entered: View(0),
            changing: true,
            stable: Slot(4),
            decided: Slot(4),
            slots: List::new(vec![2, 1, 0]).unwrap(),
            view_changes: NodeSet::from_iter([NodeId(0)]),
            wants: true,
        }),
        Message::Doubt(NodeId(4)),
        Message::WantBodies(vec![digest]),
        Message::Body(body),
        Message::Fetch(Fetch {
            from: Slot(1),
            count: 4,
            bearer: NodeId(2),
        }),
        Message::Decided(vec![Decided {
            slot,
            digest,
            proposal: Some(digest),
            batch: Some(Bytes::from_static(b"batch")),
        }]),
        Message::Hello(Hello {
            nonce: 1,
            last: lsn,
        }),
        Message::Welcome(Arc::new(Welcome {
            nonce: 1,
            decided: slot,
            evidence: Some(Evidence::Commit(own)),
            stable: vec![checkpoint],
            witness: Witness {
                pre_prepare: Some(pre_prepare),
                prepares: vec![prepare],
            },
            new_view: Some(proof),
        })),
    ]
}

/// The sealed messages that replicas do not send to each other, for member 1.
fn to_and_from_clients(keys: &[Arc<Keyring>]) -> [Message; 3] {
    let (number, result) = (3, Outcome::Full(Bytes::from_static(b"result")));
    let to = Sealing::MacFor(NodeId(1));
    let query = Query {
        number,
        query: Bytes::from_static(b"query"),
    };
    let replies = Replies {
        view: View(1),
        list: List::new(vec![(number, result.clone())]).unwrap(),
    };
    let answer = Answer {
        number,
        outcome: result,
    };
    [
        Message::Query(Sealed::new(query, Sealing::Authenticator, &keys[4])),
        Message::Replies(Sealed::new(replies, to, &keys[0])),
        Message::Answer(Sealed::new(answer, to, &keys[0])),
    ]
}

fn author(message: &Message) -> NodeId {
    match message {
        Message::Requests(_) | Message::Query(_) => NodeId(4),
        _ => NodeId(0),
    }
}

#[test]
fn frames_are_admitted_and_encode_to_the_same_bytes_again() {
    let keys = keyrings();
    let codec = PbftCodec::new(keys[1].clone());
    for message in messages(&keys) {
        let frame = codec.seal(&message, Target::All);
        let mut checks = Checks::default();
        let admitted = codec.admit(author(&message), &frame, &mut checks).unwrap();
        assert!(checks.hold(), "{}", message.name());
        assert_eq!(
            codec.seal(&admitted, Target::All),
            frame,
            "{}",
            message.name()
        );
    }
}

#[test]
fn every_changed_byte_of_a_sealed_vote_is_noticed() {
    let keys = keyrings();
    let codec = PbftCodec::new(keys[1].clone());
    for message in messages(&keys)
        .into_iter()
        .filter(|m| matches!(m.name(), "commit" | "checkpoint"))
    {
        let frame = codec.seal(&message, Target::All);
        for at in 0..frame.len() {
            let mut changed = frame.to_vec();
            changed[at] ^= 1;
            let mut checks = Checks::default();
            let admitted = codec.admit(NodeId(0), &changed.into(), &mut checks);
            let passes = admitted.is_ok() && checks.hold();
            // Entries of the authenticator for others are not ours to check.
            let others = admitted.is_ok_and(|again| match (&again, &message) {
                (Message::Commit(a), Message::Commit(b)) => a.digest() == b.digest(),
                _ => false,
            });
            assert!(!passes || others, "{} byte {at}", message.name());
        }
    }
}

/// Several instances may run with the same keys, each in a context of its own. What has no seal is nobody's word: which
/// instance it is for, whoever runs several must say beside it.
#[test]
fn nothing_that_is_sealed_in_one_instance_is_taken_in_another() {
    let instance = |context| -> Vec<_> {
        let scoped = keyrings().into_iter().map(|keys| keys.scoped(context));
        scoped.map(Arc::new).collect()
    };
    let keys = instance(1);
    let taken = |message: &Message, keys: &Arc<Keyring>| {
        let codec = PbftCodec::new(keys.clone());
        let mut checks = Checks::default();
        let frame = codec.seal(message, Target::All);
        let admitted = codec.admit(author(message), &frame, &mut checks);
        admitted.ok().filter(|_| checks.hold())
    };
    let doubts = |message: &Message| match message {
        Message::Body(body) => body.doubtful().count(),
        _ => 0,
    };
    let mut refused = Vec::new();
    let others = to_and_from_clients(&keys);
    for message in messages(&keys).into_iter().chain(others) {
        let here = taken(&message, &keys[1]).expect("of the same instance");
        assert_eq!(doubts(&here), 0);
        for other in [0, 2] {
            match taken(&message, &instance(other)[1]) {
                Some(Message::Body(body)) => assert_eq!(body.doubtful().count(), 1),
                Some(_) => {}
                None => refused.push(message.name()),
            }
        }
    }
    refused.dedup();
    let sealed = [
        "request",
        "pre-prepare",
        "prepare",
        "commit",
        "checkpoint",
        "view-change",
        "new-view",
        "welcome",
        "query",
        "reply",
        "answer",
    ];
    assert_eq!(refused, sealed);
}

/// A changed hash is a changed format: nodes of different versions would not understand each other.
#[test]
fn the_formats_are_pinned() {
    let keys = keyrings();
    let codec = PbftCodec::new(keys[1].clone());
    let all = messages(&keys);
    let hashes: Vec<_> = all
        .iter()
        .map(|m| format!("{} {:?}", m.name(), hash(&codec.seal(m, Target::All))))
        .collect();
    assert_eq!(hashes, GOLDEN);
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let codec = PbftCodec::new(keyrings()[1].clone());
        let mut checks = Checks::default();
        let _ = codec.admit(NodeId(0), &bytes.clone().into(), &mut checks);
        let _ = Record::decode(&bytes);
    }

    #[test]
    fn cut_and_changed_frames_never_panic(pick in 0_usize..15, cut in 0_usize..1000, at in 0_usize..1000, to in any::<u8>()) {
        let keys = keyrings();
        let codec = PbftCodec::new(keys[1].clone());
        let message = messages(&keys).swap_remove(pick);
        let mut frame = codec.seal(&message, Target::All).to_vec();
        let (at, cut) = (at % frame.len(), cut % frame.len());
        frame[at] = to;
        frame.truncate(frame.len() - cut);
        let mut checks = Checks::default();
        let _ = codec.admit(author(&message), &frame.into(), &mut checks);
    }
}

const GOLDEN: &[&str] = &[
    "request 08f10bfa",
    "pre-prepare d4dae506",
    "prepare bb0ad597",
    "commit c977b818",
    "checkpoint 550c4d17",
    "view-change 22dcaa93",
    "new-view 2e6e35b8",
    "status c3d10b75",
    "doubt a4cdbdd5",
    "want-bodies abf6f976",
    "body eb2dbcba",
    "fetch 3542ef44",
    "decided f2245908",
    "hello ae99f330",
    "welcome 5d449b16",
];

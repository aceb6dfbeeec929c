//! Frames of the ordering protocol: as a stranger would make them up, and as a member would that lies under its own
//! seal.

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, NodeSet, Slot};
use hedgerow_crypto::{Checks, Domain, Keyring, Sealed, Sealing};
use hedgerow_machine::{Codec, Target};
use hedgerow_pbft::{
    Answer, Body, Checkpoint, Commit, Decided, Fetch, Hello, Message, NewView, NewViewProof,
    PbftCodec, PrePrepare, Prepare, Query, Replies, Request, Status, ViewChange,
};
use hedgerow_wire::{BorshDeserialize, BorshSerialize, List};

use crate::members::keyrings;

pub(crate) fn run(data: &[u8]) {
    let Some((&link, rest)) = data.split_first() else {
        return;
    };
    let link = NodeId(u32::from(link % 6));
    admit(link, 0, &Bytes::copy_from_slice(rest));
    lie(link.0 as usize % 5, rest);
}

/// What the codec of member `me` takes is written again as it was.
fn admit(link: NodeId, me: usize, frame: &Bytes) {
    let codec = PbftCodec::new(Arc::clone(&keyrings()[me]));
    let mut checks = Checks::default();
    if let Ok(message) = codec.admit(link, frame, &mut checks) {
        let _ = checks.hold();
        assert_eq!(
            codec.seal(&message, Target::Node(link)),
            frame,
            "a second encoding was accepted"
        );
    }
}

/// What the bytes say, said by member `author` under its own seal.
fn lie(author: usize, mut bytes: &[u8]) {
    let keyring = &keyrings()[author];
    let Some(message) = message(keyrings(), author, &mut bytes) else {
        return;
    };
    let codec = PbftCodec::new(Arc::clone(keyring));
    let me = if author == 0 { 1 } else { 0 };
    admit(
        keyring.me(),
        me,
        &codec.seal(&message, Target::Node(NodeId(me as u32))),
    );
}

pub(super) fn seal<T: BorshSerialize + BorshDeserialize + Domain>(
    by: &Keyring,
    sealing: Sealing,
    bytes: &mut &[u8],
) -> Option<Sealed<T>> {
    let value = T::deserialize_reader(bytes).ok()?;
    Some(Sealed::new(value, sealing, by))
}

pub(super) fn plain<T: BorshDeserialize>(bytes: &mut &[u8]) -> Option<T> {
    T::deserialize_reader(bytes).ok()
}

/// What the bytes say, under the seals of `keys`.
pub(super) fn message(keys: &[Arc<Keyring>], author: usize, bytes: &mut &[u8]) -> Option<Message> {
    use Sealing::{Authenticator, Signature};
    let by = keys.get(author)?;
    let (&kind, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(match kind % 16 {
        0 => Message::Requests(vec![seal::<Request>(by, Signature, bytes)?].into()),
        1 => Message::Query(seal::<Query>(by, Authenticator, bytes)?),
        2 => Message::Replies(seal::<Replies>(by, Authenticator, bytes)?),
        3 => Message::Answer(seal::<Answer>(by, Authenticator, bytes)?),
        4 => {
            let pre_prepare = seal::<PrePrepare>(by, Authenticator, bytes)?;
            Message::PrePrepare(pre_prepare, Arc::new(body(keys, bytes)?))
        }
        5 => Message::Prepare(seal::<Prepare>(by, Authenticator, bytes)?),
        6 => Message::Commit(seal::<Commit>(by, Authenticator, bytes)?),
        7 => Message::Checkpoint(seal::<Checkpoint>(by, Signature, bytes)?),
        8 => Message::ViewChange(seal::<ViewChange>(by, Signature, bytes)?),
        9 => Message::NewView(Arc::new(NewViewProof {
            new_view: seal::<NewView>(by, Signature, bytes)?,
            view_changes: (0..4)
                .map_while(|author| seal::<ViewChange>(&keys[author], Signature, bytes))
                .collect(),
        })),
        10 => Message::Status(plain::<Status>(bytes)?),
        11 => Message::WantBodies(plain::<List<Digest, 64>>(bytes)?.into_vec()),
        12 => Message::Body(Arc::new(body(keys, bytes)?)),
        13 => Message::Fetch(plain::<Fetch>(bytes)?),
        14 => Message::Decided(plain::<List<Decided, 64>>(bytes)?.into_vec()),
        _ => Message::Hello(plain::<Hello>(bytes)?),
    })
}

fn body(keys: &[Arc<Keyring>], bytes: &mut &[u8]) -> Option<Body> {
    let time = plain::<u64>(bytes)?;
    let requests = (0..8)
        .map_while(|number| {
            let sealing = if number % 2 == 0 {
                Sealing::Authenticator
            } else {
                Sealing::Signature
            };
            seal::<Request>(&keys[4], sealing, bytes)
        })
        .collect();
    Some(Body::new(time, requests))
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = (0..16)
        .map(|kind| [vec![1, kind], vec![0; 120]].concat())
        .collect();
    let status = Status {
        view: Default::default(),
        entered: Default::default(),
        changing: true,
        stable: Slot(128),
        decided: Slot(130),
        slots: List::new(vec![1, 2, 3]).expect("three"),
        view_changes: NodeSet::default(),
        wants: true,
    };
    let frame =
        PbftCodec::new(Arc::clone(&keyrings()[1])).seal(&Message::Status(status), Target::Others);
    seeds.push([&[1], &frame[..]].concat());
    seeds
}

//! What goes between members about epochs, and what a replica's log has of them: hosted words have targets of their own.

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, Slot};
use hedgerow_crypto::{Checks, Sealed, Sealing};
use hedgerow_epochs::{
    Config, Consensus, Epoch, EpochsCodec, Fetch, Fetched, Message, Name, Proof, Record, Replica,
};
use hedgerow_machine::{Codec, Input, Machine, Outbox, Target};

use crate::members::keyrings;

/// The first byte says what the others are: a frame from a member, or a record.
pub(crate) fn run(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    if first < 6 {
        hear(NodeId(first.into()), &Bytes::copy_from_slice(rest));
    } else if let Ok(record) = Record::decode(rest) {
        assert_eq!(record.encode(), rest, "a second encoding was accepted");
        let _ = replica([(Lsn(1), record)]);
    }
}

fn replica(
    records: impl IntoIterator<Item = (Lsn, Record)>,
) -> Result<Replica, hedgerow_epochs::RecoverError> {
    let config = Config::beginning_with(Consensus::Pbft);
    let had = (Slot::ZERO, Digest::ZERO);
    Replica::recover(config, Arc::clone(&keyrings()[1]), records, Lsn(1), had)
}

/// What the codec takes is written again as it was, and a replica can be told it.
fn hear(from: NodeId, frame: &Bytes) {
    let codec = EpochsCodec::new(Arc::clone(&keyrings()[1]));
    let mut checks = Checks::default();
    let Ok(message) = codec.admit(from, frame, &mut checks) else {
        return;
    };
    assert_eq!(
        codec.seal(&message, Target::Node(from)),
        frame,
        "a second encoding was accepted"
    );
    if !checks.hold() {
        return;
    }
    let (mut out, now) = (Outbox::new(Lsn(1)), hedgerow_base::Time::from_millis(1_000));
    let mut replica = replica([]).expect("an empty log is none to refuse");
    replica.step(now, Input::Message { from, message }, &mut out);
    replica.settle(now, &mut out);
    let later = now.plus(std::time::Duration::from_secs(1));
    replica.step(later, Input::Deadline, &mut out);
    replica.settle(later, &mut out);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let epoch = Epoch {
        number: 3,
        protocol: Name::new("aliph").unwrap_or_default(),
        base: Slot(7),
        state: Digest([1; 32]),
    };
    let word = |by: usize| Sealed::new(epoch.clone(), Sealing::Signature, &keyrings()[by]);
    let proof = Proof::of(vec![word(0), word(2), word(3)], keyrings()[0].roster());
    let proof = Arc::new(proof.expect("three of four"));
    let messages = [
        Message::Ended(word(0)),
        Message::Begun(proof.clone()),
        Message::Newer(2),
        Message::Fetch(Fetch {
            from: Slot(1),
            count: 64,
            bearer: NodeId(1),
        }),
        Message::Fetched(vec![Fetched {
            slot: Slot(1),
            digest: Digest([2; 32]),
            batch: Some(Bytes::from_static(b"batch")),
        }]),
    ];
    let codec = EpochsCodec::new(Arc::clone(&keyrings()[0]));
    let frames = messages
        .iter()
        .map(|message| [&[0], &*codec.seal(message, Target::Node(NodeId(1)))].concat());
    let records = [
        Record::Began(proof.clone()),
        Record::Left {
            epoch: 2,
            slot: Slot(0),
            clients: Bytes::from_static(&[0; 4]),
            target: proof,
        },
        Record::Ended(epoch, Bytes::from_static(&[0; 4])),
    ];
    let records = records
        .iter()
        .map(|record| [&[9], &*record.encode()].concat());
    frames.chain(records).collect()
}

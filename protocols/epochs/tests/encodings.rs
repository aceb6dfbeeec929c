//! The encodings: canonical and bounded; and what is said in one epoch is worth nothing in another.

mod members;

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, Slot, View};
use hedgerow_crypto::{Checks, Keyring, Sealed, Sealing};
use hedgerow_epochs::*;
use hedgerow_machine::{Codec, Target};
use hedgerow_pbft::Commit;
use members::keyrings;

fn epoch() -> Epoch {
    Epoch {
        number: 3,
        protocol: Name::new("aliph").unwrap(),
        base: Slot(7),
        state: Digest([1; 32]),
    }
}

fn word(by: &Keyring, epoch: Epoch) -> Sealed<Epoch> {
    Sealed::new(epoch, Sealing::Signature, by)
}

fn proof(keys: &[Arc<Keyring>]) -> Arc<Proof> {
    let words = [0, 2, 3].map(|by: usize| word(&keys[by], epoch()));
    Arc::new(Proof::of(words.to_vec(), keys[0].roster()).unwrap())
}

fn words(keys: &[Arc<Keyring>]) -> Vec<Message> {
    vec![
        Message::Ended(word(&keys[0], epoch())),
        Message::Begun(proof(keys)),
        Message::Newer(3),
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
    ]
}

fn admits(codec: &EpochsCodec, from: u32, frame: &Bytes) -> bool {
    let mut checks = Checks::default();
    codec.admit(NodeId(from), frame, &mut checks).is_ok() && checks.hold()
}

#[test]
fn words_come_back_as_they_were_and_nothing_cut_or_lengthened_passes() {
    let keys = keyrings();
    let codec = EpochsCodec::new(keys[1].clone());
    for word in words(&keys) {
        let frame = codec.seal(&word, Target::Others);
        let mut checks = Checks::default();
        let heard = codec.admit(NodeId(0), &frame, &mut checks).unwrap();
        assert_eq!(codec.seal(&heard, Target::Others), frame);
        assert!(!admits(&codec, 4, &frame), "a client has no such word");
        for cut in 0..frame.len() {
            assert!(!admits(&codec, 0, &frame.slice(..cut)));
            assert!(!admits(&codec, 0, &frame.slice(cut + 1..)));
        }
        let mut other = frame.to_vec();
        *other.iter_mut().nth_back(1).unwrap() ^= 1;
        assert!(
            !admits(&codec, 0, &other.into()),
            "an epoch that says nothing"
        );
    }
    let many = vec![words_batch(); MAX_FETCH as usize + 1];
    assert!(!admits(
        &codec,
        0,
        &codec.seal(&Message::Fetched(many), Target::Others)
    ));
}

/// 2f + 1 words of different replicas about one epoch, and nothing else.
#[test]
fn what_proves_nothing_is_no_proof() {
    let keys = keyrings();
    let roster = keys[0].roster();
    let by = |who: &[usize]| -> Vec<_> { who.iter().map(|&by| word(&keys[by], epoch())).collect() };
    assert!(Proof::of(by(&[0, 2, 3]), roster).is_some());
    for who in [&[0, 2][..], &[0, 2, 2], &[0, 1, 2, 3], &[0, 2, 4], &[]] {
        assert!(Proof::of(by(who), roster).is_none(), "{who:?}");
    }
    let mut other = epoch();
    other.base = Slot(8);
    let mixed = vec![
        word(&keys[0], epoch()),
        word(&keys[1], epoch()),
        word(&keys[2], other),
    ];
    assert!(Proof::of(mixed, roster).is_none());
    let first = Epoch {
        number: 0,
        ..epoch()
    };
    let first = [0, 1, 2].map(|by: usize| word(&keys[by], first.clone()));
    assert!(Proof::of(first.to_vec(), roster).is_none());
    // Nor is it taken from the wire when a signature is another's.
    let codec = EpochsCodec::new(keys[1].clone());
    let frame = codec.seal(&Message::Begun(proof(&keys)), Target::Others);
    assert!(admits(&codec, 0, &frame));
    for at in 0..frame.len() - 9 {
        let mut bytes = frame.to_vec();
        bytes[at] ^= 1;
        assert!(
            !admits(&codec, 0, &bytes.into()),
            "byte {at} does not matter"
        );
    }
    // A word is its author's to say.
    let frame = codec.seal(&Message::Ended(word(&keys[2], epoch())), Target::Others);
    assert!(admits(&codec, 2, &frame) && !admits(&codec, 0, &frame));
}

fn words_batch() -> Fetched {
    Fetched {
        slot: Slot(1),
        digest: Digest::ZERO,
        batch: None,
    }
}

#[test]
fn a_hosted_word_is_good_in_its_epoch_only() {
    let keys = keyrings();
    let commit = Commit {
        view: View(0),
        slot: Slot(1),
        digest: Digest([3; 32]),
        lsn: Lsn(1),
    };
    // As replica 0 says it when it hosts epoch 3.
    let scoped = keys[0].within(1 << 63).within(3);
    let said = Sealed::new(commit, Sealing::Authenticator, &scoped);
    let word = Message::Ordered(3, Inner::Pbft(hedgerow_pbft::Message::Commit(said)));
    let frame = EpochsCodec::new(keys[0].clone()).seal(&word, Target::Others);
    let codec = EpochsCodec::new(keys[1].clone());
    assert!(admits(&codec, 0, &frame));
    let epoch_at = frame.len() - 9;
    for other in [0_u64, 2, 4, 3 << 32] {
        let mut bytes = frame.to_vec();
        bytes[epoch_at..epoch_at + 8].copy_from_slice(&other.to_le_bytes());
        assert!(!admits(&codec, 0, &bytes.into()), "taken in epoch {other}");
    }
}

#[test]
fn records_come_back_as_they_were_and_nothing_else_is_read() {
    let pbft = InnerRecord::Pbft(hedgerow_pbft::Record::Rejoined);
    let stopped = hedgerow_abstract::Record::Stopped(hedgerow_abstract::Instance(4));
    let records = [
        Record::Began(proof(&keyrings())),
        Record::Left {
            epoch: 2,
            slot: Slot(9),
            clients: Bytes::from_static(b"table"),
            target: proof(&keyrings()),
        },
        Record::Ended(epoch(), Bytes::from_static(b"table")),
        Record::Inner(7, pbft),
        Record::Reserved(1 << 40),
        Record::Inner(8, InnerRecord::Abstract(stopped)),
    ];
    for record in records {
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes).unwrap().encode(), bytes);
        for cut in 0..bytes.len() {
            assert!(Record::decode(&bytes[..cut]).is_err());
        }
        assert!(Record::decode(&[&bytes, &[0][..]].concat()).is_err());
    }
    assert!(Record::decode(&[4]).is_err());
}

#[test]
fn a_log_of_an_unknown_protocol_or_ahead_of_the_application_is_refused() {
    let keys = keyrings();
    let recover = |keyring: &Arc<Keyring>, records: Vec<Record>, executed| {
        let records = (1..).map(Lsn).zip(records);
        let config = Config::beginning_with(Consensus::Pbft);
        let had = (Slot(executed), Digest::ZERO);
        Replica::recover(config, keyring.clone(), records, Lsn(9), had).map(drop)
    };
    let mut unknown = epoch();
    unknown.protocol = Name::new("raft").unwrap();
    let words = [0, 1, 2].map(|by: usize| word(&keys[by], unknown.clone()));
    let unknown = Proof::of(words.to_vec(), keys[0].roster()).unwrap();
    let unknown = recover(&keys[1], vec![Record::Began(unknown.into())], 7);
    let said = unknown.unwrap_err().to_string();
    assert!(said.contains("raft") && said.contains("aliph"), "{said}");
    let began = || vec![Record::Began(proof(&keys))];
    assert!(recover(&keys[1], began(), 7).is_ok());
    assert!(matches!(
        recover(&keys[1], began(), 6),
        Err(RecoverError::ApplicationBehind { .. })
    ));
    assert!(matches!(
        recover(&keys[4], began(), 7),
        Err(RecoverError::NotReplica(NodeId(4)))
    ));
}

#[test]
fn a_log_whose_client_table_is_damaged_is_said_to_be_corrupt() {
    let left = Record::Left {
        epoch: 2,
        slot: Slot(0),
        clients: Bytes::from_static(b"no table"),
        target: proof(&keyrings()),
    };
    let recovered = Replica::recover(
        Config::beginning_with(Consensus::Pbft),
        Arc::clone(&keyrings()[1]),
        [(Lsn(4), left)],
        Lsn(4),
        (Slot::ZERO, Digest::ZERO),
    );
    assert_eq!(recovered.unwrap_err(), RecoverError::Corrupt(Lsn(4)));
}

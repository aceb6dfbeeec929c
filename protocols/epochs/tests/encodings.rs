//! The encodings: canonical and bounded; and what is said in one epoch is worth nothing in another.

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, Roster, Slot, View};
use hedgerow_crypto::{Checks, Keyring, MacSecret, MemberKeys, Sealed, Sealing, SigningKey};
use hedgerow_epochs::*;
use hedgerow_machine::{Codec, Target};
use hedgerow_pbft::Commit;

/// Four replicas and a client.
fn keyrings() -> Vec<Arc<Keyring>> {
    let secrets: Vec<_> = (1..6)
        .map(|id| {
            let seed = [id; 32];
            (SigningKey::from_seed(seed), MacSecret::from_seed(seed))
        })
        .collect();
    let members: Vec<_> = secrets
        .iter()
        .map(|(signing, mac)| MemberKeys {
            verifying: signing.verifying_key(),
            mac: mac.public(),
        })
        .collect();
    let roster = Roster::new(4).unwrap();
    let keyring = |(id, (signing, mac)): (u32, &(SigningKey, MacSecret))| {
        Arc::new(Keyring::new(NodeId(id), roster, signing.clone(), mac, &members).unwrap())
    };
    (0..).zip(&secrets).map(keyring).collect()
}

fn epoch() -> Epoch {
    Epoch {
        number: 3,
        protocol: Name::new("aliph").unwrap(),
        base: Slot(7),
        state: Digest([1; 32]),
    }
}

fn words() -> Vec<Message> {
    vec![
        Message::Standing {
            epoch: epoch(),
            asks: true,
        },
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
    for word in words() {
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
        Record::Began(epoch()),
        Record::Left {
            epoch: 2,
            slot: Slot(9),
            clients: Bytes::from_static(b"table"),
        },
        Record::Inner(7, pbft),
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
    let unknown = recover(&keys[1], vec![Record::Began(unknown)], 7);
    let said = unknown.unwrap_err().to_string();
    assert!(said.contains("raft") && said.contains("aliph"), "{said}");
    let began = || vec![Record::Began(epoch())];
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

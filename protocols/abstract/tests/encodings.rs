//! The encodings: canonical, bounded; what is cut, lengthened or changed never panics and never passes as another's word.

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_abstract::*;
use hedgerow_base::{Digest, Lsn, NodeId, Roster, Slot, View};
use hedgerow_crypto::{Checks, Keyring, MacSecret, MemberKeys, Sealed, Sealing, SigningKey};
use hedgerow_machine::{Codec, Target};
use hedgerow_ordering::{Batch, Operation};
use hedgerow_wire::List;
use proptest::prelude::*;

/// Four replicas and a client.
fn keyrings() -> Vec<Arc<Keyring>> {
    let secrets: Vec<_> = (1..6)
        .map(|id| {
            (
                SigningKey::from_seed([id; 32]),
                MacSecret::from_seed([id; 32]),
            )
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

const ME: usize = 1;

fn init(keys: &[Arc<Keyring>]) -> Init {
    let abort = Abort {
        low_load: false,
        instance: Instance(1),
        base: Point {
            slot: Slot(4),
            chain: Digest([4; 32]),
        },
        suffix: List::new(vec![Digest([5; 32]), Digest([6; 32])]).unwrap(),
    };
    let aborts = [0, 2, 3].map(|by| Sealed::new(abort.clone(), Sealing::Signature, &keys[by]));
    Init {
        instance: Instance(2),
        aborts: aborts.to_vec(),
    }
}

fn pbft_commit(keys: &[Arc<Keyring>], instance: Instance) -> hedgerow_pbft::Message {
    let commit = hedgerow_pbft::Commit {
        view: View(0),
        slot: Slot(1),
        digest: Digest([9; 32]),
        lsn: Lsn(2),
    };
    let scoped = keys[0].scoped(instance.0);
    hedgerow_pbft::Message::Commit(Sealed::new(commit, Sealing::Authenticator, &scoped))
}

/// One message of each kind, for member 1, with its author.
fn messages(keys: &[Arc<Keyring>]) -> Vec<(usize, Message)> {
    let (instance, by_all) = (Instance(3), Sealing::Authenticator);
    let (replica, client) = (&keys[0], &keys[4]);
    let at = Point {
        slot: Slot(5),
        chain: Digest([8; 32]),
    };
    let request = Request {
        number: 3,
        time_ms: 1000,
        operation: Bytes::from_static(b"operation"),
    };
    let request = Sealed::new(request, by_all, client);
    let order = Order {
        instance,
        slot: Slot(5),
        time_ms: 1000,
        entry: Digest([7; 32]),
    };
    let proposal = Proposal {
        requests: vec![request.clone()],
        convincing: true,
    };
    let responses = Responses {
        instance,
        list: List::new(vec![
            Response {
                number: 3,
                at,
                outcome: Outcome::Full(Bytes::from_static(b"result")),
            },
            Response {
                number: 4,
                at,
                outcome: Outcome::Digest(Digest([1; 32])),
            },
        ])
        .unwrap(),
    };
    let responses = Sealed::new(responses, Sealing::MacFor(NodeId(ME as u32)), replica);
    let vote = Checkpoint {
        asks: true,
        instance,
        at,
        state: Digest([2; 32]),
    };
    let feedback = Feedback {
        instance,
        issued: List::new(vec![5, 6]).unwrap(),
        committed: List::new(vec![(3, 250)]).unwrap(),
    };
    let link = Link {
        instance,
        time_ms: 1000,
        at,
    };
    let behind = Sealing::MacsFor([NodeId(1), NodeId(2)].into_iter().collect());
    let results = vec![(3, Bytes::from_static(b"result"))];
    let vouch = Vouch {
        instance,
        at,
        results: results_digest(&results),
    };
    let vouch = Sealed::new(vouch, Sealing::MacFor(NodeId(ME as u32)), replica);
    let chained = Chained {
        links: vec![Sealed::new(link, behind, replica)],
        batch: Carried::Sealed(proposal.clone()),
        vouched: vec![vec![vouch.clone()]],
    };
    let operations = vec![Operation {
        client: NodeId(4),
        number: 3,
        operation: Bytes::from_static(b"operation"),
    }];
    let behind = Sealing::MacsFor([NodeId(1)].into_iter().collect());
    let plain = Chained {
        links: vec![
            Sealed::new(link, behind, &keys[3]),
            Sealed::new(link, behind, replica),
        ],
        batch: Carried::Plain(operations.into()),
        vouched: Vec::new(),
    };
    let reply = ChainReply {
        vouched: vec![vouch],
        results,
    };
    let init = init(keys);
    let welcome = |init| {
        Message::Welcome(Arc::new(Welcome {
            nonce: 1,
            instance,
            head: Slot(5),
            init,
        }))
    };
    vec![
        (4, Message::Requests(instance, vec![request].into())),
        (
            0,
            Message::Order(Sealed::new(order, by_all, replica), Arc::new(proposal)),
        ),
        (0, Message::Responses(responses)),
        (0, Message::Chain(Arc::new(chained))),
        (0, Message::Chain(Arc::new(plain))),
        (0, Message::ChainReply(Arc::new(reply))),
        (
            4,
            Message::Panic(Sealed::new(Panic { instance }, by_all, client)),
        ),
        (4, Message::Feedback(Sealed::new(feedback, by_all, client))),
        (0, Message::Abort(init.aborts[0].clone())),
        (4, Message::Init(Arc::new(init.clone()))),
        (0, Message::Checkpoint(Sealed::new(vote, by_all, replica))),
        (
            0,
            Message::Fetch(Fetch {
                from: Slot(1),
                count: MAX_FETCH,
            }),
        ),
        (
            0,
            Message::Fetched(vec![Fetched {
                slot: Slot(1),
                batch: Bytes::from_static(b"batch"),
            }]),
        ),
        (0, Message::Hello(7)),
        (0, welcome(None)),
        (0, welcome(Some(Arc::new(init)))),
        (0, Message::Backup(instance, pbft_commit(keys, instance))),
    ]
}

/// What members have sealed in a message that was taken, and convinces.
fn sealed(message: &Message) -> Vec<Digest> {
    let init = |init: &Init| init.aborts.iter().map(Sealed::digest).collect();
    match message {
        Message::Requests(_, list) => list.iter().map(Sealed::digest).collect(),
        Message::Order(order, proposal) => {
            let requests = proposal.requests.iter().map(Sealed::digest);
            let requests = requests.filter(|_| proposal.convincing);
            requests.chain([order.digest()]).collect()
        }
        Message::Responses(responses) => vec![responses.digest()],
        Message::Chain(chained) => {
            let mut all: Vec<_> = chained.links.iter().map(Sealed::digest).collect();
            if let Carried::Sealed(proposal) = &chained.batch
                && proposal.convincing
            {
                all.extend(proposal.requests.iter().map(Sealed::digest));
            }
            all
        }
        Message::ChainReply(reply) => reply.vouched.iter().map(Sealed::digest).collect(),
        Message::Panic(panic) => vec![panic.digest()],
        Message::Abort(abort) => vec![abort.digest()],
        Message::Checkpoint(vote) => vec![vote.digest()],
        Message::Init(proof) => init(proof),
        Message::Welcome(welcome) => welcome.init.as_deref().map(init).unwrap_or_default(),
        Message::Backup(_, hedgerow_pbft::Message::Commit(commit)) => vec![commit.digest()],
        _ => Vec::new(),
    }
}

/// The message, if member 1 takes these bytes from `author` and every seal holds.
fn take(keys: &[Arc<Keyring>], author: usize, frame: &[u8]) -> Option<Message> {
    let mut checks = Checks::default();
    let codec = AbstractCodec::new(Arc::clone(&keys[ME]));
    let frame = Bytes::copy_from_slice(frame);
    let taken = codec.admit(NodeId(author as u32), &frame, &mut checks);
    taken.ok().filter(|_| checks.hold())
}

fn frame(keys: &[Arc<Keyring>], author: usize, message: &Message) -> Bytes {
    AbstractCodec::new(Arc::clone(&keys[author])).seal(message, Target::Node(NodeId(ME as u32)))
}

#[test]
fn frames_are_admitted_and_encode_to_the_same_bytes_again() {
    let keys = keyrings();
    for (author, message) in messages(&keys) {
        let bytes = frame(&keys, author, &message);
        let taken = take(&keys, author, &bytes).unwrap_or_else(|| panic!("{}", message.name()));
        assert_eq!(frame(&keys, ME, &taken), bytes, "{}", message.name());
        assert_eq!(sealed(&taken), sealed(&message));
    }
}

#[test]
fn frames_that_are_cut_or_lengthened_are_refused() {
    let keys = keyrings();
    for (author, message) in messages(&keys) {
        let bytes = frame(&keys, author, &message);
        for length in 0..bytes.len() {
            let taken = take(&keys, author, &bytes[..length]);
            assert!(taken.is_none(), "{} cut to {length}", message.name());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(take(&keys, author, &longer).is_none(), "{}", message.name());
    }
}

#[test]
fn a_changed_frame_never_carries_another_word_of_a_member() {
    let keys = keyrings();
    for (author, message) in messages(&keys) {
        let (bytes, said) = (frame(&keys, author, &message), sealed(&message));
        for at in 0..bytes.len() {
            for bit in [1, 0x80] {
                let mut changed = bytes.to_vec();
                changed[at] ^= bit;
                let Some(taken) = take(&keys, author, &changed) else {
                    continue;
                };
                // What has no seal may change, as may the entries of an authenticator that are for others.
                let name = message.name();
                assert_eq!(frame(&keys, ME, &taken), changed, "{name} byte {at}");
                assert!(
                    sealed(&taken).iter().all(|digest| said.contains(digest)),
                    "{name} byte {at}"
                );
            }
        }
    }
}

#[test]
fn what_only_replicas_say_is_not_taken_from_clients_nor_anyones_word_from_another() {
    let keys = keyrings();
    for (author, message) in messages(&keys) {
        let bytes = frame(&keys, author, &message);
        let name = message.name();
        for other in [2, 4] {
            let may = author == other
                || match name {
                    // Who shows a signed word is not trusted with it.
                    "abort" | "init" => true,
                    // Without a seal, it is the word of whoever sends it.
                    "fetch" | "fetched" | "hello" | "welcome" => other != 4,
                    _ => false,
                };
            assert_eq!(
                take(&keys, other, &bytes).is_some(),
                may,
                "{name} by {other}"
            );
        }
    }
}

#[test]
fn a_backups_words_are_good_in_its_instance_only() {
    let keys = keyrings();
    let said = pbft_commit(&keys, Instance(2));
    for (instance, good) in [(1, false), (2, true), (4, false)] {
        let message = Message::Backup(Instance(instance), said.clone());
        let taken = take(&keys, 0, &frame(&keys, 0, &message));
        assert_eq!(taken.is_some(), good, "instance {instance}");
    }
}

#[test]
fn a_request_that_does_not_convince_makes_the_proposal_doubtful_not_the_frame_void() {
    let keys = keyrings();
    let Some((_, Message::Order(order, proposal))) = messages(&keys).into_iter().nth(1) else {
        panic!("ORDER is second");
    };
    // Sealed for replica 0 alone, as a client would that wants the histories to differ.
    let request = proposal.requests[0].value().clone();
    let partial = Sealed::new(request, Sealing::MacFor(NodeId(0)), &keys[4]);
    let proposal = Proposal {
        requests: vec![partial],
        convincing: true,
    };
    let message = Message::Order(order, Arc::new(proposal));
    match take(&keys, 0, &frame(&keys, 0, &message)) {
        Some(Message::Order(_, proposal)) => assert!(!proposal.convincing),
        other => panic!("{other:?}"),
    }
}

fn records(keys: &[Arc<Keyring>]) -> Vec<Record> {
    let batch = Batch {
        slot: Slot(3),
        time_ms: 9,
        operations: vec![Operation {
            client: NodeId(4),
            number: 1,
            operation: Bytes::from_static(b"x"),
        }]
        .into(),
    };
    let inner = hedgerow_pbft::Message::name(&pbft_commit(keys, Instance(2)));
    assert_eq!(inner, "commit");
    vec![
        Record::Logged(batch),
        Record::Stopped(Instance(1)),
        Record::Entered {
            init: Arc::new(init(keys)),
            adopted: true,
        },
        Record::Begun(Slot(6)),
        Record::Truncated(Slot(2)),
        Record::Stable {
            at: Point {
                slot: Slot(4),
                chain: Digest([4; 32]),
            },
            clients: Bytes::from_static(b"table"),
        },
        Record::Silent {
            below: Instance(3),
            mute: Instance(2),
        },
    ]
}

#[test]
fn records_are_read_as_they_were_written_and_nothing_else_is() {
    for record in records(&keyrings()) {
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes).unwrap().encode(), bytes);
        for length in 0..bytes.len() {
            assert!(Record::decode(&bytes[..length]).is_err(), "{record:?}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Record::decode(&longer).is_err(), "{record:?}");
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 0x80;
            if let Ok(read) = Record::decode(&changed) {
                assert_eq!(read.encode(), changed, "{record:?}: two encodings");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), link in 0_usize..6) {
        let _ = take(&keyrings(), link, &bytes);
        let _ = Record::decode(&bytes);
    }
}

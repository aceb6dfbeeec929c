//! Frames of Abstract's instances: as a stranger would make them up, and as a member would that lies under its own seal.

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_abstract::{
    Abort, AbstractCodec, Carried, ChainReply, Chained, Checkpoint, Fetch, Fetched, Init, Instance,
    Link, Message, Order, Panic, Proposal, Request, Responses, Vouch, Welcome,
};
use hedgerow_base::{NodeId, Slot};
use hedgerow_crypto::{Checks, Keyring, Sealed, Sealing};
use hedgerow_machine::{Codec, Target};
use hedgerow_ordering::Operation;
use hedgerow_wire::List;

use super::ordering::{self, plain, seal};
use crate::members::keyrings;

pub(crate) fn run(data: &[u8]) {
    let Some((&link, mut rest)) = data.split_first() else {
        return;
    };
    let link = NodeId(u32::from(link % 6));
    admit(link, 0, &Bytes::copy_from_slice(rest));
    let author = link.index() % 5;
    let me = usize::from(author == 0);
    if let Some(message) = message(author, &mut rest) {
        let codec = AbstractCodec::new(Arc::clone(&keyrings()[author]));
        let frame = codec.seal(&message, Target::Node(NodeId(me as u32)));
        admit(NodeId(author as u32), me, &frame);
    }
}

/// What the codec of member `me` takes is written again as it was.
fn admit(link: NodeId, me: usize, frame: &Bytes) {
    let codec = AbstractCodec::new(Arc::clone(&keyrings()[me]));
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
pub(super) fn message(author: usize, bytes: &mut &[u8]) -> Option<Message> {
    use Sealing::{Authenticator, Signature};
    let by = &*keyrings()[author];
    let (&kind, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(match kind % 15 {
        0 => {
            let instance = plain::<Instance>(bytes)?;
            Message::Requests(instance, requests(by, bytes).into())
        }
        1 => {
            let order = seal::<Order>(by, Authenticator, bytes)?;
            let proposal = Proposal {
                requests: requests(&keyrings()[4], bytes),
                convincing: true,
            };
            Message::Order(order, Arc::new(proposal))
        }
        2 => Message::Responses(seal::<Responses>(by, Authenticator, bytes)?),
        3 => Message::Panic(seal::<Panic>(by, Authenticator, bytes)?),
        4 => Message::Abort(seal::<Abort>(by, Signature, bytes)?),
        5 => Message::Init(Arc::new(init(by, bytes)?)),
        6 => Message::Checkpoint(seal::<Checkpoint>(by, Authenticator, bytes)?),
        7 => Message::Fetch(plain::<Fetch>(bytes)?),
        8 => Message::Fetched(plain::<List<Fetched, 64>>(bytes)?.into_vec()),
        9 => Message::Hello(plain::<u64>(bytes)?),
        10 => {
            let (nonce, instance, head, begun) = plain::<(u64, Instance, Slot, bool)>(bytes)?;
            let init = if begun {
                Some(Arc::new(init(by, bytes)?))
            } else {
                None
            };
            Message::Welcome(Arc::new(Welcome {
                nonce,
                instance,
                head,
                init,
            }))
        }
        11 => Message::Status(plain::<Instance>(bytes)?),
        12 => {
            let behind = Sealing::MacsFor([NodeId(0), NodeId(1)].into_iter().collect());
            let count = bytes.len() % 3;
            let links = (0..count).map_while(|_| seal::<Link>(by, behind, bytes));
            let links: Vec<_> = links.collect();
            Message::Chain(Arc::new(Chained {
                links,
                batch: if count > 1 {
                    Carried::Plain(plain_batch(&requests(&keyrings()[4], bytes)))
                } else {
                    Carried::Sealed(Proposal {
                        requests: requests(&keyrings()[4], bytes),
                        convincing: true,
                    })
                },
                vouched: Vec::new(),
            }))
        }
        13 => Message::ChainReply(Arc::new(ChainReply {
            vouched: seal::<Vouch>(by, Sealing::MacFor(NodeId(1)), bytes)
                .into_iter()
                .collect(),
            results: plain::<List<(u64, Bytes), 8>>(bytes)?.into_vec(),
        })),
        _ => {
            let instance = plain::<Instance>(bytes)?;
            let scoped = keyrings()
                .iter()
                .map(|keys| Arc::new(keys.scoped(instance.0)));
            let scoped: Vec<_> = scoped.collect();
            Message::Backup(instance, ordering::message(&scoped, author, bytes)?)
        }
    })
}

fn requests(by: &Keyring, bytes: &mut &[u8]) -> Vec<Sealed<Request>> {
    (0..8)
        .map_while(|number| {
            let sealing = if number % 4 == 3 {
                Sealing::MacFor(NodeId(0))
            } else {
                Sealing::Authenticator
            };
            seal::<Request>(by, sealing, bytes)
        })
        .collect()
}

/// A proof of ABORTs by one liar: it has no seal but its own.
fn init(by: &Keyring, bytes: &mut &[u8]) -> Option<Init> {
    let (instance, count) = plain::<(Instance, u8)>(bytes)?;
    let aborts = (0..count % 4).map_while(|_| seal::<Abort>(by, Sealing::Signature, bytes));
    Some(Init {
        instance,
        aborts: aborts.collect(),
    })
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    (0..15)
        .flat_map(|kind| [1, 4].map(|author| [vec![author, kind], vec![0; 160]].concat()))
        .collect()
}

/// The requests as they travel behind f + 1 replicas of a Chain.
fn plain_batch(requests: &[Sealed<Request>]) -> Arc<[Operation]> {
    let operations = requests.iter().map(|request| Operation {
        client: request.origin(),
        number: request.value().number,
        operation: request.value().operation.clone(),
    });
    operations.collect()
}

use alloc::{format, string::ToString, sync::Arc, vec::Vec};

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::{NodeId, NodeSet, Slot};
use hedgerow_crypto::{Checks, Claimed, Domain, Keyring, Seal, SealError, Sealed};
use hedgerow_machine::{Codec, Reject, Target};
use hedgerow_ordering::{Batch, MAX_BATCH, MAX_BATCH_BYTES, MAX_OPERATION, Operation};
use hedgerow_pbft::PbftCodec;
use hedgerow_wire::{DecodeError, List, encode_into};

use crate::{
    Abstract,
    composition::Instance,
    messages::{
        Abort, BackupRequest, Carried, ChainReply, Chained, Fetch, Fetched, Init, Link, MAX_FETCH,
        MAX_FRAME, Message, Proposal, Request, Vouch, Welcome,
    },
};

/// How many ABORTs a proof may have.
const MEMBERS: usize = NodeSet::CAPACITY as usize;

/// From frames to messages and back, for one member.
#[derive(Clone, Debug)]
pub struct AbstractCodec {
    keyring: Arc<Keyring>,
}

impl AbstractCodec {
    /// The codec of the keyring's owner.
    #[must_use]
    pub const fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring }
    }

    fn backup(&self, instance: Instance) -> PbftCodec {
        PbftCodec::new(Arc::new(self.keyring.within(instance.0)))
    }
}

impl Codec<Abstract> for AbstractCodec {
    fn admit(&self, link: NodeId, frame: &Bytes, checks: &mut Checks) -> Result<Message, Reject> {
        if frame.len() > MAX_FRAME + 16 {
            return Err(Reject::Malformed(DecodeError::TooLarge {
                length: frame.len(),
                max: MAX_FRAME + 16,
            }));
        }
        let mut admission = Admission {
            keyring: &self.keyring,
            link,
            frame,
            left: frame,
            checks,
        };
        let tag = admission.read::<u8>()?;
        if tag == BACKUP {
            let instance = admission.read::<Instance>()?;
            let inner = frame.slice(frame.len() - admission.left.len()..);
            let message = self.backup(instance).admit(link, &inner, checks)?;
            return Ok(Message::Backup(instance, message));
        }
        let message = admission.message(tag)?;
        if admission.left.is_empty() {
            Ok(message)
        } else {
            Err(malformed("trailing bytes"))
        }
    }

    fn seal(&self, message: &Message, to: Target) -> Bytes {
        if let Message::Backup(instance, inner) = message {
            let mut bytes = Vec::new();
            encode_into(&(BACKUP, instance), &mut bytes);
            bytes.extend_from_slice(&self.backup(*instance).seal(inner, to));
            return bytes.into();
        }
        encode(message)
    }
}

const BACKUP: u8 = 11;

/// A frame that is being admitted.
struct Admission<'a> {
    keyring: &'a Keyring,
    link: NodeId,
    frame: &'a Bytes,
    left: &'a [u8],
    checks: &'a mut Checks,
}

/// Whether a batch of so many operations may have so many bytes of them.
fn fits(count: usize, bytes: usize) -> Result<(), Reject> {
    let most = if count == 1 {
        MAX_OPERATION
    } else {
        MAX_BATCH_BYTES
    };
    if bytes > most {
        return Err(malformed("more bytes of operations than a batch may have"));
    }
    Ok(())
}

fn malformed(why: &str) -> Reject {
    Reject::Malformed(DecodeError::Malformed(why.into()))
}

impl Admission<'_> {
    fn read<T: BorshDeserialize>(&mut self) -> Result<T, Reject> {
        T::deserialize_reader(&mut self.left)
            .map_err(|error| Reject::Malformed(DecodeError::Malformed(error.to_string())))
    }

    /// Bytes with their length before them; they share the frame's.
    fn bytes(&mut self, max: usize) -> Result<Bytes, Reject> {
        let length = self.count(max)?;
        let (_, rest) = self
            .left
            .split_at_checked(length)
            .ok_or_else(|| malformed("cut short"))?;
        let from = self.frame.len() - self.left.len();
        self.left = rest;
        Ok(self.frame.slice(from..from + length))
    }

    /// A value under the seal of the member at the other end of the link.
    fn said<T: BorshDeserialize + Domain>(&mut self) -> Result<Sealed<T>, Reject> {
        let sealed = self
            .read::<Claimed<T>>()?
            .admit(self.keyring, self.checks)?;
        self.only_own(sealed.origin())?;
        Ok(sealed)
    }

    fn only_own(&self, origin: NodeId) -> Result<(), Reject> {
        if origin == self.link {
            Ok(())
        } else {
            Err(Reject::Inadmissible(format!(
                "{} passes on what {origin} said to others",
                self.link,
            )))
        }
    }

    fn said_by_replica<T: BorshDeserialize + Domain>(&mut self) -> Result<Sealed<T>, Reject> {
        self.only_replica(self.link)?;
        self.said()
    }

    /// A value of a replica that convinces everyone.
    fn signed<T: BorshDeserialize + Domain>(&mut self) -> Result<Sealed<T>, Reject> {
        let claimed = self.read::<Claimed<T>>()?;
        self.only_replica(claimed.origin())?;
        if !matches!(claimed.seal(), Seal::Signature(_)) {
            return Err(SealError::WrongKind.into());
        }
        Ok(claimed.admit(self.keyring, self.checks)?)
    }

    fn only_replica(&self, origin: NodeId) -> Result<(), Reject> {
        if self.keyring.roster().contains(origin) {
            Ok(())
        } else {
            Err(Reject::Inadmissible(format!("{origin} is not a replica")))
        }
    }

    fn count(&mut self, max: usize) -> Result<usize, Reject> {
        let count = self.read::<u32>()? as usize;
        if count > max {
            Err(malformed("a list is longer than it may be"))
        } else {
            Ok(count)
        }
    }

    fn message(&mut self, tag: u8) -> Result<Message, Reject> {
        Ok(match tag {
            0 => {
                let instance = self.read()?;
                let count = self.count(MAX_BATCH)?;
                let mut requests = Vec::new();
                for _ in 0..count {
                    requests.push(self.said::<Request>()?);
                }
                Message::Requests(instance, requests.into())
            }
            1 => {
                let order = self.said_by_replica()?;
                Message::Order(order, Arc::new(self.proposal()?))
            }
            2 => Message::Responses(self.said_by_replica()?),
            3 => Message::Panic(self.said()?),
            4 => Message::Abort(self.signed()?),
            5 => Message::Init(Arc::new(self.init()?)),
            6 => Message::Checkpoint(self.said_by_replica()?),
            13 => {
                self.only_replica(self.link)?;
                Message::Chain(Arc::new(self.chained()?))
            }
            14 => {
                self.only_replica(self.link)?;
                Message::ChainReply(Arc::new(self.chain_reply()?))
            }
            15 => Message::Feedback(self.said()?),
            7.. => {
                self.only_replica(self.link)?;
                self.unsealed(tag)?
            }
        })
    }

    fn unsealed(&mut self, tag: u8) -> Result<Message, Reject> {
        Ok(match tag {
            7 => {
                let fetch = self.read::<Fetch>()?;
                if fetch.count > MAX_FETCH {
                    return Err(malformed("more slots than one may ask for"));
                }
                Message::Fetch(fetch)
            }
            8 => Message::Fetched(
                self.read::<List<Fetched, { MAX_FETCH as usize }>>()?
                    .into_vec(),
            ),
            9 => Message::Hello(self.read()?),
            10 => {
                let (nonce, instance, head, has_init) =
                    self.read::<(u64, Instance, Slot, bool)>()?;
                let init = if has_init {
                    Some(Arc::new(self.init()?))
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
            12 => Message::Status(self.read()?),
            other => return Err(malformed(&format!("{other} names no message"))),
        })
    }

    /// A value of a replica, whoever passes it on.
    fn of_replica<T: BorshDeserialize + Domain>(&mut self) -> Result<Sealed<T>, Reject> {
        let claimed = self.read::<Claimed<T>>()?;
        self.only_replica(claimed.origin())?;
        Ok(claimed.admit(self.keyring, self.checks)?)
    }

    fn chained(&mut self) -> Result<Chained, Reject> {
        let f = self.keyring.roster().f();
        let count = self.count(f + 1)?;
        let mut links = Vec::new();
        for _ in 0..count {
            links.push(self.of_replica::<Link>()?);
        }
        self.only_own(links.last().map_or(self.link, Sealed::origin))?;
        let batch = if links.len() <= f {
            Carried::Sealed(self.proposal()?)
        } else {
            Carried::Plain(self.operations()?)
        };
        let mut vouched = Vec::new();
        for _ in 0..self.count(f)? {
            let mut list = Vec::new();
            for _ in 0..self.count(MAX_BATCH)? {
                // For clients, who check them.
                list.push(self.read::<Claimed<Vouch>>()?.trusted());
            }
            vouched.push(list);
        }
        Ok(Chained {
            links,
            batch,
            vouched,
        })
    }

    fn chain_reply(&mut self) -> Result<ChainReply, Reject> {
        let mut vouched = Vec::new();
        for _ in 0..self.count(self.keyring.roster().weak())? {
            vouched.push(self.of_replica::<Vouch>()?);
        }
        self.only_own(vouched.last().map_or(self.link, Sealed::origin))?;
        let mut results = Vec::new();
        for _ in 0..self.count(MAX_BATCH)? {
            results.push((self.read()?, self.bytes(MAX_FRAME)?));
        }
        Ok(ChainReply { vouched, results })
    }

    /// A batch's operations, without the clients' seals.
    fn operations(&mut self) -> Result<Arc<[Operation]>, Reject> {
        let count = self.count(MAX_BATCH)?;
        let (mut operations, mut bytes) = (Vec::new(), 0);
        for _ in 0..count {
            let (client, number) = self.read()?;
            let operation = self.bytes(MAX_OPERATION)?;
            bytes += operation.len();
            fits(count, bytes)?;
            operations.push(Operation {
                client,
                number,
                operation,
            });
        }
        // They live as long as the history does, and would keep all of a frame that somebody has filled up.
        if self.frame.len() > 2 * bytes + 4096 {
            for op in &mut operations {
                op.operation = Bytes::copy_from_slice(&op.operation);
            }
        }
        Ok(operations.into())
    }

    /// A batch's requests, and whether their seals convince.
    fn proposal(&mut self) -> Result<Proposal, Reject> {
        let count = self.count(MAX_BATCH)?;
        let (mut requests, mut convincing, mut bytes) = (Vec::new(), true, 0);
        for _ in 0..count {
            let claimed = self.read::<Claimed<Request>>()?;
            bytes += claimed.value().operation.len();
            fits(count, bytes)?;
            convincing = convincing && claimed.mac_holds(self.keyring);
            requests.push(claimed.trusted());
        }
        Ok(Proposal {
            requests,
            convincing,
        })
    }

    fn init(&mut self) -> Result<Init, Reject> {
        let instance = self.read()?;
        let count = self.count(MEMBERS)?;
        let mut aborts = Vec::new();
        for _ in 0..count {
            aborts.push(self.signed::<Abort>()?);
        }
        Ok(Init { instance, aborts })
    }
}

fn encode(message: &Message) -> Bytes {
    let mut frame = Frame(Vec::new());
    match message {
        Message::Requests(instance, requests) => frame.put(&(0_u8, instance)).all(requests),
        Message::Order(order, proposal) => frame.put(&1_u8).put(order).all(&proposal.requests),
        Message::Responses(responses) => frame.put(&2_u8).put(responses),
        Message::Chain(chained) => {
            let Chained {
                links,
                batch,
                vouched,
            } = &**chained;
            frame.put(&13_u8).all(links);
            match batch {
                Carried::Sealed(proposal) => frame.all(&proposal.requests),
                Carried::Plain(operations) => frame.operations(operations),
            };
            frame.put(&u32::try_from(vouched.len()).unwrap_or(u32::MAX));
            for list in vouched {
                frame.all(list);
            }
            &mut frame
        }
        Message::ChainReply(reply) => frame.put(&14_u8).all(&reply.vouched).all(&reply.results),
        Message::Feedback(feedback) => frame.put(&15_u8).put(feedback),
        Message::Panic(panic) => frame.put(&3_u8).put(panic),
        Message::Abort(abort) => frame.put(&4_u8).put(abort),
        Message::Init(init) => frame.put(&5_u8).init(init),
        Message::Checkpoint(vote) => frame.put(&6_u8).put(vote),
        Message::Fetch(fetch) => frame.put(&7_u8).put(fetch),
        Message::Fetched(list) => frame.put(&8_u8).all(list),
        Message::Hello(nonce) => frame.put(&(9_u8, nonce)),
        Message::Welcome(welcome) => {
            let Welcome {
                nonce,
                instance,
                head,
                init,
            } = &**welcome;
            frame.put(&(10_u8, nonce, instance, head, init.is_some()));
            match init {
                Some(init) => frame.init(init),
                None => &mut frame,
            }
        }
        Message::Status(instance) => frame.put(&(12_u8, instance)),
        // Sealed by the codec of its instance.
        Message::Backup(..) => &mut frame,
    };
    frame.0.into()
}

struct Frame(Vec<u8>);

impl Frame {
    fn put<T: BorshSerialize>(&mut self, value: &T) -> &mut Self {
        encode_into(value, &mut self.0);
        self
    }

    fn all<T: BorshSerialize>(&mut self, items: &[T]) -> &mut Self {
        self.put(&u32::try_from(items.len()).unwrap_or(u32::MAX));
        for item in items {
            self.put(item);
        }
        self
    }

    fn operations(&mut self, operations: &[Operation]) -> &mut Self {
        let bytes = operations.iter().map(|op| op.operation.len() + 16);
        self.0.reserve(bytes.sum::<usize>() + 4);
        self.put(&u32::try_from(operations.len()).unwrap_or(u32::MAX));
        for op in operations {
            self.put(&(op.client, op.number, &op.operation));
        }
        self
    }

    fn init(&mut self, init: &Init) -> &mut Self {
        self.put(&init.instance).all(&init.aborts)
    }
}

/// Writes a proof.
pub(crate) fn put_init(init: &Init, bytes: &mut Vec<u8>) {
    let mut frame = Frame(core::mem::take(bytes));
    frame.init(init);
    *bytes = frame.0;
}

/// Reads a proof from one's own log.
pub(crate) fn read_init(left: &mut &[u8]) -> borsh::io::Result<Init> {
    let instance = Instance::deserialize_reader(left)?;
    let aborts = List::<Claimed<Abort>, MEMBERS>::deserialize_reader(left)?;
    let aborts = aborts
        .into_vec()
        .into_iter()
        .map(Claimed::trusted)
        .collect();
    Ok(Init { instance, aborts })
}

/// A proof inside what a Backup orders: every replica checks its signatures when it is executed, and all with the same
/// result.
pub(crate) fn verified_init(bytes: &[u8], keyring: &Keyring) -> Option<Init> {
    let mut left = bytes;
    let instance = Instance::deserialize_reader(&mut left).ok()?;
    let aborts = List::<Claimed<Abort>, MEMBERS>::deserialize_reader(&mut left).ok()?;
    let roster = keyring.roster();
    let aborts = aborts.into_vec().into_iter().map(|claimed| {
        (roster.contains(claimed.origin()) && claimed.signature_holds(keyring))
            .then(|| claimed.trusted())
    });
    let aborts = aborts.collect::<Option<Vec<_>>>()?;
    left.is_empty().then_some(Init { instance, aborts })
}

/// Writes a batch.
pub(crate) fn put_batch(batch: &Batch, bytes: &mut Vec<u8>) {
    encode_into(
        &(batch.slot, batch.time_ms, batch.operations.len() as u32),
        bytes,
    );
    for operation in &*batch.operations {
        encode_into(
            &(operation.client, operation.number, &operation.operation),
            bytes,
        );
    }
}

/// Reads a batch, from one's own log or from a peer.
pub(crate) fn read_batch(left: &mut &[u8]) -> borsh::io::Result<Batch> {
    let (slot, time_ms, count) = <(Slot, u64, u32)>::deserialize_reader(left)?;
    let too_large =
        || borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, "too large a batch");
    if count as usize > MAX_BATCH {
        return Err(too_large());
    }
    let mut operations = Vec::new();
    for _ in 0..count {
        let (client, number, operation) = <(NodeId, u64, Bytes)>::deserialize_reader(left)?;
        if operation.len() > MAX_OPERATION {
            return Err(too_large());
        }
        operations.push(Operation {
            client,
            number,
            operation,
        });
    }
    Ok(Batch {
        slot,
        time_ms,
        operations: operations.into(),
    })
}

/// Exactly one batch.
pub(crate) fn decode_batch(bytes: &[u8]) -> Option<Batch> {
    let mut left = bytes;
    let batch = read_batch(&mut left).ok()?;
    left.is_empty().then_some(batch)
}

/// A request for a Backup, within the bounds of an operation of the protocol inside.
pub(crate) fn decode_backup(bytes: &[u8]) -> Option<BackupRequest> {
    let mut left = bytes;
    let request = Option::<Request>::deserialize_reader(&mut left).ok()?;
    let init = Option::<Bytes>::deserialize_reader(&mut left).ok()?;
    left.is_empty().then_some(BackupRequest { request, init })
}

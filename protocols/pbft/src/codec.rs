use alloc::{format, string::ToString, sync::Arc, vec::Vec};

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, NodeSet, Slot};
use hedgerow_crypto::{Checks, Claimed, Domain, Keyring, Seal, SealError, Sealed};
use hedgerow_machine::{Codec, Reject, Target};
use hedgerow_ordering::{MAX_BATCH, MAX_BATCH_BYTES, MAX_OPERATION};
use hedgerow_wire::{DecodeError, List, encode_into};

use crate::{
    Pbft,
    messages::{
        Body, Checkpoint, Decided, Evidence, Fetch, Hello, MAX_FETCH, MAX_FRAME, Message,
        NewViewProof, Status, ViewChange, Welcome, Witness,
    },
};

/// How many members a vote set, a certificate or a new view may name.
const MEMBERS: usize = NodeSet::CAPACITY as usize;

/// From frames to messages and back, for one member.
#[derive(Clone, Debug)]
pub struct PbftCodec {
    keyring: Arc<Keyring>,
}

impl PbftCodec {
    /// The codec of the keyring's owner.
    #[must_use]
    pub const fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring }
    }
}

impl Codec<Pbft> for PbftCodec {
    fn admit(&self, link: NodeId, frame: &Bytes, checks: &mut Checks) -> Result<Message, Reject> {
        if frame.len() > MAX_FRAME {
            return Err(Reject::Malformed(DecodeError::TooLarge {
                length: frame.len(),
                max: MAX_FRAME,
            }));
        }
        let mut admission = Admission {
            keyring: &self.keyring,
            link,
            left: frame,
            checks,
        };
        let message = admission.message()?;
        if admission.left.is_empty() {
            Ok(message)
        } else {
            Err(malformed("trailing bytes"))
        }
    }

    fn seal(&self, message: &Message, _to: Target) -> Bytes {
        encode(message)
    }
}

/// A frame that is being admitted.
struct Admission<'a> {
    keyring: &'a Keyring,
    link: NodeId,
    left: &'a [u8],
    checks: &'a mut Checks,
}

fn malformed(why: &str) -> Reject {
    Reject::Malformed(DecodeError::Malformed(why.into()))
}

impl Admission<'_> {
    fn read<T: BorshDeserialize>(&mut self) -> Result<T, Reject> {
        T::deserialize_reader(&mut self.left)
            .map_err(|error| Reject::Malformed(DecodeError::Malformed(error.to_string())))
    }

    fn list<T: BorshDeserialize, const MAX: usize>(&mut self) -> Result<Vec<T>, Reject> {
        Ok(self.read::<List<T, MAX>>()?.into_vec())
    }

    /// A value under its author's seal, which must convince.
    fn sealed<T: BorshDeserialize + Domain>(&mut self) -> Result<Sealed<T>, Reject> {
        let claimed = self.read::<Claimed<T>>()?;
        Ok(claimed.admit(self.keyring, self.checks)?)
    }

    /// The same, where the author must be the member at the other end of the link and a replica.
    fn said<T: BorshDeserialize + Domain>(&mut self) -> Result<Sealed<T>, Reject> {
        let sealed = self.sealed::<T>()?;
        self.only_replica(sealed.origin())?;
        if sealed.origin() == self.link {
            Ok(sealed)
        } else {
            Err(Reject::Inadmissible(format!(
                "{} passes on what {} said to others",
                self.link,
                sealed.origin()
            )))
        }
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

    fn link_is_replica(&self) -> Result<(), Reject> {
        self.only_replica(self.link)
    }

    fn message(&mut self) -> Result<Message, Reject> {
        let tag = self.read::<u8>()?;
        Ok(match tag {
            0 => Message::Requests(self.requests()?),
            1 => {
                let query = self.sealed()?;
                if query.origin() != self.link {
                    return Err(Reject::Inadmissible(format!(
                        "a query of {}",
                        query.origin()
                    )));
                }
                Message::Query(query)
            }
            2 => Message::Replies(self.said()?),
            3 => Message::Answer(self.said()?),
            4 => {
                let pre_prepare = self.said()?;
                Message::PrePrepare(pre_prepare, Arc::new(self.body()?))
            }
            5 => Message::Prepare(self.said()?),
            6 => Message::Commit(self.said()?),
            7 => Message::Checkpoint(self.signed()?),
            8 => Message::ViewChange(self.signed()?),
            9 => Message::NewView(Arc::new(self.new_view()?)),
            10.. => {
                self.link_is_replica()?;
                self.unsealed(tag)?
            }
        })
    }

    fn unsealed(&mut self, tag: u8) -> Result<Message, Reject> {
        Ok(match tag {
            10 => Message::Status(self.read::<Status>()?),
            11 => Message::Doubt(self.read()?),
            12 => Message::WantBodies(self.list::<Digest, { MAX_FETCH as usize }>()?),
            13 => Message::Body(Arc::new(self.body()?)),
            14 => {
                let fetch = self.read::<Fetch>()?;
                if fetch.count > MAX_FETCH {
                    return Err(malformed("more slots than one may ask for"));
                }
                Message::Fetch(fetch)
            }
            15 => Message::Decided(self.list::<Decided, { MAX_FETCH as usize }>()?),
            16 => Message::Hello(self.read::<Hello>()?),
            17 => Message::Welcome(Arc::new(self.welcome()?)),
            other => return Err(malformed(&format!("{other} names no message"))),
        })
    }

    /// Requests must convince one by one: what a replica relays is signed by its client.
    fn requests(&mut self) -> Result<Arc<[Sealed<crate::Request>]>, Reject> {
        let count = self.count(MAX_BATCH)?;
        let mut requests = Vec::new();
        for _ in 0..count {
            let request = self.sealed::<crate::Request>()?;
            let relayed = request.origin() != self.link;
            if relayed && !matches!(request.seal(), Seal::Signature(_)) {
                return Err(SealError::WrongKind.into());
            }
            if relayed {
                self.link_is_replica()?;
            }
            requests.push(request);
        }
        Ok(requests.into())
    }

    /// Requests within a batch may fail to convince here: whether they do is kept beside them. A bad signature can't be
    /// the client's doing: then the whole frame is refused.
    fn body(&mut self) -> Result<Body, Reject> {
        let time_ms = self.read()?;
        let count = self.count(MAX_BATCH)?;
        let (mut requests, mut doubtful, mut bytes) = (Vec::new(), Vec::new(), 0);
        for at in 0..count {
            let claimed = self.read::<Claimed<crate::Request>>()?;
            bytes += claimed.value().operation.len();
            if bytes
                > if count == 1 {
                    MAX_OPERATION
                } else {
                    MAX_BATCH_BYTES
                }
            {
                return Err(malformed("more bytes of operations than a batch may have"));
            }
            let signed = matches!(claimed.seal(), Seal::Signature(_));
            if signed {
                requests.push(claimed.admit(self.keyring, self.checks)?);
            } else {
                if !claimed.mac_holds(self.keyring) {
                    doubtful.push(at);
                }
                requests.push(claimed.trusted());
            }
        }
        Ok(Body::with_doubts(time_ms, requests, doubtful))
    }

    fn new_view(&mut self) -> Result<NewViewProof, Reject> {
        let new_view = self.signed()?;
        let count = self.count(MEMBERS)?;
        let mut view_changes = Vec::new();
        for _ in 0..count {
            view_changes.push(self.signed::<ViewChange>()?);
        }
        Ok(NewViewProof {
            new_view,
            view_changes,
        })
    }

    fn welcome(&mut self) -> Result<Welcome, Reject> {
        let nonce = self.read()?;
        let decided = self.read::<Slot>()?;
        let evidence = match self.read::<u8>()? {
            0 => None,
            1 => self.own()?.map(Evidence::PrePrepare),
            2 => self.own()?.map(Evidence::Prepare),
            3 => self.own()?.map(Evidence::Commit),
            4 => Some(self.signed()?)
                .filter(|vote: &Sealed<ViewChange>| vote.origin() == self.keyring.me())
                .map(Evidence::ViewChange),
            _ => return Err(malformed("no such evidence")),
        };
        let count = self.count(MEMBERS)?;
        let mut stable = Vec::new();
        for _ in 0..count {
            stable.push(self.signed::<Checkpoint>()?);
        }
        let pre_prepare = if self.read::<bool>()? {
            self.entry()?
        } else {
            None
        };
        let count = self.count(MEMBERS)?;
        let mut prepares = Vec::new();
        for _ in 0..count {
            prepares.extend(self.entry()?);
        }
        let new_view = if self.read::<bool>()? {
            Some(Arc::new(self.new_view()?))
        } else {
            None
        };
        Ok(Welcome {
            nonce,
            decided,
            evidence,
            stable,
            witness: Witness {
                pre_prepare,
                prepares,
            },
            new_view,
        })
    }

    /// A vote whose MAC for me may be wrong: then it is worth nothing, and whoever shows it is not to blame.
    fn entry<T: BorshDeserialize + Domain>(&mut self) -> Result<Option<Sealed<T>>, Reject> {
        let claimed = self.read::<Claimed<T>>()?;
        let holds = claimed.mac_holds(self.keyring) && self.only_replica(claimed.origin()).is_ok();
        Ok(holds.then(|| claimed.trusted()))
    }

    /// What I said myself, by my own entry.
    fn own<T: BorshDeserialize + Domain>(&mut self) -> Result<Option<Sealed<T>>, Reject> {
        let me = self.keyring.me();
        Ok(self.entry()?.filter(|vote: &Sealed<T>| vote.origin() == me))
    }

    fn count(&mut self, max: usize) -> Result<usize, Reject> {
        let count = self.read::<u32>()? as usize;
        if count > max {
            Err(malformed("a list is longer than it may be"))
        } else {
            Ok(count)
        }
    }
}

fn encode(message: &Message) -> Bytes {
    let mut frame = Frame(Vec::new());
    match message {
        Message::Requests(requests) => {
            let size: usize = requests
                .iter()
                .map(|request| request.body().len() + 128)
                .sum();
            frame.0.reserve(size);
            frame.put(&0_u8).all(requests)
        }
        Message::Query(query) => frame.put(&1_u8).put(query),
        Message::Replies(replies) => frame.put(&2_u8).put(replies),
        Message::Answer(answer) => frame.put(&3_u8).put(answer),
        Message::PrePrepare(pre_prepare, body) => frame.put(&4_u8).put(pre_prepare).body(body),
        Message::Prepare(vote) => frame.put(&5_u8).put(vote),
        Message::Commit(vote) => frame.put(&6_u8).put(vote),
        Message::Checkpoint(vote) => frame.put(&7_u8).put(vote),
        Message::ViewChange(vote) => frame.put(&8_u8).put(vote),
        Message::NewView(proof) => frame.put(&9_u8).new_view(proof),
        Message::Status(status) => frame.put(&10_u8).put(status),
        Message::Doubt(client) => frame.put(&11_u8).put(client),
        Message::WantBodies(digests) => frame.put(&12_u8).all(digests),
        Message::Body(body) => frame.put(&13_u8).body(body),
        Message::Fetch(fetch) => frame.put(&14_u8).put(fetch),
        Message::Decided(list) => frame.put(&15_u8).all(list),
        Message::Hello(hello) => frame.put(&16_u8).put(hello),
        Message::Welcome(welcome) => frame.put(&17_u8).welcome(welcome),
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

    fn body(&mut self, body: &Body) -> &mut Self {
        let size: usize = body
            .requests()
            .iter()
            .map(|request| request.body().len() + 128)
            .sum();
        self.0.reserve(size + 16);
        self.put(&body.time_ms()).all(body.requests())
    }

    fn new_view(&mut self, proof: &NewViewProof) -> &mut Self {
        self.put(&proof.new_view).all(&proof.view_changes)
    }

    fn welcome(&mut self, welcome: &Welcome) -> &mut Self {
        self.put(&welcome.nonce).put(&welcome.decided);
        match &welcome.evidence {
            None => self.put(&0_u8),
            Some(Evidence::PrePrepare(vote)) => self.put(&1_u8).put(vote),
            Some(Evidence::Prepare(vote)) => self.put(&2_u8).put(vote),
            Some(Evidence::Commit(vote)) => self.put(&3_u8).put(vote),
            Some(Evidence::ViewChange(vote)) => self.put(&4_u8).put(vote),
        };
        self.all(&welcome.stable);
        self.put(&welcome.witness.pre_prepare.is_some());
        if let Some(pre_prepare) = &welcome.witness.pre_prepare {
            self.put(pre_prepare);
        }
        self.all(&welcome.witness.prepares);
        self.put(&welcome.new_view.is_some());
        if let Some(proof) = &welcome.new_view {
            self.new_view(proof);
        }
        self
    }
}

/// Reads what was written by [`put_body`] from one's own log.
pub(crate) fn read_body(left: &mut &[u8]) -> borsh::io::Result<Body> {
    let time_ms = u64::deserialize_reader(left)?;
    let requests = List::<Claimed<crate::Request>, MAX_BATCH>::deserialize_reader(left)?;
    let requests = requests
        .into_vec()
        .into_iter()
        .map(Claimed::trusted)
        .collect();
    Ok(Body::new(time_ms, requests))
}

/// Writes a batch with its requests' seals.
pub(crate) fn put_body(body: &Body, bytes: &mut Vec<u8>) {
    let mut frame = Frame(core::mem::take(bytes));
    frame.body(body);
    *bytes = frame.0;
}

/// Reads a new view with its proof from one's own log.
pub(crate) fn read_new_view(left: &mut &[u8]) -> borsh::io::Result<NewViewProof> {
    let new_view = Claimed::deserialize_reader(left)?.trusted();
    let view_changes = List::<Claimed<ViewChange>, MEMBERS>::deserialize_reader(left)?;
    let view_changes = view_changes
        .into_vec()
        .into_iter()
        .map(Claimed::trusted)
        .collect();
    Ok(NewViewProof {
        new_view,
        view_changes,
    })
}

/// Writes a new view with its proof.
pub(crate) fn put_new_view(proof: &NewViewProof, bytes: &mut Vec<u8>) {
    let mut frame = Frame(core::mem::take(bytes));
    frame.new_view(proof);
    *bytes = frame.0;
}

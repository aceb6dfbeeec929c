use alloc::{sync::Arc, vec::Vec};

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, NodeSet, Roster, Slot};
use hedgerow_crypto::{Domain, Sealed};
use hedgerow_wire::Text;

/// A protocol's name.
pub type Name = Text<32>;

/// How many batches one question asks for.
pub const MAX_FETCH: u64 = 64;

/// An epoch: what orders from where on.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Epoch {
    /// Its number; the first is 0.
    pub number: u64,
    /// What orders in it.
    pub protocol: Name,
    /// The last slot of the epoch before.
    pub base: Slot,
    /// The application's state after that slot.
    pub state: Digest,
}

impl Domain for Epoch {
    const DOMAIN: &'static str = "hedgerow epoch";
    const MAX: usize = 128;
}

/// That an epoch has begun: 2f + 1 replicas have signed that it follows. f + 1 of them are correct, and have all that was
/// before it.
#[derive(Clone, Debug)]
pub struct Proof(pub(crate) Vec<Sealed<Epoch>>);

impl Proof {
    /// The proof that these words make, if they do: 2f + 1, of different replicas, about one epoch, which is not the first.
    #[must_use]
    pub fn of(words: Vec<Sealed<Epoch>>, roster: Roster) -> Option<Self> {
        let origins: NodeSet = words.iter().map(Sealed::origin).collect();
        let first = words.first()?.value();
        let good = first.number > 0
            && words.len() == roster.quorum()
            && origins.len() == words.len()
            && origins.iter().all(|origin| roster.contains(origin))
            && words.iter().all(|word| word.value() == first);
        good.then_some(Self(words))
    }

    /// What has begun.
    ///
    /// # Panics
    /// Never: there are words.
    #[must_use]
    pub fn epoch(&self) -> &Epoch {
        match self.0.first() {
            Some(word) => word.value(),
            None => unreachable!("a proof has 2f + 1 words"),
        }
    }
}

/// What members say.
#[derive(Clone, Debug)]
pub enum Message {
    /// A word of the protocol that orders in an epoch.
    Ordered(u64, Inner),
    /// The sender's epoch is over, which is final at the sender: this one follows. Its ABORT.
    Ended(Sealed<Epoch>),
    /// An epoch has begun.
    Begun(Arc<Proof>),
    /// The sender wants to know whether anything is newer than this epoch.
    Newer(u64),
    /// The sender lacks batches of earlier epochs.
    Fetch(Fetch),
    /// Such batches.
    Fetched(Vec<Fetched>),
}

/// A word of one of the protocols.
#[derive(Clone, Debug)]
pub enum Inner {
    /// Of PBFT.
    Pbft(hedgerow_pbft::Message),
    /// Of a composition.
    Abstract(hedgerow_abstract::Message),
}

/// Asks for batches that are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Fetch {
    /// The first slot.
    pub from: Slot,
    /// How many, at most [`MAX_FETCH`].
    pub count: u64,
    /// Who sends the batches; the others send their digests only.
    pub bearer: NodeId,
}

/// A final slot's batch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Fetched {
    /// The slot.
    pub slot: Slot,
    /// The digest of the batch.
    pub digest: Digest,
    /// The batch, encoded, from the bearer.
    pub batch: Option<Bytes>,
}

use alloc::vec::Vec;

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, Slot};
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

/// What members say.
#[derive(Clone, Debug)]
pub enum Message {
    /// A word of the protocol that orders in an epoch.
    Ordered(u64, Inner),
    /// The epoch before this one is over, which is final at the sender. Believed of the member at the other end.
    Standing {
        /// What orders now, as far as the sender knows.
        epoch: Epoch,
        /// Whether the sender wants to hear the same of the receiver.
        asks: bool,
    },
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

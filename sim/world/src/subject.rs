use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, Slot, Time};
use hedgerow_crypto::Keyring;
use hedgerow_machine::{Codec, Machine, Protocol};
use hedgerow_ordering::Ordering;

use crate::Attack;

/// What a participant is built from: a first start and a restart differ only in what the disks hold.
#[derive(Debug)]
pub struct Start<P: Protocol> {
    /// Its secrets and everyone's public keys.
    pub keyring: Arc<Keyring>,
    /// What its log holds, oldest first.
    pub records: Vec<(Lsn, P::Record)>,
    /// The position of the last record ever written; the records need not reach back to the first.
    pub last: Lsn,
    /// The last slot that the application has on disk; it may have said of an earlier one only that it has it.
    pub executed: Slot,
    /// The digest of the application's state after that slot.
    pub state: Digest,
    /// What its clock shows.
    pub now: Time,
    /// Which start of this node it is: 1 for the first.
    pub life: u32,
    /// A number that no other start of this node gets.
    pub nonce: u64,
    /// A number that the seed chose for the whole run: subjects draw their configuration from it.
    pub tuning: u64,
}

impl<P: Protocol> Start<P> {
    /// Above all the numbers that a client has used in earlier lives.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        u64::from(self.life) << 40
    }
}

/// A vote as the outside sees it: no correct replica ever says two different values under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote {
    /// What it votes on, in the protocol's word.
    pub kind: &'static str,
    /// The first part of the key, such as the view.
    pub view: u64,
    /// The second part of the key, such as the slot.
    pub slot: u64,
    /// What it votes for.
    pub value: Digest,
}

/// A place in a history: how many slots it has, and a digest that is different where anything before is different.
pub type Place = (Slot, Digest);

/// What a correct participant lets know of the histories that it builds with others in an epoch, and that the next epoch
/// takes up: the places in the order of their slots, without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The epoch.
    pub epoch: u64,
    /// What it lets know.
    pub what: Showing,
}

/// Kinds of [`Shown`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Showing {
    /// A client was answered at this place of its history.
    Answered(Place),
    /// Its history at the end of the epoch. `agreed` says that in this epoch all correct ones have the same.
    Ended {
        /// The places that it goes through.
        through: Vec<Place>,
        /// Whether all are equal.
        agreed: bool,
    },
    /// What the epoch may begin with: the ends of the epoch before, of which `agree` must go through a place.
    Began {
        /// What these replicas signed, right or wrong.
        ends: Vec<(NodeId, Vec<Place>)>,
        /// How many of them it takes.
        agree: usize,
        /// Whether this participant's history begins so, and not only one that it knows of.
        adopted: bool,
    },
}

/// A replica, or why it can't be built from what its disks hold.
pub type Recovered<P> = Result<Box<dyn Machine<P>>, String>;

/// An ordering protocol as the simulator sees it: how to build its participants, and what to know of its messages.
pub trait Subject: Sized + Send + Sync + 'static {
    /// The protocol.
    type Protocol: Ordering;

    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// Builds or recovers a replica.
    ///
    /// # Errors
    /// When its log can't be one that a correct replica has written, and why.
    fn replica(&self, start: Start<Self::Protocol>) -> Recovered<Self::Protocol>;

    /// Builds or recovers a client.
    fn client(&self, start: Start<Self::Protocol>) -> Box<dyn Machine<Self::Protocol>>;

    /// The stateless half of the keyring's owner.
    fn codec(&self, keyring: &Arc<Keyring>) -> Arc<dyn Codec<Self::Protocol>>;

    /// A record as it is stored.
    fn encode_record(&self, record: &<Self::Protocol as Protocol>::Record) -> Bytes;

    /// A record that was stored. What [`Subject::encode_record`] gave must come back: the disk's checksums let
    /// nothing else pass.
    fn decode_record(&self, bytes: &Bytes) -> <Self::Protocol as Protocol>::Record;

    /// The votes in a message that `from` sends, as far as they are its own.
    fn votes(
        &self,
        from: NodeId,
        message: &<Self::Protocol as Protocol>::Message,
        votes: &mut Vec<Vote>,
    );

    /// What a message that `from` sends lets know of its histories. By default: nothing.
    fn shows(
        &self,
        from: NodeId,
        message: &<Self::Protocol as Protocol>::Message,
        shown: &mut Vec<Shown>,
    ) {
        let _ = (from, message, shown);
    }

    /// What a record lets know of them. By default: nothing.
    fn notes(&self, record: &<Self::Protocol as Protocol>::Record, shown: &mut Vec<Shown>) {
        let _ = (record, shown);
    }

    /// The protocol that orders after the slot of this operation, where a protocol that changes is to change then: a rule
    /// of the application's. By default it never is.
    fn ends(&self, operation: &[u8]) -> Option<&'static str> {
        let _ = operation;
        None
    }

    /// The ways to misbehave that only this protocol knows.
    fn attacks(&self) -> Vec<Attack<Self>>;
}

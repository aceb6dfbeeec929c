use alloc::{sync::Arc, vec::Vec};

use bytes::Bytes;
use hedgerow_base::{Digest, Slot};

use crate::Batch;

/// What an application asks of its participant.
#[derive(Clone, Debug)]
pub enum Command {
    /// To a client: have this operation ordered and executed. Answered by [`crate::Event::Completed`] with the same
    /// `ticket`, once, when the protocol's own rule says that it is final.
    Invoke {
        /// The application's own name for this invocation.
        ticket: u64,
        /// At most [`crate::MAX_OPERATION`] bytes.
        operation: Bytes,
    },
    /// To a client: answer this query from a state that contains every operation completed before it was asked,
    /// without ordering it if the replicas agree on the answer. Answered by [`crate::Event::Completed`].
    Read {
        /// The application's own name for this query.
        ticket: u64,
        /// At most [`crate::MAX_OPERATION`] bytes.
        query: Bytes,
    },
    /// To a replica, after [`crate::Event::Execute`]: the batch was executed.
    Executed {
        /// The batch's slot.
        slot: Slot,
        /// One reply per operation of the batch, in order; each at most [`crate::MAX_REPLY`] bytes.
        replies: Vec<Bytes>,
        /// The digest of the application's state after the batch; equal at every correct replica.
        state: Digest,
    },
    /// To a replica, right after [`Command::Executed`] of the same slot: what was executed there ends the epoch. The
    /// slots after it are ordered in the next one; batches of this epoch that come after it are void: the application
    /// does not execute them, and answers each operation with [`crate::VOID`] and an unchanged state, until [`crate::Event::Epoch`]
    /// says that what follows is ordered in the next epoch. Said again when the slot is executed again.
    EndEpoch {
        /// The last slot of the epoch.
        slot: Slot,
        /// The epoch that begins after it.
        next: u64,
        /// What orders in it, by its name.
        protocol: Arc<str>,
    },
    /// To a replica: the application has heard [`crate::Event::Epoch`]. What it says after this answers what it was told
    /// after that.
    Epoch(Option<u64>),
    /// To a replica, after [`crate::Event::Rollback`]: what was executed after this slot is forgotten. Every
    /// [`Command::Executed`] that the application says after this is of a batch given after the rollback. Batches given
    /// before it were answered before this, except that one which was rolled back before it was executed may have been
    /// left out: of it nothing is said.
    RolledBack(Slot),
    /// To a replica: the application itself has everything up to this slot on disk, and needs no log to get there. What
    /// is not final is never on disk.
    Stored(Slot),
    /// To a replica, after [`crate::Event::Answer`]: the answer to a query.
    Answered {
        /// The event's token.
        token: u64,
        /// At most [`crate::MAX_REPLY`] bytes.
        reply: Bytes,
    },
    /// To a replica, after [`crate::Event::Load`]: the batch that was executed in `slot`, or `None` when the
    /// application does not have it.
    Loaded {
        /// The event's token.
        token: u64,
        /// The slot.
        slot: Slot,
        /// The batch exactly as it was executed.
        batch: Option<Batch>,
    },
}

use alloc::{sync::Arc, vec::Vec};

use bytes::Bytes;
use hedgerow_base::{NodeId, Slot};

/// One ordered operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The client that invoked it.
    pub client: NodeId,
    /// The client's own number for it (the paper's timestamp); a client uses each number once.
    pub number: u64,
    /// What to execute.
    pub operation: Bytes,
}

/// What one slot of the total order holds. A null batch (from a view change) has no operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its place in the order: slots follow one another without gaps.
    pub slot: Slot,
    /// The time that the primary proposed for it, in milliseconds since the Unix epoch. Not trustworthy alone: the
    /// application makes it monotone.
    pub time_ms: u64,
    /// The operations, in order.
    pub operations: Arc<[Operation]>,
}

/// What a participant tells its application.
#[derive(Clone, Debug)]
pub enum Event {
    /// From a replica: this batch is decided; execute it and say [`crate::Command::Executed`]. In slot order without
    /// gaps, each slot once in a replica's life. After a restart it begins behind a checkpoint, at or before the last
    /// slot that the application has executed: what the application has executed before, it answers from what it kept,
    /// with the same replies and state.
    Execute(Batch),
    /// From a replica: answer this query from the executed state, and say [`crate::Command::Answered`].
    Answer {
        /// Names the query in the answer.
        token: u64,
        /// The query.
        query: Bytes,
    },
    /// From a replica: another one lacks this batch; say [`crate::Command::Loaded`].
    Load {
        /// Names the question in the answer.
        token: u64,
        /// The slot, executed here some time ago.
        slot: Slot,
    },
    /// From a replica: the order up to this slot is stable: a quorum has executed it and agrees on the state. Have
    /// everything up to it on disk and say [`crate::Command::Stored`].
    Stable(Slot),
    /// From a client: an invocation or a query is done.
    Completed {
        /// The application's name for it.
        ticket: u64,
        /// The result that enough replicas gave.
        reply: Vec<u8>,
    },
}

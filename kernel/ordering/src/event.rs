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

/// What a participant tells its application. Events are handled in order, and answered in order. A protocol emits
/// [`Event::Final`] and [`Event::Rollback`] behind the same log position as the [`Event::Execute`]s before them, or behind a
/// later one: the driver's gate keeps the order of what waits for one position only.
#[derive(Clone, Debug)]
pub enum Event {
    /// From a replica: execute this batch on top of what came before, and say [`crate::Command::Executed`]. In slot
    /// order without gaps: its slot is the one after the last that was executed, or after the one that was last rolled
    /// back to. It is final only when [`Event::Final`] says so; until then it may be rolled back, and is not shown. How
    /// many slots it runs ahead of the final ones a protocol bounds: the application keeps them in memory.
    ///
    /// After a restart all that was not final is gone from the application. Then the first slot given may be any up to
    /// the one after the last that the application has: a slot that was final comes again with the same batch, and is
    /// answered from what was kept, with the same replies and state.
    Execute(Batch),
    /// From a replica: everything executed up to this slot is final: never rolled back, the same at every correct
    /// replica. Only now may it be shown, attested or proved. The slot is one that was executed, and not before the last
    /// that was called final; after a restart it may be one that the application has from before. There is no answer.
    Final(Slot),
    /// From a replica: forget what was executed after this slot, which is not before the last [`Event::Final`]; then
    /// say [`crate::Command::RolledBack`]. What follows are [`Event::Execute`]s for the slots after it, perhaps with other
    /// batches. What the application knows to be final from before a restart it keeps: those slots come again with the
    /// same batches.
    Rollback(Slot),
    /// From a replica: what follows is ordered in this epoch (see [`crate::Command::EndEpoch`]); with `None`: it is known
    /// to be right, whichever epoch it is of, and nothing of it is void. Before the first of these the epoch is 0.
    /// Answered by [`crate::Command::Epoch`]. Only a participant that changes its protocol while it runs says this.
    Epoch(Option<u64>),
    /// From a replica: answer this query from the state after the last slot that is executed and final, and say
    /// [`crate::Command::Answered`].
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
        /// The slot, executed here some time ago, and final.
        slot: Slot,
    },
    /// From a replica: the order up to this slot is stable: a quorum has executed it and agrees on the state. Have
    /// everything up to it on disk and say [`crate::Command::Stored`]. A stable slot is final: [`Event::Final`] came
    /// before, for it or for a later one.
    Stable(Slot),
    /// From a client: an invocation or a query is done.
    Completed {
        /// The application's name for it.
        ticket: u64,
        /// The result that enough replicas gave.
        reply: Vec<u8>,
    },
}

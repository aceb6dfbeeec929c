use std::fmt;

use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, NodeSet, Slot};
use hedgerow_ordering::Batch;
use serde::Serialize;

use crate::{Shown, Vote};

/// What a checker sees of a run. Of nodes, only the correct ones are observed; their time is virtual time.
#[derive(Clone, Debug)]
pub enum Observation<'a> {
    /// A correct client was asked to have `operation` ordered. Operations of correct clients are all different.
    Invoked {
        /// The client.
        client: NodeId,
        /// Names the invocation, and is never used again by this client.
        ticket: u64,
        /// What to order.
        operation: &'a Bytes,
    },
    /// A correct client was asked a query: how many operations were executed so far.
    Asked {
        /// The client.
        client: NodeId,
        /// Names the query.
        ticket: u64,
        /// The query; all queries are different.
        query: &'a Bytes,
    },
    /// A correct client says that an invocation or query is done.
    Completed {
        /// The client.
        client: NodeId,
        /// Which one.
        ticket: u64,
        /// The result.
        reply: &'a [u8],
    },
    /// A correct client crashed: what it waited for may or may not have happened.
    Forgot {
        /// The client.
        client: NodeId,
    },
    /// A replica started; its application holds everything up to `executed`.
    Started {
        /// The replica.
        node: NodeId,
        /// The last slot that its application has.
        executed: Slot,
    },
    /// A replica's disk was emptied or replaced by an older copy.
    LostMemory {
        /// The replica.
        node: NodeId,
    },
    /// A replica gave its application a batch, which may be rolled back until it is decided.
    Speculated {
        /// The replica.
        node: NodeId,
        /// The batch.
        batch: &'a Batch,
    },
    /// A replica told its application to forget what comes after a slot.
    RolledBack {
        /// The replica.
        node: NodeId,
        /// The last slot that stays.
        slot: Slot,
    },
    /// A replica told its application that a batch is final: one for each slot, in their order, whatever number of slots
    /// it told of at once.
    Decided {
        /// The replica.
        node: NodeId,
        /// The batch.
        batch: &'a Batch,
    },
    /// A replica's application has executed a slot, and it is final.
    Executed {
        /// The replica.
        node: NodeId,
        /// The slot.
        slot: Slot,
        /// The state after it.
        state: Digest,
    },
    /// A replica let a vote go out on the wire.
    Voted {
        /// The replica.
        node: NodeId,
        /// The vote.
        vote: Vote,
    },
    /// A participant let something know of its histories: on the wire, or by a record for its own log.
    Showed {
        /// The participant.
        node: NodeId,
        /// What.
        shown: Shown,
    },
    /// A node has done a burst.
    Burst {
        /// The node.
        node: NodeId,
        /// How many inputs it took.
        inputs: usize,
        /// How many effects it wanted.
        effects: usize,
        /// How many effects wait for the disk.
        held: usize,
        /// How many records its log holds.
        log: usize,
        /// Batches given to the application that were not executed yet.
        backlog: usize,
        /// Whether it wants to be woken at once, for a deadline that has passed.
        overdue: bool,
    },
    /// A node sent or stored something.
    Active {
        /// The node.
        node: NodeId,
        /// What it did.
        what: &'static str,
    },
    /// From here on these replicas and all correct clients are up and connected by good links.
    Healed {
        /// The replicas.
        core: NodeSet,
    },
    /// Everything asked was answered a while ago, and no liar is left: nothing should happen any more.
    Quiet,
    /// A node of the healed core still wants to be woken although the network is quiet.
    Restless {
        /// The node.
        node: NodeId,
    },
    /// The end of the run.
    Ended {
        /// The replicas that were healed; empty when none were.
        core: NodeSet,
        /// When the oldest invocation or query of a correct client without an answer was made; none: all are answered.
        waiting_since: Option<u64>,
    },
}

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The checker's name.
    pub checker: String,
    /// Virtual milliseconds since the beginning of the run.
    pub at_ms: u64,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} ms: {}", self.checker, self.at_ms, self.what)
    }
}

/// A property of a run, checked as it happens. It shares no code with the protocols.
pub trait Checker: Send {
    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// Sees one thing happen at `at` (virtual nanoseconds).
    ///
    /// # Errors
    /// What is wrong, when the property does not hold any more.
    fn observe(&mut self, at: u64, observation: &Observation<'_>) -> Result<(), String>;
}

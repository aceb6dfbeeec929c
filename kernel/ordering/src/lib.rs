//! What an ordering protocol and its application say to each other.
//!
//! Every protocol that orders requests has the same [`Command`]s and [`Event`]s, so that the node, the benchmark and
//! the simulator know none of them by name. An application is a deterministic state machine over batches; a client
//! is whoever invokes operations, in production a gateway.
#![no_std]

extern crate alloc;

mod command;
mod event;
mod snapshot;

pub use command::Command;
pub use event::{Batch, Event, Operation};
pub use snapshot::{Phase, Snapshot};

use hedgerow_machine::Protocol;

/// How many bytes an operation may have: a gateway's bundle of transactions.
pub const MAX_OPERATION: usize = 2 << 20;
/// How many bytes a reply may have.
pub const MAX_REPLY: usize = 2 << 20;
/// How many operations a batch may have.
pub const MAX_BATCH: usize = 4096;
/// How many bytes of operations a batch may have, unless it is a single operation.
pub const MAX_BATCH_BYTES: usize = 1 << 20;

/// The reply to what was ordered after the end of its epoch, and not executed (see [`Command::EndEpoch`]). No application
/// replies this to what it did execute.
pub const VOID: &[u8] = b"void: ordered after the end of its epoch";

/// A protocol that orders requests.
pub trait Ordering: Protocol<Command = Command, Event = Event, Snapshot = Snapshot> {}

impl<P: Protocol<Command = Command, Event = Event, Snapshot = Snapshot>> Ordering for P {}

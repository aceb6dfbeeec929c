//! Identifiers, time, rosters and quorum arithmetic, bounded containers.
//!
//! The vocabulary that every layer shares. Pure: no clock, thread, socket, file or randomness.
#![no_std]

extern crate alloc;

mod digest;
mod ids;
mod node_set;
mod queue;
mod roster;
mod time;

pub use digest::{Digest, ParseDigestError};
pub use ids::{Height, Lsn, NodeId, Slot, View};
pub use node_set::NodeSet;
pub use queue::{BoundedQueue, Full};
pub use roster::{Roster, RosterError};
pub use time::Time;

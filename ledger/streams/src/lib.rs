//! Streams of readings: exactly once, append only; and the votes that decide which protocol orders and who may do what.
//!
//! [`Streams::execute`] is what a block's transactions do: registrations make devices known, records append readings,
//! votes are counted until a quorum begins the order's next [`Epoch`], or decides on somebody's roles. It is a pure function of the state before and the block: every validator gives the same receipts, writes and roots.
//!
//! A reading is in its stream once, whatever the order in which numbers come and however often: the stream remembers
//! its numbers as intervals, at most [`MAX_GAPS`] + 1 of them. A number that is there already with the same content is
//! a duplicate; with another content it rejects its whole record.
//!
//! What is in the account trie, and where, is in [`hedgerow_proofs::layout`]. Beside it, in tables:
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `devices` | device | [`Device`] |
//! | `device_names` | name | device |
//! | `streams` | stream | [`Stream`] |
//! | `stream_names` | device's name, 0, stream's name | stream |
//! | `runs` | stream, last sequence number | readings of one block with consecutive numbers |
//! | `nodes` | stream, last position | nodes of the stream's mountain range that one block made |
//! | `roles` | subject | its roles, where it has any |
//!
//! Runs and nodes are grouped so that a busy block costs a few entries for each stream, not for each reading; they are
//! keyed by their last item, so that the first key at or after an item finds its group.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod admission;
mod block;
mod epochs;
mod motions;
mod nodes;
mod read;
mod run;
mod sequences;
mod stream;
mod tables;

pub use block::{BlockContext, Done, Network, Streams};
pub use epochs::{Epoch, MAX_OPEN_VOTES, Proposal, epoch, newest_epoch, proposals};
pub use motions::{
    OpenMotion, RoleChanges, motions, roles_of, set_roles, standing, standing_of_word, subjects,
};
pub use nodes::StreamNodes;
pub use read::{
    Recorded, device, device_named, devices, range, reading, stream, stream_named, streams,
};
pub use sequences::{MAX_GAPS, Sequences};
pub use stream::{Counters, Device, Stream};
pub use tables::TABLES;

//! Append-only Merkle mountain ranges: inclusion and consistency.
//!
//! A range over n leaves is a row of perfect binary trees, the *mountains*, one for each bit of n that is set, the
//! greatest first. Appending a leaf merges the mountains of equal size at the end, as adding one to n carries bits.
//!
//! ```text
//! level 2          ┌── 6 ──┐
//! level 1        ┌ 2 ┐   ┌ 5 ┐   ┌ 9 ┐
//! level 0        0   1   3   4   7   8   10        7 leaves: mountains 6, 9, 10
//! ```
//!
//! The numbers are the nodes' [positions](NodeAddress::position): the order in which they come into being. A node never
//! changes, so whoever keeps the nodes writes each one once, and they prove things about every earlier length too.
//!
//! All hashes are keccak256, which contracts have cheaply, over a first byte that says what is hashed:
//!
//! - a leaf: `00 ++ content`
//! - an inner node: `01 ++ left ++ right`
//! - the root: `02 ++ number of leaves (8 bytes, big-endian) ++ the mountains' tops, greatest first`
//!
//! The root commits to the number of leaves, so a proof's shape follows from the root, not from the prover.
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc;

mod address;
mod consistency;
mod hashes;
mod inclusion;
mod range;

pub use address::{NodeAddress, node_count, peak_addresses};
pub use consistency::Consistency;
pub use hashes::{leaf_hash, node_hash, root_hash};
pub use inclusion::{Inclusion, MAX_PATH};
pub use range::{BadPeaks, MAX_PEAKS, Nodes, ProveError, Range};

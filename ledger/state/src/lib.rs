//! Ethereum's account trie, updated incrementally.
//!
//! The secure Merkle Patricia trie of the Yellow Paper (appendix D): keys are keccak256 of addresses and of storage
//! slots, so that the root, and proofs in the form of `eth_getProof`, are what Ethereum's tools expect.
//!
//! The whole trie is in memory and *persistent*: nodes are shared between versions, an update copies only the path that
//! it changes, and only changed nodes are hashed again. So a copy of a [`State`] costs nothing, keeping an old version
//! to prove things about it costs what has changed since, and rolling back is forgetting. The store has the leaves
//! alone; the inner nodes are built again when it is opened.
#![no_std]

extern crate alloc;

mod account;
mod node;
mod overlay;
mod rlp;
mod state;
mod trie;

pub use account::{Account, EMPTY_CODE_HASH};
pub use overlay::{View, Writes};
pub use state::{AccountProof, Checkpoint, LoadError, STORAGE, State, StorageProof, TABLES};
pub use trie::{EMPTY_ROOT, Key, Trie, Value};

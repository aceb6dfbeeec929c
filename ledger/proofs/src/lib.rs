//! Proofs of readings, checked with no network and no trust in the prover.
//!
//! A [`Certificate`] is a block's header with the signatures of f + 1 validators, of which one at least is correct: what
//! the header commits to is final. A [`Proof`] leads from a reading to such a header:
//!
//! ```text
//! f + 1 signatures → header → state root → account of the streams → its storage ┬→ the device of that name
//!                                                                               └→ the stream's root → the reading
//! ```
//!
//! Both are checked against a [`TrustRoot`], which whoever knows the network's genesis can compute.
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

mod attestation;
mod header;
pub mod layout;
mod proof;
mod trie;
mod trust;
mod verify;

pub use attestation::{ATTESTATION_DOMAIN, Attestation, Certificate, CertificateError};
pub use header::{BadHeader, EXTRA_VERSION, Header, MAX_HEADER};
pub use proof::{Leaf, MAX_PROOF, MAX_TRIE_DEPTH, PROOF_MAGIC, Proof, TrieNode};
pub use trie::trie_value;
pub use trust::{MAX_VALIDATORS, TrustRoot};
pub use verify::{ProofError, VerifiedReading};

//! Proofs of readings, checked with no network and no trust in the prover.
//!
//! A [`Certificate`] is a block's header with the signatures of f + 1 validators, of which one at least is correct: what
//! the header commits to is final. A [`Proof`] leads from a reading to such a header. Both are checked against a
//! [`TrustRoot`], which whoever knows the network's genesis can compute.
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
mod proof;
mod trust;

pub use attestation::{ATTESTATION_DOMAIN, Attestation, Certificate, MAX_HEADER};
pub use proof::{Leaf, MAX_PROOF, PROOF_MAGIC, Proof, TrieNode};
pub use trust::{MAX_VALIDATORS, TrustRoot};

//! The proof verifier for microcontrollers.
//!
//! Needs `alloc` and nothing else: no clock, no network, no file, no `std`. A device keeps its network's
//! [`TrustRoot`], which `hedgerow` writes from the genesis, and checks the files that `hedgerow prove` writes:
//!
//! ```
//! use hedgerow_verifier::{Verifier, VerifierError};
//!
//! fn check(trust_root: &[u8], proof: &[u8]) -> Result<(), VerifierError> {
//!     let verifier = Verifier::new(trust_root)?;
//!     let proved = verifier.verify(proof)?;
//!     // proved.reading.payload is what the device proved.device said at proved.reading.time.
//!     Ok(())
//! }
//! # assert!(check(&[], &[]).is_err());
//! ```
//!
//! There is no C interface yet: it would need `unsafe` code for the caller's pointers, which this workspace forbids.
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

mod verifier;

pub use hedgerow_proofs::{ProofError, TrustRoot, VerifiedReading};
pub use verifier::{MAX_TRUST_ROOT, Verifier, VerifierError};

//! Signatures, MAC authenticators, checks as data, batch verification.
//!
//! The primitives are other people's (BLAKE3, Ed25519 by `ed25519-zebra`, X25519 by `x25519-dalek`); this crate gives
//! them the shapes that the protocols use. Deterministic: no randomness is drawn here; keys are made from seeds that
//! the caller draws.
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

mod batch;
mod checks;
mod count;
mod hash;
mod keyring;
mod mac;
mod sealed;
mod signature;

pub use batch::{SignatureCheck, verify_each};
pub use checks::Checks;
pub use count::MacCount;
pub use hash::{Hasher, hash, hash_parts};
pub use keyring::{Keyring, MacSecret, MemberKeys, RosterMismatch};
pub use mac::{Authenticator, MacKey, Tag};
pub use sealed::{Claimed, Domain, Seal, SealError, Sealed, Sealing};
pub use signature::{InvalidKey, Signature, SigningKey, VerifyingKey};

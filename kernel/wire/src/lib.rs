//! Canonical encoding with limits.
//!
//! Everything that members say to each other, sign or store is [Borsh](https://borsh.io): one encoding for one
//! value, so that a digest of the bytes is a digest of the value. Borsh has no bound of its own, so every
//! variable-length field uses a type of this crate that has one, and [`decode`] takes the whole input or nothing.
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

mod bounded;
mod codec;

pub use borsh::{BorshDeserialize, BorshSerialize};
pub use bounded::{Blob, List, Text, TooLong};
pub use codec::{DecodeError, decode, encode, encode_into};

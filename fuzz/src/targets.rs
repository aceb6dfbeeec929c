//! One target per file: `run` takes hostile bytes, `seeds` gives inputs that get far.

use hedgerow_wire::{BorshDeserialize, BorshSerialize, decode, encode};

pub(crate) mod abstract_frames;
pub(crate) mod abstract_log;
pub(crate) mod abstract_replica;
pub(crate) mod broker;
pub(crate) mod config;
pub(crate) mod contracts;
pub(crate) mod csv;
pub(crate) mod epochs;
pub(crate) mod execute;
pub(crate) mod genesis;
pub(crate) mod http;
pub(crate) mod journal;
pub(crate) mod log;
pub(crate) mod merkle;
pub(crate) mod mqtt;
pub(crate) mod ordering;
pub(crate) mod proof;
pub(crate) mod query;
pub(crate) mod records;
pub(crate) mod replica;
pub(crate) mod sealed;
pub(crate) mod wire;

/// The value that `bytes` encode, if they do; it has no other encoding.
fn canonical<T: BorshSerialize + BorshDeserialize>(bytes: &[u8]) -> Option<T> {
    let value = decode::<T>(bytes, 1 << 22).ok()?;
    assert_eq!(encode(&value), bytes, "a second encoding was accepted");
    Some(value)
}

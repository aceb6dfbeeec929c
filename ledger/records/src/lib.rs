//! Signed device records: encoding, limits, verification.
//!
//! What devices and members say to the ledger, and what it answers. A device signs a [`Record`] (readings for one of
//! its streams); a member signs a [`Registration`] of a device; a validator signs a [`Vote`] for another ordering
//! protocol, or a [`RoleVote`] on who may do what; each is a [`Transaction`]; a gateway bundles transactions into a [`Bundle`], the request of the ordering
//! protocol; for each transaction the ledger gives a [`Receipt`].
//!
//! Everything is [Borsh](https://borsh.io): little-endian integers of fixed width, `u32` counts before texts, byte
//! strings and lists, one byte before the fields of an `enum`'s variant.
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

mod device;
mod name;
mod receipt;
mod record;
mod registration;
mod role_vote;
mod roles;
mod transaction;
mod verify;
mod vote;

pub use device::{
    Algorithm, BadPublicKey, DeviceId, DevicePublicKey, ParseDeviceIdError, StreamId,
};
pub use name::{BadName, Name, StreamName};
pub use receipt::{MAX_REASON, Receipt, Receipts, Rejection};
pub use record::{
    ContentType, MAX_PAYLOAD, MAX_READINGS, Payload, RECORD_DOMAIN, Reading, Record, SignedRecord,
};
pub use registration::{Description, REGISTRATION_DOMAIN, Registration, SignedRegistration};
pub use role_vote::{Motion, ROLE_VOTE_DOMAIN, RoleVote, SignedRoleVote};
pub use roles::{BadRoles, BadSubject, Roles, Subject};
pub use transaction::{Bundle, MAX_BUNDLE, MAX_TRANSACTION, MAX_TRANSACTIONS, Transaction};
pub use vote::{BadProtocolName, ProtocolName, SignedVote, VOTE_DOMAIN, Vote, proposal_id};

/// The version of [`Record`], [`Registration`], [`Vote`] and [`RoleVote`] that this crate writes and reads.
pub const VERSION: u8 = 1;

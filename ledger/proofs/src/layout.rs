//! Where the account of the streams keeps what: as Solidity would lay out
//!
//! ```solidity
//! contract Streams {
//!     struct Stream { uint64 length; uint64 newest; bytes32 root; bytes32 sequences; address owner; }
//!     struct Device { bytes32 registration; uint64 height; }
//!     struct Subscription { address subscriber; uint32 gasPerRecord; uint64 gasLeft; }
//!     mapping(bytes32 streamId => Stream) streams;      // slot 0
//!     mapping(address device => Device) devices;        // slot 1
//!     mapping(bytes32 nameHash => address) names;       // slot 2; nameHash = keccak256(name)
//!     uint64 deviceCount; uint64 streamCount; uint64 readingCount;   // slot 3, packed from the right
//!     mapping(bytes32 streamId => Subscription[]) subscriptions;     // slot 4
//! }
//! ```
//!
//! - `length` is the number of readings, and `newest` the greatest sequence number;
//! - `root` is the root of the stream's Merkle mountain range over the encodings of [`Leaf`](crate::Leaf)s;
//! - `sequences` is keccak256 over the intervals of sequence numbers that the stream has, in ascending order, first and
//!   last of each, 8 bytes each, big-endian;
//! - `registration` is keccak256 of the encoding of the device's [`Registration`](hedgerow_records::Registration).
//!
//! And where the account of the order, which the first vote makes, keeps what:
//!
//! ```solidity
//! contract Order {
//!     struct Epoch { bytes32 protocol; uint64 base; uint64 height; uint64 time; }   // the second slot packed from the right
//!     struct Proposal { bytes32 protocol; uint128 voters; }
//!     Epoch[] epochs;         // slot 0; those after the genesis' one: epochs[i] has the number i + 1
//!     Proposal[] proposals;   // slot 1; those of the newest epoch
//! }
//! ```
//!
//! - `protocol` is the name's bytes, then zeros;
//! - `base` is the slot in which the epoch was decided, `height` and `time` (milliseconds) are those of its block;
//! - `voters` has a bit for each validator, the lowest for validator 0.

//!
//! And where the account of the roles keeps what:
//!
//! ```solidity
//! contract Roles {
//!     struct Subject { uint16 roles; uint64 round; }
//!     struct Motion { address subject; uint16 roles; uint128 voters; }   // in two slots
//!     mapping(address => Subject) subjects;   // slot 0; the zero address is everyone
//!     Motion[] motions;                       // slot 1; those that are open
//! }
//! ```
//!
//! - `round` counts the motions about the subject that have been decided; an open one is of the present round.

use alloy_primitives::{Address, U256, address, keccak256};
use hedgerow_records::{DeviceId, Name, StreamId, Subject};

/// The account of the streams ("HG").
pub const STREAMS_ADDRESS: Address = address!("0000000000000000000000000000000000004847");

/// The account of the order ("HO").
pub const ORDER_ADDRESS: Address = address!("000000000000000000000000000000000000484F");

/// The account of the roles ("HR").
pub const ROLES_ADDRESS: Address = address!("0000000000000000000000000000000000004852");

/// The slot with the number of open motions.
pub const MOTIONS_SLOT: U256 = U256::ONE;

/// The slot of a subject's roles and round: `round << 16 | roles`.
#[must_use]
pub fn subject_slot(subject: Subject) -> U256 {
    let word = Address::from(subject.0).into_word();
    entry(word.0, 0)
}

/// The slot of the subject and the roles of the open motion at `index`; the next one has its voters.
#[must_use]
pub fn motion_slot(index: u64) -> U256 {
    element(MOTIONS_SLOT, index)
}

/// The slot with the number of epochs after the genesis' one: the number of the newest.
pub const EPOCHS_SLOT: U256 = U256::ZERO;

/// The slot with the number of open proposals.
pub const PROPOSALS_SLOT: U256 = U256::ONE;

/// The slot of the counters.
pub const COUNTERS_SLOT: U256 = U256::from_limbs([3, 0, 0, 0]);

/// The slot of `mapping[key]` for a mapping at slot number `mapping`.
fn entry(key: [u8; 32], mapping: u8) -> U256 {
    let mut bytes = [0; 64];
    let (first, last) = bytes.split_at_mut(32);
    first.copy_from_slice(&key);
    if let Some(byte) = last.last_mut() {
        *byte = mapping;
    }
    U256::from_be_bytes(keccak256(bytes).0)
}

/// An address as the word that Solidity makes of it.
#[must_use]
pub fn address_word(device: DeviceId) -> [u8; 32] {
    let mut word = [0; 32];
    word.split_at_mut(12).1.copy_from_slice(&device.0);
    word
}

/// The device whose address is that word.
#[must_use]
pub fn device_of_word(word: U256) -> DeviceId {
    DeviceId(Address::from_word(word.into()).0.0)
}

/// The slot of a stream's length and its greatest sequence number: `newest << 64 | length`.
#[must_use]
pub fn stream_slot(stream: StreamId) -> U256 {
    entry(stream.0.0, 0)
}

/// The slot of a stream's root.
#[must_use]
pub fn stream_root_slot(stream: StreamId) -> U256 {
    stream_slot(stream).wrapping_add(U256::from(1))
}

/// The slot of the hash of a stream's sequence numbers.
#[must_use]
pub fn stream_sequences_slot(stream: StreamId) -> U256 {
    stream_slot(stream).wrapping_add(U256::from(2))
}

/// The slot of a stream's owner.
#[must_use]
pub fn stream_owner_slot(stream: StreamId) -> U256 {
    stream_slot(stream).wrapping_add(U256::from(3))
}

/// The slot with the number of a stream's subscriptions.
#[must_use]
pub fn subscriptions_slot(stream: StreamId) -> U256 {
    entry(stream.0.0, 4)
}

/// The slot of the subscription at `index` of those whose number is in the slot `subscriptions`.
#[must_use]
pub fn subscription_slot(subscriptions: U256, index: u64) -> U256 {
    elements(subscriptions).wrapping_add(U256::from(index))
}

/// The slot of the hash of a device's registration; the next one has the height of its block.
#[must_use]
pub fn device_slot(device: DeviceId) -> U256 {
    entry(address_word(device), 1)
}

/// The slot of the device with that name.
#[must_use]
pub fn name_slot(name: &Name) -> U256 {
    entry(keccak256(name.as_bytes()).0, 2)
}

/// Where the elements of the array at slot `array` begin.
fn elements(array: U256) -> U256 {
    U256::from_be_bytes(keccak256(array.to_be_bytes::<32>()).0)
}

/// The first of the two slots of the element at `index` of the array at slot `array`.
fn element(array: U256, index: u64) -> U256 {
    elements(array).wrapping_add(U256::from(index) << 1)
}

/// The slot of the protocol of the epoch with that number, from 1 on; the next one has the rest of it.
#[must_use]
pub fn epoch_slot(number: u64) -> U256 {
    element(EPOCHS_SLOT, number.saturating_sub(1))
}

/// The slot of the protocol of the open proposal at `index`; the next one has its voters.
#[must_use]
pub fn proposal_slot(index: u64) -> U256 {
    element(PROPOSALS_SLOT, index)
}

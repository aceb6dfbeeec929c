use alloc::vec::Vec;

use alloy_primitives::keccak256;
use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::Digest;
use hedgerow_wire::{Blob, DecodeError, List, Text, decode, encode};

use crate::{Algorithm, DeviceId, MAX_TRANSACTION, Name, StreamId};

/// How many readings a record may have.
pub const MAX_READINGS: usize = 4096;

/// How many bytes a reading's payload may have: 64 KiB.
pub const MAX_PAYLOAD: usize = 1 << 16;

/// A media type (RFC 6838) such as `application/json`; at most 64 bytes.
pub type ContentType = Text<64>;

/// What a reading says, opaque to the ledger; at most 64 KiB.
pub type Payload = Blob<MAX_PAYLOAD>;

/// What a record's signature covers comes after these bytes, so that it can't be taken for anything else's.
pub const RECORD_DOMAIN: &[u8] = b"hedgerow/record/1\0";

/// One thing that a device observed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Reading {
    /// Its number within the stream, given by the device; each number is used once. They may come in any order.
    pub sequence: u64,
    /// When the device observed it: milliseconds since the Unix epoch on the device's clock.
    pub time: u64,
    /// How the payload is to be read.
    pub content_type: ContentType,
    /// The observation.
    pub payload: Payload,
}

/// What a device signs: readings for one of its streams. All of them become part of the ledger, or none.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Record {
    /// [`VERSION`](crate::VERSION).
    pub version: u8,
    /// The network it is for: the number in the genesis, so that it can't be replayed on another one.
    pub network: u64,
    /// The device that speaks.
    pub device: DeviceId,
    /// The name of the stream within the device. A stream begins with its first record.
    pub stream: Name,
    /// The readings.
    pub readings: List<Reading, MAX_READINGS>,
}

impl Record {
    /// The stream that the readings are for.
    #[must_use]
    pub fn stream_id(&self) -> StreamId {
        StreamId::new(self.device, &self.stream)
    }
}

/// A record as its device sends it. At most 1 MiB when encoded.
///
/// The signature covers [`RECORD_DOMAIN`] ++ body: with Ed25519 that message itself (ZIP 215); with ECDSA the SHA-256
/// of it, and the signature is r ++ s, 32 bytes each, big-endian, with any s.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedRecord {
    /// The encoding of a [`Record`].
    pub body: Blob<MAX_TRANSACTION>,
    /// How it is signed.
    pub algorithm: Algorithm,
    /// The signature.
    pub signature: [u8; 64],
}

impl SignedRecord {
    /// The message that the signature covers.
    #[must_use]
    pub fn message(body: &[u8]) -> Vec<u8> {
        [RECORD_DOMAIN, body].concat()
    }

    /// The record that `bytes`, all of them, encode; the signature is not verified.
    ///
    /// # Errors
    /// When there are more than 1 MiB, or when they are not such an encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, MAX_TRANSACTION)
    }

    /// What the body says.
    ///
    /// # Errors
    /// When it is not the encoding of a record.
    pub fn record(&self) -> Result<Record, DecodeError> {
        decode(&self.body, MAX_TRANSACTION)
    }

    /// Names these bytes: keccak256 of the encoding.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(keccak256(encode(self)).0)
    }
}

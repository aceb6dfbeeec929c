use alloc::vec::Vec;

use hedgerow_records::{
    ContentType, DeviceId, MAX_READINGS, MAX_TRANSACTION, Name, Payload, Reading, Record,
    SignedRecord, VERSION,
};
use hedgerow_wire::{Blob, List, TooLong, encode};

use crate::DeviceKey;

/// Why a record can't be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// A content type, a payload or the record is too large.
    #[error("too large: {0}")]
    TooLong(#[from] TooLong),
    /// The key is another device's.
    #[error("the record is of device {record}, the key of device {key}")]
    WrongKey {
        /// The device that the record names.
        record: DeviceId,
        /// The device whose key it is.
        key: DeviceId,
    },
}

/// A reading.
///
/// # Errors
/// When the content type has more than 64 bytes, or the payload more than 64 KiB.
pub fn reading(
    sequence: u64,
    time: u64,
    content_type: &str,
    payload: &[u8],
) -> Result<Reading, SignError> {
    let content_type = ContentType::new(content_type)?;
    Ok(Reading {
        sequence,
        time,
        content_type,
        payload: Payload::new(payload.to_vec())?,
    })
}

/// What a signed record has beside its readings, at most.
const OVERHEAD: usize = 256;

/// Collects readings into a record of bounded size.
#[derive(Clone, Debug)]
pub struct RecordBuilder {
    network: u64,
    device: DeviceId,
    stream: Name,
    readings: Vec<Reading>,
    bytes: usize,
}

impl RecordBuilder {
    /// A record for a stream of `device` on the network with that number.
    #[must_use]
    pub const fn new(network: u64, device: DeviceId, stream: Name) -> Self {
        Self {
            network,
            device,
            stream,
            readings: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds a reading.
    ///
    /// # Errors
    /// When the record would be too large: sign it, and begin another.
    pub fn push(&mut self, reading: Reading) -> Result<(), TooLong> {
        let bytes = self.bytes + 24 + reading.content_type.len() + reading.payload.len();
        if bytes > MAX_TRANSACTION - OVERHEAD {
            return Err(TooLong {
                length: bytes + OVERHEAD,
                max: MAX_TRANSACTION,
            });
        }
        if self.readings.len() == MAX_READINGS {
            return Err(TooLong {
                length: MAX_READINGS + 1,
                max: MAX_READINGS,
            });
        }
        self.bytes = bytes;
        self.readings.push(reading);
        Ok(())
    }

    /// How many readings it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.readings.len()
    }

    /// Whether it has no reading.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }

    /// The encoding of the signed record: what the device sends.
    ///
    /// # Errors
    /// When the key is another device's.
    pub fn sign(self, key: &DeviceKey) -> Result<Vec<u8>, SignError> {
        if key.device_id() != self.device {
            return Err(SignError::WrongKey {
                record: self.device,
                key: key.device_id(),
            });
        }
        let Self {
            network,
            device,
            stream,
            readings,
            ..
        } = self;
        let record = Record {
            version: VERSION,
            network,
            device,
            stream,
            readings: List::new(readings)?,
        };
        let body = encode(&record);
        let signature = key.sign(&SignedRecord::message(&body));
        Ok(encode(&SignedRecord {
            body: Blob::new(body)?,
            algorithm: key.algorithm(),
            signature,
        }))
    }
}

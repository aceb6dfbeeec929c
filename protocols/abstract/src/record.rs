use alloc::{boxed::Box, string::ToString, sync::Arc, vec::Vec};

use borsh::BorshDeserialize;
use bytes::Bytes;
use hedgerow_base::{Lsn, Slot};
use hedgerow_ordering::Batch;
use hedgerow_wire::{DecodeError, encode_into};

use crate::{
    codec::{put_batch, put_init, read_batch, read_init},
    composition::Instance,
    history::Point,
    messages::Init,
};

/// What a replica writes into its log before it says what depends on it.
#[derive(Clone, Debug)]
pub enum Record {
    /// It logged a batch, which the instance in which it is gave a place.
    Logged(Batch),
    /// It stopped this instance: nothing is logged in it any more.
    Stopped(Instance),
    /// It is in an instance, which began with this proof. Its history is the init history when `adopted`; in a Backup
    /// that comes later, in its order.
    Entered {
        /// The proof.
        init: Arc<Init>,
        /// Whether the history before this record is the init history.
        adopted: bool,
    },
    /// The present instance is a Backup, and its init history ends here. What is logged after it follows from the records
    /// of the protocol inside.
    Begun(Slot),
    /// What it had logged after this slot is void.
    Truncated(Slot),
    /// A checkpoint is stable.
    Stable {
        /// Where.
        at: Point,
        /// The client table there, encoded.
        clients: Bytes,
    },
    /// A record of the protocol inside a Backup.
    Backup {
        /// The Backup.
        instance: Instance,
        /// The record's position in the inner log.
        lsn: Lsn,
        /// The record.
        record: Box<hedgerow_pbft::Record>,
    },
    /// It started, and takes no part in instances up to one.
    Silent {
        /// That one.
        below: Instance,
        /// Up to this one it does not even know its history.
        mute: Instance,
    },
}

impl Record {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        match self {
            Self::Logged(batch) => {
                bytes.push(0);
                put_batch(batch, &mut bytes);
            }
            Self::Stopped(instance) => encode_into(&(1_u8, instance), &mut bytes),
            Self::Entered { init, adopted } => {
                encode_into(&(2_u8, adopted), &mut bytes);
                put_init(init, &mut bytes);
            }
            Self::Truncated(slot) => encode_into(&(3_u8, slot), &mut bytes),
            Self::Stable { at, clients } => encode_into(&(4_u8, at, clients), &mut bytes),
            Self::Backup {
                instance,
                lsn,
                record,
            } => {
                encode_into(&(5_u8, instance, lsn), &mut bytes);
                bytes.extend_from_slice(&record.encode());
            }
            Self::Silent { below, mute } => encode_into(&(6_u8, below, mute), &mut bytes),
            Self::Begun(slot) => encode_into(&(7_u8, slot), &mut bytes),
        }
        bytes.into()
    }

    /// The record that `bytes` encode.
    ///
    /// # Errors
    /// When they are not exactly one record.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut left = bytes;
        let malformed = |error: borsh::io::Error| DecodeError::Malformed(error.to_string());
        if let Some((5, rest)) = left.split_first() {
            let mut rest = rest;
            let (instance, lsn) =
                BorshDeserialize::deserialize_reader(&mut rest).map_err(malformed)?;
            return Ok(Self::Backup {
                instance,
                lsn,
                record: Box::new(hedgerow_pbft::Record::decode(rest)?),
            });
        }
        let record = Self::read(&mut left).map_err(malformed)?;
        if left.is_empty() {
            Ok(record)
        } else {
            Err(DecodeError::Malformed("trailing bytes".to_string()))
        }
    }

    fn read(left: &mut &[u8]) -> borsh::io::Result<Self> {
        Ok(match u8::deserialize_reader(left)? {
            0 => Self::Logged(read_batch(left)?),
            1 => Self::Stopped(Instance::deserialize_reader(left)?),
            2 => Self::Entered {
                adopted: bool::deserialize_reader(left)?,
                init: Arc::new(read_init(left)?),
            },
            3 => Self::Truncated(Slot::deserialize_reader(left)?),
            4 => Self::Stable {
                at: Point::deserialize_reader(left)?,
                clients: Bytes::deserialize_reader(left)?,
            },
            6 => Self::Silent {
                below: Instance::deserialize_reader(left)?,
                mute: Instance::deserialize_reader(left)?,
            },
            7 => Self::Begun(Slot::deserialize_reader(left)?),
            _ => {
                return Err(borsh::io::Error::new(
                    borsh::io::ErrorKind::InvalidData,
                    "no such record",
                ));
            }
        })
    }
}

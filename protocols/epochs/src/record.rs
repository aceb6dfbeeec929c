use alloc::{string::ToString, sync::Arc, vec::Vec};

use borsh::BorshDeserialize;
use bytes::Bytes;
use hedgerow_base::{NodeSet, Slot};
use hedgerow_crypto::Claimed;
use hedgerow_wire::{DecodeError, List, encode_into};

use crate::messages::{Epoch, Proof};

/// What a participant writes into its log.
#[derive(Clone, Debug)]
pub enum Record {
    /// It is in this epoch, which began where it stood. Written again when it alone would hold the log.
    Began(Arc<Proof>),
    /// It left an epoch, and the application has everything up to a slot on disk.
    Left {
        /// The number of that epoch.
        epoch: u64,
        /// The slot.
        slot: Slot,
        /// The client table there, plain.
        clients: Bytes,
        /// Why: this one has begun.
        target: Arc<Proof>,
    },
    /// Its epoch is over, which it says to the others: what comes next, and the client table there, plain. The application has
    /// everything up to there on disk.
    Ended(Epoch, Bytes),
    /// A record of the protocol of an epoch.
    Inner(u64, InnerRecord),
    /// A client's: it uses no number above this one. The only record that a client writes.
    Reserved(u64),
}

/// A record of one of the protocols.
#[derive(Clone, Debug)]
pub enum InnerRecord {
    /// Of PBFT.
    Pbft(hedgerow_pbft::Record),
    /// Of a composition.
    Abstract(hedgerow_abstract::Record),
}

impl Record {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        match self {
            Self::Began(proof) => encode_into(&(0_u8, &proof.0), &mut bytes),
            Self::Left {
                epoch,
                slot,
                clients,
                target,
            } => encode_into(&(1_u8, epoch, slot, clients, &target.0), &mut bytes),
            Self::Ended(next, clients) => encode_into(&(4_u8, next, clients), &mut bytes),
            Self::Reserved(number) => encode_into(&(5_u8, number), &mut bytes),
            Self::Inner(epoch, InnerRecord::Pbft(record)) => {
                encode_into(&(2_u8, epoch), &mut bytes);
                bytes.extend_from_slice(&record.encode());
            }
            Self::Inner(epoch, InnerRecord::Abstract(record)) => {
                encode_into(&(3_u8, epoch), &mut bytes);
                bytes.extend_from_slice(&record.encode());
            }
        }
        bytes.into()
    }

    /// The record that `bytes` encode.
    ///
    /// # Errors
    /// When they are not exactly one record.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut left = bytes;
        let tag = u8::deserialize_reader(&mut left).map_err(malformed)?;
        let mut rest = left;
        let number = |rest: &mut &[u8]| u64::deserialize_reader(rest).map_err(malformed);
        let record = match tag {
            2 => {
                let epoch = number(&mut rest)?;
                let record = hedgerow_pbft::Record::decode(rest)?;
                return Ok(Self::Inner(epoch, InnerRecord::Pbft(record)));
            }
            3 => {
                let epoch = number(&mut rest)?;
                let record = hedgerow_abstract::Record::decode(rest)?;
                return Ok(Self::Inner(epoch, InnerRecord::Abstract(record)));
            }
            0 => Self::Began(proof(&mut rest)?),
            1 => {
                let (epoch, slot, clients) =
                    BorshDeserialize::deserialize_reader(&mut rest).map_err(malformed)?;
                Self::Left {
                    epoch,
                    slot,
                    clients,
                    target: proof(&mut rest)?,
                }
            }
            4 => {
                let (next, clients) =
                    BorshDeserialize::deserialize_reader(&mut rest).map_err(malformed)?;
                Self::Ended(next, clients)
            }
            5 => Self::Reserved(number(&mut rest)?),
            _ => return Err(DecodeError::Malformed("no such record".to_string())),
        };
        if rest.is_empty() {
            Ok(record)
        } else {
            Err(DecodeError::Malformed("trailing bytes".to_string()))
        }
    }
}

fn malformed(error: borsh::io::Error) -> DecodeError {
    DecodeError::Malformed(error.to_string())
}

fn proof(rest: &mut &[u8]) -> Result<Arc<Proof>, DecodeError> {
    let words = List::<Claimed<Epoch>, { NodeSet::CAPACITY as usize }>::deserialize_reader(rest);
    let words = words.map_err(malformed)?.into_vec().into_iter();
    let words: Vec<_> = words.map(Claimed::trusted).collect();
    if words.is_empty() {
        return Err(DecodeError::Malformed("a proof without words".to_string()));
    }
    Ok(Arc::new(Proof(words)))
}

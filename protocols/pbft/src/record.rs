use alloc::{string::ToString, sync::Arc, vec::Vec};

use borsh::BorshDeserialize;
use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeSet, Slot, View};
use hedgerow_crypto::{Claimed, Sealed};
use hedgerow_wire::{DecodeError, List, encode_into};

use crate::{
    codec::{put_body, put_new_view, read_body, read_new_view},
    messages::{Body, Checkpoint, NewViewProof, PrePrepare, Prepare, ViewChange},
};

/// What a replica writes into its log before it says what depends on it.
#[derive(Clone, Debug)]
pub enum Record {
    /// It pre-prepared a batch: as primary, as backup, or because a new view says so.
    Accepted {
        /// In this view.
        view: View,
        /// In this slot.
        slot: Slot,
        /// The batch's digest; [`crate::NULL`] for the null batch.
        digest: Digest,
        /// All slots up to this one are decided, as far as it knows.
        decided: Slot,
        /// The primary's word; absent where the new view said it.
        pre_prepare: Option<Sealed<PrePrepare>>,
        /// The batch; absent for the null batch, and where the log has it already.
        body: Option<Arc<Body>>,
    },
    /// It has a prepared certificate.
    Prepared {
        /// In this view.
        view: View,
        /// In this slot.
        slot: Slot,
        /// The batch's digest.
        digest: Digest,
        /// All slots up to this one are decided, as far as it knows.
        decided: Slot,
        /// The certificate.
        prepares: Vec<Sealed<Prepare>>,
    },
    /// It learnt from others what was decided in a slot.
    Decided {
        /// The slot.
        slot: Slot,
        /// The batch as executed, encoded.
        batch: Bytes,
        /// The digest of the batch as proposed, where f + 1 replicas said it.
        proposal: Option<Digest>,
    },
    /// It left its view.
    ViewChange(Sealed<ViewChange>),
    /// It saw the proof that a view has begun.
    NewView(Arc<NewViewProof>),
    /// A checkpoint is stable.
    Stable {
        /// Its slot.
        slot: Slot,
        /// The signatures.
        certificate: Vec<Sealed<Checkpoint>>,
        /// The client table at that slot, encoded.
        clients: Bytes,
        /// The application's state digest at that slot.
        state: Digest,
    },
    /// It found that it had said more than its log holds, or that its log is empty though others have a history.
    Rejoining {
        /// It does not vote on slots up to this one ...
        slot: Slot,
        /// ... in views up to this one.
        view: View,
        /// What it says from now on is at positions after this one.
        base: Lsn,
    },
    /// It takes full part again.
    Rejoined,
    /// It has executed a checkpoint's slot: all slots up to it are decided. It says so to the others, and they build on it.
    Reached(Slot),
}

impl Record {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        match self {
            Self::Accepted {
                view,
                slot,
                digest,
                decided,
                pre_prepare,
                body,
            } => {
                encode_into(&(0_u8, view, slot, digest, decided), &mut bytes);
                encode_into(pre_prepare, &mut bytes);
                encode_into(&body.is_some(), &mut bytes);
                if let Some(body) = body {
                    put_body(body, &mut bytes);
                }
            }
            Self::Prepared {
                view,
                slot,
                digest,
                decided,
                prepares,
            } => {
                encode_into(&(1_u8, view, slot, digest, decided), &mut bytes);
                encode_into(prepares, &mut bytes);
            }
            Self::Decided {
                slot,
                batch,
                proposal,
            } => encode_into(&(2_u8, slot, batch, proposal), &mut bytes),
            Self::ViewChange(vote) => {
                encode_into(&3_u8, &mut bytes);
                encode_into(vote, &mut bytes);
            }
            Self::NewView(proof) => {
                encode_into(&4_u8, &mut bytes);
                put_new_view(proof, &mut bytes);
            }
            Self::Stable {
                slot,
                certificate,
                clients,
                state,
            } => {
                encode_into(&(5_u8, slot, clients, state), &mut bytes);
                encode_into(certificate, &mut bytes);
            }
            Self::Rejoining { slot, view, base } => {
                encode_into(&(6_u8, slot, view, base), &mut bytes);
            }
            Self::Rejoined => encode_into(&7_u8, &mut bytes),
            Self::Reached(slot) => encode_into(&(8_u8, slot), &mut bytes),
        }
        bytes.into()
    }

    /// The record that `bytes` encode.
    ///
    /// # Errors
    /// When they are not exactly one record.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut left = bytes;
        let record =
            Self::read(&mut left).map_err(|error| DecodeError::Malformed(error.to_string()))?;
        if left.is_empty() {
            Ok(record)
        } else {
            Err(DecodeError::Malformed("trailing bytes".to_string()))
        }
    }

    fn read(left: &mut &[u8]) -> borsh::io::Result<Self> {
        Ok(match u8::deserialize_reader(left)? {
            0 => {
                let (view, slot, digest, decided) = BorshDeserialize::deserialize_reader(left)?;
                Self::Accepted {
                    view,
                    slot,
                    digest,
                    decided,
                    pre_prepare: Option::<Claimed<PrePrepare>>::deserialize_reader(left)?
                        .map(Claimed::trusted),
                    body: if bool::deserialize_reader(left)? {
                        Some(Arc::new(read_body(left)?))
                    } else {
                        None
                    },
                }
            }
            1 => {
                let (view, slot, digest, decided) = BorshDeserialize::deserialize_reader(left)?;
                Self::Prepared {
                    view,
                    slot,
                    digest,
                    decided,
                    prepares: all(left)?,
                }
            }
            2 => {
                let (slot, batch, proposal) = BorshDeserialize::deserialize_reader(left)?;
                Self::Decided {
                    slot,
                    batch,
                    proposal,
                }
            }
            3 => Self::ViewChange(Claimed::deserialize_reader(left)?.trusted()),
            4 => Self::NewView(Arc::new(read_new_view(left)?)),
            5 => {
                let (slot, clients, state) = BorshDeserialize::deserialize_reader(left)?;
                Self::Stable {
                    slot,
                    clients,
                    state,
                    certificate: all(left)?,
                }
            }
            6 => {
                let (slot, view, base) = BorshDeserialize::deserialize_reader(left)?;
                Self::Rejoining { slot, view, base }
            }
            7 => Self::Rejoined,
            8 => Self::Reached(Slot::deserialize_reader(left)?),
            _ => {
                return Err(borsh::io::Error::new(
                    borsh::io::ErrorKind::InvalidData,
                    "no such record",
                ));
            }
        })
    }
}

fn all<T>(left: &mut &[u8]) -> borsh::io::Result<Vec<Sealed<T>>>
where
    Claimed<T>: BorshDeserialize,
{
    let list = List::<Claimed<T>, { NodeSet::CAPACITY as usize }>::deserialize_reader(left)?;
    Ok(list.into_vec().into_iter().map(Claimed::trusted).collect())
}

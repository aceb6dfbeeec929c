//! What comes in from devices and tools: looked at, stored durably, then answered.

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn};
use hedgerow_records::{
    DeviceId, MAX_TRANSACTION, Roles, SignedRecord, Subject, Transaction, VERSION,
};
use tokio::sync::oneshot;

use crate::{
    outcome::Outcomes,
    spool::{Spool, SpoolError},
};

/// Why something was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// Not the encoding of a record, or of a transaction.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Larger than any transaction.
    #[error("{length} bytes: at most {max} are allowed")]
    TooLarge {
        /// How many bytes came.
        length: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A record without a reading.
    #[error("the record has no reading")]
    Empty,
    /// A version of the record's encoding that is not known here.
    #[error("record version {found} is not known here: use version {known}")]
    UnknownVersion {
        /// The version in the record.
        found: u8,
        /// The version that is known.
        known: u8,
    },
    /// It is for another network.
    #[error("the record is for network {found}, this is network {expected}")]
    WrongNetwork {
        /// The network in the record.
        found: u64,
        /// This network.
        expected: u64,
    },
    /// The topic names one device and the record another.
    #[error("the topic names device {topic}, the record is of device {record}")]
    OtherDevice {
        /// The device in the topic.
        topic: DeviceId,
        /// The device in the record.
        record: DeviceId,
    },
    /// One of Ethereum's transactions that can't be executed here.
    #[error(transparent)]
    NotExecutable(#[from] hedgerow_evm::Refusal),
    /// The store does not take it.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// A transaction that passed the first look.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Its name: keccak256 of its bytes.
    pub id: Digest,
    /// The device that speaks, when it is a record.
    pub device: Option<DeviceId>,
    /// Who sends it and the roles that it needs, when it is one of Ethereum's.
    pub needs: Option<(Subject, Roles)>,
    /// Its bytes.
    pub transaction: Bytes,
}

/// The door: what it lets in is durable, and will be forwarded.
#[derive(Clone)]
pub struct Door {
    pub(crate) spool: Spool,
    pub(crate) outcomes: Arc<Outcomes>,
    network: u64,
}

impl Door {
    pub(crate) const fn new(spool: Spool, outcomes: Arc<Outcomes>, network: u64) -> Self {
        Self {
            spool,
            outcomes,
            network,
        }
    }

    /// Looks at a signed record: its encoding, version, network. Whether the device is known and the signature is
    /// right is for the ledger to say: its answer is the record's receipt.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check_record(&self, bytes: &[u8]) -> Result<Checked, DoorError> {
        // A transaction is one byte longer than the record in it.
        if bytes.len() >= MAX_TRANSACTION {
            return Err(DoorError::TooLarge {
                length: bytes.len(),
                max: MAX_TRANSACTION - 1,
            });
        }
        let signed = SignedRecord::from_bytes(bytes)
            .map_err(|error| DoorError::Malformed(error.to_string()))?;
        let device = self.check_signed(&signed)?;
        // The encoding is canonical, so these are the bytes of `Transaction::Record(signed)`.
        let transaction: Bytes = [&[Transaction::RECORD], bytes].concat().into();
        Ok(Checked {
            id: Transaction::digest(&transaction),
            device: Some(device),
            needs: None,
            transaction,
        })
    }

    fn check_signed(&self, signed: &SignedRecord) -> Result<DeviceId, DoorError> {
        let record = signed
            .record()
            .map_err(|error| DoorError::Malformed(format!("the record's body: {error}")))?;
        if record.version != VERSION {
            return Err(DoorError::UnknownVersion {
                found: record.version,
                known: VERSION,
            });
        }
        if record.network != self.network {
            return Err(DoorError::WrongNetwork {
                found: record.network,
                expected: self.network,
            });
        }
        if record.readings.is_empty() {
            return Err(DoorError::Empty);
        }
        Ok(record.device)
    }

    /// Looks at a transaction of any kind.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check_transaction(&self, bytes: Bytes) -> Result<Checked, DoorError> {
        if bytes.len() > MAX_TRANSACTION {
            return Err(DoorError::TooLarge {
                length: bytes.len(),
                max: MAX_TRANSACTION,
            });
        }
        if Transaction::is_ethereums(&bytes) {
            let transaction = hedgerow_evm::Transaction::admit(&bytes, self.network)?;
            return Ok(Checked {
                id: Digest(transaction.hash().0),
                device: None,
                needs: Some((
                    Subject(transaction.sender().0.0),
                    transaction.roles().fold(Roles::NONE, Roles::with),
                )),
                transaction: bytes,
            });
        }
        let malformed = |error: hedgerow_wire::DecodeError| DoorError::Malformed(error.to_string());
        let device = match Transaction::from_bytes(&bytes).map_err(malformed)? {
            Transaction::Record(signed) => Some(self.check_signed(&signed)?),
            Transaction::Register(signed) => {
                let registration = signed.registration().map_err(malformed)?;
                if registration.network != self.network {
                    return Err(DoorError::WrongNetwork {
                        found: registration.network,
                        expected: self.network,
                    });
                }
                None
            }
            // Its genesis is for the ledger to look at: the gateway knows the network's number only.
            Transaction::Vote(signed) => {
                signed.vote().map_err(malformed)?;
                None
            }
            Transaction::RoleVote(signed) => {
                signed.vote().map_err(malformed)?;
                None
            }
        };
        Ok(Checked {
            id: Transaction::digest(&bytes),
            device,
            needs: None,
            transaction: bytes,
        })
    }

    /// Stores a transaction; `done` is called when it is durable, or can't be.
    pub fn store(
        &self,
        checked: &Checked,
        done: impl FnOnce(Result<Lsn, SpoolError>) + Send + 'static,
    ) {
        let (outcomes, id) = (self.outcomes.clone(), checked.id);
        self.spool.append(
            checked.transaction.clone(),
            Box::new(move |result| {
                if result.is_ok() {
                    outcomes.accepted(id);
                }
                done(result);
            }),
        );
    }

    /// Stores a transaction, and resolves when it is durable.
    ///
    /// # Errors
    /// When the store is full or its disk has failed.
    pub async fn store_and_wait(&self, checked: &Checked) -> Result<Lsn, SpoolError> {
        let (sender, receiver) = oneshot::channel();
        self.store(checked, |result| {
            let _ = sender.send(result);
        });
        receiver
            .await
            .unwrap_or_else(|_| Err(SpoolError::Failed("the gateway is shutting down".into())))
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_records::{Algorithm, SignedRecord, Transaction};
    use hedgerow_wire::{Blob, encode};

    #[test]
    fn a_record_in_a_transaction_is_its_bytes_after_one_byte() {
        let body = Blob::new(vec![1, 2, 3]).unwrap();
        let signed = SignedRecord {
            body,
            algorithm: Algorithm::P256,
            signature: [7; 64],
        };
        let expected = [&[Transaction::RECORD][..], &encode(&signed)].concat();
        assert_eq!(Transaction::Record(signed).to_bytes(), expected);
    }
}

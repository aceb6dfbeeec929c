//! What can be said of a block's transactions before any of them is executed: their form and their signatures.

use std::collections::BTreeMap;

use alloy_primitives::keccak256;
use hedgerow_base::{Digest, NodeId};
use hedgerow_crypto::{Signature, SignatureCheck, VerifyingKey, verify_each};
use hedgerow_records::{
    DeviceId, DevicePublicKey, Record, Registration, Rejection, RoleVote, SignedRecord,
    SignedRegistration, SignedRoleVote, SignedVote, Subject, Transaction, VERSION, Vote,
};

use crate::Network;

/// A transaction of the right form for this network.
pub(crate) enum Admitted {
    Register {
        registration: Registration,
        /// Whose signature it is.
        member: Subject,
        /// keccak256 of the registration's encoding.
        digest: Digest,
        signature_is_valid: bool,
    },
    Record {
        record: Record,
        signed: SignedRecord,
        /// keccak256 of the signed record.
        digest: Digest,
        /// `None` when no registration of the device is known, before the block or in it.
        signature_is_valid: Option<bool>,
    },
    Vote {
        vote: Vote,
        signature_is_valid: bool,
    },
    RoleVote {
        vote: RoleVote,
        signature_is_valid: bool,
    },
}

/// Admits or rejects each transaction. `key_of` knows the devices that were registered before the block.
///
/// The Ed25519 signatures of the whole block are one batch. A device may be registered in the block that has its first
/// record: its identifier is a hash of its key, so any registration of it has the right key.
pub(crate) fn admit<E>(
    network: &Network,
    transactions: &[&[u8]],
    mut key_of: impl FnMut(DeviceId) -> Result<Option<DevicePublicKey>, E>,
) -> Result<Vec<Result<Admitted, Rejection>>, E> {
    let mut new_keys = BTreeMap::new();
    let (mut checks, mut places) = (Vec::new(), Vec::new());
    let mut admitted: Vec<_> = transactions
        .iter()
        .map(|bytes| network.parse(bytes))
        .collect();
    for (place, transaction) in admitted.iter().enumerate() {
        let Ok((admitted, Some(check))) = transaction else {
            continue;
        };
        if let Admitted::Register { registration, .. } = admitted {
            new_keys.insert(registration.public_key.device_id(), registration.public_key);
        }
        checks.push(check.clone());
        places.push(place);
    }
    for (place, transaction) in admitted.iter_mut().enumerate() {
        let Ok((
            Admitted::Record {
                record,
                signed,
                signature_is_valid,
                ..
            },
            _,
        )) = transaction
        else {
            continue;
        };
        let known = key_of(record.device)?;
        let Some(key) = known.or_else(|| new_keys.get(&record.device).copied()) else {
            continue;
        };
        *signature_is_valid = Some(
            match key
                .as_ed25519()
                .filter(|_| signed.algorithm == key.algorithm())
            {
                Some(key) => {
                    let message = SignedRecord::message(&signed.body);
                    checks.push(SignatureCheck::new(
                        key,
                        &message,
                        Signature(signed.signature),
                    ));
                    places.push(place);
                    false
                }
                None => signed.is_signed_by(&key),
            },
        );
    }
    for (place, valid) in places.into_iter().zip(verify_each(&checks)) {
        match admitted.get_mut(place) {
            Some(Ok((
                Admitted::Register {
                    signature_is_valid, ..
                }
                | Admitted::Vote {
                    signature_is_valid, ..
                }
                | Admitted::RoleVote {
                    signature_is_valid, ..
                },
                _,
            ))) => *signature_is_valid = valid,
            Some(Ok((
                Admitted::Record {
                    signature_is_valid, ..
                },
                _,
            ))) => *signature_is_valid = Some(valid),
            _ => {}
        }
    }
    Ok(admitted
        .into_iter()
        .map(|transaction| transaction.map(|(admitted, _)| admitted))
        .collect())
}

impl Network {
    fn parse(&self, bytes: &[u8]) -> Result<(Admitted, Option<SignatureCheck>), Rejection> {
        match Transaction::from_bytes(bytes).map_err(|_| Rejection::Malformed)? {
            Transaction::Register(signed) => self.parse_registration(&signed),
            Transaction::Vote(signed) => self.parse_vote(&signed),
            Transaction::RoleVote(signed) => self.parse_role_vote(&signed),
            Transaction::Record(signed) => {
                let record = signed.record().map_err(|_| Rejection::Malformed)?;
                self.check_target(record.version, record.network)?;
                if record.readings.is_empty() {
                    return Err(Rejection::Empty);
                }
                // The transaction's first byte says that it is a record.
                let digest = Digest(keccak256(bytes.get(1..).unwrap_or_default()).0);
                Ok((
                    Admitted::Record {
                        record,
                        signed,
                        digest,
                        signature_is_valid: None,
                    },
                    None,
                ))
            }
        }
    }

    fn parse_registration(
        &self,
        signed: &SignedRegistration,
    ) -> Result<(Admitted, Option<SignatureCheck>), Rejection> {
        let registration = signed.registration().map_err(|_| Rejection::Malformed)?;
        self.check_target(registration.version, registration.network)?;
        let member = self.members.get(signed.member.index());
        let member = *member.ok_or(Rejection::NotAMember {
            member: signed.member,
        })?;
        if !registration.public_key.is_point() {
            return Err(Rejection::BadPublicKey {
                algorithm: registration.public_key.algorithm(),
            });
        }
        let message = SignedRegistration::message(&signed.body);
        let check = SignatureCheck::new(member, &message, Signature(signed.signature));
        let digest = Digest(keccak256(&*signed.body).0);
        Ok((
            Admitted::Register {
                registration,
                member: Subject::of_member(&member),
                digest,
                signature_is_valid: false,
            },
            Some(check),
        ))
    }

    fn parse_vote(
        &self,
        signed: &SignedVote,
    ) -> Result<(Admitted, Option<SignatureCheck>), Rejection> {
        let vote = signed.vote().map_err(|_| Rejection::Malformed)?;
        let key = self.voter(vote.version, vote.genesis, vote.validator)?;
        let message = SignedVote::message(&signed.body);
        let check = SignatureCheck::new(key, &message, Signature(signed.signature));
        Ok((
            Admitted::Vote {
                vote,
                signature_is_valid: false,
            },
            Some(check),
        ))
    }

    fn parse_role_vote(
        &self,
        signed: &SignedRoleVote,
    ) -> Result<(Admitted, Option<SignatureCheck>), Rejection> {
        let vote = signed.vote().map_err(|_| Rejection::Malformed)?;
        let key = self.voter(vote.version, vote.genesis, vote.validator)?;
        let message = SignedRoleVote::message(&signed.body);
        let check = SignatureCheck::new(key, &message, Signature(signed.signature));
        Ok((
            Admitted::RoleVote {
                vote,
                signature_is_valid: false,
            },
            Some(check),
        ))
    }

    /// The key of the validator that casts a vote in this network.
    fn voter(
        &self,
        version: u8,
        genesis: Digest,
        member: NodeId,
    ) -> Result<VerifyingKey, Rejection> {
        check_version(version)?;
        if genesis != self.genesis {
            return Err(Rejection::WrongGenesis { found: genesis });
        }
        let is_validator = self.validators.contains(member);
        let key = self.members.get(member.index()).filter(|_| is_validator);
        key.copied().ok_or(Rejection::NotAValidator { member })
    }

    fn check_target(&self, version: u8, network: u64) -> Result<(), Rejection> {
        check_version(version)?;
        if network != self.number {
            return Err(Rejection::WrongNetwork {
                found: network,
                expected: self.number,
            });
        }
        Ok(())
    }
}

const fn check_version(version: u8) -> Result<(), Rejection> {
    if version != VERSION {
        return Err(Rejection::UnknownVersion {
            found: version,
            known: VERSION,
        });
    }
    Ok(())
}

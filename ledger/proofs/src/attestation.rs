use alloc::vec::Vec;

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, Height, NodeId};
use hedgerow_crypto::{Signature, SigningKey, VerifyingKey};
use hedgerow_wire::{Blob, List};

use crate::{BadHeader, Header, MAX_HEADER, MAX_VALIDATORS, TrustRoot};

/// What an attestation's signature covers begins with these bytes.
pub const ATTESTATION_DOMAIN: &[u8] = b"hedgerow/attestation/1\0";

/// A validator's word that it has executed the block at `height`, whose header has this hash, after the network's
/// protocol had committed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Attestation {
    /// The block's height.
    pub height: Height,
    /// The hash of the block's header.
    pub header: Digest,
    /// The validator.
    pub signer: NodeId,
    /// Its Ed25519 signature of [`Attestation::message`].
    pub signature: [u8; 64],
}

impl Attestation {
    /// What the signature covers: [`ATTESTATION_DOMAIN`] ++ hash of the genesis block's header ++ height (8 bytes,
    /// little-endian) ++ hash of the header.
    #[must_use]
    pub fn message(genesis: &Digest, height: Height, header: &Digest) -> Vec<u8> {
        [
            ATTESTATION_DOMAIN,
            genesis.as_ref(),
            &height.0.to_le_bytes(),
            header.as_ref(),
        ]
        .concat()
    }

    /// The attestation of `signer`, whose key is `key`.
    #[must_use]
    pub fn sign(
        genesis: &Digest,
        height: Height,
        header: Digest,
        signer: NodeId,
        key: &SigningKey,
    ) -> Self {
        let signature = key.sign(&Self::message(genesis, height, &header)).0;
        Self {
            height,
            header,
            signer,
            signature,
        }
    }

    /// Whether it is a validator's and has its signature.
    #[must_use]
    pub fn verify(&self, trust: &TrustRoot) -> bool {
        let message = Self::message(&trust.genesis, self.height, &self.header);
        let key = trust.validators.get(self.signer.index());
        key.is_some_and(|key| VerifyingKey(*key).verifies(&message, &Signature(self.signature)))
    }
}

/// A header and the signatures that make it final: those of f + 1 validators, in ascending order of their identifiers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// The header as Ethereum encodes it (RLP).
    pub header: Blob<MAX_HEADER>,
    /// Who signed, and the signatures.
    pub signatures: List<(NodeId, [u8; 64]), MAX_VALIDATORS>,
}

/// Why a certificate proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The header is not one.
    #[error(transparent)]
    Header(#[from] BadHeader),
    /// Too few signatures, or more than needed: a certificate has exactly f + 1.
    #[error("{found} signatures: a certificate of this network has {needed}")]
    Count {
        /// How many it has.
        found: usize,
        /// How many it must have.
        needed: usize,
    },
    /// The signers are not different validators in ascending order.
    #[error("the signers are not in ascending order")]
    Order,
    /// A signature is not the validator's: another network's, a forged one, or the header has been changed.
    #[error("the signature of validator {signer} is not valid for this header and this network")]
    Signature {
        /// The validator.
        signer: NodeId,
    },
}

impl Certificate {
    /// The header, when f + 1 validators of the network have signed it.
    ///
    /// # Errors
    /// Says what is missing or wrong.
    pub fn verify(&self, trust: &TrustRoot) -> Result<Header, CertificateError> {
        let header = Header::decode(&self.header)?;
        let needed = trust.threshold();
        if self.signatures.len() != needed {
            return Err(CertificateError::Count {
                found: self.signatures.len(),
                needed,
            });
        }
        if !self.signatures.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(CertificateError::Order);
        }
        let hash = Header::hash_encoded(&self.header);
        for &(signer, signature) in self.signatures.iter() {
            let attestation = Attestation {
                height: header.height,
                header: hash,
                signer,
                signature,
            };
            if !attestation.verify(trust) {
                return Err(CertificateError::Signature { signer });
            }
        }
        Ok(header)
    }
}

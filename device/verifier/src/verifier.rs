use alloc::vec::Vec;
use core::fmt;

use hedgerow_proofs::{Proof, ProofError, TrustRoot, VerifiedReading};
use hedgerow_wire::{DecodeError, decode, encode};

/// How many bytes an encoded [`TrustRoot`] may have.
pub const MAX_TRUST_ROOT: usize = 8 + 32 + 4 + 128 * 32;

/// Checks proofs of one network.
#[derive(Clone, Debug)]
pub struct Verifier {
    trust: TrustRoot,
}

/// Why nothing was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifierError {
    /// The bytes are not a root of trust.
    TrustRoot(DecodeError),
    /// A network without validators: nothing could ever be proved.
    NoValidators,
    /// The proof doesn't hold.
    Proof(ProofError),
}

impl fmt::Display for VerifierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrustRoot(error) => write!(f, "not a root of trust: {error}"),
            Self::NoValidators => f.write_str("the root of trust names no validator"),
            Self::Proof(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for VerifierError {}

impl From<ProofError> for VerifierError {
    fn from(error: ProofError) -> Self {
        Self::Proof(error)
    }
}

impl Verifier {
    /// Trusts the network that `trust_root` describes: the Borsh encoding of a [`TrustRoot`].
    ///
    /// # Errors
    /// When the bytes are not such an encoding, or name no validator.
    pub fn new(trust_root: &[u8]) -> Result<Self, VerifierError> {
        Self::from_trust_root(decode(trust_root, MAX_TRUST_ROOT).map_err(VerifierError::TrustRoot)?)
    }

    /// Trusts that network.
    ///
    /// # Errors
    /// When it has no validator.
    pub fn from_trust_root(trust: TrustRoot) -> Result<Self, VerifierError> {
        if trust.validators.is_empty() {
            return Err(VerifierError::NoValidators);
        }
        Ok(Self { trust })
    }

    /// What [`Verifier::new`] takes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(&self.trust)
    }

    /// The reading that the bytes of a proof's file prove.
    ///
    /// # Errors
    /// Says which step of the proof doesn't hold.
    pub fn verify(&self, proof: &[u8]) -> Result<VerifiedReading, VerifierError> {
        Ok(Proof::from_bytes(proof)?.verify(&self.trust)?)
    }
}

use core::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::Digest;

/// An Ed25519 signature (RFC 8032), checked by the rules of ZIP-215, so that a batch and a single check agree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "signature {a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

/// A member's public Ed25519 key, as the genesis lists it. Whether it is a point of the curve shows when it is used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct VerifyingKey(pub [u8; 32]);

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {:?}", Digest(self.0))
    }
}

/// The bytes are not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an Ed25519 public key: expected 64 hexadecimal digits that encode a point of the curve"
)]
pub struct InvalidKey;

impl VerifyingKey {
    /// The key in hexadecimal digits.
    ///
    /// # Errors
    /// When the text is not 64 hexadecimal digits, or the bytes are no point of the curve.
    pub fn from_hex(text: &str) -> Result<Self, InvalidKey> {
        let Digest(bytes) = text.parse().map_err(|_| InvalidKey)?;
        ed25519_zebra::VerificationKey::try_from(bytes).map_err(|_| InvalidKey)?;
        Ok(Self(bytes))
    }

    /// The key in 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> alloc::string::String {
        hex::encode(self.0)
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        ed25519_zebra::VerificationKey::try_from(self.0).is_ok_and(|key| {
            key.verify(&ed25519_zebra::Signature::from_bytes(&signature.0), message)
                .is_ok()
        })
    }
}

/// A member's secret Ed25519 key.
#[derive(Clone)]
pub struct SigningKey {
    secret: ed25519_zebra::SigningKey,
    public: VerifyingKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret {:?}", self.public)
    }
}

impl SigningKey {
    /// The key whose RFC 8032 secret is `seed`: 32 bytes that nobody else can guess.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let secret = ed25519_zebra::SigningKey::from_bytes(&seed);
        let public = VerifyingKey(ed25519_zebra::VerificationKeyBytes::from(&secret).into());
        Self { secret, public }
    }

    /// The seed that the key was made from.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.secret.to_bytes()
    }

    /// The public half.
    #[must_use]
    pub const fn verifying_key(&self) -> VerifyingKey {
        self.public
    }

    /// Signs `message`. Deterministic, as RFC 8032 has it.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.secret.sign(message).to_bytes())
    }
}

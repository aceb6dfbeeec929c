use core::fmt;

use hedgerow_crypto::SigningKey;
use hedgerow_records::{Algorithm, DeviceId, DevicePublicKey};
use k256::ecdsa::signature::Signer;
use zeroize::Zeroizing;

/// A device's secret key.
pub struct DeviceKey {
    secret: Secret,
    public: DevicePublicKey,
}

enum Secret {
    Ed25519(SigningKey),
    P256(p256::ecdsa::SigningKey),
    Secp256k1(k256::ecdsa::SigningKey),
}

/// The 32 bytes are no secret key of the algorithm: zero, or not less than the order of the curve's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these 32 bytes are not a secret key of {0}")]
pub struct BadKey(pub Algorithm);

impl DeviceKey {
    /// The key with these 32 secret bytes: Ed25519's seed (RFC 8032), or the scalar, big-endian.
    ///
    /// # Errors
    /// When they are no scalar of the curve (never for Ed25519).
    pub fn from_bytes(algorithm: Algorithm, secret: &[u8; 32]) -> Result<Self, BadKey> {
        let bad = BadKey(algorithm);
        let (secret, public) = match algorithm {
            Algorithm::Ed25519 => {
                let key = SigningKey::from_seed(*secret);
                let public = DevicePublicKey::new(algorithm, &key.verifying_key().0);
                (Secret::Ed25519(key), public)
            }
            Algorithm::P256 => {
                let key = p256::ecdsa::SigningKey::from_slice(secret).map_err(|_| bad)?;
                let public = DevicePublicKey::new(
                    algorithm,
                    key.verifying_key().to_encoded_point(true).as_bytes(),
                );
                (Secret::P256(key), public)
            }
            Algorithm::Secp256k1 => {
                let key = k256::ecdsa::SigningKey::from_slice(secret).map_err(|_| bad)?;
                let public = DevicePublicKey::new(
                    algorithm,
                    key.verifying_key().to_encoded_point(true).as_bytes(),
                );
                (Secret::Secp256k1(key), public)
            }
        };
        Ok(Self {
            secret,
            public: public.map_err(|_| bad)?,
        })
    }

    /// A new key from the device's randomness: `fill` fills the 32 bytes with it.
    ///
    /// # Errors
    /// When `fill` gives no key eight times in a row: then it is not random.
    pub fn generate(
        algorithm: Algorithm,
        mut fill: impl FnMut(&mut [u8; 32]),
    ) -> Result<Self, BadKey> {
        let mut secret = Zeroizing::new([0; 32]);
        for _ in 0..8 {
            fill(&mut secret);
            if let Ok(key) = Self::from_bytes(algorithm, &secret) {
                return Ok(key);
            }
        }
        Err(BadKey(algorithm))
    }

    /// The 32 secret bytes, to be kept where nobody else can read them.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(match &self.secret {
            Secret::Ed25519(key) => key.seed(),
            Secret::P256(key) => key.to_bytes().into(),
            Secret::Secp256k1(key) => key.to_bytes().into(),
        })
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &DevicePublicKey {
        &self.public
    }

    /// The device's identifier.
    #[must_use]
    pub fn device_id(&self) -> DeviceId {
        self.public.device_id()
    }

    /// Signs `message`. Deterministic: RFC 8032 for Ed25519, RFC 6979 for ECDSA.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        match &self.secret {
            Secret::Ed25519(key) => key.sign(message).0,
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().into()
            }
            Secret::Secp256k1(key) => {
                let signature: k256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().into()
            }
        }
    }
}

/// Says which key it is, not what it is.
impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret {:?}", self.public)
    }
}

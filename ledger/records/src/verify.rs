use hedgerow_crypto::{Signature, VerifyingKey};
use k256::ecdsa::signature::Verifier;

use crate::{Algorithm, DevicePublicKey, Record, SignedRecord};

impl DevicePublicKey {
    /// Whether the bytes name a point of the algorithm's curve.
    #[must_use]
    pub fn is_point(&self) -> bool {
        let bytes = self.as_bytes();
        match self.algorithm() {
            Algorithm::Ed25519 => ed25519_zebra::VerificationKey::try_from(bytes).is_ok(),
            Algorithm::P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).is_ok(),
            Algorithm::Secp256k1 => k256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).is_ok(),
        }
    }

    /// The key, if it is an Ed25519 key: those are best verified in batches.
    #[must_use]
    pub fn as_ed25519(&self) -> Option<VerifyingKey> {
        match self.algorithm() {
            Algorithm::Ed25519 => self.as_bytes().try_into().ok().map(VerifyingKey),
            Algorithm::P256 | Algorithm::Secp256k1 => None,
        }
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        match self.algorithm() {
            Algorithm::Ed25519 => self
                .as_ed25519()
                .is_some_and(|key| key.verifies(message, &Signature(*signature))),
            Algorithm::P256 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(self.as_bytes());
                let signature = p256::ecdsa::Signature::from_slice(signature);
                matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
            }
            Algorithm::Secp256k1 => {
                let key = k256::ecdsa::VerifyingKey::from_sec1_bytes(self.as_bytes());
                // That crate takes only the smaller s, as Bitcoin does; secure elements give either.
                let signature = k256::ecdsa::Signature::from_slice(signature);
                let signature =
                    signature.map(|signature| signature.normalize_s().unwrap_or(signature));
                matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
            }
        }
    }
}

impl SignedRecord {
    /// Whether the record is signed by the holder of `key`.
    #[must_use]
    pub fn is_signed_by(&self, key: &DevicePublicKey) -> bool {
        self.algorithm == key.algorithm()
            && key.verifies(&Self::message(&self.body), &self.signature)
    }
}

impl Record {
    /// Whether `key` is the key of the device that the record names.
    #[must_use]
    pub fn is_of(&self, key: &DevicePublicKey) -> bool {
        key.device_id() == self.device
    }
}

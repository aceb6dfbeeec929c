//! A device's key, and what it signs.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use hedgerow_crypto::SigningKey;
use hedgerow_node::write_private;
use hedgerow_records::{
    Algorithm, DeviceId, DevicePublicKey, Name, Reading, Record, SignedRecord, VERSION,
};
use hedgerow_wire::{Blob, List, encode};
use p256::ecdsa::signature::Signer;
use rand::{TryRngCore, rngs::OsRng};
use serde::{Deserialize, Serialize};

/// A device that can sign.
#[derive(Clone)]
pub(crate) struct DeviceKey {
    pub(crate) name: Name,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Ed25519(Box<SigningKey>),
    P256(p256::ecdsa::SigningKey),
    Secp256k1(k256::ecdsa::SigningKey),
}

/// The key file's JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u8,
    name: String,
    algorithm: String,
    /// 32 bytes: RFC 8032's secret key, or the ECDSA scalar, big-endian.
    #[serde(with = "hex::serde")]
    secret: [u8; 32],
    /// For people; it follows from the secret.
    device: String,
    /// For people; it follows from the secret.
    public_key: String,
}

impl DeviceKey {
    /// A new key from the operating system's randomness.
    pub(crate) fn generate(name: Name, algorithm: Algorithm) -> Result<Self> {
        loop {
            let mut seed = [0; 32];
            OsRng
                .try_fill_bytes(&mut seed)
                .context("the system gives no random bytes")?;
            // A scalar of ECDSA is below the group's order; nearly every number of 256 bits is.
            if let Some(secret) = Secret::new(algorithm, &seed) {
                return Ok(Self { name, secret });
            }
        }
    }

    pub(crate) fn read(file: &Path) -> Result<Self> {
        let shown = file.display();
        let text = fs::read_to_string(file).with_context(|| {
            format!(
                "{shown}: can't read the device's key; make one with `hedgerow device new NAME`"
            )
        })?;
        let file: File = serde_json::from_str(&text).with_context(|| {
            format!("{shown}: not a device's key file; make one with `hedgerow device new NAME`")
        })?;
        if file.version != 1 {
            bail!(
                "{shown}: a key file of version {}; this program reads version 1",
                file.version
            );
        }
        let algorithm = file
            .algorithm
            .parse()
            .map_err(|expected| anyhow::anyhow!("{shown}: algorithm: {expected}"))?;
        let name = Name::new(file.name).with_context(|| format!("{shown}: name"))?;
        let Some(secret) = Secret::new(algorithm, &file.secret) else {
            bail!("{shown}: secret: not a secret key of {algorithm}");
        };
        Ok(Self { name, secret })
    }

    /// Writes a new file that only its owner may read.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let content = File {
            version: 1,
            name: self.name.to_string(),
            algorithm: self.algorithm().to_string(),
            secret: self.secret.bytes(),
            device: self.device().to_string(),
            public_key: hex::encode(self.public_key().as_bytes()),
        };
        write_private(file, &serde_json::to_vec_pretty(&content)?).with_context(|| {
            format!(
                "{}: can't write the device's key; a key is never overwritten",
                file.display()
            )
        })
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self.secret {
            Secret::Ed25519(_) => Algorithm::Ed25519,
            Secret::P256(_) => Algorithm::P256,
            Secret::Secp256k1(_) => Algorithm::Secp256k1,
        }
    }

    pub(crate) fn public_key(&self) -> DevicePublicKey {
        let key = match &self.secret {
            Secret::Ed25519(key) => key.verifying_key().0.to_vec(),
            Secret::P256(key) => key
                .verifying_key()
                .to_encoded_point(true)
                .as_bytes()
                .to_vec(),
            Secret::Secp256k1(key) => key
                .verifying_key()
                .to_encoded_point(true)
                .as_bytes()
                .to_vec(),
        };
        DevicePublicKey::new(self.algorithm(), &key)
            .expect("a compressed key has its algorithm's length")
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.public_key().device_id()
    }

    /// Signs readings for one of the device's streams.
    pub(crate) fn sign(
        &self,
        network: u64,
        stream: &Name,
        readings: Vec<Reading>,
    ) -> Result<SignedRecord> {
        let readings = List::new(readings).context("readings")?;
        let record = Record {
            version: VERSION,
            network,
            device: self.device(),
            stream: stream.clone(),
            readings,
        };
        let body = Blob::new(encode(&record))
            .context("the record is too large: put fewer readings into it")?;
        let message = SignedRecord::message(&body);
        Ok(SignedRecord {
            algorithm: self.algorithm(),
            signature: self.secret.sign(&message),
            body,
        })
    }
}

impl Secret {
    fn new(algorithm: Algorithm, bytes: &[u8; 32]) -> Option<Self> {
        Some(match algorithm {
            Algorithm::Ed25519 => Self::Ed25519(Box::new(SigningKey::from_seed(*bytes))),
            Algorithm::P256 => Self::P256(p256::ecdsa::SigningKey::from_slice(bytes).ok()?),
            Algorithm::Secp256k1 => {
                Self::Secp256k1(k256::ecdsa::SigningKey::from_slice(bytes).ok()?)
            }
        })
    }

    fn bytes(&self) -> [u8; 32] {
        match self {
            Self::Ed25519(key) => key.seed(),
            Self::P256(key) => key.to_bytes().into(),
            Self::Secp256k1(key) => key.to_bytes().into(),
        }
    }

    /// ECDSA hashes the message with SHA-256 and draws no randomness (RFC 6979).
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        match self {
            Self::Ed25519(key) => key.sign(message).0,
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().into()
            }
            Self::Secp256k1(key) => {
                let signature: k256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::signature::Verifier;

    use super::*;

    const ALGORITHMS: [Algorithm; 3] = [Algorithm::Ed25519, Algorithm::P256, Algorithm::Secp256k1];

    fn reading() -> Reading {
        Reading {
            sequence: 7,
            time: 1_000,
            content_type: hedgerow_records::ContentType::new("application/json").unwrap(),
            payload: Blob::new(b"21.5".to_vec()).unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        for algorithm in ALGORITHMS {
            let file = dir.path().join(algorithm.as_str());
            let key = DeviceKey::generate(Name::new("mast-7").unwrap(), algorithm).unwrap();
            key.write(&file).unwrap();
            let again = DeviceKey::read(&file).unwrap();
            assert_eq!(
                (again.public_key(), again.name.as_str()),
                (key.public_key(), "mast-7")
            );
            let error = format!("{:#}", key.write(&file).unwrap_err());
            assert!(error.contains("never overwritten"), "{error}");
        }
    }

    #[test]
    fn signatures_are_those_of_the_public_key() {
        for algorithm in ALGORITHMS {
            let key = DeviceKey::generate(Name::new("d").unwrap(), algorithm).unwrap();
            let signed = key
                .sign(9, &Name::new("s").unwrap(), vec![reading()])
                .unwrap();
            let message = SignedRecord::message(&signed.body);
            let public = key.public_key();
            match algorithm {
                Algorithm::Ed25519 => {
                    let key = hedgerow_crypto::VerifyingKey(public.as_bytes().try_into().unwrap());
                    assert!(key.verifies(&message, &hedgerow_crypto::Signature(signed.signature)));
                }
                Algorithm::P256 => {
                    let key =
                        p256::ecdsa::VerifyingKey::from_sec1_bytes(public.as_bytes()).unwrap();
                    key.verify(
                        &message,
                        &p256::ecdsa::Signature::from_slice(&signed.signature).unwrap(),
                    )
                    .unwrap();
                }
                Algorithm::Secp256k1 => {
                    let key =
                        k256::ecdsa::VerifyingKey::from_sec1_bytes(public.as_bytes()).unwrap();
                    key.verify(
                        &message,
                        &k256::ecdsa::Signature::from_slice(&signed.signature).unwrap(),
                    )
                    .unwrap();
                }
            }
            assert_eq!(signed.record().unwrap().device, public.device_id());
        }
    }

    #[test]
    fn a_bad_file_says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let refuse = |text: &str| {
            fs::write(&file, text).unwrap();
            DeviceKey::read(&file)
                .err()
                .map(|error| format!("{error:#}"))
                .unwrap()
        };
        assert!(refuse("{}").contains("device new"));
        let zero = "0".repeat(64);
        let text = format!(
            r#"{{"version":1,"name":"d","algorithm":"p256","secret":"{zero}","device":"","public_key":""}}"#
        );
        assert!(refuse(&text).contains("not a secret key of p256"));
        assert!(refuse(&text.replace("p256", "rsa")).contains("expected ed25519"));
        assert!(refuse(&text.replace("\"d\"", "\"D\"")).contains("not allowed in a name"));
    }
}

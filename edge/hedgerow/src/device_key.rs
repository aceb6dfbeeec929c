//! A device's key file.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use hedgerow_node::write_private;
use hedgerow_records::{Algorithm, DeviceId, DevicePublicKey, Name};
use hedgerow_signer::DeviceKey;
use rand::{TryRngCore, rngs::OsRng};
use serde::{Deserialize, Serialize};

/// A device that can sign: its name and its key.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) name: Name,
    pub(crate) key: DeviceKey,
}

/// The key file's JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
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

impl Device {
    /// A new key from the operating system's randomness.
    pub(crate) fn generate(name: Name, algorithm: Algorithm) -> Result<Self> {
        let mut failed = None;
        let key = DeviceKey::generate(algorithm, |secret| {
            failed = OsRng.try_fill_bytes(secret).err()
        });
        if let Some(error) = failed {
            bail!("the system gives no random bytes: {error}");
        }
        Ok(Self { name, key: key? })
    }

    pub(crate) fn read(file: &Path) -> Result<Self> {
        let shown = file.display();
        let text = fs::read_to_string(file).with_context(|| {
            format!(
                "{shown}: can't read the device's key; make one with `hedgerow device new NAME`"
            )
        })?;
        let file: KeyFile = serde_json::from_str(&text).with_context(|| {
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
        let key = DeviceKey::from_bytes(algorithm, &file.secret)
            .with_context(|| format!("{shown}: secret"))?;
        Ok(Self { name, key })
    }

    /// Writes a new file that only its owner may read.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let content = KeyFile {
            version: 1,
            name: self.name.to_string(),
            algorithm: self.key.algorithm().to_string(),
            secret: *self.key.to_bytes(),
            device: self.id().to_string(),
            public_key: self.public_key_hex(),
        };
        write_private(file, &serde_json::to_vec_pretty(&content)?).with_context(|| {
            format!(
                "{}: can't write the device's key; a key is never overwritten",
                file.display()
            )
        })
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.key.device_id()
    }

    pub(crate) fn public_key(&self) -> DevicePublicKey {
        *self.key.public_key()
    }

    pub(crate) fn public_key_hex(&self) -> String {
        hex::encode(self.public_key().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALGORITHMS: [Algorithm; 3] = [Algorithm::Ed25519, Algorithm::P256, Algorithm::Secp256k1];

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        for algorithm in ALGORITHMS {
            let file = dir.path().join(algorithm.as_str());
            let key = Device::generate(Name::new("mast-7").unwrap(), algorithm).unwrap();
            key.write(&file).unwrap();
            let again = Device::read(&file).unwrap();
            assert_eq!(
                (again.public_key(), again.name.as_str()),
                (key.public_key(), "mast-7")
            );
            let error = format!("{:#}", key.write(&file).unwrap_err());
            assert!(error.contains("never overwritten"), "{error}");
        }
    }

    #[test]
    fn a_bad_file_says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let refuse = |text: &str| {
            fs::write(&file, text).unwrap();
            Device::read(&file)
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

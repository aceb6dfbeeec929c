use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use hedgerow_base::NodeId;
use hedgerow_chain::{Genesis, Seat};
use hedgerow_crypto::{Keyring, MacSecret, MemberKeys, SigningKey, VerifyingKey};
use rand::{TryRngCore, rngs::OsRng};
use serde::{Deserialize, Serialize};

/// The key files that this version writes and reads.
const VERSION: u8 = 1;

/// A member's secrets, as its key file has them.
#[derive(Clone)]
pub struct SecretKeys {
    signing: [u8; 32],
    mac: [u8; 32],
}

/// The secrets are not shown.
impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secrets of {:?}", self.signing().verifying_key())
    }
}

/// The key file's JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    version: u8,
    /// RFC 8032's secret key: 32 bytes.
    #[serde(with = "hex::serde")]
    ed25519_seed: [u8; 32],
    /// RFC 7748's scalar: 32 bytes.
    #[serde(with = "hex::serde")]
    x25519_seed: [u8; 32],
}

/// Why a key file can't be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file can't be read.
    #[error("{}: can't read the key file: {source}; `key` in the config must name it", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file can't be written.
    #[error("{}: can't write the key file: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others than its owner can read the file.
    #[error("{}: other users may read this key file (mode {mode:04o}); run `chmod 600 {}`", file.display(), file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is not a key file.
    #[error("{}: not a key file: {source}; put back the one that `hedgerow init` wrote", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A key file of another version.
    #[error("{}: a key file of version {found}; this program reads version {VERSION}", file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u8,
    },
    /// The genesis has no such member.
    #[error(
        "the key {key} belongs to no member of network \"{network}\": `key` must name a member's key file, and `genesis` the network's genesis"
    )]
    Stranger {
        /// The public key, in hexadecimal digits.
        key: String,
        /// The network's name.
        network: String,
    },
    /// The Ed25519 key is a member's, the X25519 key is not.
    #[error(
        "the key file and the genesis disagree on the mac_key of \"{member}\": use the key file and the genesis of one and the same `hedgerow init`"
    )]
    MacKey {
        /// The member's name.
        member: String,
    },
    /// The genesis is not valid.
    #[error(transparent)]
    Genesis(#[from] hedgerow_chain::GenesisError),
    /// The system gives no randomness.
    #[error("the system gives no random bytes: {0}")]
    Randomness(rand::rand_core::OsError),
}

impl SecretKeys {
    /// New secrets from the operating system's randomness.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn generate() -> Result<Self, KeyFileError> {
        let (mut signing, mut mac) = ([0; 32], [0; 32]);
        for seed in [&mut signing, &mut mac] {
            OsRng
                .try_fill_bytes(seed)
                .map_err(KeyFileError::Randomness)?;
        }
        Ok(Self { signing, mac })
    }

    /// The secrets made from these seeds: for tests and simulations.
    #[must_use]
    pub const fn from_seeds(signing: [u8; 32], mac: [u8; 32]) -> Self {
        Self { signing, mac }
    }

    /// Reads a key file that nobody but its owner may read.
    ///
    /// # Errors
    /// When it can't be read, others may read it, or it is not a key file.
    pub fn read(file: &Path) -> Result<Self, KeyFileError> {
        let text = fs::read_to_string(file).map_err(|source| KeyFileError::Read {
            file: file.into(),
            source,
        })?;
        private(file)?;
        let keys: KeyFile =
            serde_json::from_str(&text).map_err(|source| KeyFileError::Malformed {
                file: file.into(),
                source,
            })?;
        if keys.version != VERSION {
            return Err(KeyFileError::Version {
                file: file.into(),
                found: keys.version,
            });
        }
        Ok(Self {
            signing: keys.ed25519_seed,
            mac: keys.x25519_seed,
        })
    }

    /// Writes a new key file that only its owner may read, and sees to it that it is on disk.
    ///
    /// # Errors
    /// When it exists or can't be written.
    pub fn write(&self, file: &Path) -> Result<(), KeyFileError> {
        let keys = KeyFile {
            version: VERSION,
            ed25519_seed: self.signing,
            x25519_seed: self.mac,
        };
        let written = serde_json::to_vec_pretty(&keys)
            .map_err(io::Error::from)
            .and_then(|text| write_private(file, &text));
        written.map_err(|source| KeyFileError::Write {
            file: file.into(),
            source,
        })
    }

    /// The key that the member signs with.
    #[must_use]
    pub fn signing(&self) -> SigningKey {
        SigningKey::from_seed(self.signing)
    }

    /// The secret for MACs.
    #[must_use]
    pub fn mac(&self) -> MacSecret {
        MacSecret::from_seed(self.mac)
    }

    /// The public halves, as the genesis lists them.
    #[must_use]
    pub fn public(&self) -> MemberKeys {
        MemberKeys {
            verifying: self.signing().verifying_key(),
            mac: self.mac().public(),
        }
    }

    /// Which member of the network these are the secrets of, and what it does.
    ///
    /// # Errors
    /// When they are nobody's.
    pub fn member(&self, genesis: &Genesis) -> Result<(NodeId, Seat), KeyFileError> {
        let public = self.public();
        let stranger = || KeyFileError::Stranger {
            key: public.verifying.to_hex(),
            network: genesis.name.clone(),
        };
        let (id, seat) = genesis.find(&public.verifying.0).ok_or_else(stranger)?;
        let (_, member) = genesis.member(id).ok_or_else(stranger)?;
        if member.mac_key != public.mac {
            return Err(KeyFileError::MacKey {
                member: member.name.clone(),
            });
        }
        Ok((id, seat))
    }

    /// The keyring of the member that these are the secrets of.
    ///
    /// # Errors
    /// When they are nobody's, or the genesis is not valid.
    pub fn keyring(&self, genesis: &Genesis) -> Result<Keyring, KeyFileError> {
        let (me, _) = self.member(genesis)?;
        let members = genesis
            .validators
            .iter()
            .chain(&genesis.gateways)
            .map(|member| MemberKeys {
                verifying: VerifyingKey(member.key),
                mac: member.mac_key,
            });
        let members: Vec<_> = members.collect();
        Keyring::new(me, genesis.roster()?, self.signing(), &self.mac(), &members).map_err(|_| {
            KeyFileError::MacKey {
                member: format!("{me}"),
            }
        })
    }
}

#[cfg(unix)]
fn private(file: &Path) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt;

    let metadata = fs::metadata(file).map_err(|source| KeyFileError::Read {
        file: file.into(),
        source,
    })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open {
            file: file.into(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(_: &Path) -> Result<(), KeyFileError> {
    Ok(())
}

/// Writes a new file that only its owner may read (mode 0600), and waits until it is on disk: whoever loses a key can't
/// come back.
///
/// # Errors
/// When the file exists, or can't be written.
pub fn write_private(file: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open = options.open(file)?;
    open.write_all(text)?;
    open.write_all(b"\n")?;
    open.sync_all()
}

#[cfg(test)]
mod tests {
    use hedgerow_chain::{Member, Ordering};

    use super::*;

    fn keys(number: u8) -> SecretKeys {
        SecretKeys::from_seeds([number; 32], [number ^ 0x80; 32])
    }

    fn genesis(members: &[&SecretKeys]) -> Genesis {
        let members = members.iter().enumerate().map(|(number, keys)| Member {
            name: format!("validator-{number}"),
            key: keys.public().verifying.0,
            mac_key: keys.public().mac,
        });
        Genesis {
            network: 7,
            name: "test".into(),
            time: 0,
            validators: members.collect(),
            gateways: vec![],
            ordering: Ordering {
                consensus: "pbft".into(),
                checkpoint_interval: 128,
                options: Default::default(),
            },
            contracts: Default::default(),
            roles: Default::default(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_only_its_owner_may() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key.json");
        let new = SecretKeys::generate().unwrap();
        new.write(&file).unwrap();
        assert_eq!(SecretKeys::read(&file).unwrap().public(), new.public());
        assert!(
            matches!(new.write(&file), Err(KeyFileError::Write { .. })),
            "a key file is never overwritten"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&file).unwrap().permissions().mode() & 0o777,
                0o600
            );
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
            let error = SecretKeys::read(&file).unwrap_err().to_string();
            assert!(
                error.contains("mode 0640") && error.contains("chmod 600"),
                "{error}"
            );
        }
    }

    #[test]
    fn two_members_are_never_given_the_same_keys() {
        assert_ne!(
            SecretKeys::generate().unwrap().public(),
            SecretKeys::generate().unwrap().public()
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", keys(0xab));
        assert!(!shown.contains("abab"), "{shown}");
    }

    #[test]
    fn errors_name_the_file_and_the_mend() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key.json");
        let read = |text: &str| {
            let _ = fs::remove_file(&file);
            write_private(&file, text.as_bytes()).unwrap();
            SecretKeys::read(&file).unwrap_err().to_string()
        };
        let seed = "00".repeat(32);
        let missing = SecretKeys::read(&dir.path().join("none"))
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains("none") && missing.contains("`key` in the config"),
            "{missing}"
        );
        let malformed = read("{}");
        assert!(
            malformed.contains("key.json") && malformed.contains("version"),
            "{malformed}"
        );
        let short = read(r#"{"version":1,"ed25519_seed":"00","x25519_seed":"00"}"#);
        assert!(short.contains("not a key file"), "{short}");
        let newer = read(&format!(
            r#"{{"version":2,"ed25519_seed":"{seed}","x25519_seed":"{seed}"}}"#
        ));
        assert!(
            newer.contains("version 2") && newer.contains("reads version 1"),
            "{newer}"
        );
    }

    #[test]
    fn the_genesis_says_whose_they_are() {
        let (a, b, stranger) = (keys(1), keys(2), keys(3));
        let genesis = genesis(&[&a, &b]);
        assert_eq!(b.member(&genesis).unwrap(), (NodeId(1), Seat::Validator));
        assert_eq!(b.keyring(&genesis).unwrap().me(), NodeId(1));
        let error = stranger.keyring(&genesis).unwrap_err().to_string();
        assert!(error.contains("no member of network \"test\""), "{error}");
        let mixed = SecretKeys::from_seeds([1; 32], [9; 32]);
        let error = mixed.member(&genesis).unwrap_err().to_string();
        assert!(error.contains("mac_key of \"validator-0\""), "{error}");
    }
}

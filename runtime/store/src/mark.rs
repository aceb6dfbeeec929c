//! What each batch says of itself, beside its changes.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use xxhash_rust::xxh3::xxh3_64;

/// How many bytes a salt has.
pub(crate) const SALT: usize = 16;
/// How many bytes a mark has.
pub(crate) const MARK: usize = SALT + 24;

/// The engine's key under which each batch puts its mark. No table's key begins with a zero byte.
pub(crate) const KEY: &[u8] = b"\0mark";

/// Random, made with the store: bytes that a stranger had us store can't look like a mark of ours.
pub(crate) type Salt = [u8; SALT];

/// Which commit this is, and up to which one all were durable when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) number: u64,
    pub(crate) durable: u64,
}

impl Mark {
    pub(crate) fn encode(self, salt: &Salt) -> Vec<u8> {
        let mut bytes = [
            &salt[..],
            &self.number.to_le_bytes(),
            &self.durable.to_le_bytes(),
        ]
        .concat();
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    /// The mark that `bytes` begin with, if there is a whole one.
    pub(crate) fn decode(salt: &Salt, bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(salt) {
            return None;
        }
        let (fields, checksum) = bytes.get(..MARK)?.split_last_chunk()?;
        let (number, durable) = fields.get(SALT..)?.split_first_chunk()?;
        let mark = Self {
            number: u64::from_le_bytes(*number),
            durable: u64::from_le_bytes(durable.try_into().ok()?),
        };
        (xxh3_64(fields) == u64::from_le_bytes(*checksum)).then_some(mark)
    }
}

/// The store's salt; `None` when its file is not as it was written.
pub(crate) fn salt(path: &Path) -> io::Result<Option<Salt>> {
    Ok(fs::read(path)?.try_into().ok())
}

/// Makes a salt, so that it survives a loss of power.
pub(crate) fn new_salt(path: &Path) -> io::Result<Salt> {
    let salt: Salt = rand::random();
    let mut file = File::create(path)?;
    file.write_all(&salt)?;
    file.sync_all()?;
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(salt)
}

use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

use alloy_primitives::{Keccak256, keccak256};
use borsh::{
    BorshDeserialize, BorshSerialize,
    io::{Error, ErrorKind, Read, Result as IoResult, Write},
};
use hedgerow_base::Digest;

use crate::Name;

/// How a device signs. Encoded as one byte.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032), verified by the rules of ZIP 215. Public keys have 32 bytes.
    Ed25519 = 0,
    /// ECDSA over P-256 (FIPS 186-5) with SHA-256. Public keys have 33 bytes: SEC 1, compressed.
    P256 = 1,
    /// ECDSA over secp256k1 (SEC 2) with SHA-256. Public keys have 33 bytes: SEC 1, compressed.
    Secp256k1 = 2,
}

impl Algorithm {
    /// How many bytes a public key has.
    #[must_use]
    pub const fn public_key_length(self) -> usize {
        match self {
            Self::Ed25519 => 32,
            Self::P256 | Self::Secp256k1 => 33,
        }
    }

    /// The name that command lines and configurations use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::P256 => "p256",
            Self::Secp256k1 => "secp256k1",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ed25519" => Ok(Self::Ed25519),
            "p256" => Ok(Self::P256),
            "secp256k1" => Ok(Self::Secp256k1),
            _ => Err("expected ed25519, p256 or secp256k1"),
        }
    }
}

/// A device's public key: as many bytes as its algorithm's keys have. Whether they name a point of the curve is found
/// out when it verifies something.
///
/// Encoded as the algorithm's byte and a byte string (`u32` length, then the bytes).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DevicePublicKey {
    algorithm: Algorithm,
    // 33 bytes; an Ed25519 key's last one is zero.
    bytes: [u8; 33],
}

/// A public key of the wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes: a public key of {algorithm} has {}", algorithm.public_key_length())]
pub struct BadPublicKey {
    /// The algorithm that the key is said to be of.
    pub algorithm: Algorithm,
    /// How many bytes there were.
    pub length: usize,
}

impl DevicePublicKey {
    /// The key of `algorithm` with these bytes.
    ///
    /// # Errors
    /// When the algorithm's keys have another length.
    pub fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, BadPublicKey> {
        let mut bytes = [0; 33];
        match bytes.get_mut(..key.len()) {
            Some(part) if key.len() == algorithm.public_key_length() => part.copy_from_slice(key),
            _ => {
                return Err(BadPublicKey {
                    algorithm,
                    length: key.len(),
                });
            }
        }
        Ok(Self { algorithm, bytes })
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key's 32 or 33 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.split_at(self.algorithm.public_key_length()).0
    }

    /// The device that has this key: the last 20 bytes of keccak256(algorithm's byte ++ key's bytes).
    #[must_use]
    pub fn device_id(&self) -> DeviceId {
        let mut hasher = Keccak256::new();
        hasher.update([self.algorithm as u8]);
        hasher.update(self.as_bytes());
        let hash = hasher.finalize().0;
        let mut id = [0; 20];
        id.copy_from_slice(hash.split_at(12).1);
        DeviceId(id)
    }
}

impl fmt::Debug for DevicePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algorithm)?;
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl BorshSerialize for DevicePublicKey {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        self.algorithm.serialize(writer)?;
        self.as_bytes().serialize(writer)
    }
}

impl BorshDeserialize for DevicePublicKey {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let algorithm = Algorithm::deserialize_reader(reader)?;
        let key: Vec<u8> = hedgerow_wire::Blob::<33>::deserialize_reader(reader)?.into_vec();
        Self::new(algorithm, &key)
            .map_err(|error| Error::new(ErrorKind::InvalidData, alloc::format!("{error}")))
    }
}

/// A device: 20 bytes of a hash of its public key ([`DevicePublicKey::device_id`]). As long as an Ethereum address, so
/// that contracts can name devices. Written `0x` and 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct DeviceId(pub [u8; 20]);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not `0x` and 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device's identifier is 0x and 40 hexadecimal digits")]
pub struct ParseDeviceIdError;

impl FromStr for DeviceId {
    type Err = ParseDeviceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").ok_or(ParseDeviceIdError)?;
        if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseDeviceIdError);
        }
        let mut id = [0; 20];
        for (byte, pair) in id.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = String::from_utf8_lossy(pair);
            *byte = u8::from_str_radix(&pair, 16).map_err(|_| ParseDeviceIdError)?;
        }
        Ok(Self(id))
    }
}

/// A stream: keccak256(device's 20 bytes ++ the stream's name within the device).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct StreamId(pub Digest);

impl StreamId {
    /// The stream of `device` with that name.
    #[must_use]
    pub fn new(device: DeviceId, stream: &Name) -> Self {
        let mut bytes = Vec::with_capacity(20 + Name::MAX);
        bytes.extend_from_slice(&device.0);
        bytes.extend_from_slice(stream.as_bytes());
        Self(Digest(keccak256(&bytes).0))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

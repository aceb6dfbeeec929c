use alloc::vec::Vec;

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::NodeId;
use hedgerow_wire::{Blob, DecodeError, Text, decode};

use crate::{DevicePublicKey, Name};

/// What a registration's signature covers comes after these bytes.
pub const REGISTRATION_DOMAIN: &[u8] = b"hedgerow/registration/1\0";

/// What a device is, in words; at most 256 bytes.
pub type Description = Text<256>;

/// How many bytes the encoding of a [`Registration`] may have.
const MAX_REGISTRATION: usize = 512;

/// Makes a device known to the network.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Registration {
    /// [`VERSION`](crate::VERSION).
    pub version: u8,
    /// The network it is for: the number in the genesis.
    pub network: u64,
    /// The device's name; no other device of the network has it.
    pub name: Name,
    /// The key that the device signs with. It determines the device's identifier.
    pub public_key: DevicePublicKey,
    /// What the device is, in words.
    pub description: Option<Description>,
}

/// A registration signed by a member of the network: a validator or a gateway of the genesis.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedRegistration {
    /// The encoding of a [`Registration`].
    pub body: Blob<MAX_REGISTRATION>,
    /// The member that signs.
    pub member: NodeId,
    /// Its Ed25519 signature over [`REGISTRATION_DOMAIN`] ++ body.
    pub signature: [u8; 64],
}

impl SignedRegistration {
    /// The message that the signature covers.
    #[must_use]
    pub fn message(body: &[u8]) -> Vec<u8> {
        [REGISTRATION_DOMAIN, body].concat()
    }

    /// What the body says.
    ///
    /// # Errors
    /// When it is not the encoding of a registration.
    pub fn registration(&self) -> Result<Registration, DecodeError> {
        decode(&self.body, MAX_REGISTRATION)
    }
}

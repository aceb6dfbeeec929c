use alloc::vec::Vec;

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, Height, NodeId};
use hedgerow_wire::{Blob, List};

use crate::MAX_VALIDATORS;

/// How many bytes an encoded header may have.
pub const MAX_HEADER: usize = 1024;

/// What an attestation's signature covers begins with these bytes.
pub const ATTESTATION_DOMAIN: &[u8] = b"hedgerow/attestation/1\0";

/// A validator's word that it has executed the block at `height`, whose header has this hash, after the network's
/// protocol had committed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Attestation {
    /// The block's height.
    pub height: Height,
    /// The hash of the block's header.
    pub header: Digest,
    /// The validator.
    pub signer: NodeId,
    /// Its Ed25519 signature of [`Attestation::message`].
    pub signature: [u8; 64],
}

impl Attestation {
    /// What the signature covers: [`ATTESTATION_DOMAIN`] ++ hash of the genesis block's header ++ height (8 bytes,
    /// little-endian) ++ hash of the header.
    #[must_use]
    pub fn message(genesis: &Digest, height: Height, header: &Digest) -> Vec<u8> {
        [
            ATTESTATION_DOMAIN,
            genesis.as_ref(),
            &height.0.to_le_bytes(),
            header.as_ref(),
        ]
        .concat()
    }
}

/// A header and the signatures that make it final: those of f + 1 validators, in ascending order of their identifiers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// The header as Ethereum encodes it (RLP).
    pub header: Blob<MAX_HEADER>,
    /// Who signed, and the signatures.
    pub signatures: List<(NodeId, [u8; 64]), MAX_VALIDATORS>,
}

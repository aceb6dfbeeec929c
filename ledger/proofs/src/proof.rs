use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, Height};
use hedgerow_merkle::{Inclusion, leaf_hash};
use hedgerow_records::{DeviceId, Reading, StreamName};
use hedgerow_wire::{Blob, List, encode};

use crate::Certificate;

/// A proof's first bytes: its kind and its version.
pub const PROOF_MAGIC: [u8; 8] = *b"HGPROOF\x01";

/// How many bytes an encoded proof may have: 256 KiB.
pub const MAX_PROOF: usize = 1 << 18;

/// How many nodes a path in a trie may have: one for each half of a key's byte, and the leaf.
pub const MAX_TRIE_DEPTH: usize = 65;

/// A node of Ethereum's trie, in RLP.
pub type TrieNode = Blob<1024>;

/// What a stream keeps of a reading. Its encoding is a leaf of the stream's Merkle mountain range.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Leaf {
    /// The reading.
    pub reading: Reading,
    /// The block that recorded it.
    pub height: Height,
    /// That block's time, in milliseconds since the Unix epoch.
    pub block_time: u64,
    /// keccak256 of the signed record that brought it.
    pub record: Digest,
}

impl Leaf {
    /// Its hash in the stream's Merkle mountain range.
    #[must_use]
    pub fn hash(&self) -> Digest {
        leaf_hash(&encode(self))
    }
}

/// Everything that is needed, with a [`TrustRoot`](crate::TrustRoot), to know that a reading is final. A proof's file
/// has only this encoding, and every byte of it is checked.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    /// [`PROOF_MAGIC`].
    pub magic: [u8; 8],
    /// The final header whose state has the stream.
    pub certificate: Certificate,
    /// The stream's name.
    pub stream: StreamName,
    /// The device that owns the stream.
    pub device: DeviceId,
    /// The nodes from the header's state root to the account of the streams, as `eth_getProof` gives them.
    pub account: List<TrieNode, MAX_TRIE_DEPTH>,
    /// The nodes from that account's storage root to the slot of the device's name.
    pub name_slot: List<TrieNode, MAX_TRIE_DEPTH>,
    /// The nodes from that account's storage root to the slot of the stream's root.
    pub root_slot: List<TrieNode, MAX_TRIE_DEPTH>,
    /// How many readings the stream has.
    pub length: u64,
    /// Where the reading is in the stream.
    pub position: u64,
    /// The path from the reading to the stream's root.
    pub path: Inclusion,
    /// The reading.
    pub leaf: Leaf,
}

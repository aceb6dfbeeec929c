use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, Height};
use hedgerow_records::{Reading, StreamName};
use hedgerow_wire::{Blob, List};

use crate::Certificate;

/// A proof's first bytes: its kind and its version.
pub const PROOF_MAGIC: [u8; 8] = *b"HGPROOF\x01";

/// How many bytes an encoded proof may have: 256 KiB.
pub const MAX_PROOF: usize = 1 << 18;

/// A node of Ethereum's trie, in RLP.
pub type TrieNode = Blob<1024>;

/// What a stream keeps of a reading. Its encoding is hashed into the stream's Merkle mountain range.
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

/// Everything that is needed, with a [`TrustRoot`](crate::TrustRoot), to know that a reading is final. A file of it has
/// only this: every byte is checked.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    /// [`PROOF_MAGIC`].
    pub magic: [u8; 8],
    /// The final header whose state has the stream.
    pub certificate: Certificate,
    /// The path in the account trie from the header's state root to the account that keeps the streams, as
    /// `eth_getProof` gives it.
    pub account: List<TrieNode, 64>,
    /// The path in that account's storage to the slot of the stream's owner and length.
    pub length_slot: List<TrieNode, 64>,
    /// The path in that account's storage to the slot of the stream's root.
    pub root_slot: List<TrieNode, 64>,
    /// The device's 20-byte identifier determines the stream's; this is what people call it.
    pub stream: StreamName,
    /// Where the reading is in the stream.
    pub position: u64,
    /// The path from the reading to the stream's root.
    pub path: List<Digest, 128>,
    /// The reading.
    pub leaf: Leaf,
}

use alloc::vec::Vec;

use alloy_primitives::{U256, keccak256};
use hedgerow_base::{Digest, Height, NodeId};
use hedgerow_records::{DeviceId, Reading, StreamId, StreamName};
use hedgerow_wire::{DecodeError, List, decode, encode};

use crate::{
    CertificateError, MAX_PROOF, PROOF_MAGIC, Proof, TrieNode, TrustRoot, layout,
    trie::{storage_root, trie_value, word},
};

/// A reading that is final: at least one correct validator has executed the block that has it, after the network had
/// committed that block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedReading {
    /// The stream.
    pub stream: StreamName,
    /// The device that owns the stream and signed the reading.
    pub device: DeviceId,
    /// What the device said.
    pub reading: Reading,
    /// Where it is in the stream.
    pub position: u64,
    /// The block that recorded it.
    pub height: Height,
    /// That block's time: milliseconds since the Unix epoch.
    pub block_time: u64,
    /// keccak256 of the signed record that brought it.
    pub record: Digest,
    /// The block whose header is signed.
    pub certified: Height,
    /// The hash of that header.
    pub header: Digest,
    /// Who signed it.
    pub signers: Vec<NodeId>,
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not the encoding of a proof.
    #[error("not a proof: {0}")]
    Decode(#[from] DecodeError),
    /// Another kind of file, or a version that this program doesn't know.
    #[error("not a proof, or one of a version that this program does not know")]
    Magic,
    /// The header is not final.
    #[error("the block is not certified: {0}")]
    Certificate(#[from] CertificateError),
    /// The path to the account of the streams doesn't hold.
    #[error("the account of the streams is not proved under the block's state root")]
    Account,
    /// The device doesn't have the stream's name.
    #[error("it is not proved that the device of that name is this one")]
    Name,
    /// The path to the stream's root doesn't hold.
    #[error("the stream is not proved under the block's state root")]
    Stream,
    /// The reading isn't in the stream at that place.
    #[error("the reading is not in the stream at that position")]
    Reading,
    /// The reading claims to be of a later block than the one that is certified.
    #[error("the reading's block is later than the certified one")]
    Height,
}

fn slot_value(
    root: &Digest,
    slot: U256,
    nodes: &List<TrieNode, { crate::MAX_TRIE_DEPTH }>,
) -> Option<[u8; 32]> {
    let key = keccak256(slot.to_be_bytes::<32>()).0;
    word(trie_value(root, &key, nodes.iter().map(|node| &**node))?)
}

impl Proof {
    /// The proof that `bytes`, all of them, encode; nothing is verified.
    ///
    /// # Errors
    /// When they are not such an encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        if !bytes.starts_with(&PROOF_MAGIC) {
            return Err(ProofError::Magic);
        }
        Ok(decode(bytes, MAX_PROOF)?)
    }

    /// Its encoding: the content of a proof's file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// What is proved.
    ///
    /// # Errors
    /// Says which step doesn't hold.
    pub fn verify(&self, trust: &TrustRoot) -> Result<VerifiedReading, ProofError> {
        if self.magic != PROOF_MAGIC {
            return Err(ProofError::Magic);
        }
        let header = self.certificate.verify(trust)?;

        let key = keccak256(layout::STREAMS_ADDRESS).0;
        let account = trie_value(
            &header.state_root,
            &key,
            self.account.iter().map(|node| &**node),
        );
        let storage = account.and_then(storage_root).ok_or(ProofError::Account)?;

        let named = slot_value(
            &storage,
            layout::name_slot(&self.stream.device),
            &self.name_slot,
        );
        if named != Some(layout::address_word(self.device)) {
            return Err(ProofError::Name);
        }
        let stream = StreamId::new(self.device, &self.stream.stream);
        let root = slot_value(&storage, layout::stream_root_slot(stream), &self.root_slot)
            .ok_or(ProofError::Stream)?;
        if !self
            .path
            .verify(&Digest(root), self.length, self.position, self.leaf.hash())
        {
            return Err(ProofError::Reading);
        }
        if self.leaf.height > header.height {
            return Err(ProofError::Height);
        }
        Ok(VerifiedReading {
            stream: self.stream.clone(),
            device: self.device,
            reading: self.leaf.reading.clone(),
            position: self.position,
            height: self.leaf.height,
            block_time: self.leaf.block_time,
            record: self.leaf.record,
            certified: header.height,
            header: header.hash(),
            signers: self
                .certificate
                .signatures
                .iter()
                .map(|(signer, _)| *signer)
                .collect(),
        })
    }
}

use alloc::vec::Vec;

use alloy_primitives::{B256, Bloom, b256, keccak256};
use alloy_rlp::Encodable;
use hedgerow_base::{Digest, Height, Slot};

/// How many bytes an encoded header may have.
pub const MAX_HEADER: usize = 1024;

/// The first byte of `extraData`.
pub const EXTRA_VERSION: u8 = 1;

/// keccak256 of the RLP of an empty list: a header without uncles.
const NO_OMMERS: B256 = b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");
/// The root of the empty trie: a block without withdrawals.
const NO_WITHDRAWALS: B256 =
    b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
/// SHA-256 of nothing: a block without requests of the execution layer (EIP-7685).
const NO_REQUESTS: B256 = b256!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

/// The number with these big-endian bytes, at most eight.
fn number(content: &[u8]) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes
        .get_mut(8_usize.checked_sub(content.len())?..)?
        .copy_from_slice(content);
    Some(u64::from_be_bytes(bytes))
}

/// What a block commits to. Encoded as Ethereum's header of the Prague fork (21 fields, RLP), so that its tools read
/// it; what this ledger has no use for has the value that Ethereum defines for "nothing".
///
/// Ethereum's timestamp is in whole seconds: `extraData` has [`EXTRA_VERSION`] and the time in milliseconds (8 bytes,
/// big-endian). The history root is in `mixHash`, the slot in `nonce` (big-endian), the genesis' digest in
/// `parentBeaconBlockRoot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The hash of the header before this one; zero in the genesis block.
    pub parent: Digest,
    /// The block's number.
    pub height: Height,
    /// Its place in the ordering protocol's order.
    pub slot: Slot,
    /// The ledger's time: milliseconds since the Unix epoch; never less than the parent's.
    pub time: u64,
    /// The root of the state after the block.
    pub state_root: Digest,
    /// The root of the trie of the block's transactions, by their number.
    pub transactions_root: Digest,
    /// The root of the trie of the transactions' receipts, by their number.
    pub receipts_root: Digest,
    /// Ethereum's Bloom filter over the addresses and topics that the block's contracts logged.
    pub logs_bloom: Bloom,
    /// How much gas the block's contracts may have taken.
    pub gas_limit: u64,
    /// How much they took.
    pub gas_used: u64,
    /// The root of the Merkle mountain range whose leaves are the hashes of all earlier headers.
    pub history_root: Digest,
    /// The genesis' digest.
    pub genesis: Digest,
}

/// The bytes are not the encoding of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the encoding of a header")]
pub struct BadHeader;

impl Header {
    /// The header as Ethereum encodes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let extra = self.extra();
        let items: [&dyn Encodable; 21] = [
            &self.parent.0,
            &NO_OMMERS.0,
            &[0_u8; 20],
            &self.state_root.0,
            &self.transactions_root.0,
            &self.receipts_root.0,
            &self.logs_bloom.0.0,
            &0_u64,
            &self.height.0,
            &self.gas_limit,
            &self.gas_used,
            &(self.time / 1000),
            &extra.as_slice(),
            &self.history_root.0,
            &self.slot.0.to_be_bytes(),
            &0_u64,
            &NO_WITHDRAWALS.0,
            &0_u64,
            &0_u64,
            &self.genesis.0,
            &NO_REQUESTS.0,
        ];
        let mut out = Vec::with_capacity(MAX_HEADER);
        let payload_length = items.iter().map(|item| item.length()).sum();
        alloy_rlp::Header {
            list: true,
            payload_length,
        }
        .encode(&mut out);
        items.iter().for_each(|item| item.encode(&mut out));
        out
    }

    fn extra(&self) -> Vec<u8> {
        let parts: [&[u8]; 2] = [&[EXTRA_VERSION], &self.time.to_be_bytes()];
        parts.concat()
    }

    /// The header that `bytes`, all of them, encode.
    ///
    /// # Errors
    /// When they encode something else, or a field that this ledger doesn't use has another value than "nothing".
    pub fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        if bytes.len() > MAX_HEADER {
            return Err(BadHeader);
        }
        let header = Self::parse(bytes).ok_or(BadHeader)?;
        // One header has one encoding: whatever differs from it is not one.
        if header.encode() == bytes {
            Ok(header)
        } else {
            Err(BadHeader)
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let items = crate::trie::items::<21>(bytes)?;
        let [
            parent,
            _,
            _,
            state_root,
            transactions_root,
            receipts_root,
            logs_bloom,
            _,
            height,
            gas_limit,
            gas_used,
            _,
            extra,
            history_root,
            slot,
            _,
            _,
            _,
            _,
            genesis,
            _,
        ] = items;
        let (_version, time) = extra.content.split_first()?;
        let digest = |bytes: &[u8]| Some(Digest(bytes.try_into().ok()?));
        Some(Self {
            parent: digest(parent.content)?,
            height: Height(number(height.content)?),
            slot: Slot(u64::from_be_bytes(slot.content.try_into().ok()?)),
            time: u64::from_be_bytes(time.try_into().ok()?),
            state_root: digest(state_root.content)?,
            transactions_root: digest(transactions_root.content)?,
            receipts_root: digest(receipts_root.content)?,
            logs_bloom: Bloom::try_from(logs_bloom.content).ok()?,
            gas_limit: number(gas_limit.content)?,
            gas_used: number(gas_used.content)?,
            history_root: digest(history_root.content)?,
            genesis: digest(genesis.content)?,
        })
    }

    /// Names the block: keccak256 of the encoding.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Self::hash_encoded(&self.encode())
    }

    /// The hash of the header with that encoding.
    #[must_use]
    pub fn hash_encoded(encoded: &[u8]) -> Digest {
        Digest(keccak256(encoded).0)
    }
}

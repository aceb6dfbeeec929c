use alloc::vec::Vec;

use alloy_primitives::{B256, U256, b256};

use crate::{
    rlp,
    trie::{EMPTY_ROOT, Trie, Value},
};

/// keccak256 of no code.
pub const EMPTY_CODE_HASH: B256 =
    b256!("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");

/// An account, but for its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// How many transactions it has sent, or contracts it has made.
    pub nonce: u64,
    /// What it owns.
    pub balance: U256,
    /// keccak256 of its code.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            nonce: 0,
            balance: U256::ZERO,
            code_hash: EMPTY_CODE_HASH,
        }
    }
}

impl Account {
    /// As the store has it: nonce (8 bytes), balance (32), code hash (32), big-endian.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        [
            &self.nonce.to_be_bytes()[..],
            &self.balance.to_be_bytes::<32>(),
            self.code_hash.as_slice(),
        ]
        .concat()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (nonce, rest) = bytes.split_first_chunk::<8>()?;
        let (balance, rest) = rest.split_first_chunk::<32>()?;
        let code_hash = B256::try_from(rest).ok()?;
        Some(Self {
            nonce: u64::from_be_bytes(*nonce),
            balance: U256::from_be_bytes(*balance),
            code_hash,
        })
    }
}

/// A word of storage; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) U256);

impl Value for Word {
    fn encode(&self, out: &mut Vec<u8>) {
        rlp::number(&self.0.to_be_bytes::<32>(), out);
    }
}

/// An account with its storage.
#[derive(Clone, Debug)]
pub(crate) struct AccountLeaf {
    pub(crate) account: Account,
    pub(crate) storage: Trie<Word>,
    /// The storage's root when it was last settled.
    pub(crate) storage_root: B256,
}

impl AccountLeaf {
    pub(crate) fn new(account: Account) -> Self {
        Self {
            account,
            storage: Trie::default(),
            storage_root: EMPTY_ROOT,
        }
    }
}

impl Value for AccountLeaf {
    fn settle(&mut self) {
        self.storage_root = self.storage.root();
    }

    fn encode(&self, out: &mut Vec<u8>) {
        rlp::list(out, |out| {
            rlp::number(&self.account.nonce.to_be_bytes(), out);
            rlp::number(&self.account.balance.to_be_bytes::<32>(), out);
            rlp::string(self.storage_root.as_slice(), out);
            rlp::string(self.account.code_hash.as_slice(), out);
        });
    }
}

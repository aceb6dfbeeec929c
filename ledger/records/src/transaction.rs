use alloc::vec::Vec;

use alloy_primitives::keccak256;
use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::Digest;
use hedgerow_wire::{Blob, DecodeError, List, decode, encode};

use crate::{SignedRecord, SignedRegistration, SignedRoleVote, SignedVote};

/// How many bytes a transaction may have when encoded: 1 MiB.
pub const MAX_TRANSACTION: usize = 1 << 20;

/// How many transactions a bundle may have.
pub const MAX_TRANSACTIONS: usize = 1024;

/// How many bytes a bundle may have when encoded: 2 MiB.
pub const MAX_BUNDLE: usize = 1 << 21;

/// One thing that the ledger is asked to do, of its own kinds. A gateway carries it and never changes it.
///
/// Beside these the ledger takes Ethereum's transactions, as they are. The first byte tells which it is (EIP-2718): these
/// here have types at the upper end of that standard's range, where Ethereum has none.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Transaction {
    /// Make a device known. First byte 0x70.
    Register(SignedRegistration) = 0x70,
    /// Keep a device's readings. First byte 0x71.
    Record(SignedRecord) = Self::RECORD,
    /// Count a validator's vote for another ordering protocol. First byte 0x72.
    Vote(SignedVote) = 0x72,
    /// Count a validator's vote on somebody's roles. First byte 0x73.
    RoleVote(SignedRoleVote) = 0x73,
}

impl Transaction {
    /// The first byte of a record's transaction; what follows it is the [`SignedRecord`].
    pub const RECORD: u8 = 0x71;

    /// Whether bytes are to be taken for one of Ethereum's transactions: of a type that it has, 1 to 4, or a legacy one, which
    /// begins as a list of RLP does. Whether they are one is another question.
    #[must_use]
    pub const fn is_ethereums(bytes: &[u8]) -> bool {
        matches!(bytes, [0x01..=0x04 | 0xc0..=0xff, ..])
    }

    /// Whether bytes are to be taken for a validator's vote, of whichever kind.
    #[must_use]
    pub const fn is_vote(bytes: &[u8]) -> bool {
        matches!(bytes, [0x72 | 0x73, ..])
    }

    /// The transaction that `bytes`, all of them, encode; no signature is verified.
    ///
    /// # Errors
    /// When there are more than 1 MiB, or when they are not such an encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, MAX_TRANSACTION)
    }

    /// Its encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Names a transaction: keccak256 of its bytes, as Ethereum does.
    #[must_use]
    pub fn digest(bytes: &[u8]) -> Digest {
        Digest(keccak256(bytes).0)
    }
}

/// What one request to the ordering protocol carries: the bytes of transactions. Transactions that do not decode are
/// rejected one by one, so a gateway that passes on garbage harms nobody else's.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Bundle {
    /// The transactions' bytes, in the order in which they are to be executed.
    pub transactions: List<Blob<MAX_TRANSACTION>, MAX_TRANSACTIONS>,
}

impl Bundle {
    /// The bundle that `bytes`, all of them, encode.
    ///
    /// # Errors
    /// When there are more than [`MAX_BUNDLE`], or when they are not such an encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, MAX_BUNDLE)
    }

    /// The transactions of the bundle that `bytes`, all of them, encode, where they lie. `None` exactly when
    /// [`Bundle::from_bytes`] fails.
    #[must_use]
    pub fn split(bytes: &[u8]) -> Option<Vec<&[u8]>> {
        let mut rest = Some(bytes).filter(|bytes| bytes.len() <= MAX_BUNDLE)?;
        let count = take_number(&mut rest).filter(|count| *count <= MAX_TRANSACTIONS)?;
        let mut transactions = Vec::new();
        for _ in 0..count {
            let length = take_number(&mut rest).filter(|length| *length <= MAX_TRANSACTION)?;
            let (transaction, after) = rest.split_at_checked(length)?;
            transactions.push(transaction);
            rest = after;
        }
        rest.is_empty().then_some(transactions)
    }

    /// Its encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }
}

/// Takes a `u32` off the front.
fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*number) as usize)
}

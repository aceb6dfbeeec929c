//! A call as it is asked for.

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, Bytes, U256};
use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_evm::{AccountOverride, BlockOverrides, Call, MAX_TRANSACTION, Overrides};
use hedgerow_wire::{Blob, List};

use crate::{MAX_CODE, Word};

/// How many accounts a call's access list names at most, and how many slots of each: more than its gas pays for.
pub const MAX_ACCESSED: usize = 16_384;
/// How many accounts a call finds changed at most.
pub const MAX_OVERRIDES: usize = 128;
/// How many slots of each.
pub const MAX_OVERRIDDEN_SLOTS: usize = 1_024;

/// Accounts and slots that are named beforehand (EIP-2930).
pub type AccessItems = List<AccessItem, MAX_ACCESSED>;

/// Slots, and what they hold.
pub type Slots = List<(Word, Word), MAX_OVERRIDDEN_SLOTS>;

/// A call without a transaction. As a whole, it must fit into a question ([`Query::MAX_BYTES`](crate::Query::MAX_BYTES)).
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CallRequest {
    /// As whom.
    pub from: [u8; 20],
    /// The contract; `None` to try a creation.
    pub to: Option<[u8; 20]>,
    /// How much gas it may take; never more than a transaction may.
    pub gas: u64,
    /// What is sent along, in wei.
    pub value: Word,
    /// The input.
    pub input: Blob<MAX_TRANSACTION>,
    /// What a unit of gas may cost, in wei; `None`, or 0: nothing is paid for gas.
    pub fee: Option<u128>,
    /// What is named beforehand.
    pub access_list: AccessItems,
    /// The accounts that it finds changed.
    pub accounts: List<ChangedAccount, MAX_OVERRIDES>,
    /// What it finds changed of its block.
    pub block: Box<ChangedBlock>,
}

/// An account, and slots of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AccessItem {
    /// The account.
    pub address: [u8; 20],
    /// The slots.
    pub slots: List<Word, MAX_ACCESSED>,
}

/// An account that a call finds changed; `None`: nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChangedAccount {
    /// The account.
    pub address: [u8; 20],
    /// What it owns, in wei.
    pub balance: Option<Word>,
    /// How many transactions it has sent.
    pub nonce: Option<u64>,
    /// Its code.
    pub code: Option<Blob<MAX_CODE>>,
    /// All of its storage.
    pub storage: Option<Slots>,
    /// These slots; the others stay.
    pub slots: Slots,
}

/// What a call finds changed of the block that it is in; `None`: nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChangedBlock {
    /// What NUMBER gives.
    pub number: Option<Word>,
    /// What TIMESTAMP gives: seconds.
    pub time: Option<u64>,
    /// What GASLIMIT gives. The call has no more.
    pub gas_limit: Option<u64>,
    /// What COINBASE gives.
    pub beneficiary: Option<[u8; 20]>,
    /// What PREVRANDAO gives.
    pub randomness: Option<Word>,
}

fn word(word: Word) -> U256 {
    U256::from_be_bytes(word)
}

fn slots(slots: &Slots) -> std::collections::BTreeMap<U256, U256> {
    let slots = slots.iter();
    slots
        .map(|(slot, value)| (word(*slot), word(*value)))
        .collect()
}

impl CallRequest {
    pub(crate) fn call(&self) -> Call {
        let items = self.access_list.iter().map(|item| AccessListItem {
            address: Address(item.address.into()),
            storage_keys: item.slots.iter().map(|slot| (*slot).into()).collect(),
        });
        let accounts = self.accounts.iter().map(|one| {
            let change = AccountOverride {
                balance: one.balance.map(word),
                nonce: one.nonce,
                code: one
                    .code
                    .as_ref()
                    .map(|code| Bytes::copy_from_slice(code.as_ref())),
                storage: one.storage.as_ref().map(slots),
                slots: slots(&one.slots),
            };
            (Address(one.address.into()), change)
        });
        let block = &self.block;
        Call {
            from: Address(self.from.into()),
            to: self.to.map(|to| Address(to.into())),
            gas: self.gas,
            value: word(self.value),
            input: Bytes::copy_from_slice(self.input.as_ref()),
            fee: self.fee,
            access_list: AccessList(items.collect()),
            overrides: Overrides {
                accounts: accounts.collect(),
                block: BlockOverrides {
                    number: block.number.map(word),
                    time: block.time,
                    gas_limit: block.gas_limit,
                    beneficiary: block.beneficiary.map(|address| Address(address.into())),
                    randomness: block.randomness.map(Into::into),
                },
            },
        }
    }
}

/// An access list as an answer has it.
pub(crate) fn items(list: AccessList) -> AccessItems {
    let items = list.0.into_iter().map(|item| AccessItem {
        address: item.address.0.0,
        // Its gas pays for no more.
        slots: List::new(item.storage_keys.iter().map(|slot| slot.0).collect()).unwrap_or_default(),
    });
    List::new(items.collect()).unwrap_or_default()
}

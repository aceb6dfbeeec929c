//! What a call is to find changed, as if it were so.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use hedgerow_proofs::layout::STREAMS_ADDRESS;
use hedgerow_state::State;
use revm::{bytecode::Bytecode, context::BlockEnv};

use crate::Refusal;

/// What a call finds changed: accounts, and the block that it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Accounts.
    pub accounts: BTreeMap<Address, AccountOverride>,
    /// The block.
    pub block: BlockOverrides,
}

/// What is changed of an account; `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// What it owns, in wei.
    pub balance: Option<U256>,
    /// How many transactions it has sent.
    pub nonce: Option<u64>,
    /// Its code.
    pub code: Option<Bytes>,
    /// All of its storage: other slots are empty.
    pub storage: Option<BTreeMap<U256, U256>>,
    /// These slots; the others stay.
    pub slots: BTreeMap<U256, U256>,
}

/// What is changed of the block that a call is in; `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockOverrides {
    /// What NUMBER gives.
    pub number: Option<U256>,
    /// What TIMESTAMP gives: seconds.
    pub time: Option<u64>,
    /// What GASLIMIT gives. No call may have more.
    pub gas_limit: Option<u64>,
    /// What COINBASE gives.
    pub beneficiary: Option<Address>,
    /// What PREVRANDAO gives.
    pub randomness: Option<B256>,
}

impl Overrides {
    /// Changes the accounts; gives the code that they have now. `native` is which addresses have no code to change.
    pub(crate) fn apply(
        &self,
        state: &mut State,
        native: impl Fn(&Address) -> bool,
    ) -> Result<BTreeMap<B256, Bytecode>, Refusal> {
        let mut codes = BTreeMap::new();
        for (address, change) in &self.accounts {
            if change.code.is_some() && native(address) {
                return Err(Refusal::Invalid(format!(
                    "account {address}: no code runs there that could be overridden"
                )));
            }
            let stored = change.storage.is_some() || !change.slots.is_empty();
            // What is there names what the store has.
            if stored && *address == STREAMS_ADDRESS {
                return Err(Refusal::Invalid(format!(
                    "account {address}: the streams' storage can't be overridden"
                )));
            }
            let mut account = state.account(address).unwrap_or_default();
            account.balance = change.balance.unwrap_or(account.balance);
            account.nonce = change.nonce.unwrap_or(account.nonce);
            if let Some(code) = &change.code {
                account.code_hash = keccak256(code);
                let code = Bytecode::new_raw_checked(code.clone()).map_err(|error| {
                    Refusal::Invalid(format!("account {address}: code: {error}"))
                })?;
                codes.insert(account.code_hash, code);
            }
            state.set_account(address, account);
            if let Some(storage) = &change.storage {
                state.forget_storage(address);
                state.set_storage(address, storage.clone());
            }
            state.set_storage(address, change.slots.clone());
        }
        Ok(codes)
    }
}

impl BlockOverrides {
    pub(crate) fn apply(&self, block: &mut BlockEnv) {
        block.number = self.number.unwrap_or(block.number);
        block.timestamp = self.time.map_or(block.timestamp, U256::from);
        block.gas_limit = self.gas_limit.unwrap_or(block.gas_limit);
        block.beneficiary = self.beneficiary.unwrap_or(block.beneficiary);
        block.prevrandao = self.randomness.or(block.prevrandao);
    }
}

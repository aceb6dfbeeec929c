//! Plain revm with its own database, and alloy-trie's state root: neither shares code with how this crate reads and
//! changes the state.
#![allow(dead_code, unreachable_pub)]

use alloy_primitives::{Address, B256, U256};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use hedgerow_evm::{Block, Executed, Outcome, Refusal, Rules, SPEC};
use revm::{
    Context, ExecuteCommitEvm, MainBuilder, MainContext,
    context::{
        BlockEnv, CfgEnv, TxEnv,
        result::{ExecutionResult, Output},
    },
    database::{AccountState, CacheDB, EmptyDB},
    state::AccountInfo,
};

/// The same transactions on revm's own database.
pub struct Oracle {
    pub database: CacheDB<EmptyDB>,
}

impl Oracle {
    /// With these accounts.
    pub fn new(accounts: impl IntoIterator<Item = (Address, AccountInfo)>) -> Self {
        let mut database = CacheDB::new(EmptyDB::new());
        for (address, info) in accounts {
            database.insert_account_info(address, info);
        }
        Self { database }
    }

    pub fn run(
        &mut self,
        rules: &Rules,
        block: Block,
        transaction: TxEnv,
    ) -> Option<ExecutionResult> {
        let mut settings = CfgEnv::new_with_spec(SPEC);
        settings.chain_id = rules.chain;
        let environment = BlockEnv {
            number: U256::from(block.height),
            beneficiary: rules.beneficiary,
            timestamp: U256::from(block.time / 1000),
            gas_limit: rules.gas_limit,
            basefee: 0,
            prevrandao: Some(block.history),
            ..BlockEnv::default()
        };
        let mut evm = Context::mainnet()
            .with_db(&mut self.database)
            .with_cfg(settings)
            .with_block(environment)
            .build_mainnet();
        evm.transact_commit(transaction).ok()
    }

    pub fn root(&self) -> B256 {
        let accounts = self.database.cache.accounts.iter();
        let there = accounts.filter(|(_, account)| {
            account.account_state != AccountState::NotExisting && !account.info.is_empty()
        });
        state_root_unhashed(there.map(|(address, account)| {
            let slots = account.storage.iter().filter(|(_, value)| !value.is_zero());
            let storage_root =
                storage_root_unhashed(slots.map(|(slot, value)| ((*slot).into(), *value)));
            let leaf = TrieAccount {
                nonce: account.info.nonce,
                balance: account.info.balance,
                storage_root,
                code_hash: account.info.code_hash,
            };
            (*address, leaf)
        }))
    }
}

/// Whether both ended alike.
pub fn same(ours: &Result<Executed, Refusal>, theirs: &Option<ExecutionResult>) -> bool {
    match (ours, theirs) {
        (Err(_), None) => true,
        (Ok(ours), Some(theirs)) => {
            let outcome = match theirs {
                ExecutionResult::Success { output, .. } => match output {
                    Output::Call(bytes) | Output::Create(bytes, _) => {
                        Outcome::Success(bytes.clone())
                    }
                },
                ExecutionResult::Revert { output, .. } => Outcome::Reverted(output.clone()),
                ExecutionResult::Halt { reason, .. } => Outcome::Halted(reason.clone()),
            };
            let logs = if theirs.is_success() {
                theirs.logs()
            } else {
                &[]
            };
            ours.outcome == outcome
                && ours.gas_used == theirs.tx_gas_used()
                && ours.logs == logs
                && ours.created == theirs.created_address().filter(|_| theirs.is_success())
        }
        _ => false,
    }
}

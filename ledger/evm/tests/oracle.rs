//! Any blocks against revm with its own database, and alloy-trie's state root: neither shares code with how this crate
//! reads and changes the state.

mod chain;

use alloy_primitives::{Address, TxKind, U256};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use chain::{CHAIN, Chain, RICH, Signer, counter, deploying, ender, historian, spinner};
use hedgerow_evm::{Executed, Outcome, Refusal, SPEC};
use proptest::prelude::*;
use revm::{
    Context, ExecuteCommitEvm, MainBuilder, MainContext,
    context::{
        BlockEnv, CfgEnv, TxEnv,
        result::{ExecutionResult, Output},
    },
    database::{AccountState, CacheDB, EmptyDB},
    state::AccountInfo,
};

#[derive(Clone, Debug)]
enum Action {
    Transfer {
        from: u8,
        to: u8,
        value: u64,
    },
    Deploy {
        from: u8,
        which: u8,
        value: u64,
    },
    /// A creation that ends itself at once.
    Flash {
        from: u8,
        value: u64,
    },
    /// One of the contracts that were made.
    Call {
        from: u8,
        which: usize,
        value: u64,
        input: Vec<u8>,
    },
    WrongNonce {
        from: u8,
        ahead: bool,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let value = || prop_oneof![Just(0), 1..1000_u64, Just(RICH), any::<u64>()];
    prop_oneof![
        3 => (0..6_u8, 0..9_u8, value()).prop_map(|(from, to, value)| Action::Transfer { from, to, value }),
        3 => (0..6_u8, 0..4_u8, value()).prop_map(|(from, which, value)| Action::Deploy { from, which, value }),
        1 => (0..6_u8, value()).prop_map(|(from, value)| Action::Flash { from, value }),
        8 => (0..6_u8, any::<usize>(), value(), prop_oneof![Just(vec![]), Just(vec![1]), Just(vec![9])])
            .prop_map(|(from, which, value, input)| Action::Call { from, which, value, input }),
        1 => (0..6_u8, any::<bool>()).prop_map(|(from, ahead)| Action::WrongNonce { from, ahead }),
    ]
}

/// The same transactions on revm's own database.
struct Oracle {
    database: CacheDB<EmptyDB>,
}

impl Oracle {
    fn new() -> Self {
        let mut database = CacheDB::new(EmptyDB::new());
        for number in 0..5 {
            let info = AccountInfo {
                balance: U256::from(RICH),
                ..AccountInfo::default()
            };
            database.insert_account_info(Signer::new(number).address(), info);
        }
        Self { database }
    }

    fn run(&mut self, block: hedgerow_evm::Block, transaction: TxEnv) -> Option<ExecutionResult> {
        let mut settings = CfgEnv::new_with_spec(SPEC);
        settings.chain_id = CHAIN;
        let environment = BlockEnv {
            number: U256::from(block.height),
            beneficiary: Address::repeat_byte(0xbe),
            timestamp: U256::from(block.time / 1000),
            gas_limit: 30_000_000,
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

    fn root(&self) -> alloy_primitives::B256 {
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

fn same(ours: &Result<Executed, Refusal>, theirs: &Option<ExecutionResult>) -> bool {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn blocks_do_what_revm_does(
        blocks in prop::collection::vec(prop::collection::vec(action(), 1..8), 1..8),
        price in prop_oneof![Just(0_u64), Just(7)],
    ) {
        let runtimes = [counter(), ender(), historian(), spinner()];
        let (mut chain, mut oracle) = (Chain::new(price), Oracle::new());
        let mut made = vec![Address::repeat_byte(0x55)];
        for actions in blocks {
            // The nonces as they will be if everything is executed; what is refused leaves gaps, which is well.
            let mut nonces: Vec<_> = (0..6).map(|n| {
                chain.state.account(&Signer::new(n).address()).map_or(0, |account| account.nonce)
            }).collect();
            let mut block = Vec::new();
            let mut environments = Vec::new();
            for action in actions {
                let (from, to, value, input, shift) = match action {
                    Action::Transfer { from, to, value } => (from, TxKind::Call(Signer::new(to).address()), value, vec![], None),
                    Action::Deploy { from, which, value } => (from, TxKind::Create, value, deploying(&runtimes[which as usize]), None),
                    Action::Flash { from, value } => (from, TxKind::Create, value, ender(), None),
                    Action::Call { from, which, value, input } => (from, TxKind::Call(made[which % made.len()]), value, input, None),
                    Action::WrongNonce { from, ahead } => (from, TxKind::Create, 0, vec![], Some(ahead)),
                };
                let nonce = match shift {
                    Some(true) => nonces[from as usize] + 1,
                    Some(false) => nonces[from as usize].wrapping_sub(1) & 0xffff,
                    None => { nonces[from as usize] += 1; nonces[from as usize] - 1 }
                };
                let signer = Signer::new(from);
                block.push(signer.send(nonce, to, value, &input));
                environments.push(TxEnv {
                    tx_type: 2,
                    caller: signer.address(),
                    gas_limit: 400_000,
                    gas_price: price.into(),
                    gas_priority_fee: Some(price.into()),
                    kind: to,
                    value: U256::from(value),
                    data: input.into(),
                    nonce,
                    chain_id: Some(CHAIN),
                    ..TxEnv::default()
                });
            }
            let at = chain.block;
            for (height, hash) in &chain.hashes.0 {
                oracle.database.cache.block_hashes.insert(U256::from(*height), *hash);
            }
            let ours = chain.block(&block);
            for (ours, environment) in ours.iter().zip(environments) {
                let theirs = oracle.run(at, environment.clone());
                prop_assert!(same(ours, &theirs), "{:?}: {:?} and {:?}", environment, ours, theirs);
                if let Ok(Executed { created: Some(created), .. }) = ours {
                    made.push(*created);
                }
            }
            prop_assert_eq!(chain.state.root(), oracle.root());
        }
        let mut loaded = hedgerow_state::State::load(&chain.store).unwrap();
        prop_assert_eq!(loaded.root(), chain.state.root());
    }
}

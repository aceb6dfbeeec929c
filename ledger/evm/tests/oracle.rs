//! Any blocks against revm with its own database, and alloy-trie's state root: neither shares code with how this crate
//! reads and changes the state.

mod chain;
mod plain;

use alloy_primitives::{Address, TxKind, U256};
use chain::{CHAIN, Chain, RICH, Signer, counter, deploying, ender, historian, spinner};
use hedgerow_evm::Executed;
use plain::{Oracle, same};
use proptest::prelude::*;
use revm::{context::TxEnv, state::AccountInfo};

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

fn oracle() -> Oracle {
    Oracle::new((0..5).map(|number| {
        let info = AccountInfo {
            balance: U256::from(RICH),
            ..AccountInfo::default()
        };
        (Signer::new(number).address(), info)
    }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn blocks_do_what_revm_does(
        blocks in prop::collection::vec(prop::collection::vec(action(), 1..8), 1..8),
        price in prop_oneof![Just(0_u64), Just(7)],
    ) {
        let runtimes = [counter(), ender(), historian(), spinner()];
        let (mut chain, mut oracle) = (Chain::new(price), oracle());
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
            let (at, rules) = (chain.block, chain.contracts.rules().clone());
            for (height, hash) in &chain.hashes.0 {
                oracle.database.cache.block_hashes.insert(U256::from(*height), *hash);
            }
            let ours = chain.block(&block);
            for (ours, environment) in ours.iter().zip(environments) {
                let theirs = oracle.run(&rules, at, environment.clone());
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

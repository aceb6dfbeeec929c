//! A chain of blocks of contracts alone.
#![allow(dead_code)]

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use hedgerow_base::Digest;
use hedgerow_evm::{
    Ancestors, Block, Call, Contracts, Executed, Outcome, Refusal, Rules, Transaction, Work,
};
use hedgerow_kv::{KvStore, MemoryStore, StoreError};
use hedgerow_proofs::TrustRoot;
use hedgerow_state::{Account, State, View, Writes};
use hedgerow_wire::List;

mod accounts;

pub(crate) use accounts::*;

pub(crate) const RICH: u64 = 1 << 60;

/// Nobody makes proofs here.
pub(crate) fn trust() -> Arc<TrustRoot> {
    Arc::new(TrustRoot {
        network: CHAIN,
        genesis: Digest::ZERO,
        validators: List::default(),
    })
}

#[derive(Default)]
pub(crate) struct Hashes(pub(crate) BTreeMap<u64, B256>);

impl Ancestors for Hashes {
    fn hash(&self, height: u64) -> Result<Option<B256>, StoreError> {
        Ok(self.0.get(&height).copied())
    }
}

pub(crate) struct Chain {
    pub(crate) store: MemoryStore,
    pub(crate) state: State,
    pub(crate) contracts: Contracts,
    pub(crate) hashes: Hashes,
    pub(crate) block: Block,
}

impl Chain {
    /// Accounts 0 to 4 own [`RICH`].
    pub(crate) fn new(gas_price: u64) -> Self {
        let mut state = State::default();
        for number in 0..5 {
            let account = Account {
                balance: U256::from(RICH),
                ..Account::default()
            };
            state.set_account(&Signer::new(number).address(), account);
        }
        let rules = Rules {
            chain: CHAIN,
            gas_limit: 30_000_000,
            gas_price,
            beneficiary: Address::repeat_byte(0xbe),
        };
        let genesis = keccak256(0_u64.to_be_bytes());
        let mut store = MemoryStore::new();
        let mut writes = Writes::default();
        state.take_writes(&mut writes);
        store.commit(writes.into_batch()).unwrap();
        Self {
            store,
            state,
            contracts: Contracts::new(rules, trust()),
            hashes: Hashes(BTreeMap::from([(0, genesis)])),
            block: Block {
                height: 1,
                time: 1_700_000_000_999,
                history: genesis,
            },
        }
    }

    /// Executes and stores a block of these transactions.
    pub(crate) fn block(&mut self, transactions: &[Vec<u8>]) -> Vec<Result<Executed, Refusal>> {
        let admitted: Vec<_> = transactions
            .iter()
            .map(|bytes| Transaction::admit(bytes, CHAIN).unwrap())
            .collect();
        let mut writes = Writes::default();
        let view = View::new(&self.store, []);
        let results = self
            .contracts
            .execute(
                self.block,
                admitted.iter().map(Work::Transaction),
                &self.hashes,
                &view,
                &mut self.state,
                &mut writes,
            )
            .unwrap();
        self.state.take_writes(&mut writes);
        self.store.commit(writes.into_batch()).unwrap();
        let hash = keccak256(self.block.height.to_be_bytes());
        self.hashes.0.insert(self.block.height, hash);
        self.block = Block {
            height: self.block.height + 1,
            time: self.block.time + 500,
            history: hash,
        };
        results
    }

    pub(crate) fn call(&mut self, to: Address, input: &[u8]) -> Result<(Outcome, u64), Refusal> {
        let call = Call {
            to: Some(to),
            gas: u64::MAX,
            input: Bytes::copy_from_slice(input),
            ..Call::default()
        };
        let view = View::new(&self.store, []);
        self.contracts
            .call(self.block, &call, &self.hashes, &view, &self.state)
            .unwrap()
    }

    pub(crate) fn balance(&self, address: &Address) -> U256 {
        self.state
            .account(address)
            .map_or(U256::ZERO, |account| account.balance)
    }
}

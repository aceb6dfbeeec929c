//! Contracts of whatever code, called with whatever input, and bytes that are no transactions: two members, one of which
//! forgets what it can forget, agree on every result and root, and the store has the state.

use std::sync::Arc;

use alloy_primitives::{Address, B256, TxKind, U256};
use arbitrary::{Arbitrary, Unstructured};
use hedgerow_base::Digest;
use hedgerow_evm::{Ancestors, Block, Contracts, Executed, Refusal, Rules, Transaction, Work};
use hedgerow_kv::{KvStore, MemoryStore, StoreError};
use hedgerow_proofs::TrustRoot;
use hedgerow_state::{Account, State, View, Writes};
use hedgerow_wire::List;

#[path = "../../../ledger/evm/tests/chain/accounts.rs"]
mod accounts;

use accounts::{CHAIN, Signer, counter, deploying, ender, historian, spinner};

#[derive(Arbitrary, Debug)]
enum Act {
    /// Code that runs once, and leaves a contract if it returns one.
    Create { from: u8, code: Vec<u8>, value: u16 },
    /// A contract with that code.
    Deploy { from: u8, runtime: Vec<u8> },
    /// One of the contracts that were made, or of the precompiled ones.
    Call {
        from: u8,
        which: u8,
        input: Vec<u8>,
        value: u16,
    },
    /// A good transaction with a byte changed.
    Forged { at: u16, change: u8 },
    /// Anything at all.
    Bytes(Vec<u8>),
    /// The block ends.
    Block,
}

struct Hashes;

impl Ancestors for Hashes {
    fn hash(&self, height: u64) -> Result<Option<B256>, StoreError> {
        Ok(Some(B256::with_last_byte(height as u8)))
    }
}

struct Member {
    contracts: Contracts,
    state: State,
    store: MemoryStore,
    forgets: bool,
}

fn rules() -> Rules {
    Rules {
        chain: CHAIN,
        gas_limit: 1 << 24,
        gas_price: 1,
        beneficiary: Address::repeat_byte(0xbe),
    }
}

fn trust() -> Arc<TrustRoot> {
    Arc::new(TrustRoot {
        network: CHAIN,
        genesis: Digest::ZERO,
        validators: List::default(),
    })
}

impl Member {
    fn new(forgets: bool) -> Self {
        let (mut state, mut store, mut writes) =
            (State::default(), MemoryStore::default(), Writes::default());
        for number in 0..3 {
            let account = Account {
                balance: U256::from(1_u64 << 60),
                ..Account::default()
            };
            state.set_account(&Signer::new(number).address(), account);
        }
        state.take_writes(&mut writes);
        store
            .commit(writes.into_batch())
            .expect("memory does not fail");
        Self {
            contracts: Contracts::new(rules(), trust()),
            state,
            store,
            forgets,
        }
    }

    fn execute(
        &mut self,
        height: u64,
        transactions: &[Transaction],
    ) -> (Vec<Result<Executed, Refusal>>, B256) {
        if self.forgets {
            self.contracts = Contracts::new(rules(), trust());
            self.state = State::load(&self.store).expect("what was written is intact");
        }
        let block = Block {
            height,
            time: 1_000 * height,
            history: B256::with_last_byte(height as u8 - 1),
        };
        let mut writes = Writes::default();
        let view = View::new(&self.store, []);
        let results = self
            .contracts
            .execute(
                block,
                transactions.iter().map(Work::Transaction),
                &Hashes,
                &view,
                &mut self.state,
                &mut writes,
            )
            .expect("memory does not fail");
        let root = self.state.root();
        self.state.take_writes(&mut writes);
        self.store
            .commit(writes.into_batch())
            .expect("memory does not fail");
        let gas: u64 = results
            .iter()
            .flatten()
            .map(|executed| executed.gas_used)
            .sum();
        assert!(gas <= rules().gas_limit, "{gas}");
        (results, root)
    }
}

pub(crate) fn run(data: &[u8]) {
    // As they come from the network.
    if let Ok(transaction) = Transaction::admit(data, CHAIN) {
        assert_eq!(transaction.hash(), alloy_primitives::keccak256(data));
    }
    let Ok(acts) = Vec::<Act>::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let (mut one, mut other) = (Member::new(false), Member::new(true));
    let mut made = (1..=0x11).map(Address::with_last_byte).collect::<Vec<_>>();
    let (mut block, mut height) = (Vec::new(), 1);
    let mut nonces = [0_u64; 4];
    for act in acts.into_iter().take(24).chain([Act::Block]) {
        let mut sign = |from: u8, to, value: u16, input: &[u8]| {
            let from = from % 4;
            let nonce = &mut nonces[usize::from(from)];
            *nonce += 1;
            Signer::new(from).send(
                *nonce - 1,
                to,
                value.into(),
                &input[..input.len().min(4096)],
            )
        };
        let bytes = match act {
            Act::Create { from, code, value } => sign(from, TxKind::Create, value, &code),
            Act::Deploy { from, runtime } => {
                let runtime = &runtime[..runtime.len().min(200)];
                sign(from, TxKind::Create, 0, &deploying(runtime))
            }
            Act::Call {
                from,
                which,
                input,
                value,
            } => {
                let to = made[usize::from(which) % made.len()];
                sign(from, TxKind::Call(to), value, &input)
            }
            Act::Forged { at, change } => {
                let mut good = Signer::new(0).send(0, TxKind::Create, 0, &[0]);
                let length = good.len();
                good[usize::from(at) % length] ^= change;
                good
            }
            Act::Bytes(bytes) => bytes,
            Act::Block => {
                let block = std::mem::take(&mut block);
                let results = one.execute(height, &block);
                assert_eq!(results, other.execute(height, &block), "block {height}");
                made.extend(
                    results
                        .0
                        .iter()
                        .flatten()
                        .filter_map(|executed| executed.created),
                );
                height += 1;
                for (number, nonce) in (0..).zip(&mut nonces) {
                    let account = one.state.account(&Signer::new(number).address());
                    *nonce = account.map_or(0, |account| account.nonce);
                }
                continue;
            }
        };
        block.extend(Transaction::admit(&bytes, CHAIN));
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let call = Signer::new(0).send(0, TxKind::Call(Address::repeat_byte(1)), 5, &[1, 2, 3]);
    let mut seeds = vec![call];
    for runtime in [counter(), ender(), historian(), spinner()] {
        // `Arbitrary` reads a list's content from the front and its length from the end: any bytes make some acts.
        let acts = [
            &[0x55, 0][..],
            &deploying(&runtime),
            &[0xff, 0xaa, 0, 0x12, 0, 0, 0xff],
        ]
        .concat();
        seeds.push(acts);
    }
    seeds
}

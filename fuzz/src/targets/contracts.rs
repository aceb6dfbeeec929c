//! Contracts of whatever code, called with whatever input, that subscribe to a stream and are called for its records; and
//! bytes that are no transactions: two members, one of which forgets what it can forget, agree on every result and root,
//! and the store has the state.

use std::sync::Arc;

use alloy_primitives::{Address, B256, TxKind, U256, keccak256};
use arbitrary::{Arbitrary, Unstructured};
use hedgerow_base::{Digest, Height};
use hedgerow_evm::{
    Ancestors, Block, Contracts, Delivery, Executed, ROLES_ADDRESS, Refusal, Rules,
    STREAMS_ADDRESS, Transaction, Work, is_subscribed,
};
use hedgerow_kv::{KvStore, MemoryStore, StoreError};
use hedgerow_proofs::{Leaf, TrustRoot};
use hedgerow_records::{DeviceId, Payload, Reading, Roles, StreamId, Subject};
use hedgerow_state::{Account, State, View, Writes};
use hedgerow_streams::{Recorded, set_roles};
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
    /// A well-formed call of the streams' account: by an account, or by a contract that passes its input on.
    Native {
        from: u8,
        function: u8,
        through: Option<u8>,
        gas: u32,
        value: u16,
    },
    /// A record in the stream.
    Record { payload: Vec<u8>, readings: u8 },
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
        set_roles(&mut state, &mut writes, Subject::EVERYONE, Roles::SUBSCRIBE);
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
        records: &[Delivery],
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
        // As the ledger does.
        let wanted = is_subscribed(&self.state, STREAM);
        let records = records.iter().filter(|_| wanted).map(Work::Record);
        let results = self
            .contracts
            .execute(
                block,
                records.chain(transactions.iter().map(Work::Transaction)),
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
    made.extend([STREAMS_ADDRESS, ROLES_ADDRESS]);
    let (mut block, mut records, mut height) = (Vec::new(), Vec::new(), 1);
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
            Act::Native {
                from,
                function,
                through,
                gas,
                value,
            } => {
                let to = through.map(|which| made[usize::from(which) % made.len()]);
                let input = native(function, made[usize::from(value) % made.len()], gas);
                // Gas costs 1 wei here.
                let value = if function % 3 == 2 { 0 } else { gas };
                let from = from % 4;
                nonces[usize::from(from)] += 1;
                let nonce = nonces[usize::from(from)] - 1;
                let to = TxKind::Call(to.unwrap_or(STREAMS_ADDRESS));
                Signer::new(from).send(nonce, to, value.into(), &input)
            }
            Act::Record { payload, readings } => {
                records.push(delivery(height, &payload, readings));
                continue;
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
                let records = std::mem::take(&mut records);
                let results = one.execute(height, &records, &block);
                let others = other.execute(height, &records, &block);
                assert_eq!(results, others, "block {height}");
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

/// The stream that there is.
const STREAM: StreamId = StreamId(Digest([0x5e; 32]));

/// A call of the streams' account about the stream: `subscribe`, `fund` or `unsubscribe`.
fn native(function: u8, subscriber: Address, gas: u32) -> Vec<u8> {
    let (name, words) = match function % 3 {
        0 => ("subscribe(bytes32,uint64,uint64)", vec![25_000, gas]),
        1 => ("fund(bytes32,address,uint64)", vec![gas]),
        _ => ("unsubscribe(bytes32)", Vec::new()),
    };
    let mut input = keccak256(name)[..4].to_vec();
    input.extend(STREAM.0.0);
    if function % 3 == 1 {
        input.extend(subscriber.into_word());
    }
    for word in words {
        input.extend(U256::from(word).to_be_bytes::<32>());
    }
    input
}

fn delivery(height: u64, payload: &[u8], readings: u8) -> Delivery {
    let payload = &payload[..payload.len().min(200)];
    let recorded = (0..u64::from(readings % 5) + 1).map(|position| Recorded {
        leaf: Leaf {
            reading: Reading {
                sequence: position,
                time: 1_000 * height,
                content_type: Default::default(),
                payload: Payload::new(payload.to_vec()).expect("short"),
            },
            height: Height(height),
            block_time: 1_000 * height,
            record: Digest([1; 32]),
        },
        position,
    });
    Delivery {
        record: B256::repeat_byte(1),
        device: DeviceId([2; 20]),
        stream: STREAM,
        readings: recorded.collect(),
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

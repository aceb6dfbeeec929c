//! Ethereum's official state tests through this crate and through plain revm, by the rules that hold here: both must end
//! alike, with the same events, gas and state root.
//!
//!     cargo run -p hedgerow-evm --example state_tests FOLDER
//!
//! The folder has the files of github.com/ethereum/tests as they were called before they were general: `StateTests`. What
//! these expect holds by the rules of 2015; how many pass all the same is said of both.

#[path = "../tests/plain/mod.rs"]
mod plain;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_consensus::{SignableTransaction, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use hedgerow_base::Digest;
use hedgerow_evm::{Ancestors, Block, Contracts, Rules, Transaction, Work, put_code};
use hedgerow_kv::{KvStore, MemoryStore, StoreError};
use hedgerow_proofs::TrustRoot;
use hedgerow_state::{Account, EMPTY_CODE_HASH, State, View, Writes};
use hedgerow_wire::List;
use k256::ecdsa::SigningKey;
use plain::{Oracle, same};
use revm::{bytecode::Bytecode, context::TxEnv, state::AccountInfo};
use serde_json::Value;

const CHAIN: u64 = 1;

/// How the tests of a file went.
#[derive(Default)]
struct Tally {
    /// Run through both.
    run: u64,
    /// Ended differently.
    differ: u64,
    /// Ended with the root that the test expects, here and there.
    as_expected: (u64, u64),
    /// No transactions by the rules that hold here: their gas is no 64-bit number.
    left_out: u64,
}

fn main() {
    let folder = std::env::args().nth(1).expect("the folder with the tests");
    let mut all = Tally::default();
    for file in files(Path::new(&folder)) {
        let text = fs::read_to_string(&file).expect("a file that can be read");
        let tests: BTreeMap<String, Value> = serde_json::from_str(&text).expect("JSON");
        for (name, test) in tests {
            match Test::read(&test) {
                Some(read) => all.count(&format!("{} {name}", file.display()), &read),
                None => all.left_out += 1,
            }
        }
    }
    let Tally {
        run,
        differ,
        as_expected: (ours, theirs),
        left_out,
    } = all;
    println!(
        "{run} state tests: {} alike, {differ} not; as expected in 2015: {ours} here, {theirs} by plain revm; {left_out} left out",
        run - differ
    );
    assert!(run > 0, "no test in {folder}");
    assert!(differ == 0 && ours == theirs, "not as plain revm");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|kind| kind == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn number(value: &Value) -> Option<U256> {
    match value {
        Value::Number(number) => Some(U256::from(number.as_u64()?)),
        Value::String(text) => match text.strip_prefix("0x") {
            Some("") => Some(U256::ZERO),
            Some(digits) => U256::from_str_radix(digits, 16).ok(),
            None if text.is_empty() => Some(U256::ZERO),
            None => U256::from_str_radix(text, 10).ok(),
        },
        _ => None,
    }
}

fn small(value: &Value) -> Option<u64> {
    number(value)?.try_into().ok()
}

fn bytes(value: &Value) -> Option<Bytes> {
    let text = value.as_str()?;
    hex::decode(text).ok().map(Bytes::from)
}

fn address(text: &str) -> Option<Address> {
    text.trim_start_matches("0x").parse().ok()
}

/// An account before the transaction: with its code, and the slots that it has.
type Before = (Address, Account, Bytes, Vec<(U256, U256)>);

struct Test {
    rules: Rules,
    block: Block,
    accounts: Vec<Before>,
    transaction: TxLegacy,
    key: SigningKey,
    expected: Option<B256>,
}

impl Test {
    fn read(test: &Value) -> Option<Self> {
        let (env, tx) = (&test["env"], &test["transaction"]);
        let gas_price = small(&tx["gasPrice"])?;
        let rules = Rules {
            chain: CHAIN,
            gas_limit: number(&env["currentGasLimit"])?.saturating_to(),
            gas_price,
            beneficiary: address(env["currentCoinbase"].as_str()?)?,
        };
        let block = Block {
            height: small(&env["currentNumber"])?,
            time: small(&env["currentTimestamp"])?.checked_mul(1000)?,
            history: B256::repeat_byte(7),
        };
        let mut accounts = Vec::new();
        for (name, account) in test["pre"].as_object()? {
            let code = bytes(&account["code"])?;
            let mut slots = Vec::new();
            for (slot, word) in account["storage"].as_object()? {
                let slot = number(&Value::String(slot.clone()))?;
                slots.push((slot, number(word)?));
            }
            slots.retain(|(_, word)| !word.is_zero());
            let own = Account {
                nonce: small(&account["nonce"])?,
                balance: number(&account["balance"])?,
                code_hash: if code.is_empty() {
                    EMPTY_CODE_HASH
                } else {
                    keccak256(&code)
                },
            };
            accounts.push((address(name)?, own, code, slots));
        }
        let to = tx["to"].as_str()?;
        let to = match to.trim_start_matches("0x") {
            "" => TxKind::Create,
            to => TxKind::Call(address(to)?),
        };
        let transaction = TxLegacy {
            chain_id: Some(CHAIN),
            nonce: small(&tx["nonce"])?,
            gas_price: u128::from(gas_price),
            gas_limit: small(&tx["gasLimit"])?,
            to,
            value: number(&tx["value"])?,
            input: bytes(&tx["data"])?,
        };
        let key = SigningKey::from_slice(&bytes(&tx["secretKey"])?).ok()?;
        let expected = test["postStateRoot"]
            .as_str()
            .and_then(|root| root.parse().ok());
        Some(Self {
            rules,
            block,
            accounts,
            transaction,
            key,
            expected,
        })
    }

    fn signed(&self) -> Vec<u8> {
        let hash = self.transaction.signature_hash();
        let (signature, recovery) = self
            .key
            .sign_prehash_recoverable(hash.as_slice())
            .expect("a key");
        let signature =
            Signature::from_bytes_and_parity(&signature.to_bytes(), recovery.is_y_odd());
        TxEnvelope::from(self.transaction.clone().into_signed(signature)).encoded_2718()
    }

    fn sender(&self) -> Address {
        let point = self.key.verifying_key().to_encoded_point(false);
        Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..])
    }
}

/// As revm's empty database has it.
struct Numbers;

impl Ancestors for Numbers {
    fn hash(&self, height: u64) -> Result<Option<B256>, StoreError> {
        Ok(Some(keccak256(height.to_string())))
    }
}

impl Tally {
    fn count(&mut self, name: &str, test: &Test) {
        let Ok(transaction) = Transaction::admit(&test.signed(), CHAIN) else {
            self.left_out += 1;
            return;
        };
        let (mut state, mut store, mut writes) =
            (State::default(), MemoryStore::new(), Writes::default());
        for (address, account, code, slots) in &test.accounts {
            state.set_account(address, *account);
            if !slots.is_empty() {
                state.set_storage(address, slots.iter().copied());
            }
            if !code.is_empty() {
                put_code(&mut writes, code);
            }
        }
        state.take_writes(&mut writes);
        store.commit(writes.into_batch()).expect("memory");
        let trust = TrustRoot {
            network: CHAIN,
            genesis: Digest::ZERO,
            validators: List::default(),
        };
        let mut contracts = Contracts::new(test.rules.clone(), Arc::new(trust));
        let view = View::new(&store, []);
        let work = [Work::Transaction(&transaction)];
        let mut writes = Writes::default();
        let ours = contracts
            .execute(test.block, work, &Numbers, &view, &mut state, &mut writes)
            .expect("memory");

        let infos = test.accounts.iter().map(|(address, account, code, _)| {
            let info = AccountInfo {
                balance: account.balance,
                nonce: account.nonce,
                code_hash: account.code_hash,
                code: Some(Bytecode::new_raw(code.clone())),
                account_id: None,
            };
            (*address, info)
        });
        let mut oracle = Oracle::new(infos);
        for (address, _, _, slots) in &test.accounts {
            for (slot, word) in slots {
                let set = oracle
                    .database
                    .insert_account_storage(*address, *slot, *word);
                set.expect("memory");
            }
        }
        let TxLegacy {
            nonce,
            gas_price,
            gas_limit,
            to,
            value,
            input,
            ..
        } = test.transaction.clone();
        let environment = TxEnv {
            caller: test.sender(),
            gas_limit,
            gas_price,
            kind: to,
            value,
            data: input,
            nonce,
            chain_id: Some(CHAIN),
            ..TxEnv::default()
        };
        let theirs = oracle.run(&test.rules, test.block, environment);
        let (root, their_root) = (state.root(), oracle.root());
        self.run += 1;
        if !same(&ours[0], &theirs) || root != their_root {
            self.differ += 1;
            println!(
                "{name}: {:?} and {theirs:?}; {root} and {their_root}",
                ours[0]
            );
        }
        self.as_expected.0 += u64::from(test.expected == Some(root));
        self.as_expected.1 += u64::from(test.expected == Some(their_root));
    }
}

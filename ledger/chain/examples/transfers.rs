//! What a transfer costs a validator: blocks of 1,000 signed transfers between accounts, executed, made stable and synced in
//! a store in memory, among few and many accounts; one thread.
//!
//!     cargo run --release -p hedgerow-chain --example transfers [ACCOUNTS ...]

#[path = "../../evm/tests/chain/accounts.rs"]
mod accounts;
#[path = "../tests/common/mod.rs"]
mod common;

#[path = "../../state/examples/measure/mod.rs"]
mod measure;

use std::time::{Duration, Instant};

use accounts::{CHAIN, Signer};
use alloy_primitives::{Address, TxKind};
use common::{bundle, execute, genesis};
use hedgerow_chain::{AccountAddress, Ledger};
use hedgerow_evm::Transaction;
use hedgerow_kv::MemoryStore;

const TRANSFERS: u64 = 1000;
const SENDERS: u64 = 250;
const BLOCKS: u64 = 20;

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn main() {
    let signers: Vec<_> = (0..SENDERS)
        .map(|number| Signer::new(number as u8))
        .collect();
    let nonces = TRANSFERS / SENDERS * BLOCKS;
    let signed: Vec<Vec<Vec<u8>>> = (0..nonces)
        .map(|nonce| {
            let to = |n: usize| TxKind::Call(address(scatter(nonce * SENDERS + n as u64)));
            let all = signers.iter().enumerate();
            all.map(|(n, signer)| signer.send(nonce, to(n), 1, &[]))
                .collect()
        })
        .collect();
    let blocks: Vec<_> = signed
        .chunks((TRANSFERS / SENDERS) as usize)
        .map(|block| {
            block
                .iter()
                .map(|some| bundle(some.clone()))
                .collect::<Vec<_>>()
        })
        .collect();

    let start = Instant::now();
    for bytes in signed.iter().flatten() {
        assert!(Transaction::admit(bytes, CHAIN).is_ok());
    }
    let admitting = start.elapsed();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / (TRANSFERS * BLOCKS) as f64;
    println!(
        "decoding and recovering the sender: {:.1} us of each transfer",
        each(admitting)
    );
    println!("  accounts  us/transfer  ms/block of {TRANSFERS}  resident MiB");
    for size in measure::sizes() {
        let mut genesis = genesis();
        let others = (0..size).map(|number| (AccountAddress(address(number).0.0), 1));
        let rich = signers
            .iter()
            .map(|signer| (AccountAddress(signer.address().0.0), 1));
        genesis.contracts.accounts = others.chain(rich).collect();
        let mut ledger = Ledger::open(MemoryStore::new(), genesis).expect("an empty store");
        let start = Instant::now();
        for operations in &blocks {
            let done = execute(&mut ledger, operations);
            assert_eq!(done.header.gas_used, TRANSFERS * 21_000, "all are executed");
            ledger
                .stable(done.header.height)
                .expect("a store in memory");
            ledger.sync().expect("a store in memory");
        }
        let took = start.elapsed();
        println!(
            "{size:>10}  {:>11.1}  {:>17.1}  {:>12}",
            each(took),
            took.as_secs_f64() * 1e3 / BLOCKS as f64,
            measure::resident_mib(),
        );
    }
}

/// Numbers all over the place, the same in each run.
const fn scatter(number: u64) -> u64 {
    (number ^ (number >> 7)).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1000
}

fn address(number: u64) -> Address {
    let mut bytes = [0x11; 20];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Address(bytes.into())
}

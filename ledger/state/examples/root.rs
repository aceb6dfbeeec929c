//! What a changed account costs: the state root after blocks of 1,000 changed accounts each, among many; one thread.
//!
//!     cargo run --release -p hedgerow-state --example root [ACCOUNTS ...]

mod measure;

use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256};
use hedgerow_state::{Account, State, Writes};

const CHANGED: u64 = 1000;
const BLOCKS: u64 = 50;

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn main() {
    println!("  accounts  us/changed account  resident MiB");
    for accounts in measure::sizes() {
        let mut state = State::default();
        for number in 0..accounts {
            state.set_account(&address(number), account(number));
            if number % CHANGED == CHANGED - 1 {
                // As a node does after each block.
                state.root();
                state.take_writes(&mut Writes::default());
            }
        }
        let mut took = Duration::ZERO;
        for block in 1..=BLOCKS {
            // The state before a block is kept, as the ledger keeps it.
            let before = state.clone();
            let start = Instant::now();
            for change in 0..CHANGED {
                let number = scatter(block * CHANGED + change) % accounts;
                state.set_account(&address(number), account(block * CHANGED + change));
            }
            let root = state.root();
            took += start.elapsed();
            state.take_writes(&mut Writes::default());
            assert_ne!(root, before.clone().root());
        }
        let each = took.as_secs_f64() * 1e6 / (BLOCKS * CHANGED) as f64;
        println!(
            "{accounts:>10}  {each:>18.1}  {:>12}",
            measure::resident_mib()
        );
    }
}

/// Numbers all over the place, the same in each run.
const fn scatter(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

fn address(number: u64) -> Address {
    let mut bytes = [0; 20];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Address(bytes.into())
}

fn account(number: u64) -> Account {
    Account {
        nonce: number,
        balance: U256::from(number) << 40,
        ..Account::default()
    }
}

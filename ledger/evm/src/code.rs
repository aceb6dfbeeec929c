use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use alloy_primitives::{B256, keccak256};
use hedgerow_kv::{KvRead, StoreError, Table};
use hedgerow_state::{EMPTY_CODE_HASH, View, Writes};
use revm::bytecode::Bytecode;

/// keccak256(code) → code. What was deployed stays: another account may have the same code.
pub(crate) const CODE: Table = "contract_code";

/// The tables that this crate writes.
pub const TABLES: [Table; 1] = [CODE];

/// The code with that hash, as it was deployed; empty for the hash of no code.
///
/// # Errors
/// When the store fails, or lacks it.
pub fn code<S: KvRead + ?Sized>(view: &View<'_, S>, hash: B256) -> Result<Vec<u8>, StoreError> {
    if hash == EMPTY_CODE_HASH {
        return Ok(Vec::new());
    }
    let stored = view.get(CODE, hash.as_slice())?;
    stored.ok_or_else(|| lost(hash))
}

/// The code of an account at which the ledger itself answers: it is never run. Solidity refuses to call an account without
/// code. As code it would revert.
pub const NATIVE_CODE: [u8; 5] = [0x60, 0x00, 0x60, 0x00, 0xfd];

/// Keeps a code that no transaction deploys; gives its hash.
pub fn put_code(writes: &mut Writes, code: &[u8]) -> B256 {
    let hash = keccak256(code);
    writes.put(CODE, hash.0, code);
    hash
}

/// What is said when a code is not there.
pub(crate) fn lost(hash: B256) -> StoreError {
    StoreError(format!(
        "table {CODE} lacks the code {hash}, or it is damaged: restore the store, or wipe it and rejoin"
    ))
}

/// How many contracts' code is kept ready to run; each has 48 KiB at most, analysed.
const CACHED: usize = 256;

/// Code that was run lately. A cache: forgetting it changes no result.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    ready: BTreeMap<B256, Arc<Bytecode>>,
    order: VecDeque<B256>,
}

impl Codes {
    pub(crate) fn get(&self, hash: &B256) -> Option<Bytecode> {
        self.ready.get(hash).map(|code| Bytecode::clone(code))
    }

    /// Keeps it, in the place of the one that came first.
    pub(crate) fn keep(&mut self, hash: B256, code: Bytecode) {
        if self.ready.insert(hash, Arc::new(code)).is_none() {
            self.order.push_back(hash);
        }
        if self.order.len() > CACHED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ready.remove(&oldest);
        }
    }
}

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, map::AddressMap};
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_state::{Account, EMPTY_CODE_HASH, State, View, Writes};
use revm::{
    Database, DatabaseCommit, DatabaseRef,
    bytecode::Bytecode,
    database_interface::DBErrorMarker,
    state::{Account as Touched, AccountInfo},
};

use crate::code::{CODE, Codes, code, lost};

/// What knows the hashes of earlier blocks.
pub trait Ancestors {
    /// The hash of the block at `height`; `None` where there is none yet.
    ///
    /// # Errors
    /// When the store has failed.
    fn hash(&self, height: u64) -> Result<Option<B256>, StoreError>;
}

/// The store's error, as revm carries it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Failed(pub(crate) StoreError);

impl DBErrorMarker for Failed {}

/// The state as revm reads and changes it.
pub(crate) struct StateDatabase<'a, S: ?Sized> {
    pub(crate) state: &'a mut State,
    pub(crate) view: &'a View<'a, S>,
    pub(crate) ancestors: &'a dyn Ancestors,
    pub(crate) codes: &'a mut Codes,
    /// Code that is not in the store yet.
    pub(crate) deployed: BTreeMap<B256, Bytecode>,
}

impl<S: KvRead + ?Sized> StateDatabase<'_, S> {
    /// What the store needs to hear of new code.
    pub(crate) fn take_writes(&mut self, writes: &mut Writes) {
        for (hash, code) in core::mem::take(&mut self.deployed) {
            writes.put(CODE, hash.0, code.original_bytes().to_vec());
        }
    }

    /// The code with that hash, if it need not be read.
    fn ready(&self, hash: B256) -> Option<Bytecode> {
        if hash == EMPTY_CODE_HASH {
            return Some(Bytecode::default());
        }
        let code = self.codes.get(&hash);
        code.or_else(|| self.deployed.get(&hash).cloned())
    }

    fn apply(&mut self, address: Address, touched: Touched) {
        if !touched.is_touched() {
            return;
        }
        // EIP-161: what is empty is not there.
        if touched.is_selfdestructed() || touched.is_empty() {
            self.state.remove_account(&address);
            return;
        }
        let info = touched.info;
        let account = Account {
            nonce: info.nonce,
            balance: info.balance,
            code_hash: info.code_hash,
        };
        let before = self.state.account(&address);
        if before != Some(account) {
            self.state.set_account(&address, account);
        }
        let had = before.map_or(EMPTY_CODE_HASH, |before| before.code_hash);
        if let Some(code) = info.code.filter(|_| info.code_hash != had)
            && info.code_hash != EMPTY_CODE_HASH
        {
            self.codes.keep(info.code_hash, code.clone());
            self.deployed.insert(info.code_hash, code);
        }
        // Sorted: nothing here depends on the order of a hash table.
        let slots: BTreeMap<_, _> = touched
            .storage
            .into_iter()
            .filter(|(_, slot)| slot.is_changed())
            .map(|(key, slot)| (key, slot.present_value))
            .collect();
        if !slots.is_empty() {
            self.state.set_storage(&address, slots);
        }
    }
}

impl<S: KvRead + ?Sized> Database for StateDatabase<'_, S> {
    type Error = Failed;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Failed> {
        self.basic_ref(address)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Failed> {
        if let Some(code) = self.ready(hash) {
            return Ok(code);
        }
        let code = self.code_by_hash_ref(hash)?;
        self.codes.keep(hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Failed> {
        self.storage_ref(address, slot)
    }

    fn block_hash(&mut self, height: u64) -> Result<B256, Failed> {
        self.block_hash_ref(height)
    }
}

impl<S: KvRead + ?Sized> DatabaseRef for StateDatabase<'_, S> {
    type Error = Failed;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Failed> {
        Ok(self.state.account(&address).map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Failed> {
        if let Some(code) = self.ready(hash) {
            return Ok(code);
        }
        let stored = code(self.view, hash).map_err(Failed)?;
        Bytecode::new_raw_checked(stored.into()).map_err(|_| Failed(lost(hash)))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Failed> {
        Ok(self.state.storage(&address, &slot))
    }

    fn block_hash_ref(&self, height: u64) -> Result<B256, Failed> {
        let hash = self.ancestors.hash(height).map_err(Failed)?;
        Ok(hash.unwrap_or_default())
    }
}

impl<S: KvRead + ?Sized> DatabaseCommit for StateDatabase<'_, S> {
    fn commit(&mut self, changes: AddressMap<Touched>) {
        let changes: BTreeMap<_, _> = changes.into_iter().collect();
        for (address, touched) in changes {
            self.apply(address, touched);
        }
    }
}

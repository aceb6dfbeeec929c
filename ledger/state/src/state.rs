use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256, keccak256};
use hedgerow_kv::{KvRead, StoreError, Table};

use crate::{
    Writes,
    account::{Account, AccountLeaf, Word},
    trie::{EMPTY_ROOT, Key, Trie},
};

/// keccak256(address) → account.
const ACCOUNTS: Table = "state_accounts";
/// keccak256(address) ++ keccak256(slot) → word, big-endian without leading zeros.
pub const STORAGE: Table = "state_storage";

/// The tables that a state is kept in.
pub const TABLES: [Table; 2] = [ACCOUNTS, STORAGE];

/// How many entries are read from the store at a time.
const PAGE: usize = 4096;

/// All accounts and their storage. Cheap to clone: see the crate's documentation.
#[derive(Clone, Debug, Default)]
pub struct State {
    accounts: Trie<AccountLeaf>,
    /// What has been written since [`State::take_writes`], in order.
    journal: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

/// A state to come back to.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    accounts: Trie<AccountLeaf>,
    journal: usize,
}

/// Why a state can't be loaded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The store has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry is not what was written.
    #[error(
        "the state's table {table} has a damaged entry: restore the store, or wipe it and rejoin"
    )]
    Damaged {
        /// The table.
        table: Table,
    },
}

/// What `eth_getProof` says of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// The account, or `None` where the proof shows that there is none.
    pub account: Option<Account>,
    /// The root of its storage.
    pub storage_root: B256,
    /// The nodes from the state root to the account, in RLP.
    pub nodes: Vec<Vec<u8>>,
    /// A proof for each slot asked for.
    pub storage: Vec<StorageProof>,
}

/// What `eth_getProof` says of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageProof {
    /// The slot.
    pub slot: U256,
    /// Its word.
    pub value: U256,
    /// The nodes from the storage root to the slot, in RLP.
    pub nodes: Vec<Vec<u8>>,
}

fn account_key(address: &Address) -> Key {
    keccak256(address).0
}

fn slot_key(slot: &U256) -> Key {
    keccak256(slot.to_be_bytes::<32>()).0
}

fn trimmed(word: U256) -> Vec<u8> {
    word.to_be_bytes_trimmed_vec()
}

impl State {
    /// The state that the store has.
    ///
    /// # Errors
    /// When the store fails, or an entry is damaged.
    pub fn load<S: KvRead + ?Sized>(store: &S) -> Result<Self, LoadError> {
        let mut state = Self::default();
        each(store, ACCOUNTS, |key, value| {
            let account = Account::from_bytes(value)?;
            state
                .accounts
                .insert(key.try_into().ok()?, AccountLeaf::new(account));
            Some(())
        })?;
        each(store, STORAGE, |key, value| {
            let (owner, slot) = key.split_first_chunk::<32>()?;
            let leaf = state.accounts.get_mut(owner)?;
            leaf.storage
                .insert(slot.try_into().ok()?, Word(U256::try_from_be_slice(value)?));
            Some(())
        })?;
        Ok(state)
    }

    /// The account at `address`.
    #[must_use]
    pub fn account(&self, address: &Address) -> Option<Account> {
        self.accounts
            .get(&account_key(address))
            .map(|leaf| leaf.account)
    }

    /// Makes or changes the account at `address`; its storage stays.
    pub fn set_account(&mut self, address: &Address, account: Account) {
        let key = account_key(address);
        match self.accounts.get_mut(&key) {
            Some(leaf) => leaf.account = account,
            None => self.accounts.insert(key, AccountLeaf::new(account)),
        }
        self.journal
            .push((ACCOUNTS, key.to_vec(), Some(account.to_bytes())));
    }

    /// Takes out the account at `address` and all its storage; says whether it was there.
    pub fn remove_account(&mut self, address: &Address) -> bool {
        let key = account_key(address);
        let Some(leaf) = self.accounts.get(&key) else {
            return false;
        };
        let journal = &mut self.journal;
        leaf.storage
            .for_each(|slot, _| journal.push((STORAGE, [key, *slot].concat(), None)));
        journal.push((ACCOUNTS, key.to_vec(), None));
        self.accounts.remove(&key)
    }

    /// The word in a slot of the account at `address`; zero where nothing is.
    #[must_use]
    pub fn storage(&self, address: &Address, slot: &U256) -> U256 {
        let leaf = self.accounts.get(&account_key(address));
        leaf.and_then(|leaf| leaf.storage.get(&slot_key(slot)))
            .map_or(U256::ZERO, |word| word.0)
    }

    /// Sets slots of the account at `address`, which is made where it is not there; zero clears a slot.
    pub fn set_storage(
        &mut self,
        address: &Address,
        slots: impl IntoIterator<Item = (U256, U256)>,
    ) {
        let key = account_key(address);
        if self.accounts.get(&key).is_none() {
            self.set_account(address, Account::default());
        }
        let Some(leaf) = self.accounts.get_mut(&key) else {
            return;
        };
        for (slot, value) in slots {
            let slot = slot_key(&slot);
            let stored = (!value.is_zero()).then(|| trimmed(value));
            if value.is_zero() {
                leaf.storage.remove(&slot);
            } else {
                leaf.storage.insert(slot, Word(value));
            }
            self.journal.push((STORAGE, [key, slot].concat(), stored));
        }
    }

    /// Takes out all storage of the account at `address`, at once and without a word to the store: only for a state that is
    /// never written.
    pub fn forget_storage(&mut self, address: &Address) {
        if let Some(leaf) = self.accounts.get_mut(&account_key(address)) {
            leaf.storage = Trie::default();
        }
    }

    /// The state root. Hashes what has changed since the last time.
    pub fn root(&mut self) -> B256 {
        self.accounts.root()
    }

    /// A point to come back to.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            accounts: self.accounts.clone(),
            journal: self.journal.len(),
        }
    }

    /// Undoes everything since `checkpoint`, which was taken from this state, with no [`State::take_writes`] since.
    pub fn rollback(&mut self, checkpoint: Checkpoint) {
        self.accounts = checkpoint.accounts;
        self.journal.truncate(checkpoint.journal);
    }

    /// What the store needs to hear of the changes since the last time; gives how many accounts and slots they are.
    pub fn take_writes(&mut self, writes: &mut Writes) -> usize {
        let changes = self.journal.len();
        for (table, key, value) in self.journal.drain(..) {
            writes.set(table, key, value);
        }
        changes
    }

    /// Proves an account, or its absence, and what is in some of its slots, under [`State::root`].
    pub fn prove(&mut self, address: &Address, slots: &[U256]) -> AccountProof {
        let key = account_key(address);
        let nodes = self.accounts.prove(&key);
        let leaf = self.accounts.get(&key);
        let mut storage_trie = leaf.map(|leaf| leaf.storage.clone()).unwrap_or_default();
        let storage = slots.iter().map(|slot| {
            let key = slot_key(slot);
            let nodes = storage_trie.prove(&key);
            let value = storage_trie.get(&key).map_or(U256::ZERO, |word| word.0);
            StorageProof {
                slot: *slot,
                value,
                nodes,
            }
        });
        let storage = storage.collect();
        let storage_root = leaf.map_or(EMPTY_ROOT, |leaf| leaf.storage_root);
        AccountProof {
            account: leaf.map(|leaf| leaf.account),
            storage_root,
            nodes,
            storage,
        }
    }
}

/// Calls `take` with every entry of a table; `None` from it means that the entry is damaged.
fn each<S: KvRead + ?Sized>(
    store: &S,
    table: Table,
    mut take: impl FnMut(&[u8], &[u8]) -> Option<()>,
) -> Result<(), LoadError> {
    let mut from = Vec::new();
    loop {
        let page = store.scan(table, &from, None, PAGE)?;
        for (key, value) in &page {
            take(key, value).ok_or(LoadError::Damaged { table })?;
        }
        match page.into_iter().next_back() {
            Some((last, _)) => {
                from = last;
                from.push(0);
            }
            None => return Ok(()),
        }
    }
}

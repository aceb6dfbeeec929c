//! The ordered key-value store that the ledger stands on: a trait, and one in memory for tests and the simulator.
//!
//! The ledger is pure, so it writes through this trait; `runtime/store` has the one on disk.
#![no_std]

extern crate alloc;

mod memory;

use alloc::{string::String, vec::Vec};

pub use memory::MemoryStore;

/// A name for a group of keys. Each table is ordered by its keys' bytes, on its own.
pub type Table = &'static str;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The store can't be read or written any more, or what it holds is damaged. Not to be survived: stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(pub String);

/// Changes that become visible, and later durable, all together or not at all.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    /// Table, key, and the new value; `None` takes the key out. Later changes win.
    pub changes: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

impl WriteBatch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push((table, key.into(), Some(value.into())));
    }

    /// Takes `key` out.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.changes.push((table, key.into(), None));
    }

    /// Whether there is no change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// An ordered store of bytes by bytes.
///
/// Laws: a batch is atomic, also over a crash; after a crash the store holds the batches of some prefix of the
/// commits, at least those before the last [`KvStore::sync`]; it never holds a later one without an earlier one.
pub trait KvStore: KvRead {
    /// Applies `batch`: visible when this returns, durable after the next [`KvStore::sync`].
    ///
    /// # Errors
    /// When the store has failed.
    fn commit(&mut self, batch: WriteBatch) -> Result<(), StoreError>;

    /// Makes every batch committed so far survive a crash and a loss of power.
    ///
    /// # Errors
    /// When the store has failed.
    fn sync(&mut self) -> Result<(), StoreError>;
}

/// What can be read of a store.
pub trait KvRead {
    /// The value of `key`.
    ///
    /// # Errors
    /// When the store has failed.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` entries with keys in `from..to` (`to` left out, or no end where it is `None`), ascending.
    ///
    /// # Errors
    /// When the store has failed.
    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;
}

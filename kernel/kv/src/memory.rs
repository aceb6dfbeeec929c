use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::ops::Bound;

use crate::{Entry, KvRead, KvStore, StoreError, Table, WriteBatch};

/// A store in memory, with the crash of a real one: [`MemoryStore::crash`] loses what was not synced.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
    durable: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
    unsynced: VecDeque<WriteBatch>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses power: of the batches committed since the last sync, the first `kept` survive.
    pub fn crash(&mut self, kept: usize) {
        for batch in self.unsynced.drain(..).take(kept) {
            apply(&mut self.durable, batch);
        }
        self.unsynced.clear();
        self.tables.clone_from(&self.durable);
    }

    /// How many batches a crash may lose.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }
}

fn apply(tables: &mut BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>, batch: WriteBatch) {
    for (table, key, value) in batch.changes {
        let table = tables.entry(table).or_default();
        match value {
            Some(value) => table.insert(key, value),
            None => table.remove(&key),
        };
    }
}

impl KvRead for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .tables
            .get(table)
            .and_then(|table| table.get(key))
            .cloned())
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(table) = self.tables.get(table) else {
            return Ok(Vec::new());
        };
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let end = to.map_or(Bound::Unbounded, Bound::Excluded);
        let range = table.range::<[u8], _>((Bound::Included(from), end));
        Ok(range
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }
}

impl KvStore for MemoryStore {
    fn commit(&mut self, batch: WriteBatch) -> Result<(), StoreError> {
        apply(&mut self.tables, batch.clone());
        self.unsynced.push_back(batch);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        for batch in self.unsynced.drain(..) {
            apply(&mut self.durable, batch);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_keeps_a_prefix_and_all_that_was_synced() {
        let mut store = MemoryStore::new();
        for n in 0..4_u8 {
            let mut batch = WriteBatch::default();
            batch.put("t", [n], [n]);
            store.commit(batch).unwrap();
            if n == 1 {
                store.sync().unwrap();
            }
        }
        assert_eq!(store.unsynced(), 2);
        store.crash(1);
        let keys: Vec<_> = store
            .scan("t", &[], None, 9)
            .unwrap()
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys, [[0], [1], [2]]);
        assert_eq!(store.scan("t", &[1], Some(&[2]), 9).unwrap().len(), 1);
        assert_eq!(store.scan("t", &[2], Some(&[1]), 9).unwrap().len(), 0);
    }
}

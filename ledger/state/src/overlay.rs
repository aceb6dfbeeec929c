use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::Bound;

use hedgerow_kv::{Entry, KvRead, StoreError, Table, WriteBatch};

/// Changes that are not in the store yet.
#[derive(Clone, Debug, Default)]
pub struct Writes(BTreeMap<Table, BTreeMap<Vec<u8>, Option<Vec<u8>>>>);

impl Writes {
    /// Sets `key` to `value`; `None` takes it out.
    pub fn set(&mut self, table: Table, key: impl Into<Vec<u8>>, value: Option<Vec<u8>>) {
        self.0.entry(table).or_default().insert(key.into(), value);
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.set(table, key, Some(value.into()));
    }

    /// Puts later changes over these.
    pub fn append(&mut self, later: Self) {
        for (table, keys) in later.0 {
            self.0.entry(table).or_default().extend(keys);
        }
    }

    /// The changes as one atomic batch.
    #[must_use]
    pub fn into_batch(self) -> WriteBatch {
        let tables = self.0.into_iter();
        let changes = tables.flat_map(|(table, keys)| {
            keys.into_iter()
                .map(move |(key, value)| (table, key, value))
        });
        WriteBatch {
            changes: changes.collect(),
        }
    }

    fn get(&self, table: Table, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.0.get(table)?.get(key)
    }

    fn first(&self, table: Table, from: &[u8], to: &[u8]) -> Option<(&Vec<u8>, &Option<Vec<u8>>)> {
        if from >= to {
            return None;
        }
        self.0
            .get(table)?
            .range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
            .next()
    }
}

/// The store as it will be when some layers of changes are in it.
pub struct View<'a, S: ?Sized> {
    store: &'a S,
    layers: Vec<&'a Writes>,
}

impl<S: ?Sized> Clone for View<'_, S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store,
            layers: self.layers.clone(),
        }
    }
}

impl<'a, S: KvRead + ?Sized> View<'a, S> {
    /// `store` under these layers, the oldest first.
    #[must_use]
    pub fn new(store: &'a S, layers: impl IntoIterator<Item = &'a Writes>) -> Self {
        Self {
            store,
            layers: layers.into_iter().collect(),
        }
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// When the store has failed.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self
            .layers
            .iter()
            .rev()
            .find_map(|layer| layer.get(table, key))
        {
            Some(changed) => Ok(changed.clone()),
            None => self.store.get(table, key),
        }
    }

    /// The entry with the least key in `from..to`.
    ///
    /// # Errors
    /// When the store has failed.
    pub fn first(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Entry>, StoreError> {
        let mut from = from.to_vec();
        loop {
            let stored = self
                .store
                .scan(table, &from, Some(to), 1)?
                .pop()
                .map(|(key, value)| (key, Some(value)));
            let mut least = stored;
            // From the oldest to the newest: at equal keys the newer one wins.
            for (key, value) in self
                .layers
                .iter()
                .filter_map(|layer| layer.first(table, &from, to))
            {
                if least.as_ref().is_none_or(|(least, _)| key <= least) {
                    least = Some((key.clone(), value.clone()));
                }
            }
            match least {
                Some((key, Some(value))) => return Ok(Some((key, value))),
                Some((mut taken_out, None)) => {
                    taken_out.push(0);
                    from = taken_out;
                }
                None => return Ok(None),
            }
        }
    }
}

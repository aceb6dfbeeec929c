use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, TryLockError},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use fjall::{Database, Error, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use hedgerow_kv::{Entry, KvRead, KvStore, StoreError, Table, WriteBatch};

use crate::{
    journals::mend,
    key,
    mark::{self, Mark, Salt},
};

/// How a store is kept.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Blocks of files kept in memory, in bytes.
    pub cache_bytes: u64,
    /// Changes kept in memory before they are written into a file of their own, in bytes. A burst may take several
    /// times as much.
    pub write_buffer_bytes: u64,
    /// Whether [`KvStore::sync`] waits for the disk. Without it a crash of the process loses nothing, and a loss of
    /// power may lose everything since the engine's last own sync.
    pub durable: bool,
}

impl Default for StoreOptions {
    /// 8 MiB of cache, 4 MiB of write buffer, durable.
    fn default() -> Self {
        Self {
            cache_bytes: 8 << 20,
            write_buffer_bytes: 4 << 20,
            durable: true,
        }
    }
}

/// A store in a folder of its own.
pub struct DiskStore {
    dir: PathBuf,
    database: Database,
    tree: Keyspace,
    options: StoreOptions,
    salt: Salt,
    /// The last commit, and the last one that is durable.
    last: Mark,
    /// Held locked as long as the store is open.
    _lock: File,
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore")
            .field("dir", &self.dir)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl DiskStore {
    /// Opens the store in `dir`, which is made when it is not there.
    ///
    /// # Errors
    /// When another process has it open, when it is damaged, or when the disk fails.
    pub fn open(dir: impl Into<PathBuf>, options: StoreOptions) -> Result<Self, StoreError> {
        let dir = dir.into();
        fs::create_dir_all(&dir)
            .map_err(|error| StoreError(format!("can't create {}: {error}", dir.display())))?;
        let lock = lock(&dir)?;
        let tree_dir = dir.join("tree");
        let salt = salt(&dir, tree_dir.exists())?;
        let torn = mend(&tree_dir, &salt)?;
        if torn > 0 {
            tracing::warn!(
                dir = %dir.display(), bytes = torn,
                "cut off a commit that was being written when the node stopped; it had not been acknowledged"
            );
        }
        let open = || {
            let database = Database::builder(&tree_dir)
                .cache_size(options.cache_bytes)
                .max_cached_files(Some(128))
                .max_journaling_size(64 << 20)
                .worker_threads(1)
                .open()?;
            let tree = database.keyspace("tables", || {
                KeyspaceCreateOptions::default().max_memtable_size(options.write_buffer_bytes)
            })?;
            let mark = tree.get(mark::KEY)?;
            Ok((database, tree, mark))
        };
        // The engine may panic on files that are not as it left them.
        let opened = catch_unwind(AssertUnwindSafe(open));
        let (database, tree, mark) = opened
            .unwrap_or(Err(Error::Unrecoverable))
            .map_err(|error| unopened(&dir, &error))?;
        let number = mark
            .and_then(|bytes| Mark::decode(&salt, &bytes))
            .map_or(0, |mark| mark.number);
        // The engine has synced what it found.
        let last = Mark {
            number,
            durable: number,
        };
        Ok(Self {
            dir,
            database,
            tree,
            options,
            salt,
            last,
            _lock: lock,
        })
    }

    /// The store as it is now, for readers on other threads. It keeps old versions on disk as long as it lives.
    #[must_use]
    pub fn snapshot(&self) -> DiskSnapshot {
        DiskSnapshot {
            dir: self.dir.clone(),
            snapshot: self.database.snapshot(),
            tree: self.tree.clone(),
        }
    }

    /// How many bytes it has on disk.
    ///
    /// # Errors
    /// When the store has failed.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.database
            .disk_space()
            .map_err(|error| failed(&self.dir, &error))
    }
}

/// A store as it was at one moment.
pub struct DiskSnapshot {
    dir: PathBuf,
    snapshot: Snapshot,
    tree: Keyspace,
}

impl fmt::Debug for DiskSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskSnapshot")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl KvRead for DiskSnapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.snapshot.get(&self.tree, key::encode(table, key)?);
        value
            .map(|value| value.map(|value| value.to_vec()))
            .map_err(|error| failed(&self.dir, &error))
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(bounds) = key::range(table, from, to)? else {
            return Ok(Vec::new());
        };
        collect(
            &self.dir,
            table,
            self.snapshot.range(&self.tree, bounds),
            limit,
        )
    }
}

impl KvRead for DiskStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.tree.get(key::encode(table, key)?);
        value
            .map(|value| value.map(|value| value.to_vec()))
            .map_err(|error| failed(&self.dir, &error))
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(bounds) = key::range(table, from, to)? else {
            return Ok(Vec::new());
        };
        collect(&self.dir, table, self.tree.range(bounds), limit)
    }
}

impl KvStore for DiskStore {
    fn commit(&mut self, batch: WriteBatch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        // The engine gives all of a batch the same age, so of several changes of a key only the last may reach it.
        let mut last = BTreeMap::new();
        for (table, key, value) in batch.changes {
            last.insert(key::encode(table, &key)?, value);
        }
        let mark = Mark {
            number: self.last.number + 1,
            durable: self.last.durable,
        };
        last.insert(mark::KEY.to_vec(), Some(mark.encode(&self.salt)));
        let mut changes = self.database.batch();
        for (key, value) in last {
            match value {
                Some(value) => changes.insert(&self.tree, key, value),
                None => changes.remove(&self.tree, key),
            }
        }
        changes
            .commit()
            .map_err(|error| failed(&self.dir, &error))?;
        self.last = mark;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if self.options.durable && self.last.durable < self.last.number {
            self.database
                .persist(PersistMode::SyncData)
                .map_err(|error| failed(&self.dir, &error))?;
            self.last.durable = self.last.number;
        }
        Ok(())
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let unlocked = |error| StoreError(format!("can't lock {}: {error}", path.display()));
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(unlocked)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(unopened(dir, &Error::Locked)),
        Err(TryLockError::Error(error)) => Err(unlocked(error)),
    }
}

/// The store's salt, made when there is no store yet.
fn salt(dir: &Path, store_exists: bool) -> Result<Salt, StoreError> {
    let path = dir.join("salt");
    if store_exists {
        let salt = mark::salt(&path)
            .map_err(|error| StoreError(format!("can't read {}: {error}", path.display())))?;
        return salt.ok_or_else(|| unopened(dir, &Error::Unrecoverable));
    }
    mark::new_salt(&path)
        .map_err(|error| StoreError(format!("can't write {}: {error}", path.display())))
}

fn collect(
    dir: &Path,
    table: Table,
    entries: fjall::Iter,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let entry = |guard: fjall::Guard| {
        let (key, value) = guard.into_inner().map_err(|error| failed(dir, &error))?;
        Ok((key::decode(table, &key), value.to_vec()))
    };
    entries.take(limit).map(entry).collect()
}

fn failed(dir: &Path, error: &Error) -> StoreError {
    StoreError(format!(
        "{}: {}: check the disk, then restart the node",
        dir.display(),
        what(error)
    ))
}

fn unopened(dir: &Path, error: &Error) -> StoreError {
    let dir = dir.display();
    StoreError(match error {
        Error::Locked => {
            format!(
                "{dir} is in use by another process: stop it first, or give each node a folder of its own"
            )
        }
        Error::Io(error) => format!("can't open {dir}: {error}"),
        other => format!(
            "{dir} is damaged ({}): check the disk, then move this folder away and start again: \
             it is made anew from the blocks of the other members",
            what(other)
        ),
    })
}

fn what(error: &Error) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        Error::Poisoned => "an earlier write failed".to_owned(),
        Error::Unrecoverable => "its files contradict each other".to_owned(),
        other => format!("{other:?}"),
    }
}

//! The laws of [`KvStore`], on disk.

use std::{fs, io::Read, path::Path};

use hedgerow_kv::{KvRead, KvStore, MemoryStore, Table, WriteBatch};
use hedgerow_store::{DiskStore, StoreOptions};
use proptest::prelude::*;
use tempfile::TempDir;

const TABLES: [Table; 3] = ["a", "ab", "b"];

type Change = (Table, Vec<u8>, Option<Vec<u8>>);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let key = prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..3);
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..9));
    prop::collection::vec((prop::sample::select(&TABLES[..]), key, value), 0..12)
}

fn open(dir: &Path) -> DiskStore {
    DiskStore::open(dir, StoreOptions::default()).unwrap()
}

fn contents(store: &impl KvStore) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    TABLES
        .iter()
        .map(|table| store.scan(table, &[], None, usize::MAX).unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// It answers as the store in memory does, and still does after it was closed and opened.
    #[test]
    fn it_is_the_store_in_memory(
        batches in prop::collection::vec(changes(), 1..12),
        from in prop::collection::vec(any::<u8>(), 0..2),
        to in prop::option::of(prop::collection::vec(any::<u8>(), 0..2)),
        limit in 0..5_usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut disk, mut memory) = (open(dir.path()), MemoryStore::new());
        for changes in batches {
            let batch = WriteBatch { changes };
            let before = (disk.snapshot(), contents(&disk));
            disk.commit(batch.clone()).unwrap();
            memory.commit(batch).unwrap();
            prop_assert_eq!(contents(&disk), contents(&memory));
            let scanned: Vec<_> =
                TABLES.iter().map(|table| before.0.scan(table, &[], None, usize::MAX).unwrap()).collect();
            prop_assert_eq!(scanned, before.1, "a snapshot stays");
        }
        for table in TABLES {
            prop_assert_eq!(
                disk.scan(table, &from, to.as_deref(), limit).unwrap(),
                memory.scan(table, &from, to.as_deref(), limit).unwrap()
            );
            prop_assert_eq!(disk.get(table, &from).unwrap(), memory.get(table, &from).unwrap());
        }
        drop(disk);
        prop_assert_eq!(contents(&open(dir.path())), contents(&memory));
    }
}

/// Batch n writes n into both tables, so that an incomplete batch shows.
fn numbered(n: u32) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for table in ["a", "b"] {
        batch.put(table, n.to_be_bytes(), vec![n as u8; 300]);
        batch.put(table, "newest", n.to_be_bytes());
    }
    batch
}

/// Which batch is the last one; all before it are whole.
fn last_of_prefix(store: &DiskStore) -> u32 {
    let Some(newest) = store.get("a", b"newest").unwrap() else {
        return 0;
    };
    assert_eq!(store.get("b", b"newest").unwrap().as_ref(), Some(&newest));
    let last = u32::from_be_bytes(newest.try_into().unwrap());
    for table in ["a", "b"] {
        let keys: Vec<_> = store.scan(table, &[], Some(&[255]), usize::MAX).unwrap();
        let numbers: Vec<_> = keys
            .iter()
            .filter_map(|(key, _)| Some(u32::from_be_bytes(key[..].try_into().ok()?)))
            .collect();
        assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "table {table}");
    }
    last
}

fn copy(from: &Path) -> TempDir {
    fn copy_into(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                fs::create_dir(&to).unwrap();
                copy_into(&entry.path(), &to);
            } else {
                fs::write(&to, data(&entry.path())).unwrap();
                let length = entry.metadata().unwrap().len();
                fs::File::options()
                    .write(true)
                    .open(to)
                    .unwrap()
                    .set_len(length)
                    .unwrap();
            }
        }
    }
    let to = tempfile::tempdir().unwrap();
    copy_into(from, to.path());
    to
}

/// What a file holds before a megabyte of zeros: the engine makes its journals long beforehand.
fn data(path: &Path) -> Vec<u8> {
    let (mut file, zeros) = (fs::File::open(path).unwrap(), vec![0; 1 << 20]);
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        std::io::Read::by_ref(&mut file)
            .take(zeros.len() as u64)
            .read_to_end(&mut bytes)
            .unwrap();
        if zeros.starts_with(&bytes[before..]) {
            bytes.truncate(before);
            return bytes;
        }
    }
}

fn newest_journal(dir: &Path) -> std::path::PathBuf {
    let files = fs::read_dir(dir.join("tree"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .max()
        .unwrap()
}

#[test]
fn the_end_of_the_process_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    for n in 1..=500 {
        store.commit(numbered(n)).unwrap();
        if n % 100 == 0 {
            // What a kill leaves: the files as they are, without any closing.
            assert_eq!(last_of_prefix(&open(copy(dir.path()).path())), n);
        }
    }
}

#[test]
fn a_journal_cut_anywhere_leaves_a_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    for n in 1..=20 {
        store.commit(numbered(n)).unwrap();
    }
    store.sync().unwrap();
    let length = |path: &Path| fs::metadata(newest_journal(path)).unwrap().len();
    let mut ends = Vec::new();
    for n in 21..=23 {
        store.commit(numbered(n)).unwrap();
        let crashed = copy(dir.path());
        let bytes = data(&newest_journal(crashed.path()));
        let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() as u64 + 1;
        ends.push((n, end));
    }
    let (_, synced) = ends[0];
    let (_, last) = ends[2];
    assert!(last <= length(dir.path()));
    for (cut, zeros) in (synced..=last)
        .step_by(37)
        .flat_map(|cut| [(cut, false), (cut, true)])
    {
        let crashed = copy(dir.path());
        let file = fs::File::options()
            .write(true)
            .open(newest_journal(crashed.path()))
            .unwrap();
        file.set_len(cut).unwrap();
        if zeros {
            // The engine makes its journals long beforehand: what did not reach the disk is zeros.
            file.set_len(last + 5000).unwrap();
        }
        let mut store = open(crashed.path());
        let found = last_of_prefix(&store);
        let whole = ends
            .iter()
            .filter(|(_, end)| *end <= cut)
            .map(|(n, _)| *n)
            .max()
            .unwrap_or(20);
        assert_eq!(found, whole, "cut at {cut} of {last}, zeros {zeros}");
        // The journal goes on where it was cut.
        store.commit(numbered(found + 1)).unwrap();
        drop(store);
        assert_eq!(last_of_prefix(&open(crashed.path())), found + 1);
    }
}

#[test]
fn pages_that_reached_the_disk_out_of_order_are_a_torn_tail_and_damage_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let end = |path: &Path| {
        let bytes = data(&newest_journal(path));
        bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1
    };
    for n in 1..=20 {
        store.commit(numbered(n)).unwrap();
    }
    store.sync().unwrap();
    let synced = end(dir.path());
    for n in 21..=23 {
        store.commit(numbered(n)).unwrap();
    }
    let spoil = |offset: usize| {
        let crashed = copy(dir.path());
        let journal = newest_journal(crashed.path());
        let mut bytes = data(&journal);
        bytes[offset] ^= 0x40;
        fs::write(&journal, bytes).unwrap();
        let opened = DiskStore::open(crashed.path(), StoreOptions::default());
        opened.map(|store| last_of_prefix(&store))
    };
    // In the first of three commits that were not synced, anywhere: the later ones are whole, and must go too.
    for offset in (synced..synced + 400).step_by(13) {
        assert_eq!(spoil(offset), Ok(20), "at {offset} of {synced}");
    }
    // In one that was: a later one says so.
    for offset in (0..synced).step_by(97) {
        let error = spoil(offset).unwrap_err().to_string();
        assert!(
            error.contains(".jnl is damaged at byte"),
            "at {offset}: {error}"
        );
    }
}

#[test]
fn it_survives_many_flushes_and_compactions() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        write_buffer_bytes: 64 << 10,
        ..StoreOptions::default()
    };
    let mut store = DiskStore::open(dir.path(), options).unwrap();
    for n in 1..=3000 {
        store.commit(numbered(n)).unwrap();
        if n % 1000 == 0 {
            // Closed, so that no compaction moves files while the folder is copied: a copy is not a snapshot.
            drop(store);
            let copied = copy(dir.path());
            assert_eq!(
                last_of_prefix(&DiskStore::open(copied.path(), options).unwrap()),
                n
            );
            store = DiskStore::open(dir.path(), options).unwrap();
        }
    }
    assert_eq!(last_of_prefix(&store), 3000);
}

#[test]
fn a_second_process_and_damage_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    for n in 1..=50 {
        store.commit(numbered(n)).unwrap();
    }
    store.sync().unwrap();
    store.commit(numbered(51)).unwrap();
    let error = DiskStore::open(dir.path(), StoreOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    drop(store);
    let journal = newest_journal(dir.path());
    let mut bytes = data(&journal);
    bytes[2000] ^= 0x10;
    fs::write(&journal, bytes).unwrap();
    let error = DiskStore::open(dir.path(), StoreOptions::default()).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
}

#[test]
fn an_idle_store_writes_nothing() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut store = open(dir.path());
    for n in 1..=100 {
        store.commit(numbered(n)).unwrap();
    }
    store.sync().unwrap();
    let sizes = || {
        let mut sizes = Vec::new();
        let mut folders = vec![dir.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let metadata = entry.metadata().unwrap();
                sizes.push((entry.path(), metadata.len(), metadata.modified().unwrap()));
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        sizes.sort();
        sizes
    };
    let before = sizes();
    std::thread::sleep(std::time::Duration::from_secs(2));
    store.sync().unwrap();
    assert_eq!(sizes(), before);
}

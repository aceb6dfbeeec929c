//! A journal whose files a failing disk has changed. Opening it gives a prefix of what was written, or an error.

use std::{fs, path::Path, sync::OnceLock};

use hedgerow_journal::{Durability, Journal, Options};
use tempfile::TempDir;

const OPTIONS: Options = Options {
    durability: Durability::Volatile,
    segment_bytes: 400,
    max_record: 1 << 10,
};

fn record(number: u64) -> Vec<u8> {
    vec![number as u8; number as usize * 13 % 90]
}

/// The files of a journal of forty records, and their names.
fn written() -> &'static [(String, Vec<u8>)] {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let dir = TempDir::new().expect("a folder");
        let (mut journal, ..) = Journal::open(dir.path(), OPTIONS).expect("a new journal");
        for number in 1..=40 {
            journal.append(&record(number)).expect("room");
            if number % 3 == 0 {
                journal.sync().expect("a disk");
            }
        }
        journal.sync().expect("a disk");
        drop(journal);
        let mut files: Vec<_> = fs::read_dir(dir.path())
            .expect("a folder")
            .map(|entry| entry.expect("a file"))
            .map(|entry| {
                let name = entry.file_name().into_string().expect("a name");
                (name, fs::read(entry.path()).expect("a file"))
            })
            .collect();
        files.sort();
        files
    })
}

fn open(dir: &Path) -> Option<Vec<Vec<u8>>> {
    let opened = Journal::open(dir, OPTIONS);
    opened
        .ok()
        .map(|(_, records, _)| records.into_iter().map(|(_, record)| record).collect())
}

pub(crate) fn run(data: &[u8]) {
    let dir = TempDir::new().expect("a folder");
    let mut files = written().to_vec();
    let mut cut = usize::MAX;
    for change in data.chunks_exact(5) {
        let [file, high, low, kind, value] = *change else {
            continue;
        };
        let count = files.len();
        let bytes = &mut files[usize::from(file) % count].1;
        let at = (usize::from(high) * 256 + usize::from(low)) % (bytes.len() + 1);
        match kind % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, value),
            2 => cut = usize::from(value) % count,
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= value;
                }
            }
        }
    }
    for (index, (name, bytes)) in files.iter().enumerate() {
        if index != cut {
            fs::write(dir.path().join(name), bytes).expect("a disk");
        }
    }
    if let Some(records) = open(dir.path()) {
        let expected: Vec<_> = (1..=40).map(record).collect();
        let prefix = expected.starts_with(&records);
        let suffix = expected.ends_with(&records)
            || expected
                .windows(records.len().max(1))
                .any(|part| part == records);
        assert!(
            prefix || suffix,
            "records that nobody wrote, or not in order"
        );
        assert_eq!(
            open(dir.path()).as_ref(),
            Some(&records),
            "opened again it has others"
        );
    }
    // A file that is all hostile.
    let dir = TempDir::new().expect("a folder");
    fs::write(dir.path().join(format!("{:020}.log", 1)), data).expect("a disk");
    if let Some(records) = open(dir.path()) {
        assert!(records.iter().map(Vec::len).sum::<usize>() <= data.len());
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        vec![],
        vec![0, 0, 40, 3, 1],
        vec![1, 0, 9, 0, 0],
        vec![0, 0, 0, 2, 0],
    ];
    seeds.extend(written().iter().take(3).map(|(_, bytes)| bytes.clone()));
    seeds
}

//! A journal without crashes.

use std::{fs, path::Path};

use hedgerow_base::Lsn;
use hedgerow_journal::{Durability, Journal, JournalError, Options};

fn disk_bytes(dir: &Path) -> u64 {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

#[test]
fn a_second_process_on_the_folder_is_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    let first = Journal::open(dir.path(), Options::default()).unwrap();
    let error = Journal::open(dir.path(), Options::default()).unwrap_err();
    assert!(matches!(error, JournalError::InUse { .. }), "{error}");
    drop(first);
    Journal::open(dir.path(), Options::default()).unwrap();
}

#[test]
fn released_space_comes_back_and_positions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 4096,
        ..Options::default()
    };
    let (mut journal, _, _) = Journal::open(dir.path(), options).unwrap();
    for n in 1..=1000_u64 {
        assert_eq!(journal.append(&[7; 100]).unwrap(), Lsn(n));
        if n % 10 == 0 {
            assert_eq!(journal.sync().unwrap(), Lsn(n));
            journal.release(Lsn(n).previous()).unwrap();
        }
        assert!(disk_bytes(dir.path()) < 3 * 4096);
    }
    drop(journal);
    let (mut journal, records, recovery) = Journal::open(dir.path(), options).unwrap();
    assert_eq!(records.first().unwrap().0, recovery.first);
    assert!(recovery.first <= Lsn(999) && recovery.first > Lsn(900));
    assert_eq!(journal.append(b"next").unwrap(), Lsn(1001));
    // Everything may be released; the position is kept.
    journal.sync().unwrap();
    journal.release(Lsn(2000)).unwrap();
    drop(journal);
    let (journal, _, _) = Journal::open(dir.path(), options).unwrap();
    assert_eq!(journal.last(), Lsn(1001));
}

#[test]
fn a_record_that_is_too_large_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _, _) = Journal::open(
        dir.path(),
        Options {
            max_record: 10,
            ..Options::default()
        },
    )
    .unwrap();
    let error = journal.append(&[0; 11]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a record of 11 bytes: the journal takes at most 10"
    );
    assert_eq!(journal.append(&[0; 10]).unwrap(), Lsn(1));
    assert_eq!(journal.sync().unwrap(), Lsn(1));
}

#[test]
fn a_commit_may_be_larger_than_memory_is_willing_to_hold() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _, _) = Journal::open(dir.path(), Options::default()).unwrap();
    for n in 0..50_u8 {
        journal.append(&vec![n; 500_000]).unwrap();
    }
    assert!(journal.durable() < Lsn(50));
    assert_eq!(journal.sync().unwrap(), Lsn(50));
    drop(journal);
    let (_, records, _) = Journal::open(dir.path(), Options::default()).unwrap();
    assert_eq!(records.len(), 50);
    assert!(
        records
            .iter()
            .enumerate()
            .all(|(n, (_, record))| record[..] == vec![n as u8; 500_000])
    );
}

#[test]
fn opening_and_syncing_without_news_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _, _) = Journal::open(dir.path(), Options::default()).unwrap();
    assert_eq!(journal.sync().unwrap(), Lsn::ZERO);
    assert_eq!(disk_bytes(dir.path()), 0);
    journal.append(b"one").unwrap();
    journal.sync().unwrap();
    let length = disk_bytes(dir.path());
    assert_eq!(journal.sync().unwrap(), Lsn(1));
    drop(journal);
    let (mut journal, _, _) = Journal::open(dir.path(), Options::default()).unwrap();
    assert_eq!(journal.sync().unwrap(), Lsn(1));
    assert_eq!(disk_bytes(dir.path()), length);
}

#[test]
fn a_volatile_journal_survives_the_end_of_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        durability: Durability::Volatile,
        segment_bytes: 1000,
        ..Options::default()
    };
    let (mut journal, _, _) = Journal::open(dir.path(), options).unwrap();
    for n in 0..100_u8 {
        journal.append(&[n; 50]).unwrap();
        journal.sync().unwrap();
    }
    drop(journal);
    let (journal, records, _) = Journal::open(dir.path(), Options::default()).unwrap();
    assert_eq!((records.len(), journal.durable()), (100, Lsn(100)));
}

/// A failed disk is fatal.
#[test]
fn after_a_failed_write_the_journal_takes_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 100,
        ..Options::default()
    };
    let (mut journal, _, _) = Journal::open(dir.path(), options).unwrap();
    journal.append(&[1; 100]).unwrap();
    journal.sync().unwrap();
    // Its name is taken when the next segment is to be made.
    fs::create_dir(dir.path().join("00000000000000000002.log")).unwrap();
    journal.append(&[2; 100]).unwrap();
    let error = journal.sync().unwrap_err();
    assert!(matches!(error, JournalError::Io { .. }), "{error}");
    assert!(matches!(journal.sync(), Err(JournalError::Poisoned)));
    assert!(matches!(
        journal.append(b"more"),
        Err(JournalError::Poisoned)
    ));
    assert!(matches!(
        journal.release(Lsn(1)),
        Err(JournalError::Poisoned)
    ));
    assert_eq!(journal.durable(), Lsn(1));
}

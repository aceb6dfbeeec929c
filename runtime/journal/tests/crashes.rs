//! What is left of a journal after crashes of all kinds.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hedgerow_base::Lsn;
use hedgerow_journal::{Durability, Journal, JournalError, Options, Records};
use proptest::prelude::*;
use tempfile::TempDir;

const SMALL: Options = Options {
    durability: Durability::Group,
    segment_bytes: 512,
    max_record: 4096,
};

/// For the many journals that are opened only to be looked at.
const QUICK: Options = Options {
    durability: Durability::Volatile,
    ..SMALL
};

/// What happened to a journal before the crash.
#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u8>),
    Sync,
    /// Close it properly and open it again.
    Reopen,
    /// Release this share, in 256ths, of the records.
    Release(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Append),
        3 => Just(Step::Sync),
        1 => Just(Step::Reopen),
        1 => any::<u8>().prop_map(Step::Release),
    ];
    prop::collection::vec(step, 1..60)
}

/// What a journal was told: every record that it took, and up to where it said they were durable.
#[derive(Default)]
struct History {
    records: Records,
    durable: Lsn,
    released: Lsn,
}

fn play(dir: &Path, steps: &[Step]) -> History {
    let mut history = History::default();
    let (mut journal, records, _) = Journal::open(dir, SMALL).unwrap();
    assert!(records.is_empty());
    for step in steps {
        match step {
            Step::Append(record) => {
                let lsn = journal.append(record).unwrap();
                history.records.push((lsn, record.clone()));
            }
            Step::Sync => history.durable = journal.sync().unwrap(),
            Step::Reopen => {
                history.durable = journal.sync().unwrap();
                drop(journal);
                journal = reopen_and_check(dir, &history);
            }
            Step::Release(share) => {
                history.released =
                    Lsn(history.durable.0 * u64::from(*share) / 256).max(history.released);
                journal.release(history.released).unwrap();
            }
        }
    }
    history
}

fn reopen_and_check(dir: &Path, history: &History) -> Journal {
    let (journal, records, recovery) = Journal::open(dir, SMALL).unwrap();
    check(&records, history);
    assert_eq!(recovery.last, journal.last());
    assert_eq!(journal.durable(), journal.last());
    journal
}

/// Nothing durable is lost, nothing is made up, nothing is out of its place.
fn check(records: &Records, history: &History) {
    let first = records.first().map_or(Lsn(1), |(lsn, _)| *lsn);
    for (offset, (lsn, record)) in records.iter().enumerate() {
        assert_eq!(*lsn, first.plus(offset as u64));
        assert_eq!(history.records[lsn.0 as usize - 1].1, *record, "{lsn}");
    }
    let last = records.last().map_or(Lsn::ZERO, |(lsn, _)| *lsn);
    if history.durable > Lsn::ZERO && !records.is_empty() {
        assert!(
            first <= history.released.max(Lsn(1)),
            "{first} was not released"
        );
        assert!(
            last >= history.durable,
            "{last} is before {}",
            history.durable
        );
    }
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    files
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in segments(from) {
        fs::copy(&file, to.path().join(file.file_name().unwrap())).unwrap();
    }
    to
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The process ends at any moment: what was synced is there.
    #[test]
    fn nothing_synced_is_lost_when_the_process_ends(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let history = play(dir.path(), &steps);
        reopen_and_check(dir.path(), &history);
    }

    /// The power fails while a frame is being written: it is cut at every byte, or its bytes reach the disk in any
    /// order. Everything synced before is there, and the journal goes on from there.
    #[test]
    fn a_frame_cut_anywhere_is_a_torn_tail(
        steps in steps(), extra in prop::collection::vec(any::<u8>(), 0..80), hole in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut history = play(dir.path(), &steps);
        let mut journal = reopen_and_check(dir.path(), &history);
        history.records.truncate(journal.last().0 as usize);
        history.durable = journal.durable();
        let files_before = segments(dir.path());
        let length_before = files_before.last().map_or(0, |file| fs::metadata(file).unwrap().len() as usize);
        let lsn = journal.append(&extra).unwrap();
        history.records.push((lsn, extra));
        journal.sync().unwrap();
        drop(journal);

        let files = segments(dir.path());
        let last = files.last().unwrap();
        let whole = fs::read(last).unwrap();
        // A file that the frame itself began was made durable, header and all, before the frame was written.
        let start = if files.len() == files_before.len() { length_before } else { 32 };
        let mut cuts: Vec<_> = (start..whole.len()).map(|cut| whole[..cut].to_vec()).collect();
        let mut holed = whole.clone();
        let hole = start + hole.index(whole.len() - start);
        holed[hole..].fill(0);
        if holed != whole {
            cuts.push(holed);
        }
        for bytes in cuts {
            let crashed = copy(dir.path());
            fs::write(crashed.path().join(last.file_name().unwrap()), &bytes).unwrap();
            let (mut journal, records, recovery) = Journal::open(crashed.path(), QUICK).unwrap();
            check(&records, &history);
            prop_assert_eq!(journal.last(), lsn.previous());
            prop_assert_eq!(recovery.torn_bytes, (bytes.len() - start) as u64);
            // The torn bytes are gone for good.
            prop_assert_eq!(journal.append(b"again").unwrap(), lsn);
            journal.sync().unwrap();
            drop(journal);
            let (_, records, recovery) = Journal::open(crashed.path(), QUICK).unwrap();
            prop_assert_eq!(records.last().unwrap(), &(lsn, b"again".to_vec()));
            prop_assert_eq!(recovery.torn_bytes, 0);
        }
    }

    /// A bit rots anywhere: the journal says so, or, where it was in the last frame, cuts that off and reports it.
    /// It never shows a wrong record, and never loses more than that frame without an error.
    #[test]
    fn a_flipped_bit_is_never_a_wrong_record(steps in steps(), place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let dir = tempfile::tempdir().unwrap();
        let mut history = play(dir.path(), &steps);
        let mut journal = reopen_and_check(dir.path(), &history);
        history.records.truncate(journal.last().0 as usize);
        let before = journal.last();
        for n in 0..3_u8 {
            history.records.push((journal.append(&[n; 40]).unwrap(), vec![n; 40]));
        }
        history.durable = journal.sync().unwrap();
        drop(journal);

        let files = segments(dir.path());
        let file = &files[place.index(files.len())];
        let mut bytes = fs::read(file).unwrap();
        let offset = place.index(bytes.len());
        bytes[offset] ^= 1 << bit;
        fs::write(file, bytes).unwrap();
        match Journal::open(dir.path(), QUICK) {
            Ok((journal, records, recovery)) => {
                prop_assert!(recovery.torn_bytes > 0);
                prop_assert_eq!(journal.last(), before);
                history.durable = before;
                check(&records, &history);
            }
            Err(JournalError::Damaged { file: named, offset: at, .. }) => {
                prop_assert_eq!(&named, file);
                prop_assert!(at <= offset as u64);
            }
            Err(JournalError::Version { file: named, .. }) => prop_assert_eq!(&named, file),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

/// A journal with `frames` frames of one record each, in `dir`.
fn filled(dir: &Path, options: Options, frames: u8) {
    let (mut journal, _, _) = Journal::open(dir, options).unwrap();
    for n in 0..frames {
        journal.append(&[n; 100]).unwrap();
        journal.sync().unwrap();
    }
}

#[test]
fn damage_before_the_tail_names_file_and_place_and_repairs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), Options::default(), 3);
    let [file] = &segments(dir.path())[..] else {
        panic!("one segment")
    };
    let mut bytes = fs::read(file).unwrap();
    let frame = (bytes.len() - 32) / 3;
    bytes[32 + frame + 50] ^= 1;
    fs::write(file, &bytes).unwrap();
    let error = Journal::open(dir.path(), Options::default()).unwrap_err();
    assert!(
        matches!(&error, JournalError::Damaged { offset, lsn: Lsn(2), .. } if *offset == (32 + frame) as u64),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("00000000000000000001.log is damaged at byte"),
        "{error}"
    );
    assert_eq!(fs::read(file).unwrap(), bytes);
}

#[test]
fn a_missing_segment_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), SMALL, 20);
    let files = segments(dir.path());
    assert!(files.len() > 3);
    fs::remove_file(&files[1]).unwrap();
    let error = Journal::open(dir.path(), SMALL).unwrap_err();
    assert!(matches!(error, JournalError::Missing { .. }), "{error}");
}

#[test]
fn a_file_whose_making_was_interrupted_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), SMALL, 6);
    for header in [&[][..], &[0; 20], &[0; 32]] {
        fs::write(dir.path().join("00000000000000000007.log"), header).unwrap();
        let (journal, records, _) = Journal::open(dir.path(), SMALL).unwrap();
        assert_eq!((journal.last(), records.len()), (Lsn(6), 6));
    }
    filled(dir.path(), SMALL, 1);
    let (journal, ..) = Journal::open(dir.path(), SMALL).unwrap();
    assert_eq!(journal.last(), Lsn(7));
}

#[test]
fn a_records_bytes_can_not_pass_for_a_frame() {
    // The stranger's record is a copy of a frame of ours, from a journal that it knows all about.
    let known = tempfile::tempdir().unwrap();
    filled(known.path(), Options::default(), 9);
    let bait = fs::read(&segments(known.path())[0]).unwrap()[32..].to_vec();
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _, _) = Journal::open(dir.path(), Options::default()).unwrap();
    journal.append(&bait).unwrap();
    journal.sync().unwrap();
    drop(journal);
    let file = &segments(dir.path())[0];
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() - 1]).unwrap();
    let (journal, _, recovery) = Journal::open(dir.path(), Options::default()).unwrap();
    assert_eq!(journal.last(), Lsn::ZERO);
    assert!(recovery.torn_bytes > bait.len() as u64);
}

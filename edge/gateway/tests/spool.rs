//! What was acknowledged survives; what does not fit is pushed back; an idle spool writes nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use bytes::Bytes;
use hedgerow_base::Lsn;
use hedgerow_gateway::{Spool, SpoolError, Waiting};

const BUDGET: u64 = 4 << 20;

fn append(spool: &Spool, bytes: impl Into<Bytes>) -> Result<Lsn, SpoolError> {
    let (sender, receiver) = mpsc::channel();
    spool.append(
        bytes.into(),
        Box::new(move |result| sender.send(result).unwrap()),
    );
    receiver.recv_timeout(Duration::from_secs(10)).unwrap()
}

/// The folder as a crash now would leave it, with the tail of an unfinished write.
fn crash(dir: &Path, torn: &[u8]) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in &files {
        fs::copy(file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    let mut segments = files
        .iter()
        .filter(|file| fs::metadata(file).unwrap().len() > 0);
    if let Some(last) = segments.next_back() {
        let last = copy.path().join(last.file_name().unwrap());
        let mut bytes = fs::read(&last).unwrap();
        bytes.extend_from_slice(torn);
        fs::write(last, bytes).unwrap();
    }
    copy
}

fn texts(waiting: &[Waiting]) -> Vec<String> {
    waiting
        .iter()
        .map(|waiting| String::from_utf8(waiting.transaction.to_vec()).unwrap())
        .collect()
}

fn size(dir: &Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let data = entry.metadata().unwrap();
            (entry.path(), data.len(), data.modified().unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, thread) = Spool::open(dir.path(), BUDGET).unwrap();
    let places: Vec<Lsn> = (0..100)
        .map(|n| append(&spool, format!("tx {n}")).unwrap())
        .collect();
    // 0..10 became final, and so did 20..30, before the crash.
    spool.finished(&places[..10]);
    spool.finished(&places[20..30]);
    append(&spool, "the last").unwrap(); // takes the marker along
    for torn in [&b""[..], &[0xff; 3], &[7; 500]] {
        let crashed = crash(dir.path(), torn);
        let (again, _thread) = Spool::open(crashed.path(), BUDGET).unwrap();
        let mut expected: Vec<String> = (10..100).map(|n| format!("tx {n}")).collect();
        expected.push("the last".into());
        assert_eq!(texts(&again.ready()), expected);
        assert_eq!(again.backlog(), 91);
        // And it goes on from there.
        append(&again, "more").unwrap();
        assert_eq!(again.backlog(), 92);
    }
    thread.stop();
}

#[test]
fn a_clean_stop_forwards_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, thread) = Spool::open(dir.path(), BUDGET).unwrap();
    let places: Vec<Lsn> = (0..10)
        .map(|n| append(&spool, format!("tx {n}")).unwrap())
        .collect();
    spool.finished(&places);
    assert_eq!(spool.usage().0, 0);
    thread.stop();
    assert!(matches!(append(&spool, "late"), Err(SpoolError::Failed(_))));
    let (again, _thread) = Spool::open(dir.path(), BUDGET).unwrap();
    assert!(again.ready().is_empty());
}

#[test]
fn at_the_budget_it_pushes_back_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _thread) = Spool::open(dir.path(), 100_000).unwrap();
    let mut taken = Vec::new();
    let error = loop {
        match append(&spool, vec![7; 1000]) {
            Ok(lsn) => taken.push(lsn),
            Err(error) => break error,
        }
    };
    assert_eq!(taken.len(), 100_000 / 1064);
    assert!(
        matches!(
            error,
            SpoolError::Full {
                budget: 100_000,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("spool.budget_bytes"));
    // Space comes back in order: the oldest is still waiting, so its room and that of all after it is taken.
    spool.finished(&taken[1..]);
    assert!(append(&spool, vec![7; 1000]).is_err());
    spool.finished(&taken[..1]);
    assert!(append(&spool, vec![7; 1000]).is_ok());
}

#[test]
fn disk_space_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let budget = 2 << 20;
    let (spool, _thread) = Spool::open(dir.path(), budget).unwrap();
    for _ in 0..40 {
        let places: Vec<Lsn> = (0..5)
            .map(|_| append(&spool, vec![1; 100_000]).unwrap())
            .collect();
        spool.finished(&places);
    }
    append(&spool, "x").unwrap();
    let bytes: u64 = size(dir.path()).iter().map(|(_, bytes, _)| bytes).sum();
    assert!(
        bytes < 2 * budget,
        "20 MB went through, {bytes} bytes are left"
    );
}

#[test]
fn answers_come_in_order_refusals_too() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _thread) = Spool::open(dir.path(), 10_000).unwrap();
    let (sender, receiver) = mpsc::channel();
    for n in 0..200 {
        let sender = sender.clone();
        spool.append(
            Bytes::from(vec![0; 100]),
            Box::new(move |result| sender.send((n, result.is_ok())).unwrap()),
        );
    }
    let answers: Vec<(usize, bool)> = (0..200)
        .map(|_| receiver.recv_timeout(Duration::from_secs(10)).unwrap())
        .collect();
    assert!(answers.iter().map(|(n, _)| *n).eq(0..200));
    assert_eq!(answers.iter().filter(|(_, ok)| *ok).count(), 10_000 / 164);
}

#[test]
fn an_idle_spool_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _thread) = Spool::open(dir.path(), BUDGET).unwrap();
    let place = append(&spool, "tx").unwrap();
    let before = size(dir.path());
    spool.finished(&[place]);
    let (sender, receiver) = mpsc::channel();
    spool.after_previous(Ok(Lsn::ZERO), Box::new(move |_| sender.send(()).unwrap()));
    receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(size(dir.path()), before);
}

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use hedgerow_base::Lsn;
use hedgerow_journal::{JournalError, Log};
use hedgerow_transport::Doorbell;

use crate::counters::{Counters, add};

/// Where records go: a choice of the deployment, which no protocol notices.
pub enum Persistence {
    /// On a thread of its own, which commits everything that has come meanwhile with one sync. For a log that waits
    /// for the disk.
    Thread(Box<dyn Log>),
    /// On the lane, committed with each burst. For a log that does not wait.
    Lane(Box<dyn Log>),
    /// Nowhere: everything counts as durable at once. For participants that keep nothing, and for measurements.
    None,
}

/// What the log thread is asked for.
pub(crate) enum Entry {
    Record(Lsn, Vec<u8>),
    Release(Lsn),
}

/// Where records wait for the log thread.
#[derive(Default)]
pub(crate) struct Writer {
    entries: Mutex<Vec<Entry>>,
    bytes: AtomicUsize,
    durable: AtomicU64,
    closed: AtomicBool,
    bell: Doorbell,
}

impl Writer {
    pub(crate) fn put(&self, entries: &mut Vec<Entry>) {
        if !entries.is_empty() {
            let bytes = entries.iter().map(Entry::bytes).sum();
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.entries
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .append(entries);
            self.bell.ring();
        }
    }

    /// Up to where the log is durable, as far as that is known.
    pub(crate) fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    /// How many bytes wait.
    pub(crate) fn waiting(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Nothing more comes.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.bell.ring();
    }
}

impl Entry {
    const fn bytes(&self) -> usize {
        match self {
            Self::Record(_, record) => record.len(),
            Self::Release(_) => 0,
        }
    }
}

/// The log's thread: takes all that waits, appends it, syncs once, says so.
pub(crate) fn run(
    mut log: Box<dyn Log>,
    writer: &Arc<Writer>,
    counters: &Counters,
    mut durable: impl FnMut(),
) -> Result<(), JournalError> {
    let mut burst = Vec::new();
    loop {
        mem::swap(
            &mut burst,
            &mut *writer
                .entries
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        if !burst.is_empty() {
            let bytes: usize = burst.iter().map(Entry::bytes).sum();
            if let Some(lsn) = commit(&mut *log, &mut burst, counters)? {
                writer.durable.store(lsn.0, Ordering::Release);
            }
            writer.bytes.fetch_sub(bytes, Ordering::Relaxed);
            durable();
        } else if writer.closed.load(Ordering::Acquire) {
            return Ok(());
        } else {
            writer.bell.wait(None);
        }
    }
}

/// Carries entries out; says up to where the log is durable then, unless there was no record.
pub(crate) fn commit(
    log: &mut dyn Log,
    entries: &mut Vec<Entry>,
    counters: &Counters,
) -> Result<Option<Lsn>, JournalError> {
    let (mut records, mut bytes, mut release) = (0, 0, None);
    for entry in entries.drain(..) {
        match entry {
            Entry::Record(expected, record) => {
                let lsn = log.append(&record)?;
                assert_eq!(
                    lsn, expected,
                    "the machine's outbox and its log count differently"
                );
                (records, bytes) = (records + 1, bytes + record.len());
            }
            Entry::Release(below) => release = release.max(Some(below)),
        }
    }
    let mut durable = None;
    if records > 0 {
        let began = Instant::now();
        durable = Some(log.sync()?);
        add(
            &counters.sync_nanos,
            usize::try_from(began.elapsed().as_nanos()).unwrap_or(usize::MAX),
        );
        add(&counters.syncs, 1);
        add(&counters.records, records);
        add(&counters.record_bytes, bytes);
    }
    // Only now: what makes the old records superfluous is durable.
    if let Some(below) = release {
        log.release(below)?;
    }
    Ok(durable)
}

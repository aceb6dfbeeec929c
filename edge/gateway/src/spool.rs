//! Store-and-forward: transactions wait on disk, durably, until the network has made them final.
//!
//! One thread owns the journal. It takes all appends that have come since its last commit, writes them, syncs once
//! and only then says so to their senders: batches follow the load. What waits is also kept in memory, so the disk
//! budget bounds both. A marker says up to where everything is final, so that a restart forwards little twice; it is
//! written with the next commit, never on its own: an idle gateway writes nothing. Forwarding twice is harmless,
//! since the ledger takes each reading once.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use bytes::Bytes;
use hedgerow_base::Lsn;
use hedgerow_journal::{Journal, JournalError, Options, Recovery};
use tokio::sync::{Notify, watch};

/// Why the spool did not take something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// The budget is used up.
    #[error(
        "the gateway's store is full: {held} of {budget} bytes wait for the network; \
         send again later, or raise `spool.budget_bytes`"
    )]
    Full {
        /// Bytes that wait.
        held: u64,
        /// Bytes that may wait.
        budget: u64,
    },
    /// The disk failed; the gateway takes nothing more.
    #[error("the gateway's disk failed: {0}")]
    Failed(String),
}

/// Called once, when the outcome of an append is known; calls come in the order of the appends.
pub type Done = Box<dyn FnOnce(Result<Lsn, SpoolError>) + Send>;

/// A transaction that waits to be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the spool.
    pub lsn: Lsn,
    /// Its bytes.
    pub transaction: Bytes,
}

enum Order {
    Append {
        transaction: Bytes,
        done: Done,
    },
    /// Nothing to store: `done` is called after all earlier ones.
    Barrier {
        result: Result<Lsn, SpoolError>,
        done: Done,
    },
    Release {
        below: Lsn,
    },
    Stop,
}

/// What is in the spool; shared by the thread that writes and the task that forwards.
#[derive(Default)]
struct Shelf {
    /// Durable and not yet handed to the forwarder.
    ready: VecDeque<Waiting>,
    /// Everything that takes up budget, by place: its bytes, and whether it is final.
    held: VecDeque<(Lsn, u64, bool)>,
}

struct Shared {
    shelf: Mutex<Shelf>,
    more: Notify,
    /// Bytes that were taken in, durable or about to be, and are not final.
    held_bytes: AtomicU64,
    budget: u64,
    failed: watch::Sender<Option<String>>,
}

impl Shared {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The durable queue of transactions. Clones are the same queue.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
}

/// What the budget counts for each transaction besides its bytes: the frame on disk, the bookkeeping in memory.
const OVERHEAD: u64 = 64;

const RECORD: u8 = 0;
const MARKER: u8 = 1;

/// How many bytes one commit takes at most before it syncs.
const COMMIT_BYTES: usize = 4 << 20;

impl Spool {
    /// Opens the spool in `dir`; what an earlier run left comes first. Also gives the transactions found.
    ///
    /// # Errors
    /// When the journal can't be opened.
    pub fn open(dir: impl Into<PathBuf>, budget: u64) -> Result<(Self, SpoolThread), JournalError> {
        let options = Options {
            // Space comes back in segments: small ones keep the disk's use near the budget.
            segment_bytes: (budget / 8).clamp(256 << 10, 16 << 20),
            ..Options::default()
        };
        let dir = dir.into();
        let mut found: VecDeque<Waiting> = VecDeque::new();
        let mut final_below = Lsn::ZERO;
        let (journal, recovery) =
            Journal::open_with(&dir, options, |lsn, record| match record.split_first() {
                Some((&RECORD, transaction)) => {
                    found.push_back(Waiting {
                        lsn,
                        transaction: Bytes::copy_from_slice(transaction),
                    });
                }
                Some((&MARKER, below)) => {
                    if let Ok(below) = below.try_into() {
                        final_below = final_below.max(Lsn(u64::from_le_bytes(below)));
                    }
                }
                _ => {}
            })?;
        found.retain(|waiting| waiting.lsn >= final_below);
        let held: VecDeque<_> = found
            .iter()
            .map(|waiting| (waiting.lsn, cost(&waiting.transaction), false))
            .collect();
        log_recovery(&dir, found.len(), recovery);
        let shared = Arc::new(Shared {
            held_bytes: AtomicU64::new(held.iter().map(|(_, bytes, _)| bytes).sum()),
            shelf: Mutex::new(Shelf { ready: found, held }),
            more: Notify::new(),
            budget,
            failed: watch::Sender::new(None),
        });
        let (orders, inbox) = mpsc::channel();
        let writer = Writer {
            journal,
            inbox,
            shared: shared.clone(),
        };
        let thread = thread::Builder::new()
            .name("spool".into())
            .spawn(move || writer.run())
            .map_err(|source| JournalError::Io {
                action: "starting the thread for",
                path: dir,
                source,
            })?;
        Ok((
            Self {
                shared,
                orders: orders.clone(),
            },
            SpoolThread {
                orders,
                thread: Some(thread),
            },
        ))
    }

    /// Takes a transaction in. `done` is called when it is durable, or can't be.
    pub fn append(&self, transaction: Bytes, done: Done) {
        let bytes = cost(&transaction);
        let reserve = |held: u64| {
            held.checked_add(bytes)
                .filter(|total| *total <= self.shared.budget)
        };
        let reserved =
            self.shared
                .held_bytes
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, reserve);
        match reserved {
            Ok(_) => self.order(Order::Append { transaction, done }),
            Err(held) => {
                metrics::counter!("gateway.spool.pushed_back").increment(1);
                self.after_previous(
                    Err(SpoolError::Full {
                        held,
                        budget: self.shared.budget,
                    }),
                    done,
                );
            }
        }
    }

    /// Calls `done` with `result` after the outcome of all earlier appends is known: answers keep their order.
    pub fn after_previous(&self, result: Result<Lsn, SpoolError>, done: Done) {
        self.order(Order::Barrier { result, done });
    }

    fn order(&self, order: Order) {
        if let Err(mpsc::SendError(Order::Append { done, .. } | Order::Barrier { done, .. })) =
            self.orders.send(order)
        {
            done(Err(SpoolError::Failed(
                self.failure()
                    .unwrap_or_else(|| "the gateway is shutting down".into()),
            )));
        }
    }

    /// Waits until something is to be forwarded, and takes the oldest, within these bounds (one at least).
    pub async fn take(&self, max_count: usize, max_bytes: usize) -> Vec<Waiting> {
        loop {
            let more = self.shared.more.notified();
            {
                let mut shelf = self.shared.shelf();
                let mut bytes = 0;
                let mut taken = Vec::new();
                while let Some(next) = shelf.ready.front() {
                    bytes += next.transaction.len();
                    if taken.len() >= max_count || (!taken.is_empty() && bytes > max_bytes) {
                        break;
                    }
                    taken.extend(shelf.ready.pop_front());
                }
                if !taken.is_empty() {
                    return taken;
                }
            }
            more.await;
        }
    }

    /// These are final: their space is given back.
    pub fn finished(&self, done: &[Lsn]) {
        let (below, freed) = {
            let mut shelf = self.shared.shelf();
            for lsn in done {
                if let Ok(at) = shelf.held.binary_search_by_key(lsn, |(held, ..)| *held)
                    && let Some(entry) = shelf.held.get_mut(at)
                {
                    entry.2 = true;
                }
            }
            let (mut freed, mut last) = (0, None);
            while let Some((lsn, bytes, true)) = shelf.held.front().copied() {
                shelf.held.pop_front();
                freed += bytes;
                last = Some(lsn);
            }
            (
                last.map(|last| {
                    shelf
                        .held
                        .front()
                        .map_or_else(|| last.next(), |(lsn, ..)| *lsn)
                }),
                freed,
            )
        };
        self.shared.held_bytes.fetch_sub(freed, Ordering::AcqRel);
        if let Some(below) = below {
            self.order(Order::Release { below });
        }
    }

    /// Bytes that wait, and bytes that may.
    #[must_use]
    pub fn usage(&self) -> (u64, u64) {
        (
            self.shared.held_bytes.load(Ordering::Acquire),
            self.shared.budget,
        )
    }

    /// How many transactions are not yet final.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.shared.shelf().held.len()
    }

    /// What is waiting to be forwarded now, oldest first.
    #[must_use]
    pub fn ready(&self) -> Vec<Waiting> {
        self.shared.shelf().ready.iter().cloned().collect()
    }

    /// A part of the gateway that must not end has ended: from now on [`Self::failed`] says so.
    pub(crate) fn fail(&self, what: &str) {
        self.shared.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            if first {
                *failed = Some(what.to_owned());
            }
            first
        });
    }

    /// Why the disk failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.shared.failed.borrow().clone()
    }

    /// Resolves when the disk fails, with the reason.
    pub async fn failed(&self) -> String {
        let mut failed = self.shared.failed.subscribe();
        loop {
            if let Some(reason) = failed.borrow_and_update().clone() {
                return reason;
            }
            if failed.changed().await.is_err() {
                return "the spool is gone".into();
            }
        }
    }
}

fn cost(transaction: &[u8]) -> u64 {
    transaction.len() as u64 + OVERHEAD
}

fn log_recovery(dir: &Path, count: usize, recovery: Recovery) {
    if count > 0 || recovery.torn_bytes > 0 {
        let torn = recovery.torn_bytes;
        tracing::info!(dir = %dir.display(), count, torn, "transactions of an earlier run wait to be forwarded");
    }
}

/// The thread that writes; it stops when this is dropped.
pub struct SpoolThread {
    orders: mpsc::Sender<Order>,
    thread: Option<thread::JoinHandle<()>>,
}

impl SpoolThread {
    /// Stops the thread after what it was given; the journal is closed when this returns.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = self.orders.send(Order::Stop);
            let _ = thread.join();
        }
    }
}

impl Drop for SpoolThread {
    fn drop(&mut self) {
        self.join();
    }
}

struct Writer {
    journal: Journal,
    inbox: mpsc::Receiver<Order>,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self) {
        while let Ok(first) = self.inbox.recv() {
            match self.commit(first) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    // A failed disk is fatal: whoever asks from now on is told why.
                    let text = error.to_string();
                    tracing::error!(error = %text, "the spool's disk failed: nothing more is taken");
                    self.shared.failed.send_replace(Some(text.clone()));
                    while let Ok(order) = self.inbox.recv() {
                        match order {
                            Order::Append { done, .. } | Order::Barrier { done, .. } => {
                                done(Err(SpoolError::Failed(text.clone())));
                            }
                            Order::Release { .. } => {}
                            Order::Stop => return,
                        }
                    }
                    return;
                }
            }
        }
    }

    /// Takes a burst, makes it durable with one sync, and says so. Gives false when the thread is to stop.
    fn commit(&mut self, first: Order) -> Result<bool, JournalError> {
        let mut answers: Vec<(Result<Lsn, SpoolError>, Done)> = Vec::new();
        let mut appended = Vec::new();
        let mut below = None;
        let (mut bytes, mut go_on) = (0, true);
        let mut failure = None;
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Append { transaction, done } => {
                    bytes += transaction.len();
                    match self.append(&transaction) {
                        Ok(lsn) => {
                            answers.push((Ok(lsn), done));
                            appended.push(Waiting { lsn, transaction });
                        }
                        Err(error) => {
                            answers.push((Err(SpoolError::Failed(error.to_string())), done));
                            failure = Some(error);
                        }
                    }
                }
                Order::Barrier { result, done } => answers.push((result, done)),
                Order::Release { below: up_to } => below = Some(up_to),
                Order::Stop => go_on = false,
            }
            if failure.is_some() || !go_on || bytes >= COMMIT_BYTES {
                break;
            }
            next = self.inbox.try_recv().ok();
        }
        if let Some(below) = below {
            failure = failure.or_else(|| self.release(below).err());
        }
        // A lone marker waits for company, except when it is the last thing that is ever written.
        if failure.is_none() && (!appended.is_empty() || !go_on) {
            failure = self.journal.sync().err();
        }
        if failure.is_none() && !appended.is_empty() {
            metrics::counter!("gateway.spool.commits").increment(1);
            metrics::counter!("gateway.spool.records").increment(appended.len() as u64);
            let entries = appended
                .iter()
                .map(|waiting| (waiting.lsn, cost(&waiting.transaction), false));
            self.shared.shelf().held.extend(entries);
        }
        for (result, done) in answers {
            match &failure {
                None => done(result),
                Some(error) => done(Err(SpoolError::Failed(error.to_string()))),
            }
        }
        // Only now may they be forwarded: "accepted" is said before "final".
        if failure.is_none() && !appended.is_empty() {
            self.shared.shelf().ready.extend(appended);
            self.shared.more.notify_one();
        }
        match failure {
            None => Ok(go_on),
            Some(error) => Err(error),
        }
    }

    fn append(&mut self, transaction: &[u8]) -> Result<Lsn, JournalError> {
        let mut record = Vec::with_capacity(transaction.len() + 1);
        record.push(RECORD);
        record.extend_from_slice(transaction);
        self.journal.append(&record)
    }

    fn release(&mut self, below: Lsn) -> Result<(), JournalError> {
        let mut marker = vec![MARKER];
        marker.extend_from_slice(&below.0.to_le_bytes());
        self.journal.append(&marker)?;
        self.journal.release(below)
    }
}

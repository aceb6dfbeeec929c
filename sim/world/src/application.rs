use std::collections::VecDeque;

use bytes::Bytes;
use hedgerow_base::{Digest, Slot};
use hedgerow_crypto::Hasher;
use hedgerow_ordering::{Batch, Operation, VOID};

use crate::{Rng, ends::Ends};

/// The replicated application: it appends operations to a list, and its reply to an operation is the position that
/// the operation got. A query is answered by the length of the list.
///
/// It executes some time after it was told, what it was told is done in order, and what it executed can be rolled back
/// until it is told that it is final. It has its own store on disk, which lags behind, never holds what is not final, and
/// may be cut by a crash: anywhere after what it was last made to sync.
#[derive(Clone, Debug, Default)]
pub struct Application {
    log: Vec<Batch>,
    states: Vec<Digest>,
    lengths: Vec<u64>,
    ends: Ends,
    /// How many slots of the log are final.
    settled: usize,
    stored: usize,
    backlog: VecDeque<Task>,
    reply_bytes: usize,
}

/// What it was told, and has not done yet.
#[derive(Clone, Debug)]
enum Task {
    /// With what the batch has orders in the next epoch, where it ends one.
    Execute(Batch, Option<&'static str>),
    Settle(Slot),
    RollBack(Slot),
    Epoch(Option<u64>),
}

/// What it has done, for the participant and for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// A batch was executed, and perhaps an epoch is over: the number and the protocol of the next one.
    Executed {
        slot: Slot,
        replies: Vec<Bytes>,
        state: Digest,
        next: Option<(u64, &'static str)>,
    },
    /// It has heard of an epoch.
    Epoch(Option<u64>),
    /// The state after this slot is final.
    Settled { slot: Slot, state: Digest },
    /// What came after this slot is forgotten.
    RolledBack(Slot),
}

/// What every query begins with; no operation of a workload does.
const QUERY: &[u8] = b"length?";

/// A query: how many operations are in the list? All queries are different.
pub(crate) fn query(client: u32, ticket: u64) -> Bytes {
    [QUERY, &client.to_le_bytes(), &ticket.to_le_bytes()]
        .concat()
        .into()
}

/// Whether this operation is a query. A client that gets no answer otherwise may have its query ordered; then it is
/// answered in its turn and leaves the list as it is.
#[must_use]
pub fn is_query(operation: &[u8]) -> bool {
    operation.starts_with(QUERY)
}

/// The reply that says that an operation got `position` (from 1), in `bytes` bytes but at least 8.
#[must_use]
pub fn reply_at(position: u64, bytes: usize) -> Bytes {
    let mut reply = position.to_le_bytes().to_vec();
    reply.resize(bytes.max(8), 0);
    reply.into()
}

/// The position that a reply tells.
#[must_use]
pub fn position_in(reply: &[u8]) -> Option<u64> {
    reply
        .first_chunk()
        .map(|position| u64::from_le_bytes(*position))
}

impl Application {
    pub(crate) fn new(reply_bytes: usize) -> Self {
        Self {
            reply_bytes,
            ..Self::default()
        }
    }

    /// The last slot executed.
    #[must_use]
    pub fn executed(&self) -> Slot {
        Slot(self.log.len() as u64)
    }

    /// The last slot that is executed and final.
    #[must_use]
    pub fn settled(&self) -> Slot {
        Slot(self.settled as u64)
    }

    /// The state after the last slot executed.
    #[must_use]
    pub fn state(&self) -> Digest {
        self.states.last().copied().unwrap_or_default()
    }

    /// How many batches wait to be executed.
    #[must_use]
    pub fn backlog(&self) -> usize {
        let waits = |task: &&Task| matches!(task, Task::Execute(..));
        self.backlog.iter().filter(waits).count()
    }

    /// It is told to execute a batch.
    pub(crate) fn decide(&mut self, batch: Batch, ends: Option<&'static str>) {
        self.backlog.push_back(Task::Execute(batch, ends));
    }

    /// It is told in which epoch what follows is ordered.
    pub(crate) fn tell_epoch(&mut self, epoch: Option<u64>) {
        self.backlog.push_back(Task::Epoch(epoch));
    }

    /// Where the epochs ended, for a replica that starts beside it.
    pub(crate) fn ends(&self) -> Ends {
        self.ends.at_start(self.executed())
    }

    /// It is told that everything up to `slot` is final.
    pub(crate) fn settle(&mut self, slot: Slot) {
        self.backlog.push_back(Task::Settle(slot));
    }

    /// It is told to forget what comes after `slot`. Batches whose turn has not come it may leave out.
    pub(crate) fn roll_back(&mut self, slot: Slot, leave_out: bool) {
        let undone = |task: &mut Task| matches!(task, Task::Execute(batch, _) if batch.slot > slot);
        while leave_out && self.backlog.pop_back_if(undone).is_some() {}
        self.backlog.push_back(Task::RollBack(slot));
    }

    /// How many operations the next batch has, when the next thing to do is to execute one.
    pub(crate) fn next_size(&self) -> Option<usize> {
        match self.backlog.front()? {
            Task::Execute(batch, _) => Some(batch.operations.len()),
            _ => None,
        }
    }

    /// Does what takes no time: everything before the next batch.
    pub(crate) fn catch_up(&mut self) -> Vec<Done> {
        let mut done = Vec::new();
        while let Some(task) = self
            .backlog
            .pop_front_if(|task| !matches!(task, Task::Execute(..)))
        {
            match task {
                Task::Settle(slot) => {
                    // What is further than the log was never given: that is somebody else's business.
                    let end = self.log.len().min(slot.0 as usize);
                    let news = self.settled..end.max(self.settled);
                    done.extend(news.clone().filter_map(|at| {
                        Some(Done::Settled {
                            slot: Slot(at as u64 + 1),
                            state: self.states.get(at).copied()?,
                        })
                    }));
                    self.settled = news.end;
                }
                Task::RollBack(slot) => {
                    let kept = (slot.0 as usize).max(self.settled);
                    self.log.truncate(kept);
                    self.states.truncate(kept);
                    self.lengths.truncate(kept);
                    self.ends.roll_back(Slot(kept as u64));
                    done.push(Done::RolledBack(slot));
                }
                Task::Epoch(epoch) => {
                    self.ends.tell(epoch);
                    done.push(Done::Epoch(epoch));
                }
                Task::Execute(..) => {}
            }
        }
        done
    }

    /// Executes the next batch. A batch that it has executed already (it had more on disk than it had confirmed) gets
    /// the same answer again.
    pub(crate) fn execute(&mut self) -> Option<Done> {
        let Task::Execute(batch, ends) = self
            .backlog
            .pop_front_if(|task| matches!(task, Task::Execute(..)))?
        else {
            return None;
        };
        let slot = batch.slot;
        if self.ends.is_void(slot) {
            return Some(Done::Executed {
                slot,
                replies: vec![Bytes::from_static(VOID); batch.operations.len()],
                state: self.state(),
                next: None,
            });
        }
        if let Some(next) = ends {
            self.ends.end(slot, next);
        }
        let before = (slot.0 as usize).checked_sub(2);
        let mut length = before
            .and_then(|at| self.lengths.get(at))
            .copied()
            .unwrap_or(0);
        let mut replies = Vec::with_capacity(batch.operations.len());
        for operation in &*batch.operations {
            length += u64::from(!is_query(&operation.operation));
            replies.push(reply_at(length, self.reply_bytes));
        }
        if slot > self.executed() {
            let mut hasher = Hasher::default();
            hasher
                .update(&self.state().0)
                .update(&slot.0.to_le_bytes())
                .update(&batch.time_ms.to_le_bytes());
            for Operation {
                client,
                number,
                operation,
            } in &*batch.operations
            {
                hasher
                    .update(&client.0.to_le_bytes())
                    .update(&number.to_le_bytes())
                    .update(&(operation.len() as u64).to_le_bytes())
                    .update(operation);
            }
            self.lengths.push(length);
            self.log.push(batch);
            self.states.push(hasher.finish());
        }
        Some(Done::Executed {
            slot,
            replies,
            state: self.states.get(slot.0 as usize - 1).copied()?,
            next: self.ends.after(slot),
        })
    }

    /// The answer to a query now: of what is not final it says nothing.
    pub(crate) fn answer(&self) -> Bytes {
        let last = self.settled.checked_sub(1);
        let length = last.and_then(|last| self.lengths.get(last));
        reply_at(length.copied().unwrap_or(0), self.reply_bytes)
    }

    /// The batch executed in `slot`, once it is final.
    pub(crate) fn batch(&self, slot: Slot) -> Option<Batch> {
        let at = slot.0.checked_sub(1)? as usize;
        self.log.get(..self.settled)?.get(at).cloned()
    }

    /// Makes everything up to `slot`, as far as it was executed and is final, survive a crash. Up to where it does.
    pub(crate) fn sync(&mut self, slot: Slot) -> Slot {
        self.stored = self.stored.max(self.settled.min(slot.0 as usize));
        Slot(self.stored as u64)
    }

    /// The power goes, and with it all that was not final.
    pub(crate) fn crash(&mut self, rng: &mut Rng) {
        let kept = if rng.chance(500_000) {
            self.stored
        } else {
            rng.between(self.stored as u64, self.settled as u64) as usize
        };
        self.log.truncate(kept);
        self.states.truncate(kept);
        self.lengths.truncate(kept);
        (self.settled, self.stored) = (kept, kept);
        self.ends = self.ends.at_start(Slot(kept as u64));
        self.backlog.clear();
    }
}

#[cfg(test)]
mod tests;

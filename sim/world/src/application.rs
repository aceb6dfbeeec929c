use std::collections::VecDeque;

use bytes::Bytes;
use hedgerow_base::{Digest, Slot};
use hedgerow_crypto::Hasher;
use hedgerow_ordering::{Batch, Operation};

use crate::Rng;

/// The replicated application: it appends operations to a list, and its reply to an operation is the position that
/// the operation got. A query is answered by the length of the list.
///
/// It executes some time after it was told, and has its own store on disk, which lags behind and may be cut by a
/// crash: anywhere after what it was last made to sync.
#[derive(Clone, Debug, Default)]
pub struct Application {
    log: Vec<Batch>,
    states: Vec<Digest>,
    lengths: Vec<u64>,
    stored: usize,
    backlog: VecDeque<Batch>,
    reply_bytes: usize,
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

    /// The state after the last slot executed.
    #[must_use]
    pub fn state(&self) -> Digest {
        self.states.last().copied().unwrap_or_default()
    }

    /// How many batches wait to be executed.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.backlog.len()
    }

    pub(crate) fn decide(&mut self, batch: Batch) {
        self.backlog.push_back(batch);
    }

    /// How many operations the next batch to execute has.
    pub(crate) fn next_size(&self) -> Option<usize> {
        self.backlog.front().map(|batch| batch.operations.len())
    }

    /// Executes the next batch: its slot, the replies, the state. A batch that it has executed already (it had more on
    /// disk than it had confirmed) gets the same answer again.
    pub(crate) fn execute(&mut self) -> Option<(Slot, Vec<Bytes>, Digest)> {
        let batch = self.backlog.pop_front()?;
        let slot = batch.slot;
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
        Some((
            slot,
            replies,
            self.states.get(slot.0 as usize - 1).copied()?,
        ))
    }

    fn length(&self) -> u64 {
        self.lengths.last().copied().unwrap_or(0)
    }

    /// The answer to a query now.
    pub(crate) fn answer(&self) -> Bytes {
        reply_at(self.length(), self.reply_bytes)
    }

    /// The batch executed in `slot`.
    pub(crate) fn batch(&self, slot: Slot) -> Option<Batch> {
        self.log.get(slot.0.checked_sub(1)? as usize).cloned()
    }

    /// Makes everything up to `slot`, as far as it was executed, survive a crash. Up to where it does.
    pub(crate) fn sync(&mut self, slot: Slot) -> Slot {
        self.stored = self.stored.max(self.log.len().min(slot.0 as usize));
        Slot(self.stored as u64)
    }

    /// The power goes.
    pub(crate) fn crash(&mut self, rng: &mut Rng) {
        let kept = if rng.chance(500_000) {
            self.stored
        } else {
            rng.between(self.stored as u64, self.log.len() as u64) as usize
        };
        self.log.truncate(kept);
        self.states.truncate(kept);
        self.lengths.truncate(kept);
        self.stored = kept;
        self.backlog.clear();
    }
}

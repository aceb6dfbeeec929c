//! Logging and rolling back (§3: LH, t[c]).

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, Slot};
use hedgerow_clients::Numbers;
use hedgerow_ordering::{Batch, Event};

use super::{Out, Replica};
use crate::{
    history::{Point, entry_digest},
    record::Record,
};

impl Replica {
    /// Whether a client's number may still be logged.
    pub(super) fn is_fresh(&self, client: NodeId, number: u64) -> bool {
        self.numbers
            .get(&client)
            .is_none_or(|used| used.is_fresh(number))
    }

    fn use_numbers(&mut self, batch: &Batch) {
        let window = self.config.client_window;
        for op in batch.operations.iter() {
            let used = self
                .numbers
                .entry(op.client)
                .or_insert_with(|| Numbers::new(window));
            used.take(op.number);
        }
    }

    /// Whether the history may grow before the next checkpoint.
    pub(super) fn has_room(&self) -> bool {
        (self.history.len() as u64) < self.config.history
    }

    /// Logs a batch in the next slot: on disk, and to the application.
    pub(super) fn log(&mut self, batch: Batch, out: &mut Out) {
        let digest = entry_digest(batch.time_ms, &batch.operations);
        self.log_known(batch, digest, out);
    }

    /// The same where the batch's [`entry_digest`] is known.
    pub(super) fn log_known(&mut self, batch: Batch, digest: Digest, out: &mut Out) {
        let lsn = match self.kept.pop_front() {
            Some((kept, lsn)) if kept == batch => lsn,
            other => {
                if other.is_some() {
                    self.kept.clear();
                    out.persist(Record::Truncated(self.history.head().slot));
                }
                out.persist(Record::Logged(batch.clone()))
            }
        };
        self.log_known_at(batch, digest, lsn, out);
    }

    /// The Backup is left before its protocol has decided again what it had before a restart: others may have the proof
    /// of it, and nobody else the batches.
    pub(super) fn log_kept(&mut self, out: &mut Out) {
        for (batch, lsn) in core::mem::take(&mut self.kept) {
            if batch.slot == self.history.head().slot.next() {
                self.log_at(batch, lsn, out);
            }
        }
    }

    /// The same for a batch that the log has otherwise.
    pub(super) fn log_at(&mut self, batch: Batch, lsn: Lsn, out: &mut Out) {
        let digest = entry_digest(batch.time_ms, &batch.operations);
        self.log_known_at(batch, digest, lsn, out);
    }

    fn log_known_at(&mut self, batch: Batch, digest: Digest, lsn: Lsn, out: &mut Out) {
        self.use_numbers(&batch);
        self.note_logged(&batch);
        self.history.push_known(batch.clone(), digest, lsn);
        out.emit(Event::Execute(batch));
    }

    /// What comes after `slot` is void. `write` says whether the log must hear of it.
    pub(super) fn roll_back(&mut self, slot: Slot, write: bool, out: &mut Out) {
        if self.history.head().slot <= slot {
            return;
        }
        assert!(
            slot >= self.finished,
            "slot {} is final, and would be rolled back to {slot}",
            self.finished
        );
        if write {
            out.persist(Record::Truncated(slot));
        }
        self.history.truncate(slot);
        self.kept.clear();
        self.executed = self.executed.min(slot);
        self.rebuild_clients();
        self.rollbacks.push_back(slot);
        out.emit(Event::Rollback(slot));
    }

    /// Brings the tables to what the history says.
    pub(super) fn rebuild_clients(&mut self) {
        self.clients = self.base_clients.clone();
        self.numbers = self.base_clients.numbers();
        let entries: alloc::vec::Vec<_> = self
            .history
            .iter()
            .map(|entry| (entry.batch.clone(), entry.outcome.clone()))
            .collect();
        for (batch, outcome) in entries {
            self.use_numbers(&batch);
            if let Some((replies, _)) = outcome {
                remember(&mut self.clients, &batch, &replies);
            }
        }
    }

    /// Everything up to `slot` is final.
    pub(super) fn finish(&mut self, slot: Slot, out: &mut Out) {
        if slot > self.finished {
            self.finished = slot;
            out.emit_after(out.last(), Event::Final(slot));
        }
    }
}

/// How many bytes a point has behind a reply that is remembered.
pub(super) const POINT_BYTES: usize = 40;

/// A reply as it is remembered: with the point at which it was given behind it.
pub(super) fn with_point(at: Point, reply: &Bytes) -> Bytes {
    // Exactly as much as is needed: there are many, and small ones.
    let mut bytes = alloc::vec::Vec::with_capacity(reply.len() + POINT_BYTES);
    bytes.extend_from_slice(reply);
    hedgerow_wire::encode_into(&at, &mut bytes);
    debug_assert_eq!(bytes.len(), reply.len() + POINT_BYTES);
    bytes.into()
}

/// Remembers the replies of a batch, which have their points.
pub(super) fn remember(clients: &mut hedgerow_clients::Clients, batch: &Batch, replies: &[Bytes]) {
    for (op, reply) in batch.operations.iter().zip(replies) {
        clients.executed(op.client, op.number, reply.clone());
    }
}

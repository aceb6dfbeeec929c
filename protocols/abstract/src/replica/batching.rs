//! Where a leader gives requests their places: what waits for its next batch, and what every replica asks of a batch.

use alloc::vec::Vec;

use hedgerow_base::Slot;
use hedgerow_crypto::Sealed;
use hedgerow_ordering::{Batch, Operation};

use super::{Out, Replica};
use crate::{composition::Kind, messages::Request};

impl Replica {
    /// The leader keeps the request for its next batch.
    pub(super) fn await_batch(&mut self, request: &Sealed<Request>) {
        let key = (request.origin(), request.value().number);
        if self.leads() && self.pending.len() < 4 * self.config.batch_requests {
            self.pending.insert(key, request.clone());
        }
    }

    /// Gives what waits its places, as far as the history has room.
    pub(super) fn propose(&mut self, out: &mut Out) {
        if self.kind() == Kind::Chain && self.takes_part() && self.leads() {
            self.confirm_init(out);
        }
        while self.takes_part() && self.leads() && self.has_room() {
            let kind = self.kind();
            if !matches!(kind, Kind::ZLight | Kind::Chain) {
                return;
            }
            let requests = self.take_pending();
            if requests.is_empty() {
                return;
            }
            if kind == Kind::ZLight {
                self.order(requests, out);
            } else {
                self.head_chain(requests, out);
            }
        }
    }

    fn take_pending(&mut self) -> Vec<Sealed<Request>> {
        let (mut requests, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = self.pending.first_entry() {
            let size = entry.get().value().operation.len();
            let full = requests.len() >= self.config.batch_requests
                || bytes + size > self.config.batch_bytes;
            if full && !requests.is_empty() {
                break;
            }
            let request = entry.remove();
            if self.is_fresh(request.origin(), request.value().number) {
                bytes += size;
                requests.push(request);
            }
        }
        requests
    }

    /// Whether a leader's batch may be logged here: no request twice, and no time far ahead of one's own clock.
    pub(super) fn is_acceptable(&self, batch: &Batch) -> bool {
        let ahead = self.now.plus(self.config.clock_ahead).as_millis();
        let ops = &batch.operations;
        let mut keys: Vec<_> = ops.iter().map(|op| (op.client, op.number)).collect();
        // A leader's are in order already.
        keys.sort_unstable();
        !keys.is_empty()
            && batch.time_ms <= ahead
            && keys
                .iter()
                .all(|&(client, number)| self.is_fresh(client, number))
            && keys
                .iter()
                .zip(keys.iter().skip(1))
                .all(|(key, next)| key != next)
    }
}

/// Requests as a batch.
pub(super) fn batch(slot: Slot, time_ms: u64, requests: &[Sealed<Request>]) -> Batch {
    let operations: Vec<_> = requests
        .iter()
        .map(|request| Operation {
            client: request.origin(),
            number: request.value().number,
            operation: request.value().operation.clone(),
        })
        .collect();
    Batch {
        slot,
        time_ms,
        operations: operations.into(),
    }
}

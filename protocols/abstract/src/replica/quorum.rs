//! Quorum (§5.2): every replica takes each request as it comes. Where two clients contend, histories differ, and the
//! clients see it.

use hedgerow_crypto::Sealed;

use super::{Out, Replica, batching::batch};
use crate::messages::Request;

impl Replica {
    /// Q2: logs, executes, answers. A request is a batch of its own, at the time that its client gives.
    pub(super) fn quorum_request(&mut self, request: &Sealed<Request>, out: &mut Out) {
        let Request { time_ms, .. } = request.value();
        let ahead = self.now.plus(self.config.clock_ahead).as_millis();
        if *time_ms > ahead {
            return;
        }
        // Beyond the bound on histories requests wait for the checkpoint, by their clients' retransmission: in the same
        // order everywhere only one client's would be, and for that the order of arrival must not be changed here.
        if !self.has_room() || !self.waiting.is_empty() {
            if self.waiting.len() < self.config.batch_requests {
                self.waiting.push(request.clone());
            }
            return;
        }
        let slot = self.history.head().slot.next();
        let batch = batch(slot, *time_ms, core::slice::from_ref(request));
        self.log(batch, out);
    }

    /// What waited for room.
    pub(super) fn quorum_room(&mut self, out: &mut Out) {
        for request in core::mem::take(&mut self.waiting) {
            if self.takes_part() && self.is_fresh(request.origin(), request.value().number) {
                self.quorum_request(&request, out);
            }
        }
    }
}

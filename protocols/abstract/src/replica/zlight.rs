//! ZLight (§4.2): the fast path of Zyzzyva. A primary gives each batch its place.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use hedgerow_base::{NodeId, Slot};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_ordering::{Batch, Operation};

use super::{Out, Replica};
use crate::{
    composition::Kind,
    history::entry_digest,
    messages::{Message, Order, Proposal, Request},
};

/// How many batches ahead of its turn a replica keeps.
const EARLY: u64 = 64;

/// What an instance of ZLight knows beside the history.
#[derive(Debug, Default)]
pub(super) struct ZLight {
    /// At the primary: requests for the next batch, by client and number.
    pending: BTreeMap<(NodeId, u64), Sealed<Request>>,
    /// Elsewhere: batches that came before their turn.
    early: BTreeMap<Slot, (Sealed<Order>, Arc<Proposal>)>,
    /// A batch came whose requests do not convince here: nothing is logged in this instance any more (Z3).
    deaf: bool,
}

impl ZLight {
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }
}

impl Replica {
    /// Z2, its first half: the primary keeps the request for its next batch.
    pub(super) fn zlight_request(&mut self, request: &Sealed<Request>) {
        let key = (request.origin(), request.value().number);
        if self.leads() && self.zlight.pending.len() < 4 * self.config.batch_requests {
            self.zlight.pending.insert(key, request.clone());
        }
    }

    /// Z2: the primary logs a batch and tells everyone.
    pub(super) fn propose(&mut self, out: &mut Out) {
        while self.kind() == Kind::ZLight
            && self.takes_part()
            && self.leads()
            && !self.zlight.pending.is_empty()
            && self.has_room()
        {
            let (mut requests, mut bytes) = (Vec::new(), 0);
            while let Some(entry) = self.zlight.pending.first_entry() {
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
            if requests.is_empty() {
                return;
            }
            let time_ms = self.now.as_millis();
            let batch = batch(self.history.head().slot.next(), time_ms, &requests);
            let order = Order {
                instance: self.instance,
                slot: batch.slot,
                time_ms,
                entry: entry_digest(time_ms, &batch.operations),
            };
            self.log(batch, out);
            let sealed = Sealed::new(order, Sealing::Authenticator, &self.keyring);
            let proposal = Proposal {
                requests,
                convincing: true,
            };
            let message = Message::Order(sealed, Arc::new(proposal));
            out.send_after(out.last(), Target::Others, message);
        }
    }

    /// Z3: a replica logs the primary's batches in order. One whose requests do not convince it makes it stop for good:
    /// the others may have logged it, and to leave it out would fork the history.
    pub(super) fn on_order(
        &mut self,
        order: &Sealed<Order>,
        proposal: &Arc<Proposal>,
        out: &mut Out,
    ) {
        let said = order.value();
        let valid = self.takes_part()
            && self.kind() == Kind::ZLight
            && said.instance == self.instance
            && order.origin() == self.leader()
            && !self.leads()
            && !self.zlight.deaf;
        let next = self.history.head().slot.next();
        if !valid || said.slot < next {
            return;
        }
        if said.slot.since(next) < EARLY {
            let kept = (order.clone(), proposal.clone());
            self.zlight.early.entry(said.slot).or_insert(kept);
        }
        self.zlight_room(out);
    }

    /// Takes the batches whose turn it is, as far as the history has room for them.
    pub(super) fn zlight_room(&mut self, out: &mut Out) {
        while self.takes_part() && !self.zlight.deaf && self.has_room() {
            let next = self.history.head().slot.next();
            let Some((order, proposal)) = self.zlight.early.remove(&next) else {
                return;
            };
            self.accept_order(order.value(), &proposal, out);
        }
    }

    fn accept_order(&mut self, order: &Order, proposal: &Proposal, out: &mut Out) {
        let batch = batch(order.slot, order.time_ms, &proposal.requests);
        let ahead = self.now.plus(self.config.clock_ahead).as_millis();
        let mut seen = alloc::collections::BTreeSet::new();
        let fresh = batch
            .operations
            .iter()
            .all(|op| self.is_fresh(op.client, op.number) && seen.insert((op.client, op.number)));
        let good = proposal.convincing
            && fresh
            && !batch.operations.is_empty()
            && order.time_ms <= ahead
            && entry_digest(order.time_ms, &batch.operations) == order.entry;
        if good {
            self.log(batch, out);
        } else {
            self.zlight.deaf = true;
        }
    }
}

fn batch(slot: Slot, time_ms: u64, requests: &[Sealed<Request>]) -> Batch {
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

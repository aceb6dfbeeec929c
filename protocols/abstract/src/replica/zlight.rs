//! ZLight (§4.2): the fast path of Zyzzyva. A primary gives each batch its place.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use hedgerow_base::Slot;
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;

use super::{Out, Replica, batching::batch};
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
    /// Batches that came before their turn.
    early: BTreeMap<Slot, (Sealed<Order>, Arc<Proposal>)>,
    /// A batch came whose requests do not convince here: nothing is logged in this instance any more (Z3).
    deaf: bool,
}

impl Replica {
    /// Z2: the primary logs a batch and tells everyone.
    pub(super) fn order(&mut self, requests: Vec<Sealed<Request>>, out: &mut Out) {
        let time_ms = self.now.as_millis();
        let batch = batch(self.history.head().slot.next(), time_ms, &requests);
        let entry = entry_digest(time_ms, &batch.operations);
        let order = Order {
            instance: self.instance,
            slot: batch.slot,
            time_ms,
            entry,
        };
        self.log_known(batch, entry, out);
        let sealed = Sealed::new(order, Sealing::Authenticator, &self.keyring);
        let proposal = Proposal {
            requests,
            convincing: true,
        };
        let message = Message::Order(sealed, Arc::new(proposal));
        out.send_after(out.last(), Target::Others, message);
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
        let entry = entry_digest(order.time_ms, &batch.operations);
        let good = proposal.convincing && self.is_acceptable(&batch) && entry == order.entry;
        if good {
            self.log_known(batch, entry, out);
        } else {
            self.zlight.deaf = true;
        }
    }
}

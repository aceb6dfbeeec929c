//! View changes (TOCS §4.4): leaving a view, joining others that leave.

use alloc::vec::Vec;

use hedgerow_base::View;
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_wire::List;

use super::{Out, Replica, well_formed};
use crate::{
    messages::{Message, ViewChange, Vouched},
    record::Record,
};

impl Replica {
    /// Leaves the present view for `view`. From here on nothing is accepted in earlier views.
    pub(super) fn start_view_change(&mut self, view: View, out: &mut Out) {
        if !self.presence.is_ready() || view <= self.view {
            return;
        }
        self.timers.give_up(&self.config);
        self.given_up += 1;
        self.view = view;
        self.changing = true;
        self.safety.left = view;
        let lsn = out.last().next();
        let change = self.view_change(view, lsn);
        let sealed = Sealed::new(change, Sealing::Signature, &self.keyring);
        let persisted = out.persist(Record::ViewChange(sealed.clone()));
        debug_assert_eq!(persisted, lsn);
        if self.proof.is_none() {
            self.view_lsn = lsn;
        }
        self.view_changes.insert(self.me, sealed.clone());
        out.send_after(lsn, Target::Others, Message::ViewChange(sealed));
        self.weigh_view_changes(out);
    }

    /// h, C, P and Q as they are now.
    fn view_change(&self, view: View, lsn: hedgerow_base::Lsn) -> ViewChange {
        let mut checkpoints: Vec<_> = self
            .checkpoints
            .range(self.stable..=self.high())
            .map(|(&slot, own)| (slot, own.digest))
            .collect();
        if self.stable.0 == 0 {
            checkpoints.insert(0, (self.stable, hedgerow_base::Digest::ZERO));
        }
        let mut prepared = Vec::new();
        let mut pre_prepared = Vec::new();
        for (slot, entry) in self
            .log
            .after(self.stable)
            .filter(|(slot, _)| self.in_window(*slot))
        {
            prepared.extend(entry.certificate.as_ref().map(|certificate| Vouched {
                slot,
                view: certificate.view,
                digest: certificate.digest,
            }));
            let mut of_slot: Vec<_> = entry
                .pre_prepared
                .iter()
                .map(|&(view, digest)| Vouched { slot, view, digest })
                .collect();
            of_slot.sort_unstable();
            pre_prepared.extend(of_slot);
        }
        ViewChange {
            view,
            stable: self.stable,
            checkpoints: List::new(checkpoints).unwrap_or_default(),
            prepared: List::new(prepared).unwrap_or_default(),
            pre_prepared: List::new(pre_prepared).unwrap_or_default(),
            lsn: self.safety.position(lsn),
        }
    }

    pub(super) fn on_view_change(&mut self, change: Sealed<ViewChange>, out: &mut Out) {
        let (origin, view) = (change.origin(), change.value().view);
        if !well_formed(change.value(), self.config.checkpoint_interval) {
            return;
        }
        if view <= self.entered {
            self.show_new_view(origin, out);
            return;
        }
        let position = |change: &Sealed<ViewChange>| (change.value().view, change.value().lsn);
        let known = self.view_changes.get(&origin).map(position);
        if known.is_none_or(|known| known < position(&change)) {
            self.view_changes.insert(origin, change);
            self.weigh_view_changes(out);
        }
    }

    /// f + 1 replicas that are ahead can't all be faulty: join the least of them, so that views meet (§4.5.2).
    pub(super) fn weigh_view_changes(&mut self, out: &mut Out) {
        let ahead = self
            .view_changes
            .iter()
            .filter(|(who, change)| **who != self.me && change.value().view > self.view);
        let ahead: Vec<_> = ahead.map(|(_, change)| change.value().view).collect();
        if ahead.len() >= self.roster.weak()
            && let Some(&least) = ahead.iter().min()
            && self.presence.is_ready()
        {
            self.start_view_change(least, out);
            return;
        }
        let together = self.view_changes.values();
        let together = together
            .filter(|change| change.value().view >= self.view)
            .count();
        if self.changing && together >= self.roster.quorum() {
            // The new primary's time begins when a quorum waits for it (§4.5.2).
            self.timers.await_new_view(self.now);
            self.try_new_view(out);
        }
    }

    /// Shows the proof of the present view to one that seems not to have it, not too often.
    pub(super) fn show_new_view(&mut self, to: hedgerow_base::NodeId, out: &mut Out) {
        let now = self.now;
        let interval = self.config.status_interval / 2;
        let Some(proof) = &self.proof else {
            return;
        };
        let peer = self.peers.entry(to).or_default();
        if peer.shown.is_none_or(|last| last.plus(interval) <= now) {
            peer.shown = Some(now);
            // The new primary's own may not be on disk yet.
            let message = Message::NewView(proof.clone());
            out.send_after(out.last(), Target::Node(to), message);
        }
    }
}

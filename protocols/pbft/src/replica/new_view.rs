//! New views (TOCS §4.4): the new primary's proof, and what everybody makes of it.

use alloc::{collections::BTreeSet, sync::Arc, vec::Vec};

use hedgerow_base::{Digest, Slot};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_wire::List;

use super::{Decision, Out, Replica, decide, well_formed};
use crate::{
    messages::{Body, MAX_FETCH, Message, NewView, NewViewProof, ViewChange},
    record::Record,
};

impl Replica {
    /// The new primary begins its view when the view changes suffice and it has the batches (condition A3).
    pub(super) fn try_new_view(&mut self, out: &mut Out) {
        if !self.changing || !self.is_primary() || !self.presence.is_ready() {
            return;
        }
        let changes = self
            .view_changes
            .values()
            .filter(|change| change.value().view == self.view);
        let changes: Vec<_> = changes.cloned().collect();
        let Some(decision) = self.decision_of(&changes) else {
            return;
        };
        if self.want(&decision, out) {
            return;
        }
        let lsn = out.last().next();
        let digests: Vec<_> = changes.iter().map(Sealed::digest).collect();
        let new_view = NewView {
            view: self.view,
            view_changes: List::new(digests).unwrap_or_default(),
            lsn: self.safety.position(lsn),
        };
        let proof = Arc::new(NewViewProof {
            new_view: Sealed::new(new_view, Sealing::Signature, &self.keyring),
            view_changes: changes,
        });
        self.enter(proof.clone(), decision, out);
        out.send_after(lsn, Target::Others, Message::NewView(proof));
    }

    fn decision_of(&self, changes: &[Sealed<ViewChange>]) -> Option<Decision> {
        if changes.len() < self.roster.quorum() {
            return None;
        }
        let changes: Vec<_> = changes.iter().map(Sealed::value).collect();
        decide(self.roster, self.config.checkpoint_interval, &changes)
    }

    /// What a proof decides, if it is one: signed by its primary, by distinct replicas' view changes for this very view.
    pub(super) fn verify_new_view(&self, proof: &NewViewProof) -> Option<Decision> {
        let view = proof.new_view.value().view;
        let listed = proof.new_view.value().view_changes.iter();
        let shown = proof.view_changes.iter().map(Sealed::digest);
        let origins: BTreeSet<_> = proof.view_changes.iter().map(Sealed::origin).collect();
        let sound = proof.new_view.origin() == self.roster.primary(view)
            && listed.copied().eq(shown)
            && origins.len() == proof.view_changes.len()
            && proof.view_changes.iter().all(|change| {
                change.value().view == view
                    && well_formed(change.value(), self.config.checkpoint_interval)
            });
        if !sound {
            return None;
        }
        self.decision_of(&proof.view_changes)
    }

    pub(super) fn on_new_view(&mut self, proof: Arc<NewViewProof>, out: &mut Out) {
        let view = proof.new_view.value().view;
        if view <= self.entered {
            return;
        }
        let Some(decision) = self.verify_new_view(&proof) else {
            return;
        };
        if view >= self.view {
            self.enter(proof, decision, out);
        } else {
            // Too late to take part, but it proves what was not committed before it.
            self.prune_prepared(&decision, view);
            self.entered = view;
            self.proof = Some(proof);
            self.decision = decision;
        }
    }

    /// Enters the view that `proof` begins.
    fn enter(&mut self, proof: Arc<NewViewProof>, decision: Decision, out: &mut Out) {
        self.view_lsn = out.persist(Record::NewView(proof.clone()));
        self.install_view(proof, decision);
        self.timers.enter_view(self.now);
        self.requests.restart();
        if self.is_primary() {
            self.gather_abandoned();
        } else {
            self.relays = self.requests.signed();
        }
        self.transfer.aim(self.decision.start);
        self.want_missing(out);
        self.status_soon();
    }

    /// The state of a view that begins, without its effects: also when it is read from the log.
    pub(super) fn install_view(&mut self, proof: Arc<NewViewProof>, decision: Decision) {
        let view = proof.new_view.value().view;
        self.view = view;
        self.changing = false;
        self.entered = view;
        self.safety.left = self.safety.left.max(view);
        self.prune_prepared(&decision, view);
        for (_, entry) in self.log.iter_mut() {
            entry.restart(view);
        }
        self.next = decision.last().max(self.decided).max(self.stable).next();
        self.view_changes
            .retain(|_, change| change.value().view > view);
        self.proof = Some(proof);
        self.decision = decision;
    }

    /// What a valid new view does not choose was not committed before it: the claim in P has served. Without this a
    /// claim that no one else can confirm any more could block later view changes.
    pub(super) fn prune_prepared(&mut self, decision: &Decision, view: hedgerow_base::View) {
        for (slot, entry) in self.log.iter_mut() {
            let refuted = |digest: Digest| {
                slot > decision.start && decision.batches.get(&slot) != Some(&digest)
            };
            let certificate = entry.certificate.as_ref();
            if certificate.is_some_and(|known| known.view < view && refuted(known.digest)) {
                entry.certificate = None;
            }
        }
    }

    /// The requests of batches that the new view leaves out are ordered again, if they convince here.
    fn gather_abandoned(&mut self) {
        let distrusted = self.distrusted();
        let chosen: BTreeSet<Digest> = self.decision.batches.values().copied().collect();
        let mut again = Vec::new();
        // Only what is still to be decided: nothing takes the mark off a request that was decided before.
        let mut under_way = Vec::new();
        for (_, digest) in self.decision.batches.range(self.decided.next()..) {
            if let Some(body) = self.log.body(*digest) {
                under_way.extend(
                    body.requests()
                        .iter()
                        .map(|r| (r.origin(), r.value().number)),
                );
            }
        }
        for (_, entry) in self.log.after(self.decided) {
            for (_, digest) in entry
                .pre_prepared
                .iter()
                .filter(|(_, d)| !chosen.contains(d))
            {
                let Some(body) = self.log.body(*digest) else {
                    continue;
                };
                let doubtful: BTreeSet<Digest> = body.doubtful().map(Sealed::digest).collect();
                again.extend(
                    body.requests()
                        .iter()
                        .filter(|request| !doubtful.contains(&request.digest()))
                        .filter(|request| !distrusted.contains(&request.origin()))
                        .cloned(),
                );
            }
        }
        for (client, number) in under_way {
            self.requests.mark_proposed(client, number);
        }
        for request in again {
            let (client, number) = (request.origin(), request.value().number);
            if self
                .numbers
                .get(&client)
                .is_none_or(|used| used.is_fresh(number))
            {
                self.requests.add(request, &self.config);
            }
        }
    }

    /// Asks for the batches that a decision chooses and that are not at hand; says whether any is missing.
    fn want(&mut self, decision: &Decision, out: &mut Out) -> bool {
        let missing: Vec<(Digest, Slot)> = decision
            .batches
            .range(self.stable.next()..)
            .filter(|(_, digest)| !self.log.has_body(**digest))
            .map(|(&slot, &digest)| (digest, slot))
            .collect();
        let any = !missing.is_empty();
        self.transfer.wanted = missing.iter().copied().collect();
        let digests: Vec<_> = missing
            .iter()
            .map(|(digest, _)| *digest)
            .take(MAX_FETCH as usize)
            .collect();
        if any {
            out.send(Target::Others, Message::WantBodies(digests));
        }
        any
    }

    /// Adopts what can be adopted of the present view's decision and asks for the batches that are missing.
    pub(super) fn want_missing(&mut self, out: &mut Out) {
        let missing = self.adopt(out);
        if missing.is_empty() {
            self.transfer.wanted.clear();
        } else {
            let decision = self.decision.clone();
            self.want(&decision, out);
        }
    }

    /// Asks again for what is still missing.
    pub(super) fn want_again(&mut self, out: &mut Out) {
        if self.changing {
            self.try_new_view(out);
        } else {
            self.want_missing(out);
        }
    }

    pub(super) fn on_want_bodies(
        &self,
        from: hedgerow_base::NodeId,
        digests: &[Digest],
        out: &mut Out,
    ) {
        let mut bytes = 0;
        for body in digests.iter().filter_map(|digest| self.log.body(*digest)) {
            bytes += body
                .requests()
                .iter()
                .map(|r| r.body().len() + 128)
                .sum::<usize>();
            out.send(Target::Node(from), Message::Body(body.clone()));
            if bytes > crate::messages::MAX_FRAME {
                return; // It will ask again.
            }
        }
    }

    /// A batch is known by its digest, and f + 1 replicas vouched for that.
    pub(super) fn on_body(&mut self, body: Arc<Body>, out: &mut Out) {
        let Some(slot) = self.transfer.wanted.remove(&body.digest()) else {
            return;
        };
        self.log.keep_body(slot, body);
        if !self.changing {
            self.adopt(out);
        } else if self.transfer.wanted.is_empty() {
            self.try_new_view(out);
        }
    }
}

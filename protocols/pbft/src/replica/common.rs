//! The common case: pre-prepare, prepare, commit (§4.2).

use alloc::{sync::Arc, vec::Vec};

use hedgerow_base::{Digest, NodeId, Slot, View};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;

use super::{Out, Replica, log::Proposal, requests::is_signed};
use crate::{
    messages::{Body, Commit, Message, NULL, PrePrepare, Prepare},
    record::Record,
};

impl Replica {
    /// The primary cuts batches while fewer than `in_flight` are under way: under load requests gather meanwhile.
    pub(super) fn propose(&mut self, out: &mut Out) {
        while self.may_propose() && !self.requests.is_idle() {
            let distrusted = self.distrusted();
            let numbers = &self.numbers;
            let mut stale = Vec::new();
            let requests = self.requests.cut(&self.config, |request| {
                let (client, number) = (request.origin(), request.value().number);
                if numbers
                    .get(&client)
                    .is_some_and(|used| !used.is_fresh(number))
                {
                    stale.push((client, number));
                    return false;
                }
                is_signed(request) || !distrusted.contains(&client)
            });
            for (client, number) in stale {
                self.requests.remove(client, number);
            }
            if requests.is_empty() {
                break;
            }
            let slot = self.next;
            self.next = slot.next();
            let body = Arc::new(Body::new(self.now.as_millis(), requests));
            let lsn = self.note_accepted(slot, body.digest(), None, Some(&body), out);
            let pre_prepare = Sealed::new(
                PrePrepare {
                    view: self.view,
                    slot,
                    digest: body.digest(),
                    lsn: self.safety.position(lsn),
                },
                Sealing::Authenticator,
                &self.keyring,
            );
            let entry = self.log.entry(slot);
            if let Some(proposal) = &mut entry.proposal {
                proposal.pre_prepare = Some(pre_prepare.clone());
            }
            out.send_after(lsn, Target::Others, Message::PrePrepare(pre_prepare, body));
            self.advance(slot, out);
        }
    }

    fn may_propose(&self) -> bool {
        self.is_active()
            && self.is_primary()
            && self.safety.may_propose(self.view)
            && self.next <= self.high()
            && self.next > self.decided
            && self.next.since(self.decided) <= self.config.in_flight
    }

    pub(super) fn on_pre_prepare(
        &mut self,
        pre_prepare: Sealed<PrePrepare>,
        body: Arc<Body>,
        out: &mut Out,
    ) {
        let PrePrepare {
            view, slot, digest, ..
        } = *pre_prepare.value();
        let valid = self.is_active()
            && view == self.view
            && pre_prepare.origin() == self.primary()
            && !self.is_primary()
            && self.in_window(slot)
            && slot > self.decision.last()
            && digest == body.digest()
            && !body.requests().is_empty();
        if !valid {
            return;
        }
        let entry = self.log.entry(slot);
        if entry.proposal.is_some() || entry.held.is_some() {
            return;
        }
        self.doubt_out_loud(&body, out);
        if self.is_vouched_for(slot, view, digest, &body) {
            self.accept(slot, digest, Some(pre_prepare), Some(body), out);
        } else {
            self.log.entry(slot).held = Some((pre_prepare, body));
        }
    }

    /// Requests are authentic when their own seal convinces, or when their client sent the same here; and a time is
    /// true enough when it is not far ahead of one's own clock, for it stays in the ledger. Either may be vouched for by
    /// f + 1 replicas instead, the primary and f others that prepared the batch: one's own clock may be the wrong one.
    fn is_vouched_for(&self, slot: Slot, view: View, digest: Digest, body: &Body) -> bool {
        let ahead = self.now.plus(self.config.clock_ahead).as_millis();
        if body.time_ms() <= ahead && body.doubtful().all(|request| self.requests.knows(request)) {
            return true;
        }
        let primary = self.roster.primary(view);
        self.log.get(slot).is_some_and(|entry| {
            entry.preparers(view, digest, primary).len() >= self.roster.f().max(1)
        })
    }

    /// Accepts held pre-prepares that are vouched for by now.
    pub(super) fn try_held(&mut self, slot: Slot, out: &mut Out) {
        let Some((pre_prepare, body)) = self.log.get(slot).and_then(|entry| entry.held.clone())
        else {
            return;
        };
        let PrePrepare { view, digest, .. } = *pre_prepare.value();
        if self.is_active() && view == self.view && self.is_vouched_for(slot, view, digest, &body) {
            self.log.entry(slot).held = None;
            self.accept(slot, digest, Some(pre_prepare), Some(body), out);
        }
    }

    /// Tells everyone, once per view and client, that a client's seals do not convince here.
    fn doubt_out_loud(&mut self, body: &Body, out: &mut Out) {
        for request in body.doubtful() {
            let client = request.origin();
            if self.doubted.get(&client) != Some(&self.view) {
                self.doubted.insert(client, self.view);
                out.send(Target::Others, Message::Doubt(client));
                self.on_doubt(self.me, client);
            }
        }
    }

    pub(super) fn on_doubt(&mut self, from: NodeId, client: NodeId) {
        if client.index() >= self.keyring.members() {
            return;
        }
        let expired = self.now;
        let memory = self.config.doubt_memory;
        let (doubters, last) = self.doubts.entry(client).or_default();
        if last.plus(memory) < expired {
            *doubters = hedgerow_base::NodeSet::EMPTY;
        }
        doubters.insert(from);
        *last = self.now;
    }

    /// Clients whose MACs f + 1 replicas could not check lately: only their signed requests are ordered.
    pub(super) fn distrusted(&self) -> Vec<NodeId> {
        let doubts = self.doubts.iter().filter(|(_, (doubters, last))| {
            doubters.len() >= self.roster.weak() && last.plus(self.config.doubt_memory) >= self.now
        });
        doubts.map(|(&client, _)| client).collect()
    }

    /// Pre-prepares a batch in the present view: on disk first, then PREPARE.
    pub(super) fn accept(
        &mut self,
        slot: Slot,
        digest: Digest,
        pre_prepare: Option<Sealed<PrePrepare>>,
        body: Option<Arc<Body>>,
        out: &mut Out,
    ) {
        // Where the slot is decided, nothing but the decided batch can be right.
        let decided = self.log.get(slot).and_then(|entry| entry.decided);
        if decided.is_some_and(|decided| decided != digest) {
            return;
        }
        let lsn = self.note_accepted(slot, digest, pre_prepare, body.as_ref(), out);
        if !self.is_primary() && self.safety.may_vote(self.view, slot) {
            let prepare = Sealed::new(
                Prepare {
                    view: self.view,
                    slot,
                    digest,
                    lsn: self.safety.position(lsn),
                },
                Sealing::Authenticator,
                &self.keyring,
            );
            let me = self.me;
            self.log.entry(slot).prepares.insert(me, prepare.clone());
            out.send_after(lsn, Target::Others, Message::Prepare(prepare));
        }
        self.advance(slot, out);
    }

    /// Writes an assignment down, into the log and into Q.
    fn note_accepted(
        &mut self,
        slot: Slot,
        digest: Digest,
        pre_prepare: Option<Sealed<PrePrepare>>,
        body: Option<&Arc<Body>>,
        out: &mut Out,
    ) -> hedgerow_base::Lsn {
        let view = self.view;
        let logged = digest == NULL || self.log.entry(slot).note_logged(digest);
        if let Some(body) = body {
            self.log.keep_body(slot, body.clone());
        }
        let lsn = out.persist(Record::Accepted {
            view,
            slot,
            digest,
            decided: self.decided,
            pre_prepare: pre_prepare.clone(),
            body: body.filter(|_| !logged).cloned(),
        });
        self.log.note_record(slot, lsn);
        let entry = self.log.entry(slot);
        if !self.safety.forgot(view, slot) {
            entry.note_pre_prepared(view, digest);
        }
        entry.proposal = Some(Proposal {
            view,
            digest,
            pre_prepare,
            lsn,
        });
        lsn
    }

    pub(super) fn on_prepare(&mut self, vote: Sealed<Prepare>, out: &mut Out) {
        let Prepare { view, slot, .. } = *vote.value();
        if view < self.view || !self.in_window(slot) {
            return;
        }
        let prepares = &mut self.log.entry(slot).prepares;
        // One vote per replica is kept: its first in its latest view.
        if prepares
            .get(&vote.origin())
            .is_none_or(|known| known.value().view < view)
        {
            prepares.insert(vote.origin(), vote);
            self.try_held(slot, out);
            self.advance(slot, out);
        }
    }

    pub(super) fn on_commit(&mut self, vote: Sealed<Commit>, out: &mut Out) {
        let Commit { view, slot, .. } = *vote.value();
        if view < self.view || !self.in_window(slot) {
            return;
        }
        let commits = &mut self.log.entry(slot).commits;
        if commits
            .get(&vote.origin())
            .is_none_or(|known| known.value().view < view)
        {
            commits.insert(vote.origin(), vote);
            self.advance(slot, out);
        }
    }

    /// Goes on with a slot as far as its votes reach: prepared, committed (§4.2), decided.
    pub(super) fn advance(&mut self, slot: Slot, out: &mut Out) {
        let (view, quorum, primary) = (self.view, self.roster.quorum(), self.primary());
        if !self.is_active() {
            return;
        }
        let Some(entry) = self.log.get_mut(slot) else {
            return;
        };
        let Some((digest, pre_prepare)) = entry
            .proposal
            .as_ref()
            .filter(|proposal| proposal.view == view)
            .map(|proposal| (proposal.digest, proposal.pre_prepare.clone()))
        else {
            return;
        };
        let may_vote = self.safety.may_vote(view, slot);
        let preparers = entry.preparers(view, digest, primary);
        if !entry.prepared && may_vote && preparers.len() >= quorum - 1 {
            entry.prepared = true;
            let matching = entry
                .prepares
                .iter()
                .filter(|(who, _)| preparers.contains(**who));
            let prepares: Vec<_> = matching.map(|(_, vote)| vote.clone()).collect();
            entry.certificate = Some(super::log::Certificate {
                view,
                digest,
                pre_prepare,
                prepares: prepares.clone(),
            });
            let lsn = out.persist(Record::Prepared {
                view,
                slot,
                digest,
                decided: self.decided,
                prepares,
            });
            self.log.note_record(slot, lsn);
            let commit = Sealed::new(
                Commit {
                    view,
                    slot,
                    digest,
                    lsn: self.safety.position(lsn),
                },
                Sealing::Authenticator,
                &self.keyring,
            );
            self.log.entry(slot).commits.insert(self.me, commit.clone());
            out.send_after(lsn, Target::Others, Message::Commit(commit));
        }
        let has_body = self.log.has_body(digest);
        let entry = self.log.entry(slot);
        if !entry.committed && has_body && entry.committers(view, digest).len() >= quorum {
            entry.committed = true;
            self.deliver(out);
        }
    }

    /// Assigns the slots of a new view's decision that are in the window and whose batch is at hand; says which
    /// batches are missing.
    pub(super) fn adopt(&mut self, out: &mut Out) -> Vec<Digest> {
        let mut missing = Vec::new();
        if !self.is_active() || self.view != self.entered {
            return missing;
        }
        let open = self.decision.batches.range(self.stable.next()..);
        let open: Vec<_> = open.map(|(&slot, &digest)| (slot, digest)).collect();
        for (slot, digest) in open {
            if !self.in_window(slot) || self.log.entry(slot).proposal.is_some() {
                continue;
            }
            if self.log.has_body(digest) {
                let body = self.log.body(digest).cloned().filter(|_| digest != NULL);
                self.accept(slot, digest, None, body, out);
            } else {
                missing.push(digest);
            }
        }
        missing
    }
}

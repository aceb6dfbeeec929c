//! Retransmission by the receiver's need (TOCS §4.5): a replica that makes no progress says what it has, and the others
//! send what it lacks. Nothing is sent while nothing is outstanding.

use alloc::vec::Vec;

use hedgerow_base::{NodeId, NodeSet, Slot, Time, View};
use hedgerow_machine::Target;
use hedgerow_wire::List;

use super::{Out, Replica};
use crate::messages::{MAX_WINDOW, Message, Status};

/// How many batches one answer carries.
const BATCHES: usize = 16;

/// What another replica is known to have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peer {
    /// It says that it knows the order up to here.
    pub(super) decided: Slot,
    /// It signed a checkpoint at this slot.
    pub(super) reached: Slot,
    /// When it was last answered.
    pub(super) answered: Option<Time>,
    /// When it was last shown a proof of the view.
    pub(super) shown: Option<Time>,
}

/// What changes when there is progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    view: View,
    entered: View,
    decided: Slot,
    stable: Slot,
}

impl Replica {
    pub(super) fn mark(&self) -> Mark {
        Mark {
            view: self.view,
            entered: self.entered,
            decided: self.decided,
            stable: self.stable,
        }
    }

    /// Whether this replica waits for something that others may have.
    pub(super) fn is_outstanding(&self) -> bool {
        if self.presence.is_starting() {
            return false; // Greeting has its own timer.
        }
        let unstable = self
            .checkpoints
            .range(self.stable.next()..)
            .next()
            .is_some();
        // A replica that left its view alone, whose requests are all decided since, waits silently: should the others
        // need its view change, they have it or ask for it.
        let others = self
            .view_changes
            .iter()
            .filter(|(who, m)| **who != self.me && m.value().view >= self.view);
        (self.changing && others.count() >= self.roster.f().max(1))
            || unstable
            || self.has_undecided()
            || self.requests.watched().is_some()
            || self.goal() > self.decided
            || !self.transfer.wanted.is_empty()
    }

    /// Whether a slot is under way in this view: it holds a proposal, or f + 1 replicas vote as if it should.
    pub(super) fn has_undecided(&self) -> bool {
        let weak = self.roster.weak();
        self.log.after(self.decided).any(|(_, entry)| {
            let prepares = entry
                .prepares
                .values()
                .filter(|v| v.value().view == self.view);
            let commits = entry
                .commits
                .values()
                .filter(|v| v.value().view == self.view);
            entry.proposal.is_some()
                || entry.held.is_some()
                || prepares.count() >= weak
                || commits.count() >= weak
        })
    }

    fn status(&self, wants: bool) -> Status {
        let mut slots = Vec::new();
        if !self.changing {
            let last = self
                .log
                .after(self.decided)
                .last()
                .map_or(self.decided, |(slot, _)| slot);
            for ahead in 1..=last.since(self.decided).min(MAX_WINDOW as u64) {
                let entry = self.log.get(self.decided.plus(ahead));
                slots.push(match entry {
                    Some(entry) if entry.prepared => 2,
                    Some(entry) if entry.proposal.is_some() || entry.held.is_some() => 1,
                    _ => 0,
                });
            }
        }
        let together = self
            .view_changes
            .iter()
            .filter(|(_, m)| m.value().view == self.view);
        Status {
            view: self.view,
            entered: self.entered,
            changing: self.changing,
            stable: self.stable,
            decided: self.decided,
            slots: List::new(slots).unwrap_or_default(),
            view_changes: together.map(|(&who, _)| who).collect::<NodeSet>(),
            wants,
        }
    }

    /// Says what it has, to everybody.
    pub(super) fn send_status(&self, wants: bool, out: &mut Out) {
        out.send(Target::Others, Message::Status(self.status(wants)));
    }

    pub(super) fn on_status(&mut self, from: NodeId, status: &Status, out: &mut Out) {
        let now = self.now;
        let spacing = self.config.status_interval / 2;
        let peer = self.peers.entry(from).or_default();
        peer.decided = peer.decided.max(status.decided);
        if !status.wants || peer.answered.is_some_and(|last| last.plus(spacing) > now) {
            return;
        }
        peer.answered = Some(now);
        if status.entered < self.entered {
            self.show_new_view(from, out);
        }
        if status.stable < self.stable || !self.checkpoints.is_empty() {
            let mine = self
                .checkpoints
                .iter()
                .filter(|(slot, _)| **slot > status.stable);
            for (&slot, own) in mine {
                let vote = self.sign_checkpoint(slot, own.digest);
                out.send_after(out.last(), Target::Node(from), Message::Checkpoint(vote));
            }
        }
        if status.changing {
            self.answer_view_changes(from, status, out);
        } else if status.view == self.view && self.is_active() {
            self.answer_slots(from, status, out);
        }
        if self.decided > status.decided || self.view > status.view {
            out.send(Target::Node(from), Message::Status(self.status(false)));
        }
    }

    /// The view changes that it lacks; they are signed, so anyone may pass them on.
    fn answer_view_changes(&self, from: NodeId, status: &Status, out: &mut Out) {
        for (&who, change) in &self.view_changes {
            let view = change.value().view;
            let lacks =
                view > status.view || (view == status.view && !status.view_changes.contains(who));
            if lacks && who != from {
                // One's own may not be on disk yet.
                let message = Message::ViewChange(change.clone());
                out.send_after(out.last(), Target::Node(from), message);
            }
        }
    }

    /// What was said here about the slots that it has not decided, as far as it has not got that far.
    fn answer_slots(&self, from: NodeId, status: &Status, out: &mut Out) {
        let mut batches = 0;
        let within = self
            .log
            .after(status.decided)
            .take_while(|(slot, _)| slot.since(status.decided) <= MAX_WINDOW as u64);
        for (slot, entry) in within {
            let at = slot.since(status.decided) as usize - 1;
            let has = status.slots.get(at).copied().unwrap_or(0);
            let Some(proposal) = entry.proposal.as_ref().filter(|p| p.view == self.view) else {
                continue;
            };
            if has == 0
                && self.is_primary()
                && batches < BATCHES
                && let (Some(pre_prepare), Some(body)) =
                    (&proposal.pre_prepare, self.log.body(proposal.digest))
            {
                batches += 1;
                let message = Message::PrePrepare(pre_prepare.clone(), body.clone());
                out.send_after(proposal.lsn, Target::Node(from), message);
            }
            // What is sent again was gated when it was said first; the log may be behind it still.
            let after = out.last();
            if has < 2
                && let Some(vote) = entry.prepares.get(&self.me)
            {
                out.send_after(after, Target::Node(from), Message::Prepare(vote.clone()));
            }
            if let Some(vote) = entry.commits.get(&self.me) {
                out.send_after(after, Target::Node(from), Message::Commit(vote.clone()));
            }
        }
    }

    /// The slot up to which f + 1 others say that the order is known: one of them is correct.
    pub(super) fn goal(&self) -> Slot {
        let weak = self.roster.weak();
        let known = self
            .peers
            .iter()
            .filter(|(who, _)| self.roster.contains(**who));
        let mut reached: Vec<_> = known
            .map(|(_, peer)| peer.decided.max(peer.reached))
            .collect();
        reached.sort_unstable_by(|a, b| b.cmp(a));
        let vouched = reached.get(weak - 1).copied().unwrap_or_default();
        vouched.max(self.transfer.aim)
    }
}

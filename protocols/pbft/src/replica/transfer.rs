//! State transfer: a replica that lacks decided slots replays them. f + 1 replicas must say the same about a slot; one
//! of them sends the batch, which is checked by its digest.

use alloc::{collections::BTreeMap, vec::Vec};

use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, Slot, Time};
use hedgerow_machine::Target;
use hedgerow_ordering::{Batch, Event};

use super::{
    Out, Replica,
    batch::{batch_digest, decode_batch, encode_batch},
    clients::most_common,
};
use crate::{
    messages::{Decided, Fetch, MAX_FETCH, Message},
    record::Record,
};

/// How many bytes of batches one answer carries, unless it is a single one.
const ANSWER_BYTES: usize = 2 << 20;

#[derive(Debug, Default)]
pub(super) struct Transfer {
    /// A slot that f + 1 replicas are known to have reached otherwise.
    pub(super) aim: Slot,
    /// Batches that a new view chose and that are not at hand.
    pub(super) wanted: BTreeMap<Digest, Slot>,
    active: bool,
    due: Option<Time>,
    /// How many questions went out: each goes to another bearer.
    asked: u64,
    /// Up to which slot the last question went.
    until: Slot,
    claims: BTreeMap<Slot, BTreeMap<NodeId, (Digest, Option<Digest>)>>,
    batches: BTreeMap<Slot, BTreeMap<Digest, Bytes>>,
    /// What the application loads for others.
    loads: BTreeMap<u64, (NodeId, bool)>,
    answers: BTreeMap<NodeId, Vec<Decided>>,
}

impl Transfer {
    pub(super) fn aim(&mut self, slot: Slot) {
        self.aim = self.aim.max(slot);
    }

    pub(super) const fn is_active(&self) -> bool {
        self.active
    }

    pub(super) const fn start_if(&mut self, needed: bool) {
        self.active = self.active || needed;
    }

    pub(super) const fn due(&self) -> Option<Time> {
        self.due
    }
}

impl Replica {
    /// Asks for the next slots, takes what f + 1 vouch for, and stops when the goal is reached.
    pub(super) fn drive_transfer(&mut self, out: &mut Out) {
        if self.presence.is_starting() {
            return;
        }
        let goal = self.goal();
        let far = goal.since(self.decided) >= self.config.checkpoint_interval;
        self.transfer
            .start_if(far || (self.presence.is_rejoining() && goal > self.decided));
        if !self.transfer.active {
            return;
        }
        self.take_vouched(out);
        self.finish_rejoining(out);
        if goal <= self.decided {
            self.transfer.active = false;
            self.transfer.due = None;
            self.transfer.claims.clear();
            self.transfer.batches.clear();
            return;
        }
        // The application is not flooded: what it has not executed stays within the window.
        let room = self
            .config
            .window()
            .saturating_sub(self.decided.since(self.executed));
        let done = self.decided >= self.transfer.until;
        let late = self.transfer.due.is_none_or(|due| due <= self.now);
        if (late || done) && room > 0 {
            self.ask_for_decided(goal, room, out);
        } else if late {
            self.transfer.due = Some(self.now.plus(self.config.fetch_retry));
        }
    }

    fn ask_for_decided(&mut self, goal: Slot, room: u64, out: &mut Out) {
        let from = self.decided.next();
        let able = |who: &NodeId| {
            let peer = self.peers.get(who);
            peer.is_some_and(|peer| peer.decided.max(peer.reached) >= from)
        };
        let others: Vec<_> = self.roster.others(self.me).filter(able).collect();
        let others = if others.is_empty() {
            self.roster.others(self.me).collect()
        } else {
            others
        };
        let Some(&bearer) = others.get((self.transfer.asked % others.len().max(1) as u64) as usize)
        else {
            return;
        };
        self.transfer.asked += 1;
        let count = goal.since(self.decided).min(MAX_FETCH).min(room);
        self.transfer.until = self.decided.plus(count);
        self.transfer.due = Some(self.now.plus(self.config.fetch_retry));
        let fetch = Fetch {
            from,
            count,
            bearer,
        };
        out.send(Target::Others, Message::Fetch(fetch));
    }

    pub(super) fn on_decided(&mut self, from: NodeId, list: Vec<Decided>) {
        if !self.transfer.active {
            return;
        }
        for Decided {
            slot,
            digest,
            proposal,
            batch,
        } in list
        {
            if slot <= self.decided || slot > self.decided.plus(MAX_FETCH) {
                continue;
            }
            self.transfer
                .claims
                .entry(slot)
                .or_default()
                .insert(from, (digest, proposal));
            if let Some(batch) = batch
                && batch_digest(&batch) == digest
            {
                let batches = self.transfer.batches.entry(slot).or_default();
                if batches.len() <= self.roster.n() {
                    batches.insert(digest, batch);
                }
            }
        }
    }

    fn take_vouched(&mut self, out: &mut Out) {
        loop {
            let slot = self.decided.next();
            let room = self.config.window() > self.decided.since(self.executed);
            let vouched = self.transfer.claims.get(&slot).and_then(|claims| {
                most_common(claims.iter().map(|(&who, &(digest, _))| (who, digest)))
            });
            let Some((digest, _)) =
                vouched.filter(|(_, who)| who.len() >= self.roster.weak() && room)
            else {
                return;
            };
            let Some(bytes) = self
                .transfer
                .batches
                .get(&slot)
                .and_then(|batches| batches.get(&digest))
                .cloned()
            else {
                return;
            };
            let Some(batch) = decode_batch(&bytes).filter(|batch| batch.slot == slot) else {
                return;
            };
            let proposal = self.vouched_proposal(slot, digest);
            let lsn = out.persist(Record::Decided {
                slot,
                batch: bytes,
                proposal,
            });
            self.log.note_record(slot, lsn);
            self.give(batch, proposal, out);
            self.timers.note_decision(self.now);
            self.transfer.claims = self.transfer.claims.split_off(&slot.next());
            self.transfer.batches = self.transfer.batches.split_off(&slot.next());
            // What was committed behind it goes on.
            self.deliver(out);
        }
    }

    /// What f + 1 replicas say the slot's batch was proposed as.
    fn vouched_proposal(&self, slot: Slot, digest: Digest) -> Option<Digest> {
        let claims = self.transfer.claims.get(&slot)?;
        let proposals = claims.iter().filter(|(_, claim)| claim.0 == digest);
        let proposals = proposals.filter_map(|(&who, claim)| Some((who, claim.1?)));
        let (proposal, who) = most_common(proposals)?;
        (who.len() >= self.roster.weak()).then_some(proposal)
    }

    /// Another one lacks slots: those of the window are at hand, older ones are the application's.
    pub(super) fn on_fetch(&mut self, from: NodeId, fetch: Fetch, out: &mut Out) {
        let bearer = fetch.bearer == self.me;
        self.transfer.loads.retain(|_, (who, _)| *who != from);
        for ahead in 0..fetch.count.min(MAX_FETCH) {
            let slot = fetch.from.plus(ahead);
            if slot > self.decided || slot == Slot::ZERO {
                break;
            }
            let known = self.log.get(slot);
            let known = known.and_then(|entry| Some((entry.batch.clone()?, entry.decided)));
            if let Some((batch, proposal)) = known {
                self.answer_fetch(from, &batch, proposal, bearer);
            } else if slot <= self.executed && self.transfer.loads.len() < self.config.loads {
                let token = self.token();
                self.transfer.loads.insert(token, (from, bearer));
                out.emit(Event::Load { token, slot });
            }
        }
    }

    pub(super) fn on_loaded(&mut self, token: u64, slot: Slot, batch: Option<Batch>) {
        let Some((from, bearer)) = self.transfer.loads.remove(&token) else {
            return;
        };
        if let Some(batch) = batch.filter(|batch| batch.slot == slot) {
            self.answer_fetch(from, &batch, None, bearer);
        }
    }

    fn answer_fetch(&mut self, to: NodeId, batch: &Batch, proposal: Option<Digest>, bearer: bool) {
        let bytes = encode_batch(batch);
        let answer = Decided {
            slot: batch.slot,
            digest: batch_digest(&bytes),
            proposal,
            batch: bearer.then_some(bytes),
        };
        let answers = self.transfer.answers.entry(to).or_default();
        if answers.len() < 4 * MAX_FETCH as usize {
            answers.push(answer);
        }
    }

    pub(super) fn flush_decided(&mut self, out: &mut Out) {
        for (to, answers) in core::mem::take(&mut self.transfer.answers) {
            let (mut part, mut bytes) = (Vec::new(), 0);
            for answer in answers {
                let size = answer.batch.as_ref().map_or(0, Bytes::len);
                let full = part.len() >= MAX_FETCH as usize || bytes + size > ANSWER_BYTES;
                if full && !part.is_empty() {
                    out.send(
                        Target::Node(to),
                        Message::Decided(core::mem::take(&mut part)),
                    );
                    bytes = 0;
                }
                bytes += size;
                part.push(answer);
            }
            out.send(Target::Node(to), Message::Decided(part));
        }
    }
}

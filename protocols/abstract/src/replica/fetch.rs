//! Missing batches (§4.4, the state-transfer optimization): an init history is known by its digests; who lacks a batch of
//! it asks the others. Each is vouched for by f + 1 ABORTs, so that a correct replica has it.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use hedgerow_base::{Digest, NodeId, NodeSet, Slot, Time};
use hedgerow_machine::Target;
use hedgerow_ordering::{Batch, Event};

use super::{Out, Replica, Stage};
use crate::{
    abort::Origin,
    codec::{decode_batch, put_batch},
    composition::{Instance, Kind},
    history::{Point, chain, entry_digest},
    messages::{Fetch, Fetched, Init, MAX_FETCH, Message},
};

/// How many bytes of batches one answer carries, unless it is a single one.
const ANSWER_BYTES: usize = 2 << 20;

#[derive(Debug, Default)]
pub(super) struct Fetching {
    goal: Option<Origin>,
    due: Option<Time>,
    /// When it was last asked for.
    said: Time,
    /// When the history last came nearer to the goal.
    moved: Time,
    /// Up to which slot was asked for.
    until: Slot,
    /// What came, by slot and digest, with who said so.
    found: BTreeMap<Slot, BTreeMap<Digest, (Batch, NodeSet)>>,
    tokens: u64,
    /// When each replica was last answered.
    asked: BTreeMap<NodeId, Time>,
    loads: BTreeMap<u64, NodeId>,
    answers: BTreeMap<NodeId, Vec<Fetched>>,
}

impl Fetching {
    pub(super) fn stop(&mut self) {
        self.goal = None;
        self.due = None;
        self.found.clear();
    }

    pub(super) fn due(&self) -> Option<Time> {
        self.goal.as_ref().and(self.due)
    }
}

impl Replica {
    /// Makes the history the one that ends at the origin's target: rolls back what differs, fetches what is missing.
    pub(super) fn fetch_towards(&mut self, origin: Origin, out: &mut Out) {
        self.fetch.stop();
        let target = origin.target;
        let common = if self.history.has(target) {
            target.slot
        } else {
            let known = origin.through.iter().rev();
            let known = known.filter(|point| self.history.has(**point));
            let common = known.map(|point| point.slot).next();
            common.unwrap_or_default().max(self.finished)
        };
        self.roll_back(common, true, out);
        self.fetch.goal = Some(origin);
        self.fetch.moved = self.now;
        self.fetch.until = Slot::ZERO;
        self.drive_fetch(out);
    }

    pub(super) fn drive_fetch(&mut self, out: &mut Out) {
        let Some(origin) = self.fetch.goal.clone() else {
            return;
        };
        self.take_found(&origin, out);
        let head = self.history.head();
        if head == origin.target {
            self.fetch.stop();
            self.adopted(&origin, out);
            return;
        }
        if head.slot >= origin.target.slot {
            // Others vouched for batches that do not lead there.
            self.roll_back(self.finished, true, out);
        }
        // Others answer not too often; a little later they do again.
        let again = self.fetch.said.plus(self.config.retry / 12);
        let more = self.history.head().slot >= self.fetch.until;
        if more && self.fetch.due.is_some() {
            self.fetch.due = Some(again);
        }
        if self.fetch.due.is_none_or(|due| due <= self.now) {
            self.fetch.said = self.now;
            let from = self.history.head().slot.next();
            let count = origin.target.slot.next().since(from).min(MAX_FETCH);
            self.fetch.until = from.plus(count).previous();
            self.fetch.due = Some(self.now.plus(self.config.retry));
            out.send(Target::Others, Message::Fetch(Fetch { from, count }));
            if self.is_stuck() {
                // To be shown what the others began this instance with.
                let before = Instance(self.instance.0.saturating_sub(1));
                out.send(Target::Others, Message::Status(before));
            }
        }
    }

    /// Whether nobody seems to have the init history any more. Clients' proofs of one instance may differ in what was not
    /// committed; who began with another one than this replica has rolled this one's back.
    pub(super) fn is_stuck(&self) -> bool {
        self.stage == Stage::Adopting
            && self.kind() != Kind::Backup
            && self.fetch.goal.is_some()
            && self.fetch.moved.plus(self.config.retry * 3) <= self.now
    }

    /// Takes another proof of the instance, which it is stuck before: it has said nothing in it yet.
    pub(super) fn adopt_instead(&mut self, init: &Arc<Init>, origin: Origin, out: &mut Out) {
        let goal = self.fetch.goal.as_ref();
        if goal.is_some_and(|goal| goal.target == origin.target) {
            return;
        }
        self.init = Some(init.clone());
        self.write_entered(false, out);
        self.fetch_towards(origin, out);
    }

    /// Logs what was found, as far as it is sure: it leads to a point of the proof, or f + 1 say so.
    fn take_found(&mut self, origin: &Origin, out: &mut Out) {
        for batch in self.found_path(origin.target) {
            self.take_batch(batch, out);
        }
        let through: BTreeSet<_> = origin.through.iter().collect();
        let first = origin.through.first().map(|point| point.slot);
        while self.history.head().slot < origin.target.slot {
            let head = self.history.head();
            let slot = head.slot.next();
            let Some(found) = self.fetch.found.get(&slot) else {
                return;
            };
            let proved = first.is_some_and(|first| first <= slot);
            let sure = found.iter().find(|(digest, (_, who))| {
                if proved {
                    through.contains(&chain(head, **digest))
                } else {
                    who.len() >= self.roster.weak()
                }
            });
            let Some((_, (batch, _))) = sure else {
                return;
            };
            self.take_batch(batch.clone(), out);
        }
    }

    fn take_batch(&mut self, batch: Batch, out: &mut Out) {
        self.fetch.found.remove(&batch.slot);
        self.fetch.moved = self.now;
        self.log(batch, out);
    }

    /// What one replica has said of all slots up to the target, if it leads there: then it needs nobody else's word.
    fn found_path(&self, target: Point) -> Vec<Batch> {
        if !self.fetch.found.contains_key(&target.slot) {
            return Vec::new();
        }
        self.roster
            .iter()
            .find_map(|who| {
                let (mut at, mut path) = (self.history.head(), Vec::new());
                while at.slot < target.slot {
                    let said = self.fetch.found.get(&at.slot.next())?;
                    let (digest, (batch, _)) =
                        said.iter().find(|(_, (_, all))| all.contains(who))?;
                    at = chain(at, *digest);
                    path.push(batch.clone());
                }
                (at == target).then_some(path)
            })
            .unwrap_or_default()
    }

    pub(super) fn on_fetched(&mut self, from: NodeId, list: Vec<Fetched>, out: &mut Out) {
        if self.fetch.goal.is_none() {
            return;
        }
        let next = self.history.head().slot.next();
        for Fetched { slot, batch } in list {
            let near = slot >= next && slot.since(next) < MAX_FETCH;
            let Some(batch) = decode_batch(&batch).filter(|batch| near && batch.slot == slot)
            else {
                continue;
            };
            let found = self.fetch.found.entry(slot).or_default();
            let digest = entry_digest(batch.time_ms, &batch.operations);
            if found.len() <= self.roster.n() || found.contains_key(&digest) {
                let known = found.entry(digest).or_insert((batch, NodeSet::EMPTY));
                known.1.insert(from);
            }
        }
        self.drive_fetch(out);
    }

    pub(super) fn on_fetch(&mut self, from: NodeId, fetch: Fetch, out: &mut Out) {
        // One question at a time, and not too often: an answer costs more than a question.
        let spacing = self.config.retry / 16;
        let last = self.fetch.asked.get(&from);
        if self.fetch.loads.values().any(|who| *who == from)
            || last.is_some_and(|last| last.plus(spacing) > self.now)
        {
            return;
        }
        self.fetch.asked.insert(from, self.now);
        for ahead in 0..fetch.count.min(MAX_FETCH) {
            let slot = fetch.from.plus(ahead);
            if let Some(entry) = self.history.get(slot) {
                let batch = entry.batch.clone();
                self.answer_fetch(from, &batch);
            } else if slot > Slot::ZERO
                && slot <= self.history.base().slot
                && self.fetch.loads.len() < self.config.loads
            {
                self.fetch.tokens += 1;
                let token = self.fetch.tokens;
                self.fetch.loads.insert(token, from);
                out.emit(Event::Load { token, slot });
            }
        }
    }

    pub(super) fn on_loaded(&mut self, token: u64, slot: Slot, batch: Option<Batch>) {
        let Some(from) = self.fetch.loads.remove(&token) else {
            return;
        };
        if let Some(batch) = batch.filter(|batch| batch.slot == slot) {
            self.answer_fetch(from, &batch);
        }
    }

    fn answer_fetch(&mut self, to: NodeId, batch: &Batch) {
        let mut bytes = Vec::new();
        put_batch(batch, &mut bytes);
        let answers = self.fetch.answers.entry(to).or_default();
        if answers.len() < 4 * MAX_FETCH as usize {
            answers.push(Fetched {
                slot: batch.slot,
                batch: bytes.into(),
            });
        }
    }

    pub(super) fn flush_fetched(&mut self, out: &mut Out) {
        for (to, answers) in core::mem::take(&mut self.fetch.answers) {
            let (mut part, mut bytes) = (Vec::new(), 0);
            for answer in answers {
                let size = answer.batch.len();
                let full = part.len() >= MAX_FETCH as usize || bytes + size > ANSWER_BYTES;
                if full && !part.is_empty() {
                    let message = Message::Fetched(core::mem::take(&mut part));
                    out.send(Target::Node(to), message);
                    bytes = 0;
                }
                bytes += size;
                part.push(answer);
            }
            out.send(Target::Node(to), Message::Fetched(part));
        }
    }
}

//! Giving others the batches of epochs that are over, which the application has.

use alloc::{collections::BTreeMap, vec::Vec};

use bytes::Bytes;
use hedgerow_base::{NodeId, Slot};
use hedgerow_machine::Target;
use hedgerow_ordering::{Batch, Event};
use hedgerow_pbft::{batch_digest, encode_batch};

use super::{Out, Replica, Stage};
use crate::messages::{Fetch, Fetched, MAX_FETCH, Message};

/// How many bytes of batches one answer carries, unless it is a single one.
const ANSWER_BYTES: usize = 2 << 20;
/// What marks a token as given here: those of hosted protocols do not have it.
const MINE: u64 = 1 << 63;

/// Whether a token was given here.
pub(super) const fn is_mine(token: u64) -> bool {
    token & MINE != 0
}

#[derive(Debug, Default)]
pub(super) struct Serve {
    tokens: u64,
    /// What the application loads, for whom, and whether the batch itself is wanted.
    loads: BTreeMap<u64, (NodeId, bool)>,
    answers: BTreeMap<NodeId, Vec<Fetched>>,
}

impl Replica {
    pub(super) fn on_fetch(&mut self, from: NodeId, fetch: Fetch, out: &mut Out) {
        // Later ones may not be final; who lacks those asks the epoch's own protocol.
        let last = match &self.stage {
            Stage::CatchingUp(catch_up) => catch_up.executed(),
            _ => self.finals,
        };
        let bearer = fetch.bearer == self.me;
        // One question of each at a time.
        self.serve.loads.retain(|_, (who, _)| *who != from);
        for ahead in 0..fetch.count.min(MAX_FETCH) {
            let slot = fetch.from.plus(ahead);
            if slot > last || slot == Slot::ZERO || self.serve.loads.len() >= self.config.loads {
                break;
            }
            self.serve.tokens = (self.serve.tokens + 1) & !MINE;
            let token = self.serve.tokens | MINE;
            self.serve.loads.insert(token, (from, bearer));
            out.emit(Event::Load { token, slot });
        }
    }

    pub(super) fn on_loaded(&mut self, token: u64, slot: Slot, batch: Option<Batch>) {
        let Some((from, bearer)) = self.serve.loads.remove(&token) else {
            return;
        };
        if let Some(batch) = batch.filter(|batch| batch.slot == slot) {
            let bytes = encode_batch(&batch);
            let answers = self.serve.answers.entry(from).or_default();
            if answers.len() < 4 * MAX_FETCH as usize {
                answers.push(Fetched {
                    slot,
                    digest: batch_digest(&bytes),
                    batch: bearer.then_some(bytes),
                });
            }
        }
    }

    pub(super) fn flush_fetched(&mut self, out: &mut Out) {
        for (to, answers) in core::mem::take(&mut self.serve.answers) {
            let (mut part, mut bytes) = (Vec::new(), 0);
            for answer in answers {
                let size = answer.batch.as_ref().map_or(0, Bytes::len);
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

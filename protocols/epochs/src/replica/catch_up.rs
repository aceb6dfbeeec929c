//! Learning what was ordered in epochs that are over: f + 1 replicas must say the same about a slot, so one of them is
//! correct and the slot is final; one of them sends the batch, which is checked by its digest.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, Slot, Time};
use hedgerow_clients::Clients;
use hedgerow_machine::Target;
use hedgerow_ordering::{Batch, Event};
use hedgerow_pbft::{batch_digest, decode_batch};
use hedgerow_wire::DecodeError;

use super::{Out, Replica, Stage, Standing};
use crate::{
    Config,
    messages::{Fetch, Fetched, MAX_FETCH, Message},
};

#[derive(Debug)]
pub(super) struct CatchUp {
    /// The last slot given to the application, and the last one that it has executed.
    given: Slot,
    executed: Slot,
    clients: Clients,
    /// What it was given and has not executed.
    under_way: VecDeque<Batch>,
    claims: BTreeMap<Slot, BTreeMap<NodeId, Digest>>,
    batches: BTreeMap<Slot, BTreeMap<Digest, Bytes>>,
    due: Option<Time>,
    /// How many questions went out: each goes to another bearer.
    asked: usize,
    /// Up to which slot the last question went.
    until: Slot,
}

impl CatchUp {
    /// After `slot`, where this is the client table, plain.
    ///
    /// # Errors
    /// When the bytes are no table.
    pub(super) fn from(slot: Slot, clients: &[u8], config: &Config) -> Result<Self, DecodeError> {
        let mut table = Clients::new(config.pbft.client_window, config.pbft.client_reply_bytes);
        table.restore_plain(clients, &[])?;
        Ok(Self {
            given: slot,
            executed: slot,
            clients: table,
            under_way: VecDeque::new(),
            claims: BTreeMap::new(),
            batches: BTreeMap::new(),
            due: None,
            asked: 0,
            until: slot,
        })
    }

    pub(super) const fn due(&self) -> Option<Time> {
        self.due
    }

    pub(super) const fn executed(&self) -> Slot {
        self.executed
    }

    /// The next batch that f + 1 vouch for and that is at hand.
    fn next_vouched(&mut self, weak: usize) -> Option<Batch> {
        let slot = self.given.next();
        let claims = self.claims.get(&slot)?;
        let batches = self.batches.get(&slot)?;
        let (_, bytes) = batches.iter().find(|(digest, _)| {
            let said = claims.values().filter(|said| said == digest);
            said.count() >= weak
        })?;
        let batch = decode_batch(bytes).filter(|batch| batch.slot == slot)?;
        self.given = slot;
        self.claims = self.claims.split_off(&slot.next());
        self.batches = self.batches.split_off(&slot.next());
        Some(batch)
    }
}

impl Replica {
    /// The application has executed a slot, in whichever stage.
    pub(super) fn note_executed(&mut self, slot: Slot, replies: &[Bytes], state: Digest) {
        self.executed_state = state;
        let Stage::CatchingUp(catch_up) = &mut self.stage else {
            return;
        };
        if let Some(batch) = catch_up.under_way.pop_front_if(|batch| batch.slot == slot) {
            catch_up.executed = slot;
            for (op, reply) in batch.operations.iter().zip(replies) {
                if catch_up.clients.is_fresh(op.client, op.number) {
                    catch_up
                        .clients
                        .executed(op.client, op.number, reply.clone());
                }
            }
        }
    }

    pub(super) fn drive_catch_up(&mut self, out: &mut Out) {
        let Some(proof) = self.newer.clone() else {
            return;
        };
        let target = proof.epoch();
        let (weak, now, retry) = (self.roster.weak(), self.now, self.config.retry);
        let Stage::CatchingUp(catch_up) = &mut self.stage else {
            return;
        };
        while catch_up.given < target.base
            && (catch_up.under_way.len() as u64) < MAX_FETCH
            && let Some(batch) = catch_up.next_vouched(weak)
        {
            let slot = batch.slot;
            catch_up.under_way.push_back(batch.clone());
            self.finals = slot;
            out.emit(Event::Execute(batch));
            out.emit(Event::Final(slot));
        }
        if catch_up.executed >= target.base {
            // 2f + 1 vouched for the state, too. Without it this replica had better not speak.
            if self.executed_state == target.state {
                let standing = Standing {
                    slot: catch_up.executed,
                    clients: catch_up.clients.encode_plain(),
                };
                self.again = None;
                self.settle_at(standing, proof.clone(), out);
            }
            return;
        }
        if catch_up.given >= target.base {
            catch_up.due = None;
            return;
        }
        let done = catch_up.given >= catch_up.until;
        let late = catch_up.due.is_none_or(|due| due <= now);
        let room = (catch_up.under_way.len() as u64) < MAX_FETCH;
        if (done && room) || late {
            let others: Vec<_> = self.roster.others(self.me).collect();
            let Some(&bearer) = others.get(catch_up.asked % others.len().max(1)) else {
                return;
            };
            catch_up.asked += 1;
            catch_up.due = Some(now.plus(retry));
            let count = target.base.since(catch_up.given).min(MAX_FETCH);
            catch_up.until = catch_up.given.plus(count);
            let fetch = Fetch {
                from: catch_up.given.next(),
                count,
                bearer,
            };
            out.send(Target::Others, Message::Fetch(fetch));
        }
    }

    pub(super) fn on_fetched(&mut self, from: NodeId, list: Vec<Fetched>) {
        let n = self.roster.n();
        let Stage::CatchingUp(catch_up) = &mut self.stage else {
            return;
        };
        for Fetched {
            slot,
            digest,
            batch,
        } in list
        {
            if slot <= catch_up.given || slot > catch_up.given.plus(MAX_FETCH) {
                continue;
            }
            let claims = catch_up.claims.entry(slot).or_default();
            claims.insert(from, digest);
            if let Some(batch) = batch.filter(|batch| batch_digest(batch) == digest) {
                let batches = catch_up.batches.entry(slot).or_default();
                if batches.len() <= n {
                    batches.insert(digest, batch);
                }
            }
        }
    }
}

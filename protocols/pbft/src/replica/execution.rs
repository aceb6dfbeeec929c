//! From decided slots to the application and back to the clients: in order, at most once (§4.2), and the read-only path
//! (§5.1.3).

use alloc::{sync::Arc, vec::Vec};

use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, Slot};
use hedgerow_crypto::{Sealed, Sealing, hash};
use hedgerow_machine::Target;
use hedgerow_ordering::{Batch, Event, Operation};
use hedgerow_wire::List;

use super::{Out, Replica, clients::Numbers};
use crate::messages::{Answer, MAX_REPLIES, Message, NULL, Outcome, Query, Replies};

/// Results up to this size are sent by everyone; of larger ones all but one replica send the digest (§5.1.1).
const SMALL_RESULT: usize = 64;
/// How many bytes of results one message may carry, unless it is a single one.
const REPLIES_BYTES: usize = 1 << 20;

/// A query that waits until everything that may be committed already is executed.
#[derive(Debug)]
pub(super) struct Pending {
    after: Slot,
    client: NodeId,
    number: u64,
    query: Bytes,
}

impl Replica {
    /// Gives to the application what is committed without gaps.
    pub(super) fn deliver(&mut self, out: &mut Out) {
        loop {
            let slot = self.decided.next();
            let Some(entry) = self.log.get(slot).filter(|entry| entry.committed) else {
                return;
            };
            let Some(digest) = entry.proposal.as_ref().map(|proposal| proposal.digest) else {
                return;
            };
            let batch = self.body_as_batch(slot, digest);
            self.give(batch, Some(digest), out);
            self.timers.note_decision(self.now);
        }
    }

    /// The batch of a body that is at hand.
    pub(super) fn body_as_batch(&self, slot: Slot, digest: Digest) -> Batch {
        let body = self.log.body(digest).filter(|_| digest != NULL);
        let operations: Vec<_> = body
            .iter()
            .flat_map(|body| body.requests())
            .map(|request| Operation {
                client: request.origin(),
                number: request.value().number,
                operation: request.value().operation.clone(),
            })
            .collect();
        Batch {
            slot,
            time_ms: body.map_or(0, |body| body.time_ms()),
            operations: operations.into(),
        }
    }

    /// Decides the next slot: what its clients had executed before is left out; everybody leaves out the same.
    pub(super) fn give(&mut self, batch: Batch, digest: Option<Digest>, out: &mut Out) {
        let Batch {
            slot,
            time_ms,
            operations,
        } = batch;
        debug_assert_eq!(slot, self.decided.next());
        let window = self.config.client_window;
        let numbers = &mut self.numbers;
        let mut is_new = |op: &Operation| {
            let used = numbers
                .entry(op.client)
                .or_insert_with(|| Numbers::new(window));
            used.take(op.number)
        };
        let all_new = operations.iter().map(&mut is_new).collect::<Vec<_>>();
        let operations: Arc<[Operation]> = if all_new.iter().all(|&new| new) {
            operations
        } else {
            let kept = operations.iter().zip(all_new).filter(|(_, new)| *new);
            kept.map(|(op, _)| op.clone()).collect()
        };
        for op in operations.iter() {
            self.requests.remove(op.client, op.number);
        }
        let batch = Batch {
            slot,
            time_ms,
            operations,
        };
        let entry = self.log.entry(slot);
        entry.batch = Some(batch.clone());
        entry.decided = digest;
        self.decided = slot;
        self.next = self.next.max(slot.next());
        self.emit_durable(Event::Execute(batch), out);
        // Nothing is given to the application before it is committed.
        self.emit_durable(Event::Final(slot), out);
    }

    pub(super) fn on_executed(
        &mut self,
        slot: Slot,
        replies: &[Bytes],
        state: Digest,
        out: &mut Out,
    ) {
        assert_eq!(
            slot,
            self.executed.next(),
            "the application must execute slots in order, each once"
        );
        let batch = self.log.get(slot).and_then(|entry| entry.batch.clone());
        let operations = batch.map(|batch| batch.operations).unwrap_or_default();
        assert_eq!(
            operations.len(),
            replies.len(),
            "the application must give one reply per operation"
        );
        self.executed = slot;
        for (op, reply) in operations.iter().zip(replies) {
            self.clients.executed(op.client, op.number, reply.clone());
            let mine = self.is_bearer(op.number);
            self.queue_reply(op.client, op.number, reply, mine);
        }
        if slot.0.is_multiple_of(self.config.checkpoint_interval) {
            self.take_checkpoint(slot, state, out);
        }
        self.ask_queries(out);
    }

    /// Whether this replica is the one that sends a large result (the paper's designated replier).
    fn is_bearer(&self, number: u64) -> bool {
        number % self.roster.n() as u64 == u64::from(self.me.0)
    }

    pub(super) fn queue_reply(&mut self, client: NodeId, number: u64, reply: &Bytes, full: bool) {
        if client.index() >= self.keyring.members() {
            return;
        }
        let outcome = if full || reply.len() <= SMALL_RESULT {
            Outcome::Full(reply.clone())
        } else {
            Outcome::Digest(hash(reply))
        };
        self.replies
            .entry(client)
            .or_default()
            .push((number, outcome));
    }

    /// One message per client and burst. Replies wait for nothing: what is executed is committed by a quorum.
    pub(super) fn flush_replies(&mut self, out: &mut Out) {
        for (client, list) in core::mem::take(&mut self.replies) {
            let (mut part, mut bytes) = (Vec::new(), 0);
            for (number, outcome) in list {
                let size = match &outcome {
                    Outcome::Full(result) => result.len(),
                    Outcome::Digest(_) => 32,
                };
                if part.len() >= MAX_REPLIES || (bytes + size > REPLIES_BYTES && !part.is_empty()) {
                    self.send_replies(client, core::mem::take(&mut part), out);
                    bytes = 0;
                }
                bytes += size;
                part.push((number, outcome));
            }
            self.send_replies(client, part, out);
        }
    }

    fn send_replies(&self, client: NodeId, list: Vec<(u64, Outcome)>, out: &mut Out) {
        let replies = Replies {
            view: self.view,
            list: List::new(list).unwrap_or_default(),
        };
        let sealed = Sealed::new(replies, Sealing::MacFor(client), &self.keyring);
        out.send(Target::Node(client), Message::Replies(sealed));
    }

    /// A query is answered when everything that was prepared here at its arrival is executed: whatever some client
    /// knows to be done was prepared by f + 1 correct replicas, one of which is in every quorum of answers.
    pub(super) fn on_query(&mut self, query: &Sealed<Query>, out: &mut Out) {
        if self.presence.is_starting() || self.queries.len() >= self.config.queries {
            return;
        }
        let prepared = self
            .log
            .after(self.decided)
            .filter(|(_, entry)| entry.certificate.is_some());
        let after = prepared
            .map(|(slot, _)| slot)
            .next_back()
            .unwrap_or(self.decided);
        self.queries.push_back(Pending {
            after,
            client: query.origin(),
            number: query.value().number,
            query: query.value().query.clone(),
        });
        self.ask_queries(out);
    }

    fn ask_queries(&mut self, out: &mut Out) {
        while let Some(pending) = self.queries.front()
            && pending.after <= self.executed
            && self.asked.len() < self.config.queries
        {
            let Some(Pending {
                client,
                number,
                query,
                ..
            }) = self.queries.pop_front()
            else {
                return;
            };
            let token = self.token();
            self.asked.insert(token, (client, number));
            out.emit(Event::Answer { token, query });
        }
    }

    pub(super) fn on_answered(&mut self, token: u64, reply: Bytes, out: &mut Out) {
        let Some((client, number)) = self.asked.remove(&token) else {
            return;
        };
        let outcome = if self.is_bearer(number) || reply.len() <= SMALL_RESULT {
            Outcome::Full(reply)
        } else {
            Outcome::Digest(hash(&reply))
        };
        let answer = Sealed::new(
            Answer { number, outcome },
            Sealing::MacFor(client),
            &self.keyring,
        );
        out.send(Target::Node(client), Message::Answer(answer));
        self.ask_queries(out);
    }
}

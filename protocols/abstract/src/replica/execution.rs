//! From the history to the application, and back to the clients.

use alloc::vec::Vec;

use borsh::BorshDeserialize;
use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, Slot};
use hedgerow_crypto::{Sealed, Sealing, hash};
use hedgerow_machine::Target;
use hedgerow_ordering::MAX_BATCH;
use hedgerow_wire::List;

use super::{
    Out, Replica,
    log::{POINT_BYTES, remember, with_point},
};
use crate::{
    composition::Kind,
    history::Point,
    messages::{Message, Outcome, Response, Responses, is_member},
};

/// Results up to this size are sent by everyone; of larger ones all but one replica send the digest.
const SMALL_RESULT: usize = 64;
/// How many bytes of results one message may carry, unless it is a single one.
const RESPONSES_BYTES: usize = 1 << 20;

impl Replica {
    pub(super) fn on_executed(
        &mut self,
        slot: Slot,
        replies: Vec<Bytes>,
        state: Digest,
        out: &mut Out,
    ) {
        // Said before it knew of a rollback.
        if self.rollbacks.iter().any(|until| slot > *until) {
            return;
        }
        let Some(entry) = self.history.get_mut(slot) else {
            return;
        };
        assert_eq!(
            entry.batch.operations.len(),
            replies.len(),
            "the application must give one reply per operation"
        );
        let (batch, lsn) = (entry.batch.clone(), entry.lsn);
        let at = Point {
            slot,
            chain: entry.chain,
        };
        let remembered: Vec<_> = replies.iter().map(|reply| with_point(at, reply)).collect();
        remember(&mut self.clients, &batch, &remembered);
        entry.outcome = Some((remembered, state));
        self.executed = slot;
        if self.kind() == Kind::Backup {
            self.backup_executed(slot, out);
            return;
        }
        if self.kind() == Kind::Chain {
            self.chain_executed(&batch, at, &replies, lsn, out);
            return;
        }
        for (op, reply) in batch.operations.iter().zip(&replies) {
            let mine = op.number % self.roster.n() as u64 == u64::from(self.me.0);
            self.respond(op.client, op.number, at, reply, mine, lsn);
        }
    }

    /// Answers a request that was executed before; says whether it was, or is on its way.
    pub(super) fn answer_again(&mut self, client: NodeId, number: u64) -> bool {
        if self.is_fresh(client, number) {
            return false;
        }
        if self.kind() == Kind::Chain {
            self.chain_asked(client, number);
        } else if self.takes_part()
            && self.kind() != Kind::Backup
            && let Some((at, reply)) = self.remembered(client, number)
        {
            self.respond_again(client, number, at, &reply);
        }
        true
    }

    /// What was executed before, once more, in full.
    pub(super) fn respond_again(&mut self, client: NodeId, number: u64, at: Point, reply: &Bytes) {
        let entry = self.history.get(at.slot);
        let lsn = entry.map_or(Lsn::ZERO, |entry| entry.lsn);
        self.respond(client, number, at, reply, true, lsn);
    }

    /// The reply to a client's number, and where it was given.
    pub(super) fn remembered(&self, client: NodeId, number: u64) -> Option<(Point, Bytes)> {
        let bytes = self.clients.reply(client, number)?;
        let end = bytes.len().checked_sub(POINT_BYTES)?;
        let at = Point::try_from_slice(bytes.get(end..)?).ok()?;
        Some((at, bytes.slice(..end)))
    }

    fn respond(
        &mut self,
        client: NodeId,
        number: u64,
        at: Point,
        reply: &Bytes,
        full: bool,
        lsn: Lsn,
    ) {
        if !is_member(client, self.keyring.members()) || !self.takes_part() {
            return;
        }
        let outcome = if full || reply.len() <= SMALL_RESULT {
            Outcome::Full(reply.clone())
        } else {
            Outcome::Digest(hash(reply))
        };
        let response = Response {
            number,
            at,
            outcome,
        };
        self.responses
            .entry(client)
            .or_default()
            .push((response, lsn));
    }

    /// One message per client and burst, once what it tells is on disk.
    pub(super) fn flush_responses(&mut self, out: &mut Out) {
        for (client, list) in core::mem::take(&mut self.responses) {
            let (mut part, mut bytes, mut after) = (Vec::new(), 0, Lsn::ZERO);
            for (response, lsn) in list {
                let size = match &response.outcome {
                    Outcome::Full(result) => result.len() + 64,
                    Outcome::Digest(_) => 96,
                };
                if part.len() >= MAX_BATCH || (bytes + size > RESPONSES_BYTES && !part.is_empty()) {
                    self.send_responses(client, core::mem::take(&mut part), after, out);
                    bytes = 0;
                }
                bytes += size;
                after = after.max(lsn);
                part.push(response);
            }
            self.send_responses(client, part, after, out);
        }
    }

    fn send_responses(&self, client: NodeId, list: Vec<Response>, after: Lsn, out: &mut Out) {
        let responses = Responses {
            instance: self.instance,
            list: List::new(list).unwrap_or_default(),
        };
        let sealed = Sealed::new(responses, Sealing::MacFor(client), &self.keyring);
        out.send_after(after, Target::Node(client), Message::Responses(sealed));
    }
}

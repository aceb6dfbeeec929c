//! Where each message and command goes; requests and their relaying (§4.1).

use alloc::{sync::Arc, vec::Vec};

use hedgerow_base::NodeId;
use hedgerow_crypto::Sealed;
use hedgerow_machine::Target;
use hedgerow_ordering::{Command, MAX_BATCH, MAX_BATCH_BYTES};

use super::{Out, Replica, requests::is_signed};
use crate::messages::{Evidence, Message, Request};

impl Replica {
    pub(super) fn on_message(&mut self, from: NodeId, message: Message, out: &mut Out) {
        match message {
            Message::Requests(requests) => self.on_requests(from, &requests),
            Message::Query(query) => self.on_query(&query, out),
            Message::PrePrepare(pre_prepare, body) => {
                self.hear(pre_prepare.origin(), || {
                    Evidence::PrePrepare(pre_prepare.clone())
                });
                self.on_pre_prepare(pre_prepare, body, out);
            }
            Message::Prepare(vote) => {
                self.hear(vote.origin(), || Evidence::Prepare(vote.clone()));
                self.on_prepare(vote, out);
            }
            Message::Commit(vote) => {
                self.hear(vote.origin(), || Evidence::Commit(vote.clone()));
                self.on_commit(vote, out);
            }
            Message::Checkpoint(vote) => self.on_checkpoint(vote, out),
            Message::ViewChange(change) => {
                self.hear(change.origin(), || Evidence::ViewChange(change.clone()));
                self.on_view_change(change, out);
            }
            Message::NewView(proof) => self.on_new_view(proof, out),
            Message::Status(status) => self.on_status(from, &status, out),
            Message::Doubt(client) => self.on_doubt(from, client),
            Message::WantBodies(digests) => self.on_want_bodies(from, &digests, out),
            Message::Body(body) => self.on_body(body, out),
            Message::Fetch(fetch) => self.on_fetch(from, fetch, out),
            Message::Decided(list) => self.on_decided(from, list),
            Message::Hello(hello) => self.on_hello(from, hello, out),
            Message::Welcome(welcome) => self.on_welcome(from, welcome, out),
            // For clients.
            Message::Replies(_) | Message::Answer(_) => {}
        }
    }

    /// Remembers the last thing that another replica said: should it forget, it can be reminded.
    pub(super) fn hear(&mut self, origin: NodeId, evidence: impl FnOnce() -> Evidence) {
        if origin == self.me {
            return;
        }
        let evidence = evidence();
        let known = self.heard.get(&origin).map(Evidence::lsn);
        if known.is_none_or(|known| known < evidence.lsn()) {
            self.heard.insert(origin, evidence);
        }
    }

    pub(super) fn on_command(&mut self, command: Command, out: &mut Out) {
        match command {
            Command::Executed {
                slot,
                replies,
                state,
            } => self.on_executed(slot, &replies, state, out),
            Command::Stored(slot) => self.on_stored(slot, out),
            Command::Answered { token, reply } => self.on_answered(token, reply, out),
            Command::Loaded { token, slot, batch } => self.on_loaded(token, slot, batch),
            // Nothing is ever rolled back here.
            Command::RolledBack(slot) => {
                panic!("the application rolled back to slot {slot}, and nobody asked for it")
            }
            // For clients.
            Command::Invoke { .. }
            | Command::Read { .. }
            // For whoever hosts this protocol in an epoch.
            | Command::EndEpoch { .. }
            | Command::Epoch(_) => {}
        }
    }

    /// Requests come from their client, or relayed by a backup: to the primary, or to all by one that has left the view for
    /// its sake. One that was executed is answered again; a signed one that a backup gets is watched, and relayed to the
    /// primary if it comes from its client.
    fn on_requests(&mut self, from: NodeId, requests: &Arc<[Sealed<Request>]>) {
        for request in requests.iter() {
            let (client, number) = (request.origin(), request.value().number);
            if self
                .numbers
                .get(&client)
                .is_some_and(|used| !used.is_fresh(number))
            {
                if from == client
                    && let Some(reply) = self.clients.reply(client, number).cloned()
                {
                    // Again and in full: the designated replier may be the one that fails.
                    self.queue_reply(client, number, &reply, true);
                }
                continue;
            }
            let new = self.requests.add(request.clone(), &self.config);
            if is_signed(request) && !self.is_primary() {
                if new {
                    self.requests.watch(client, number);
                }
                if from == client {
                    self.relays.push(request.clone());
                }
            }
            // A batch may wait for just this request.
            self.retry_held = self.retry_held || new;
        }
    }

    /// Relays in one message per burst.
    pub(super) fn flush_relays(&mut self, out: &mut Out) {
        if core::mem::take(&mut self.retry_held) {
            let held = self
                .log
                .after(self.decided)
                .filter(|(_, entry)| entry.held.is_some());
            let held: Vec<_> = held.map(|(slot, _)| slot).collect();
            for slot in held {
                self.try_held(slot, out);
            }
        }
        if self.relays.is_empty() {
            return;
        }
        let relays = core::mem::take(&mut self.relays);
        if self.changing || self.is_primary() {
            return; // They wait here; the next view's primary gets them when it begins.
        }
        for part in in_parts(relays) {
            out.send(Target::Node(self.primary()), Message::Requests(part.into()));
        }
    }
}

/// Requests in messages of a bounded size.
pub(crate) fn in_parts(requests: Vec<Sealed<Request>>) -> Vec<Vec<Sealed<Request>>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for request in requests {
        let size = request.body().len();
        if part.len() >= MAX_BATCH || (bytes + size > MAX_BATCH_BYTES && !part.is_empty()) {
            parts.push(core::mem::take(&mut part));
            bytes = 0;
        }
        bytes += size;
        part.push(request);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

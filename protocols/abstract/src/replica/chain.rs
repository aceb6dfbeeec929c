//! Chain (§5.3): the head gives each batch its place, every replica passes it to the next, and the tail answers. Each
//! convinces the f + 1 after it by a chain authenticator; the last f + 1 execute before they pass on, and vouch to the
//! clients.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, NodeSet, Slot, Time};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_ordering::{Batch, Operation};

use super::{Out, Replica, batching::batch, switching::Cause};
use crate::{
    composition::{Instance, Kind},
    history::{Point, chain, entry_digest, results_digest},
    messages::{Carried, ChainReply, Chained, Link, MAX_FRAME, Message, Proposal, Request, Vouch},
};

/// How many batches that came before their turn are kept.
const EARLY: usize = 64;
/// How many requests that were asked for again wait for the history to be confirmed.
const ASKED: usize = 4096;

/// What a replica knows of a Chain beside the history.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// Batches that came before their turn, of this instance and of the next one.
    early: BTreeMap<(Instance, Slot), Arc<Chained>>,
    /// At the last f + 1: what is passed on once it is executed.
    executing: BTreeMap<Slot, (Link, Arc<Chained>)>,
    /// Up to where the links have shown that all correct replicas before this one have the same history.
    confirmed: Slot,
    /// A batch did not convince: nothing is logged in this instance any more.
    deaf: bool,
    /// What was executed before and asked for again, until the history is confirmed as far.
    asked: BTreeSet<(NodeId, u64)>,
    /// At the head: whether it has passed its init history down.
    begun: bool,
    /// Which client alone has had batches logged, and since when.
    alone: Option<(NodeId, Time)>,
}

impl Chain {
    fn has_room(&self, instance: Instance) -> bool {
        let all = (instance, Slot::ZERO)..=(instance, Slot(u64::MAX));
        self.early.range(all).count() < EARLY
    }

    /// An instance begins.
    pub(super) fn restart(&mut self, instance: Instance) {
        let early = core::mem::take(&mut self.early).split_off(&(instance, Slot::ZERO));
        *self = Self {
            early,
            ..Self::default()
        };
    }
}

impl Replica {
    fn position(&self) -> usize {
        let composition = self.config.composition;
        composition.position(self.instance, self.roster, self.me)
    }

    fn vouches(&self) -> bool {
        self.position() >= 2 * self.roster.f()
    }

    /// The head shows all others what it began with: only then do the last f + 1 know that an answer to a request of the
    /// init history can't be taken back.
    pub(super) fn confirm_init(&mut self, out: &mut Out) {
        if core::mem::replace(&mut self.chain.begun, true) || self.history.head().slot == Slot::ZERO
        {
            return;
        }
        let nothing = self.carried(&[], &[].into());
        self.pass_on(None, nothing, self.link(0), Vec::new(), out.last(), out);
    }

    /// What the head says of the history so far.
    fn link(&self, time_ms: u64) -> Link {
        Link {
            instance: self.instance,
            time_ms,
            at: self.history.head(),
        }
    }

    /// C2: the head logs a batch and passes it on.
    pub(super) fn head_chain(&mut self, requests: Vec<Sealed<Request>>, out: &mut Out) {
        let time_ms = self.now.as_millis();
        let batch = batch(self.history.head().slot.next(), time_ms, &requests);
        self.note_clients(&batch);
        let carried = self.carried(&requests, &batch.operations);
        self.log(batch, out);
        let link = self.link(time_ms);
        self.pass_on(None, carried, link, Vec::new(), out.last(), out);
        self.chain_load(out);
    }

    /// C3, its first half: what the replica before says is kept until it is its turn.
    pub(super) fn on_chain(&mut self, from: NodeId, chained: &Arc<Chained>, out: &mut Out) {
        let Some(link) = chained.links.last().map(Sealed::value) else {
            return;
        };
        if link.instance < self.instance {
            self.show_init(from, out);
            return;
        }
        self.note_instance(from, link.instance, out);
        // Of the next instance, too: others may have begun it. What a liar fills is one instance's share.
        let near = link.instance <= self.instance.next();
        let key = (link.instance, link.at.slot);
        if near && self.is_well_linked(from, chained, *link) && self.chain.has_room(link.instance) {
            let early = self.chain.early.entry(key);
            early.or_insert_with(|| chained.clone());
        }
        self.chain_room(out);
    }

    /// Whether it comes from the replica before, under the seals of the up to f + 1 before, on the same link.
    fn is_well_linked(&self, from: NodeId, chained: &Chained, link: Link) -> bool {
        let (composition, roster) = (self.config.composition, self.roster);
        let position = composition.position(link.instance, roster, self.me);
        let count = position.min(roster.f() + 1);
        let before =
            (position - count..position).map(|at| composition.at(link.instance, roster, at));
        let origins = chained.links.iter().map(|said| Some(said.origin()));
        composition.kind(link.instance) == Kind::Chain
            && chained.links.len() == count
            && before.eq(origins)
            && chained.links.last().map(Sealed::origin) == Some(from)
            && chained.links.iter().all(|said| *said.value() == link)
            && chained.vouched.len() == position.saturating_sub(2 * roster.f())
    }

    /// C3: takes the batches whose turn it is, as far as the history has room for them.
    pub(super) fn chain_room(&mut self, out: &mut Out) {
        while self.kind() == Kind::Chain && self.takes_part() && !self.chain.deaf {
            let (instance, head) = (self.instance, self.history.head());
            while let Some(entry) = self.chain.early.first_entry()
                && *entry.key() < (instance, head.slot)
            {
                entry.remove();
            }
            if let Some(chained) = self.chain.early.remove(&(instance, head.slot)) {
                self.take_confirmation(&chained, out);
            } else if self.has_room()
                && let Some(chained) = self.chain.early.remove(&(instance, head.slot.next()))
            {
                self.take_chained(chained, out);
            } else {
                return;
            }
        }
    }

    fn take_confirmation(&mut self, chained: &Chained, out: &mut Out) {
        let Some(link) = chained.links.last().map(|said| *said.value()) else {
            return;
        };
        if !chained.batch.is_empty() {
            return;
        }
        if link.at == self.history.head() {
            let vouched =
                alloc::vec![Vec::new(); chained.vouched.len() + usize::from(self.vouches())];
            let nothing = self.carried(&[], &[].into());
            self.pass_on(Some(chained), nothing, link, vouched, out.last(), out);
        } else {
            self.chain.deaf = true;
        }
    }

    fn take_chained(&mut self, chained: Arc<Chained>, out: &mut Out) {
        let Some(link) = chained.links.last().map(|said| *said.value()) else {
            return;
        };
        let head = self.history.head();
        let (slot, time_ms) = (head.slot.next(), link.time_ms);
        let (batch, requests, convincing) = match &chained.batch {
            Carried::Sealed(proposal) => {
                let batch = batch(slot, time_ms, &proposal.requests);
                (batch, &proposal.requests[..], proposal.convincing)
            }
            Carried::Plain(operations) => {
                let operations = operations.clone();
                let batch = Batch {
                    slot,
                    time_ms,
                    operations,
                };
                (batch, &[][..], true)
            }
        };
        let entry = entry_digest(link.time_ms, &batch.operations);
        if !convincing || !self.is_acceptable(&batch) || chain(head, entry) != link.at {
            self.chain.deaf = true;
            return;
        }
        self.note_clients(&batch);
        let carried = self.carried(requests, &batch.operations);
        self.log_known(batch, entry, out);
        self.chain.confirmed = link.at.slot;
        if self.vouches() {
            self.chain.executing.insert(link.at.slot, (link, chained));
        } else {
            self.pass_on(Some(&chained), carried, link, Vec::new(), out.last(), out);
        }
        self.chain_load(out);
    }

    /// The last f + 1: the batch is executed. It is passed on when those before had the same results.
    pub(super) fn chain_executed(
        &mut self,
        batch: &Batch,
        at: Point,
        replies: &[Bytes],
        lsn: Lsn,
        out: &mut Out,
    ) {
        let Some((link, chained)) = self.chain.executing.remove(&at.slot) else {
            return;
        };
        if !self.takes_part() || self.chain.deaf {
            return;
        }
        let words = words(self.instance, batch, at, replies);
        let alike = chained.vouched.iter().all(|list| {
            list.len() == words.len()
                && list
                    .iter()
                    .zip(&words)
                    .all(|(said, word)| *said.value() == word.vouch)
        });
        if !alike {
            self.chain.deaf = true;
            return;
        }
        let mine = words
            .iter()
            .map(|word| Sealed::new(word.vouch, Sealing::MacFor(word.client), &self.keyring));
        let mut vouched = chained.vouched.clone();
        vouched.push(mine.collect());
        if self.position() + 1 < self.roster.n() {
            let carried = self.carried(&[], &batch.operations);
            self.pass_on(Some(&chained), carried, link, vouched, lsn, out);
        } else {
            tell_clients(words, &vouched, lsn, out);
        }
    }

    /// A batch as this replica passes it on: the last to check the clients' seals is the first f + 1's last.
    fn carried(&self, requests: &[Sealed<Request>], operations: &Arc<[Operation]>) -> Carried {
        if self.position() < self.roster.f() {
            Carried::Sealed(Proposal {
                requests: requests.to_vec(),
                convincing: true,
            })
        } else {
            Carried::Plain(operations.clone())
        }
    }

    /// Passes a batch, or a confirmation, to the next replica under one's own chain authenticator.
    fn pass_on(
        &mut self,
        chained: Option<&Chained>,
        batch: Carried,
        link: Link,
        vouched: Vec<Vec<Sealed<Vouch>>>,
        lsn: Lsn,
        out: &mut Out,
    ) {
        self.chain.confirmed = self.chain.confirmed.max(link.at.slot);
        let (composition, instance) = (self.config.composition, self.instance);
        let (position, f) = (self.position(), self.roster.f());
        let Some(next) = composition.at(instance, self.roster, position + 1) else {
            return;
        };
        let after = position + 1..=position + f + 1;
        let successors: NodeSet = after
            .filter_map(|position| composition.at(instance, self.roster, position))
            .collect();
        let mine = Sealed::new(link, Sealing::MacsFor(successors), &self.keyring);
        let before = chained.map_or(&[][..], |chained| &chained.links);
        let mut links = before[before.len().saturating_sub(f)..].to_vec();
        links.push(mine);
        let message = Chained {
            links,
            batch,
            vouched,
        };
        let message = Message::Chain(Arc::new(message));
        out.send_after(lsn, Target::Node(next), message);
    }

    /// A client asks again for what was executed before. Only the last f + 1 may answer, and only where the history is
    /// confirmed: the others need not have begun with the same init history.
    pub(super) fn chain_asked(&mut self, client: NodeId, number: u64) {
        if self.vouches() && self.chain.asked.len() < ASKED {
            self.chain.asked.insert((client, number));
        }
    }

    /// Answers what was asked for again.
    pub(super) fn chain_answer(&mut self) {
        if self.chain.asked.is_empty() || self.kind() != Kind::Chain || !self.takes_part() {
            return;
        }
        let safe = self.chain.confirmed.max(self.finished);
        let asked = core::mem::take(&mut self.chain.asked);
        for (client, number) in asked {
            let known = self.remembered(client, number);
            match known {
                Some((at, reply)) if at.slot <= safe => {
                    self.respond_again(client, number, at, &reply);
                }
                // Too old to be remembered.
                None if self.executed == self.history.head().slot => {}
                _ => {
                    self.chain.asked.insert((client, number));
                }
            }
        }
    }

    fn note_clients(&mut self, batch: &Batch) {
        for op in &*batch.operations {
            if self
                .chain
                .alone
                .is_none_or(|(client, _)| client != op.client)
            {
                self.chain.alone = Some((op.client, self.now));
            }
        }
    }

    /// For how long a single client has had this Chain to itself: Quorum would serve it better (§5.4).
    pub(super) fn is_chain_idle(&self, least: core::time::Duration) -> bool {
        let since = self.chain.alone.map(|(_, since)| since);
        self.kind() == Kind::Chain && since.is_some_and(|since| since.plus(least) <= self.now)
    }

    fn chain_load(&mut self, out: &mut Out) {
        if self.leads()
            && self.config.composition.has(Kind::Quorum)
            && self.is_chain_idle(self.config.chain_alone)
        {
            self.give_up(Cause::Alone, out);
        }
    }
}

/// The tail's word to the clients.
fn tell_clients(words: Vec<Word>, vouched: &[Vec<Sealed<Vouch>>], lsn: Lsn, out: &mut Out) {
    for (index, word) in words.into_iter().enumerate() {
        let vouched = vouched.iter().filter_map(|list| list.get(index).cloned());
        let reply = ChainReply {
            vouched: vouched.collect(),
            results: word.results,
        };
        let to = Target::Node(word.client);
        out.send_after(lsn, to, Message::ChainReply(Arc::new(reply)));
    }
}

/// What is said to one client of a batch.
struct Word {
    client: NodeId,
    vouch: Vouch,
    results: Vec<(u64, Bytes)>,
}

/// What is said to the clients of a batch, in the order of their first requests in it; in parts that fit into a frame.
fn words(instance: Instance, batch: &Batch, at: Point, replies: &[Bytes]) -> Vec<Word> {
    let mut words = Vec::<Word>::new();
    // Where each client's last part is, and how many bytes it has.
    let mut open = BTreeMap::<NodeId, (usize, usize)>::new();
    for (op, reply) in batch.operations.iter().zip(replies) {
        let (index, bytes) = open.entry(op.client).or_insert((usize::MAX, 0));
        if *index == usize::MAX || *bytes + reply.len() > MAX_FRAME / 4 {
            (*index, *bytes) = (words.len(), 0);
            words.push(Word {
                client: op.client,
                vouch: Vouch {
                    instance,
                    at,
                    results: Digest::ZERO,
                },
                results: Vec::new(),
            });
        }
        *bytes += reply.len();
        if let Some(word) = words.get_mut(*index) {
            word.results.push((op.number, reply.clone()));
        }
    }
    for word in &mut words {
        word.vouch.results = results_digest(&word.results);
    }
    words
}

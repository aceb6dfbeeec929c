//! The client (§4.1, §5.1): sends requests to the primary, to everyone when that does not help, and believes what f + 1
//! replicas say; for a query, what a quorum says.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::time::Duration;

use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, NodeSet, Roster, Slot, Time, View};
use hedgerow_clients::Outstanding;
use hedgerow_crypto::{Keyring, Sealed, Sealing, hash};
use hedgerow_machine::{Input, Machine, Outbox, Target};
use hedgerow_ordering::{Command, Event, MAX_OPERATION, MAX_REPLY, Phase, Snapshot};

use crate::{
    Pbft,
    config::{Config, ConfigError},
    messages::{Message, Outcome, Query, Request},
    replica::{REPLY_OVERHEAD, in_parts},
};

type Out = Outbox<Pbft>;

/// A client: in production a gateway.
#[derive(Debug)]
pub struct Client {
    config: Config,
    keyring: Arc<Keyring>,
    roster: Roster,
    now: Time,
    /// The last view in which each replica replied.
    views: BTreeMap<NodeId, View>,
    view: View,
    /// The last number used.
    last: u64,
    requests: BTreeMap<u64, Invocation>,
    queries: BTreeMap<u64, Invocation>,
    /// How large the replies were to what is answered after the oldest request that is not: the replicas remember so
    /// many bytes only.
    answered: BTreeMap<u64, usize>,
    /// About the largest reply lately; it shrinks with every smaller one.
    largest: usize,
    fresh: Vec<Sealed<Request>>,
    /// Replicas whose connections broke.
    unreachable: NodeSet,
    due: Option<Time>,
}

/// Something that waits for replies.
#[derive(Debug)]
struct Invocation {
    ticket: u64,
    operation: Bytes,
    /// What each replica says the result is, and the results that came in full.
    votes: BTreeMap<NodeId, Digest>,
    results: BTreeMap<Digest, Bytes>,
    /// When to try again, and how long to wait after that.
    due: Time,
    patience: Duration,
    /// The signed request, once it was needed.
    signed: Option<Sealed<Request>>,
}

impl Invocation {
    /// Takes one replica's word; says what `needed` of them agree on, once the result itself is there.
    fn hear(&mut self, from: NodeId, outcome: &Outcome, needed: usize) -> Option<Bytes> {
        let digest = match outcome {
            Outcome::Digest(digest) => *digest,
            Outcome::Full(result) => {
                let digest = hash(result);
                // One result per replica at most: a replica that changes its mind takes the old one away.
                if let Some(old) = self.votes.get(&from).copied()
                    && old != digest
                    && self.votes.values().filter(|&&vote| vote == old).count() == 1
                {
                    self.results.remove(&old);
                }
                self.results.insert(digest, result.clone());
                digest
            }
        };
        self.votes.insert(from, digest);
        let agree = self.votes.values().filter(|&&vote| vote == digest).count();
        if agree < needed {
            return None;
        }
        self.results.get(&digest).cloned()
    }
}

impl Client {
    /// A client. Its numbers follow `last`; no earlier life may have used one above it, or it takes the reply to an old
    /// request for that to a new one.
    ///
    /// # Errors
    /// When a bound of the configuration does not hold.
    pub fn new(config: Config, keyring: Arc<Keyring>, last: u64) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            roster: keyring.roster(),
            now: Time::ZERO,
            views: BTreeMap::new(),
            view: View::ZERO,
            last,
            requests: BTreeMap::new(),
            queries: BTreeMap::new(),
            answered: BTreeMap::new(),
            // Cautious until the first replies show how large they are.
            largest: config.client_reply_bytes / 32,
            fresh: Vec::new(),
            unreachable: NodeSet::EMPTY,
            due: None,
            config,
            keyring,
        })
    }

    /// The last number that it used.
    #[must_use]
    pub const fn last_number(&self) -> u64 {
        self.last
    }

    /// What it waits for; another client takes it on.
    #[must_use]
    pub fn outstanding(self) -> Outstanding {
        let requests = self.requests.into_iter();
        let queries = self.queries.into_values();
        Outstanding {
            last: self.last,
            invocations: requests
                .map(|(number, one)| (number, one.ticket, one.operation))
                .collect(),
            queries: queries.map(|one| (one.ticket, one.operation)).collect(),
        }
    }

    /// The same client, which takes on what another one has waited for, whose last number it was made with; to be done
    /// before it is asked for anything.
    #[must_use]
    pub fn taking_on(mut self, now: Time, outstanding: Outstanding) -> Self {
        self.now = now;
        for (number, ticket, operation) in outstanding.invocations {
            self.invoke_as(number, ticket, operation);
        }
        // They were not executed: a number is theirs alone when they are ordered.
        for (ticket, query) in outstanding.queries {
            self.invoke(ticket, query);
        }
        self
    }

    fn invocation(&self, ticket: u64, operation: Bytes) -> Invocation {
        Invocation {
            ticket,
            operation,
            votes: BTreeMap::new(),
            results: BTreeMap::new(),
            due: self.now.plus(self.config.client_retry),
            patience: self.config.client_retry,
            signed: None,
        }
    }

    /// The next number.
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn invoke(&mut self, ticket: u64, operation: Bytes) {
        assert!(
            operation.len() <= MAX_OPERATION,
            "the application invoked an operation that is larger than the protocol carries"
        );
        let number = self.number();
        self.invoke_as(number, ticket, operation);
    }

    fn invoke_as(&mut self, number: u64, ticket: u64, operation: Bytes) {
        let request = Request {
            number,
            operation: operation.clone(),
        };
        let sealed = Sealed::new(request, Sealing::Authenticator, &self.keyring);
        self.fresh.push(sealed);
        let invocation = self.invocation(ticket, operation);
        self.requests.insert(number, invocation);
    }

    fn read(&mut self, ticket: u64, query: Bytes, out: &mut Out) {
        assert!(
            query.len() <= MAX_OPERATION,
            "the application asked a query that is larger than the protocol carries"
        );
        let number = self.number();
        let invocation = self.invocation(ticket, query.clone());
        self.queries.insert(number, invocation);
        let sealed = Sealed::new(
            Query { number, query },
            Sealing::Authenticator,
            &self.keyring,
        );
        out.send(Target::Others, Message::Query(sealed));
    }

    fn on_message(&mut self, message: Message, out: &mut Out) {
        match message {
            Message::Replies(replies) => {
                let from = replies.origin();
                self.note_view(from, replies.value().view);
                for (number, outcome) in replies.value().list.iter() {
                    self.on_reply(from, *number, outcome, out);
                }
            }
            Message::Answer(answer) => {
                self.on_answer(
                    answer.origin(),
                    answer.value().number,
                    &answer.value().outcome,
                    out,
                );
            }
            _ => {}
        }
    }

    fn on_reply(&mut self, from: NodeId, number: u64, outcome: &Outcome, out: &mut Out) {
        if too_large(outcome) {
            return;
        }
        let needed = self.roster.weak();
        let Some(invocation) = self.requests.get_mut(&number) else {
            return;
        };
        if let Some(result) = invocation.hear(from, outcome, needed) {
            let ticket = invocation.ticket;
            self.requests.remove(&number);
            self.note_size(number, result.len());
            complete(ticket, &result, out);
        }
    }

    /// Counts a reply that the replicas remember.
    fn note_size(&mut self, number: u64, size: usize) {
        self.largest = size.max(self.largest - self.largest.div_ceil(32));
        self.answered.insert(number, size + REPLY_OVERHEAD);
        let oldest = self.requests.keys().next().copied().unwrap_or(u64::MAX);
        while let Some(entry) = self.answered.first_entry()
            && *entry.key() < oldest
        {
            entry.remove();
        }
    }

    /// How many more replies the replicas can be expected to remember without forgetting the oldest that is awaited.
    /// One that they forget can't be had any more: its number is used. Replies that are not here yet count as twice the
    /// largest lately, or as their share.
    fn room_for_replies(&self) -> usize {
        let awaited = self.requests.len() + self.queries.len();
        let share = self.config.client_reply_bytes / (2 * self.config.client_outstanding);
        let each = share.max(2 * self.largest) + REPLY_OVERHEAD;
        let answered: usize = self.answered.values().sum();
        let room = self.config.client_reply_bytes.saturating_sub(answered) / each;
        // The latest reply is always remembered.
        room.max(1).saturating_sub(awaited)
    }

    /// A query is done when a quorum gives the same answer; when they can't any more, or it takes too long, it is ordered.
    fn on_answer(&mut self, from: NodeId, number: u64, outcome: &Outcome, out: &mut Out) {
        if too_large(outcome) {
            return;
        }
        let (needed, n) = (self.roster.quorum(), self.roster.n());
        let Some(query) = self.queries.get_mut(&number) else {
            return;
        };
        if let Some(result) = query.hear(from, outcome, needed) {
            let ticket = query.ticket;
            self.queries.remove(&number);
            complete(ticket, &result, out);
            return;
        }
        let mut tally = BTreeMap::<Digest, usize>::new();
        for vote in query.votes.values() {
            *tally.entry(*vote).or_default() += 1;
        }
        let best = tally.into_values().max().unwrap_or(0);
        if best + n - query.votes.len() < needed {
            self.order_query(number);
        }
    }

    fn order_query(&mut self, number: u64) {
        if let Some(query) = self.queries.remove(&number) {
            self.invoke(query.ticket, query.operation);
        }
    }

    /// The view of a correct replica at least: the highest that f + 1 replicas have reached.
    fn note_view(&mut self, from: NodeId, view: View) {
        let known = self.views.entry(from).or_default();
        if view <= *known {
            return;
        }
        *known = view;
        let mut views: Vec<_> = self.views.values().copied().collect();
        views.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(&vouched) = views.get(self.roster.weak() - 1) {
            self.view = self.view.max(vouched);
        }
    }

    /// What the primary had will not be answered when it can't be reached.
    fn on_link(&mut self, peer: NodeId, up: bool) {
        self.unreachable.set(peer, !up);
        if !up && peer == self.roster.primary(self.view) {
            for invocation in self.requests.values_mut() {
                invocation.due = self.now;
            }
        }
    }

    /// What waits too long: requests go to everyone, signed, so that everyone can pass them on; queries are ordered.
    fn on_deadline(&mut self, out: &mut Out) {
        let now = self.now;
        let late = self.queries.iter().filter(|(_, query)| query.due <= now);
        let late: Vec<_> = late.map(|(&number, _)| number).collect();
        for number in late {
            self.order_query(number);
        }
        let mut again = Vec::new();
        for (&number, invocation) in self.requests.iter_mut().filter(|(_, i)| i.due <= now) {
            invocation.patience = (invocation.patience * 2).min(self.config.client_retry_max);
            invocation.due = now.plus(invocation.patience);
            let signed = invocation.signed.get_or_insert_with(|| {
                let request = Request {
                    number,
                    operation: invocation.operation.clone(),
                };
                Sealed::new(request, Sealing::Signature, &self.keyring)
            });
            again.push(signed.clone());
        }
        for part in in_parts(again) {
            out.send(Target::Others, Message::Requests(part.into()));
        }
    }
}

fn too_large(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Full(result) if result.len() > MAX_REPLY)
}

fn complete(ticket: u64, result: &Bytes, out: &mut Out) {
    out.emit(Event::Completed {
        ticket,
        reply: result.to_vec(),
    });
}

impl Machine<Pbft> for Client {
    fn step(&mut self, now: Time, input: Input<Pbft>, out: &mut Out) {
        self.now = self.now.max(now);
        match input {
            Input::Message { message, .. } => self.on_message(message, out),
            Input::Command(Command::Invoke { ticket, operation }) => self.invoke(ticket, operation),
            Input::Command(Command::Read { ticket, query }) => self.read(ticket, query, out),
            Input::Link { peer, up } => self.on_link(peer, up),
            Input::Deadline => self.on_deadline(out),
            // For replicas; and a client keeps no log.
            Input::Command(_) | Input::Rejected { .. } | Input::Durable(_) => {}
        }
    }

    /// New requests go to the primary, those of a burst in one message.
    fn settle(&mut self, now: Time, out: &mut Out) {
        self.now = self.now.max(now);
        let primary = self.roster.primary(self.view);
        let fresh = core::mem::take(&mut self.fresh);
        if !fresh.is_empty() && self.unreachable.contains(primary) {
            for request in fresh {
                if let Some(invocation) = self.requests.get_mut(&request.value().number) {
                    invocation.due = self.now;
                }
            }
            self.on_deadline(out);
        } else {
            for part in in_parts(fresh) {
                out.send(Target::Node(primary), Message::Requests(part.into()));
            }
        }
        let waiting = self.requests.values().chain(self.queries.values());
        self.due = waiting.map(|invocation| invocation.due).min();
    }

    fn deadline(&self) -> Option<Time> {
        self.due
    }

    /// So many that no number falls out of the replicas' window, and no reply out of their memory, while it waits.
    fn credit(&self) -> usize {
        let under_way = self.requests.len() + self.queries.len();
        let spread = self
            .requests
            .keys()
            .next()
            .map_or(0, |oldest| self.last - oldest);
        let room = self
            .config
            .client_window
            .saturating_sub(spread + self.queries.len() as u64);
        // A query that is ordered after all has used two numbers.
        let room = usize::try_from(room)
            .unwrap_or(usize::MAX)
            .saturating_sub(1)
            / 2;
        let room = if under_way == 0 { room.max(1) } else { room };
        self.config
            .client_outstanding
            .saturating_sub(under_way)
            .min(room)
            .min(self.room_for_replies())
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            consensus: "pbft",
            protocol: "pbft",
            switched: None,
            phase: Phase::Client,
            view: self.view,
            primary: self.roster.primary(self.view),
            decided: Slot::ZERO,
            executed: Slot::ZERO,
            stable: Slot::ZERO,
            pending: self.requests.len() + self.queries.len(),
            view_changes: self.view.0,
            heard: NodeSet::EMPTY,
        }
    }
}

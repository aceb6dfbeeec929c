//! The client side of every instance (§4.2 Z1, Z4, P1, P3; §5.2 Q1, Q3; §4.3), and of their composition (§3.3): it goes on to
//! the next instance with the first proof that the present one is over.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use core::time::Duration;

use borsh::BorshDeserialize;
use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, NodeSet, Roster, Slot, Time, View};
use hedgerow_clients::Outstanding;
use hedgerow_crypto::{Keyring, Sealed, Sealing, hash};
use hedgerow_machine::{Effect, Input, Machine, Outbox, Target};
use hedgerow_ordering::{
    Command, Event, MAX_BATCH, MAX_BATCH_BYTES, MAX_OPERATION, Phase, Snapshot,
};
use hedgerow_pbft::Pbft;
use hedgerow_wire::List;

use crate::{
    Abstract,
    abort::{Aborts, extract},
    composition::{Instance, Kind},
    config::{Config, ConfigError},
    history::{Point, results_digest},
    messages::{
        BackupReply, ChainReply, Feedback, Init, Message, Outcome, Panic, Request, Response,
        Responses,
    },
    replica::backup_operation,
};

/// After how many commits a robust composition's client says how they went (§6.3).
const FEEDBACK_EVERY: usize = 5;
/// How many different results of one request are kept: there is one, or replicas lie.
const RESULTS: usize = 8;

type Out = Outbox<Abstract>;

/// A client: in production a gateway.
#[derive(Debug)]
pub struct Client {
    config: Config,
    keyring: Arc<Keyring>,
    roster: Roster,
    now: Time,
    instance: Instance,
    init: Option<Arc<Init>>,
    /// Whether the replicas may not know yet that the instance has begun.
    show_init: bool,
    aborts: Aborts,
    /// The last number used.
    last: u64,
    requests: BTreeMap<u64, Invocation>,
    fresh: Vec<u64>,
    /// Whether those were said in an instance before: its history may have them, and then all replicas answer.
    again: bool,
    /// When to panic again.
    panic_at: Option<Time>,
    backup: Option<(Box<hedgerow_pbft::Client>, Outbox<Pbft>)>,
    switches: u64,
    switched: Option<(Time, &'static str)>,
    /// Whether it has panicked in this instance.
    panicked: bool,
    /// Replicas whose connections broke.
    unreachable: NodeSet,
    /// In a robust composition: commits that the replicas were not told of, and the microseconds that each took.
    untold: Vec<(u64, u32)>,
}

/// A request that waits for its commit.
#[derive(Debug)]
struct Invocation {
    ticket: u64,
    request: Sealed<Request>,
    /// What each replica says in this instance, and the results that came in full.
    votes: BTreeMap<NodeId, (Point, Digest)>,
    results: BTreeMap<Digest, Bytes>,
    /// When it was said first in this instance.
    began: Time,
    due: Time,
    patience: Duration,
}

impl Invocation {
    /// Keeps a result until the replicas have agreed which is right.
    fn learn(&mut self, digest: Digest, result: &Bytes) {
        if self.results.len() < RESULTS {
            self.results.insert(digest, result.clone());
        }
    }

    /// Takes one replica's word; gives the result once all that it takes say the same (Z4, Q3, C4).
    fn hear(&mut self, from: NodeId, response: &Response, needed: NodeSet) -> Option<Bytes> {
        let digest = match &response.outcome {
            Outcome::Digest(digest) => *digest,
            Outcome::Full(result) => {
                let digest = hash(result);
                self.learn(digest, result);
                digest
            }
        };
        let vote = (response.at, digest);
        self.votes.insert(from, vote);
        let mut needed = needed.iter();
        let all = needed.all(|replica| self.votes.get(&replica) == Some(&vote));
        all.then(|| self.results.get(&digest).cloned()).flatten()
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
        let mut client = Self {
            roster: keyring.roster(),
            now: Time::ZERO,
            instance: Instance::FIRST,
            init: None,
            show_init: false,
            aborts: Aborts::of(Instance::FIRST),
            last,
            requests: BTreeMap::new(),
            fresh: Vec::new(),
            again: false,
            panic_at: None,
            backup: None,
            switches: 0,
            switched: None,
            panicked: false,
            unreachable: NodeSet::EMPTY,
            untold: Vec::new(),
            config,
            keyring,
        };
        client.open_backup();
        Ok(client)
    }

    /// The last number that it used, in a Backup's own numbers, too.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        let inner = self.backup.as_ref();
        inner
            .map_or(0, |(inner, _)| inner.last_number())
            .max(self.last)
    }

    /// What it waits for; another client takes it on. Here queries are ordered like operations.
    #[must_use]
    pub fn outstanding(self) -> Outstanding {
        let requests = self.requests.into_iter();
        Outstanding {
            last: self.last,
            invocations: requests
                .map(|(number, one)| (number, one.ticket, one.request.value().operation.clone()))
                .collect(),
            queries: Vec::new(),
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
        for (ticket, query) in outstanding.queries {
            self.invoke(ticket, query);
        }
        self
    }

    fn kind(&self) -> Kind {
        self.config.composition.kind(self.instance)
    }

    /// How long a commit may take (§4.2: 3Δ; §5.2: 2Δ; §5.3: (3f + 2)Δ). In a Backup this client's inner one is patient
    /// instead.
    fn patience(&self) -> Duration {
        match self.kind() {
            Kind::Quorum => self.config.delta * 2,
            Kind::ZLight => self.config.delta * 3,
            Kind::Chain => self.config.delta * (self.roster.n() + 1) as u32,
            Kind::Backup => self.config.delta * 8,
        }
    }

    fn open_backup(&mut self) {
        self.backup = None;
        if self.kind() == Kind::Backup {
            let keyring = Arc::new(self.keyring.within(self.instance.0));
            // The configuration was checked.
            if let Ok(client) =
                hedgerow_pbft::Client::new(self.config.backup.clone(), keyring, self.last)
            {
                let mut out = Outbox::new(hedgerow_base::Lsn::ZERO);
                let mut client = Box::new(client);
                for peer in self.unreachable.iter() {
                    client.step(self.now, Input::Link { peer, up: false }, &mut out);
                }
                self.backup = Some((client, out));
            }
        }
    }

    fn invoke(&mut self, ticket: u64, operation: Bytes) {
        assert!(
            operation.len() <= MAX_OPERATION,
            "the application invoked an operation that is larger than the protocol carries"
        );
        self.last += 1;
        self.invoke_as(self.last, ticket, operation);
    }

    fn invoke_as(&mut self, number: u64, ticket: u64, operation: Bytes) {
        let request = Request {
            number,
            time_ms: self.now.as_millis(),
            operation,
        };
        let patience = self.patience();
        self.requests.insert(
            number,
            Invocation {
                ticket,
                request: Sealed::new(request, Sealing::Authenticator, &self.keyring),
                votes: BTreeMap::new(),
                results: BTreeMap::new(),
                began: self.now,
                due: self.now.plus(patience),
                patience,
            },
        );
        self.fresh.push(number);
    }

    fn on_message(&mut self, from: NodeId, message: Message, out: &mut Out) {
        match message {
            Message::Responses(responses) => {
                self.on_responses(responses.origin(), responses.value(), out);
            }
            Message::ChainReply(reply) => self.on_chain_reply(&reply, out),
            Message::Abort(abort) => {
                let composition = self.config.composition;
                if let Some(init) = self.aborts.add(abort, composition, self.roster) {
                    self.enter(Arc::new(init), true);
                }
            }
            Message::Init(init)
                if init.instance > self.instance
                    && extract(self.config.composition, self.roster, &init).is_ok() =>
            {
                self.enter(init, false);
            }
            Message::Backup(instance, message) => {
                if instance == self.instance
                    && let Some((inner, inner_out)) = &mut self.backup
                {
                    inner.step(self.now, Input::Message { from, message }, inner_out);
                }
            }
            _ => {}
        }
    }

    fn on_responses(&mut self, from: NodeId, responses: &Responses, out: &mut Out) {
        if responses.instance != self.instance || self.kind() == Kind::Backup {
            return;
        }
        for response in responses.list.iter() {
            self.hear(from, response, out);
        }
    }

    /// C4: the last f + 1 replicas vouch for results.
    fn on_chain_reply(&mut self, reply: &ChainReply, out: &mut Out) {
        let Some(vouch) = reply.vouched.first().map(Sealed::value) else {
            return;
        };
        let origins: NodeSet = reply.vouched.iter().map(Sealed::origin).collect();
        let good = self.kind() == Kind::Chain
            && vouch.instance == self.instance
            && origins == self.config.composition.suffix(self.instance, self.roster)
            && reply.vouched.iter().all(|other| other.value() == vouch)
            && results_digest(&reply.results) == vouch.results;
        if good {
            // The instance has begun everywhere.
            self.show_init = false;
            for (number, result) in &reply.results {
                self.complete(*number, result, out);
            }
        }
    }

    fn hear(&mut self, from: NodeId, response: &Response, out: &mut Out) {
        let needed = if self.kind() == Kind::Chain {
            self.config.composition.suffix(self.instance, self.roster)
        } else {
            self.roster.iter().collect()
        };
        let Some(invocation) = self.requests.get_mut(&response.number) else {
            return;
        };
        if let Some(result) = invocation.hear(from, response, needed) {
            // The instance has begun everywhere.
            self.show_init = false;
            self.complete(response.number, &result, out);
        }
    }

    fn complete(&mut self, number: u64, result: &Bytes, out: &mut Out) {
        if let Some(invocation) = self.requests.remove(&number) {
            if self.config.composition.is_robust() {
                let took = self.now.since(invocation.began).as_micros();
                self.untold
                    .push((number, u32::try_from(took).unwrap_or(u32::MAX)));
            }
            out.emit(Event::Completed {
                ticket: invocation.ticket,
                reply: result.to_vec(),
            });
        }
    }

    /// The present instance is over: what is not committed is invoked in the next one, with its init history (§3.3).
    fn enter(&mut self, init: Arc<Init>, mine: bool) {
        self.instance = init.instance;
        self.init = Some(init);
        self.show_init = mine || self.kind() == Kind::Backup;
        self.aborts = Aborts::of(self.instance);
        self.panic_at = None;
        self.switches += 1;
        let cause = if core::mem::take(&mut self.panicked) {
            "a request was not committed in time"
        } else {
            "the validators had stopped the one before"
        };
        self.switched = Some((self.now, cause));
        self.open_backup();
        self.untold.clear();
        let (now, patience) = (self.now, self.patience());
        for invocation in self.requests.values_mut() {
            invocation.votes.clear();
            invocation.results.clear();
            invocation.began = now;
            invocation.patience = patience;
            invocation.due = now.plus(patience);
        }
        self.fresh = self.requests.keys().copied().collect();
        self.again = true;
    }

    /// Says requests, new ones or again.
    fn say(&mut self, numbers: &[u64], everywhere: bool, out: &mut Out) {
        if self.kind() == Kind::Backup {
            for number in numbers {
                self.invoke_backup(*number);
            }
            return;
        }
        let leader = self.config.composition.leader(self.instance, self.roster);
        let to = match self.kind() {
            Kind::ZLight | Kind::Chain if !everywhere && !self.unreachable.contains(leader) => {
                Target::Node(leader)
            }
            _ => Target::Others,
        };
        if self.show_init
            && let Some(init) = &self.init
        {
            out.send(Target::Others, Message::Init(init.clone()));
        }
        let (mut part, mut bytes) = (Vec::new(), 0);
        for number in numbers {
            let Some(invocation) = self.requests.get(number) else {
                continue;
            };
            let size = invocation.request.body().len();
            if part.len() >= MAX_BATCH || (bytes + size > MAX_BATCH_BYTES && !part.is_empty()) {
                let full: Vec<_> = core::mem::take(&mut part);
                out.send(to, Message::Requests(self.instance, full.into()));
                bytes = 0;
            }
            bytes += size;
            part.push(invocation.request.clone());
        }
        if !part.is_empty() {
            out.send(to, Message::Requests(self.instance, part.into()));
        }
    }

    /// Tells all replicas of a robust composition how it is served, and in a Chain, where the head alone gets its
    /// requests, which it has issued (§6.3).
    fn give_feedback(&mut self, fresh: &[u64], out: &mut Out) {
        if !self.config.composition.is_robust() {
            return;
        }
        let issued = if self.kind() == Kind::Chain {
            fresh
        } else {
            &[]
        };
        if issued.is_empty() && self.untold.len() < FEEDBACK_EVERY {
            return;
        }
        let mut committed = core::mem::take(&mut self.untold);
        committed.truncate(MAX_BATCH);
        let feedback = Feedback {
            instance: self.instance,
            // No more than may be under way, which is below MAX_BATCH.
            issued: List::new(issued.to_vec()).unwrap_or_default(),
            committed: List::new(committed).unwrap_or_default(),
        };
        let sealed = Sealed::new(feedback, Sealing::Authenticator, &self.keyring);
        out.send(Target::Others, Message::Feedback(sealed));
    }

    fn invoke_backup(&mut self, number: u64) {
        let Some(invocation) = self.requests.get(&number) else {
            return;
        };
        let request = invocation.request.value().clone();
        let init = self.init.as_deref().filter(|_| self.show_init);
        let operation = backup_operation(Some(request), init);
        if let Some((inner, out)) = &mut self.backup {
            let command = Command::Invoke {
                ticket: number,
                operation,
            };
            inner.step(self.now, Input::Command(command), out);
        }
    }

    /// Lets the inner client work, and takes its results.
    fn drive_backup(&mut self, out: &mut Out) {
        let Some((inner, inner_out)) = &mut self.backup else {
            return;
        };
        if inner.deadline().is_some_and(|due| due <= self.now) {
            inner.step(self.now, Input::Deadline, inner_out);
        }
        inner.settle(self.now, inner_out);
        let effects: Vec<_> = inner_out.drain().collect();
        let mut results = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send { to, message, .. } => {
                    out.send(to, Message::Backup(self.instance, message));
                }
                Effect::Emit {
                    event: Event::Completed { ticket, reply },
                    ..
                } => results.push((ticket, reply)),
                _ => {}
            }
        }
        for (number, reply) in results {
            match BackupReply::try_from_slice(&reply) {
                Ok(BackupReply::Committed(result)) => {
                    self.show_init = false;
                    self.complete(number, &result, out);
                }
                // It is over, or has not begun: the replicas' ABORTs say what comes next.
                Ok(BackupReply::Aborted) | Err(_) => {
                    self.panic_at.get_or_insert(self.now);
                    self.fresh.push(number);
                }
            }
        }
    }

    /// All replicas are needed but in a Backup: what waits will not be committed when one can't be reached.
    fn on_link(&mut self, peer: NodeId, up: bool) {
        self.unreachable.set(peer, !up);
        if !up {
            for invocation in self.requests.values_mut() {
                invocation.due = self.now;
            }
        }
        if let Some((inner, out)) = &mut self.backup {
            inner.step(self.now, Input::Link { peer, up }, out);
        }
    }

    /// P1: says that nothing goes on, and its requests again.
    fn on_deadline(&mut self, out: &mut Out) {
        let now = self.now;
        let late: Vec<_> = self
            .requests
            .iter()
            .filter(|(_, invocation)| invocation.due <= now)
            .map(|(&number, _)| number)
            .collect();
        let due = self.panic_at.is_some_and(|at| at <= now);
        if late.is_empty() && !due {
            return;
        }
        self.panic_at = None;
        self.panicked = true;
        for number in &late {
            if let Some(invocation) = self.requests.get_mut(number) {
                invocation.patience = (invocation.patience * 2).min(self.config.delta * 20);
                invocation.due = now.plus(invocation.patience);
            }
        }
        let panic = Panic {
            instance: self.instance,
        };
        let sealed = Sealed::new(panic, Sealing::Authenticator, &self.keyring);
        if self.show_init
            && self.kind() == Kind::Backup
            && let Some(init) = &self.init
        {
            out.send(Target::Others, Message::Init(init.clone()));
        }
        if self.kind() != Kind::Backup {
            self.say(&late, true, out);
        }
        out.send(Target::Others, Message::Panic(sealed));
    }
}

impl Machine<Abstract> for Client {
    fn step(&mut self, now: Time, input: Input<Abstract>, out: &mut Out) {
        self.now = self.now.max(now);
        match input {
            Input::Message { from, message } => self.on_message(from, message, out),
            Input::Command(Command::Invoke { ticket, operation }) => self.invoke(ticket, operation),
            // Ordered like an operation: a history that is not final answers no query.
            Input::Command(Command::Read { ticket, query }) => self.invoke(ticket, query),
            Input::Link { peer, up } => self.on_link(peer, up),
            Input::Deadline => self.on_deadline(out),
            Input::Command(_) | Input::Rejected { .. } | Input::Durable(_) => {}
        }
    }

    fn settle(&mut self, now: Time, out: &mut Out) {
        self.now = self.now.max(now);
        let fresh = core::mem::take(&mut self.fresh);
        if !fresh.is_empty() {
            let again = core::mem::take(&mut self.again);
            self.say(&fresh, again, out);
        }
        self.give_feedback(&fresh, out);
        self.drive_backup(out);
    }

    fn deadline(&self) -> Option<Time> {
        let requests = self.requests.values().map(|invocation| invocation.due);
        let inner = self.backup.as_ref().and_then(|(inner, _)| inner.deadline());
        requests.chain(self.panic_at).chain(inner).min()
    }

    /// So many that no number falls out of the replicas' window while it waits.
    fn credit(&self) -> usize {
        let spread = self
            .requests
            .keys()
            .next()
            .map_or(0, |oldest| self.last - oldest);
        let room = self.config.client_window.saturating_sub(spread + 1);
        self.config
            .client_outstanding
            .saturating_sub(self.requests.len())
            .min(usize::try_from(room).unwrap_or(usize::MAX))
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            consensus: self.config.composition.name(),
            protocol: self.kind().as_str(),
            switched: self.switched,
            phase: Phase::Client,
            view: View(self.instance.0),
            primary: self.config.composition.leader(self.instance, self.roster),
            decided: Slot::ZERO,
            executed: Slot::ZERO,
            stable: Slot::ZERO,
            pending: self.requests.len(),
            view_changes: self.switches,
            heard: NodeSet::EMPTY,
        }
    }
}

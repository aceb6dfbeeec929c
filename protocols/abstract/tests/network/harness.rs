//! A small deterministic network: machines joined through the codec, a disk with fsync, an application, a clock.
#![allow(dead_code, unreachable_pub)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hedgerow_abstract::{
    Abstract, AbstractCodec, Client, Composition, Config, Message, Record, Replica,
};
use hedgerow_base::{Digest, Lsn, NodeId, Roster, Slot, Time};
use hedgerow_crypto::{Checks, Keyring, MacSecret, MemberKeys, SigningKey, hash_parts};
use hedgerow_machine::{Codec, Effect, Gate, Input, Machine, Outbox, Target};
use hedgerow_ordering::{Batch, Command, Event, Snapshot};

pub fn keyrings(n: u32, clients: u32) -> Vec<Arc<Keyring>> {
    let signing: Vec<_> = (0..n + clients)
        .map(|id| SigningKey::from_seed([id as u8 + 1; 32]))
        .collect();
    let secrets: Vec<_> = (0..n + clients)
        .map(|id| MacSecret::from_seed([id as u8 + 101; 32]))
        .collect();
    let members: Vec<_> = signing
        .iter()
        .zip(&secrets)
        .map(|(signing, secret)| MemberKeys {
            verifying: signing.verifying_key(),
            mac: secret.public(),
        })
        .collect();
    let roster = Roster::new(n).unwrap();
    (0..n + clients)
        .map(|id| {
            let at = id as usize;
            let (signing, secret) = (signing[at].clone(), &secrets[at]);
            Arc::new(Keyring::new(NodeId(id), roster, signing, secret, &members).unwrap())
        })
        .collect()
}

/// What happens to a frame on its way.
pub enum Fate {
    Deliver,
    Drop,
    /// Deliver these frames in its place.
    Replace(Vec<Bytes>),
}

pub type Filter = Box<dyn FnMut(NodeId, NodeId, &Message, &Bytes) -> Fate>;

/// A deterministic application: it appends, replies with the position, and hashes what it has executed.
#[derive(Clone, Default)]
pub struct App {
    pub log: Vec<(Batch, Vec<Bytes>, Digest)>,
    /// Up to here nothing is rolled back.
    pub last_final: Slot,
    pub rollbacks: usize,
}

impl App {
    pub fn executed(&self) -> Slot {
        Slot(self.log.len() as u64)
    }

    pub fn operations(&self) -> usize {
        let batches = self.log.iter();
        batches.map(|(batch, ..)| batch.operations.len()).sum()
    }

    /// What is final.
    pub fn kept(&self) -> &[(Batch, Vec<Bytes>, Digest)] {
        &self.log[..self.last_final.0 as usize]
    }

    fn execute(&mut self, batch: &Batch) -> (Vec<Bytes>, Digest) {
        let at = batch.slot.0 as usize - 1;
        if let Some((known, replies, state)) = self.log.get(at) {
            assert_eq!(known, batch, "told again, but something else");
            return (replies.clone(), *state);
        }
        assert_eq!(batch.slot, self.executed().next(), "a gap");
        let before = self.operations();
        let mut state = self.log.last().map_or(Digest::ZERO, |(.., state)| *state);
        let mut replies = Vec::new();
        for (ahead, op) in batch.operations.iter().enumerate() {
            state = hash_parts(&[
                &state.0,
                &op.client.0.to_le_bytes(),
                &op.number.to_le_bytes(),
                &op.operation,
            ]);
            replies.push(Bytes::from((before + ahead).to_string()));
        }
        self.log.push((batch.clone(), replies.clone(), state));
        (replies, state)
    }

    fn finish(&mut self, slot: Slot) {
        assert!(slot >= self.last_final && slot <= self.executed());
        self.last_final = slot;
    }

    fn roll_back(&mut self, slot: Slot) {
        assert!(slot >= self.last_final, "what is final is rolled back");
        self.log.truncate(slot.0 as usize);
        self.rollbacks += 1;
    }
}

#[derive(Clone, Default)]
pub struct Disk {
    pub records: Vec<(Lsn, Bytes)>,
    pub released: Lsn,
    pub app: App,
}

pub struct Node {
    pub id: NodeId,
    pub machine: Box<dyn Machine<Abstract>>,
    out: Outbox<Abstract>,
    gate: Gate<Held>,
    /// Written but not yet durable.
    unsynced: Vec<(Lsn, Bytes)>,
    pub disk: Disk,
    pub app: App,
    inbox: VecDeque<Input<Abstract>>,
    pub up: bool,
}

#[expect(clippy::large_enum_variant, reason = "a test's queue is short")]
enum Held {
    Send(Target, Message),
    Emit(Event),
}

pub struct Net {
    pub config: Config,
    pub roster: Roster,
    pub keys: Vec<Arc<Keyring>>,
    pub nodes: Vec<Node>,
    pub now: Time,
    /// Frames on their way: (arrival, order) → (from, to, frame).
    wire: BTreeMap<(Time, u64), (NodeId, NodeId, Bytes)>,
    order: u64,
    /// How long a frame takes; the same for all of a link, so that none overtakes another.
    pub latency: fn(NodeId, NodeId) -> Duration,
    pub filter: Option<Filter>,
    pub transcript: Vec<String>,
    pub completed: Vec<(NodeId, u64, Vec<u8>)>,
    pub sent: BTreeMap<&'static str, usize>,
    /// Everything that was sent by replicas, for contradiction checks: (from, kind, instance, slot) → digest.
    pub said: BTreeMap<(NodeId, &'static str, u64, u64), Digest>,
    pub contradictions: Vec<String>,
    pub persisted: usize,
    /// Do not say Stored (the log is never released).
    pub keep_logs: bool,
    pub time_offset: BTreeMap<NodeId, Duration>,
}

pub fn config(composition: Composition) -> Config {
    Config {
        checkpoint_interval: 8,
        client_window: 256,
        client_outstanding: 128,
        ..Config::of(composition)
    }
}

impl Net {
    pub fn new(n: u32, clients: u32, config: Config) -> Self {
        let keys = keyrings(n, clients);
        let mut net = Self {
            config,
            roster: Roster::new(n).unwrap(),
            keys,
            nodes: Vec::new(),
            now: Time::from_millis(1_000_000),
            wire: BTreeMap::new(),
            order: 0,
            latency: |_, _| Duration::from_millis(1),
            filter: None,
            transcript: Vec::new(),
            completed: Vec::new(),
            sent: BTreeMap::new(),
            said: BTreeMap::new(),
            contradictions: Vec::new(),
            persisted: 0,
            keep_logs: false,
            time_offset: BTreeMap::new(),
        };
        for id in 0..n + clients {
            let node = net.boot(NodeId(id), Disk::default());
            net.nodes.push(node);
        }
        net
    }

    fn boot(&self, id: NodeId, disk: Disk) -> Node {
        let keyring = self.keys[id.index()].clone();
        let last = disk.records.last().map_or(disk.released, |(lsn, _)| *lsn);
        let machine: Box<dyn Machine<Abstract>> = if self.roster.contains(id) {
            let records = disk
                .records
                .iter()
                .map(|(lsn, bytes)| (*lsn, Record::decode(bytes).expect("own record")));
            let replica =
                Replica::recover(self.config.clone(), keyring, records, disk.app.executed());
            Box::new(replica.expect("recovers"))
        } else {
            // Its clock is right: it shows more than earlier lives have used.
            let last = self.now.0 / 1000;
            Box::new(Client::new(self.config.clone(), keyring, last).unwrap())
        };
        Node {
            id,
            machine,
            out: Outbox::new(last),
            gate: Gate::new(last),
            unsynced: Vec::new(),
            app: disk.app.clone(),
            disk,
            inbox: VecDeque::new(),
            up: true,
        }
    }

    pub fn kill(&mut self, id: u32) {
        self.nodes[id as usize].up = false;
        self.nodes[id as usize].inbox.clear();
    }

    /// Tells everybody that the connection with a replica broke, or stands again.
    pub fn link(&mut self, peer: u32, up: bool) {
        let peer = NodeId(peer);
        for node in self.nodes.iter_mut().filter(|node| node.id != peer) {
            node.inbox.push_back(Input::Link { peer, up });
        }
    }

    /// Starts a killed node from what its disk holds.
    pub fn restart(&mut self, id: u32) {
        let disk = self.nodes[id as usize].disk.clone();
        self.restart_from(id, disk);
    }

    pub fn restart_from(&mut self, id: u32, disk: Disk) {
        self.nodes[id as usize] = self.boot(NodeId(id), disk);
    }

    pub fn invoke(&mut self, client: u32, ticket: u64, operation: &str) {
        let operation = Bytes::copy_from_slice(operation.as_bytes());
        let command = Command::Invoke { ticket, operation };
        self.nodes[client as usize]
            .inbox
            .push_back(Input::Command(command));
    }

    pub fn snapshot(&self, id: u32) -> Snapshot {
        self.nodes[id as usize].machine.snapshot()
    }

    pub fn executed(&self, id: u32) -> u64 {
        self.nodes[id as usize].app.executed().0
    }

    fn post(&mut self, from: NodeId, to: Target, message: Message) {
        self.note_said(from, &message);
        let frame = AbstractCodec::new(self.keys[from.index()].clone()).seal(&message, to);
        let receivers: Vec<NodeId> = match to {
            Target::Node(node) => vec![node],
            Target::Others => self.roster.others(from).collect(),
            Target::All => self.roster.iter().collect(),
            Target::Set(set) => set.iter().collect(),
        };
        for receiver in receivers {
            *self.sent.entry(message.name()).or_default() += 1;
            let fate = match &mut self.filter {
                Some(filter) => filter(from, receiver, &message, &frame),
                None => Fate::Deliver,
            };
            let frames = match fate {
                Fate::Deliver => vec![frame.clone()],
                Fate::Drop => vec![],
                Fate::Replace(frames) => frames,
            };
            for frame in frames {
                self.order += 1;
                let key = (self.now.plus((self.latency)(from, receiver)), self.order);
                self.wire.insert(key, (from, receiver, frame));
            }
        }
    }

    /// A correct replica never says two things about the same place.
    fn note_said(&mut self, from: NodeId, message: &Message) {
        let (kind, instance, slot, digest) = match message {
            Message::Order(s, _) => ("order", s.value().instance, s.value().slot, s.digest()),
            Message::Checkpoint(s) => (
                "checkpoint",
                s.value().instance,
                s.value().at.slot,
                s.value().at.chain,
            ),
            _ => return,
        };
        let known = self
            .said
            .entry((from, kind, instance.0, slot.0))
            .or_insert(digest);
        if *known != digest {
            self.contradictions
                .push(format!("{from} {kind} instance {instance} slot {slot}"));
        }
    }

    /// One round: everybody takes in what has arrived, settles, syncs its disk, and its effects leave.
    fn turn(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if !node.up {
            node.inbox.clear();
            return;
        }
        let now = self.now;
        if node.machine.deadline().is_some_and(|due| due <= now) {
            node.inbox.push_back(Input::Deadline);
        }
        if node.inbox.is_empty() {
            return;
        }
        while let Some(input) = node.inbox.pop_front() {
            node.machine.step(now, input, &mut node.out);
        }
        node.machine.settle(now, &mut node.out);
        self.carry_out(at);
    }

    fn carry_out(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let mut leave = Vec::new();
        let mut release = None;
        for effect in node.out.drain() {
            match effect {
                Effect::Send { to, message, after } => {
                    leave.extend(node.gate.pass(after, Held::Send(to, message)));
                }
                Effect::Emit { event, after } => {
                    leave.extend(node.gate.pass(after, Held::Emit(event)));
                }
                Effect::Persist { lsn, record } => {
                    let bytes = record.encode();
                    assert_eq!(Record::decode(&bytes).unwrap().encode(), bytes);
                    node.unsynced.push((lsn, bytes));
                    self.persisted += 1;
                }
                Effect::Release(lsn) => release = Some(lsn),
            }
        }
        if let Some((last, _)) = node.unsynced.last() {
            let last = *last;
            node.disk.records.append(&mut node.unsynced);
            leave.extend(node.gate.open(last));
            node.inbox.push_back(Input::Durable(last));
        }
        if let Some(below) = release {
            node.disk.records.retain(|(lsn, _)| *lsn >= below);
            node.disk.released = below;
        }
        let id = node.id;
        for held in leave {
            match held {
                Held::Send(to, message) => self.post(id, to, message),
                Held::Emit(event) => self.on_event(at, event),
            }
        }
    }

    fn on_event(&mut self, at: usize, event: Event) {
        let keep = self.keep_logs;
        let node = &mut self.nodes[at];
        match event {
            Event::Execute(batch) => {
                let (replies, state) = node.app.execute(&batch);
                let slot = batch.slot;
                node.inbox.push_back(Input::Command(Command::Executed {
                    slot,
                    replies,
                    state,
                }));
            }
            Event::Final(slot) => node.app.finish(slot),
            Event::Epoch(_) => panic!("{} speaks of epochs", node.id),
            Event::Rollback(slot) => {
                node.app.roll_back(slot);
                node.inbox
                    .push_back(Input::Command(Command::RolledBack(slot)));
            }
            Event::Answer { .. } => panic!("queries are ordered"),
            Event::Load { token, slot } => {
                let batch = node.app.log.get(slot.0 as usize - 1);
                let batch = batch.map(|(batch, ..)| batch.clone());
                node.inbox
                    .push_back(Input::Command(Command::Loaded { token, slot, batch }));
            }
            Event::Stable(slot) => {
                if !keep {
                    node.disk.app = App {
                        log: node.app.kept().to_vec(),
                        ..node.app.clone()
                    };
                    node.inbox.push_back(Input::Command(Command::Stored(slot)));
                }
            }
            Event::Completed { ticket, reply } => self.completed.push((node.id, ticket, reply)),
        }
    }

    /// Runs until nothing happens any more, or for `limit`.
    pub fn run(&mut self, limit: Duration) {
        let end = self.now.plus(limit);
        let (mut at, mut turns) = (self.now, 0);
        loop {
            turns = if at == self.now { turns + 1 } else { 0 };
            at = self.now;
            assert!(turns < 1000, "time stands still\n{}", self.describe());
            for at in 0..self.nodes.len() {
                self.turn(at);
            }
            if self
                .nodes
                .iter()
                .any(|node| node.up && !node.inbox.is_empty())
            {
                continue;
            }
            let arrival = self.wire.first_key_value().map(|(&(at, _), _)| at);
            let deadlines = self.nodes.iter().filter(|node| node.up);
            let deadline = deadlines.filter_map(|node| node.machine.deadline()).min();
            let Some(next) = [arrival, deadline].into_iter().flatten().min() else {
                return;
            };
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            self.arrive();
        }
    }

    fn arrive(&mut self) {
        while let Some((&key, _)) = self.wire.first_key_value()
            && key.0 <= self.now
        {
            let (from, to, frame) = self.wire.remove(&key).unwrap();
            let node = &mut self.nodes[to.index()];
            if !node.up {
                continue;
            }
            let codec = AbstractCodec::new(self.keys[to.index()].clone());
            let mut checks = Checks::default();
            let input = match codec.admit(from, &frame, &mut checks) {
                Ok(message) if checks.hold() => {
                    let text = line(from, to, &message);
                    self.transcript.push(text);
                    Input::Message { from, message }
                }
                Ok(_) => Input::Rejected {
                    from,
                    reason: hedgerow_machine::Reject::Signature,
                },
                Err(reason) => {
                    self.transcript
                        .push(format!("{from}→{to} rejected: {reason}"));
                    Input::Rejected { from, reason }
                }
            };
            node.inbox.push_back(input);
        }
    }

    pub fn ms(&mut self, millis: u64) {
        self.run(Duration::from_millis(millis));
    }

    /// What is final is the same everywhere, and holds nothing twice.
    pub fn assert_agreement(&self) {
        let replicas = &self.nodes[..self.roster.n()];
        let longest = replicas.iter().max_by_key(|node| node.app.last_final);
        let longest = longest.unwrap().app.kept();
        for node in replicas {
            for (mine, theirs) in node.app.kept().iter().zip(longest) {
                assert_eq!(mine, theirs, "replica {}", node.id);
            }
        }
        assert_eq!(self.contradictions, Vec::<String>::new());
        let mut seen = std::collections::BTreeSet::new();
        for (batch, ..) in longest {
            for op in batch.operations.iter() {
                assert!(seen.insert((op.client, op.number)), "executed twice");
            }
        }
    }

    /// Once all is quiet: everything that was invoked is completed, and final at every replica, which all have the same;
    /// each client was told where in it its operation is.
    pub fn assert_all_done(&self, invoked: usize) {
        assert_eq!(self.done(), invoked, "{}", self.describe());
        self.assert_agreement();
        for node in &self.nodes[..self.roster.n()] {
            let (at, executed) = (node.app.last_final, node.app.executed());
            assert_eq!(at, executed, "{}: final\n{}", node.id, self.describe());
            assert_eq!(node.app.operations(), invoked, "{}", self.describe());
        }
        let log = self.nodes[0].app.log.iter();
        let clients: Vec<_> = log
            .flat_map(|(batch, ..)| batch.operations.iter().map(|op| op.client))
            .collect();
        let mut places = std::collections::BTreeSet::new();
        for (client, _, reply) in &self.completed {
            let place: usize = std::str::from_utf8(reply).unwrap().parse().unwrap();
            assert!(places.insert(place), "two were told the same place");
            assert_eq!(clients[place], *client);
        }
    }

    /// The instance that a replica is in.
    pub fn instance(&self, id: u32) -> u64 {
        self.snapshot(id).view.0
    }

    /// Where everybody is, and the last messages.
    pub fn describe(&self) -> String {
        let nodes = self.nodes.iter().map(|node| {
            let (due, snapshot) = (node.machine.deadline(), node.machine.snapshot());
            format!("{} due {due:?} {snapshot:?}", node.id)
        });
        let from = self.transcript.len().saturating_sub(60);
        let lines: Vec<_> = nodes
            .chain(self.transcript[from..].iter().cloned())
            .collect();
        lines.join("\n")
    }

    pub fn done(&self) -> usize {
        self.completed.len()
    }
}

pub fn line(from: NodeId, to: NodeId, message: &Message) -> String {
    let what = match message {
        Message::Requests(i, list) => format!("req i{i} ×{}", list.len()),
        Message::Order(s, _) => format!("order i{} n{}", s.value().instance, s.value().slot),
        Message::Responses(s) => format!("resp i{}", s.value().instance),
        Message::Panic(s) => format!("panic i{}", s.value().instance),
        Message::Abort(s) => {
            let abort = s.value();
            format!(
                "abort i{} {}+{}",
                abort.instance,
                abort.base.slot,
                abort.suffix.len()
            )
        }
        Message::Init(init) => format!("init i{}", init.instance),
        Message::Checkpoint(s) => {
            format!("checkpoint i{} n{}", s.value().instance, s.value().at.slot)
        }
        Message::Backup(i, inner) => format!("backup i{i} {}", inner.name()),
        other => other.name().to_string(),
    };
    format!("{from}→{to} {what}")
}

//! A small deterministic network: machines joined through the codec, a disk with fsync, an application, a clock.
#![allow(dead_code, unreachable_pub)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, Roster, Slot, Time};
use hedgerow_crypto::{Checks, Keyring, MacSecret, MemberKeys, SigningKey, hash_parts};
use hedgerow_machine::{Codec, Effect, Gate, Input, Machine, Outbox, Target};
use hedgerow_ordering::{Batch, Command, Event, Snapshot};
use hedgerow_pbft::{Client, Config, Message, Pbft, PbftCodec, Record, Replica};

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

/// A deterministic application: it hashes what it executes.
#[derive(Clone, Default)]
pub struct App {
    pub executed: Slot,
    /// The last slot given in this life that is not said to be final yet.
    pub speculative: Option<Slot>,
    pub state: Digest,
    pub log: Vec<(Batch, Vec<Bytes>, Digest)>,
    /// Times that each operation was executed.
    pub operations: Vec<Bytes>,
}

impl App {
    fn execute(&mut self, batch: &Batch) -> (Vec<Bytes>, Digest) {
        let at = batch.slot.0 as usize - 1;
        if let Some((known, replies, state)) = self.log.get(at) {
            assert_eq!(known, batch, "told again, but something else");
            return (replies.clone(), *state);
        }
        assert_eq!(batch.slot, self.executed.next(), "a gap");
        let mut replies = Vec::new();
        for op in batch.operations.iter() {
            self.state = hash_parts(&[
                &self.state.0,
                &op.client.0.to_le_bytes(),
                &op.number.to_le_bytes(),
                &op.operation,
            ]);
            self.operations.push(op.operation.clone());
            let mut reply = b"done: ".to_vec();
            reply.extend_from_slice(&op.operation);
            replies.push(Bytes::from(reply));
        }
        self.executed = batch.slot;
        self.log.push((batch.clone(), replies.clone(), self.state));
        (replies, self.state)
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
    pub machine: Box<dyn Machine<Pbft>>,
    out: Outbox<Pbft>,
    gate: Gate<Held>,
    /// Written but not yet durable.
    unsynced: Vec<(Lsn, Bytes)>,
    pub disk: Disk,
    pub app: App,
    inbox: VecDeque<Input<Pbft>>,
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
    pub latency: Duration,
    pub filter: Option<Filter>,
    pub transcript: Vec<String>,
    pub completed: Vec<(NodeId, u64, Vec<u8>)>,
    pub sent: BTreeMap<&'static str, usize>,
    /// Everything that was sent by replicas, for contradiction checks: (from, kind, view, slot) → digest.
    pub said: BTreeMap<(NodeId, &'static str, u64, u64), Digest>,
    pub contradictions: Vec<String>,
    pub persisted: usize,
    /// Do not say Stored (the log is never released).
    pub keep_logs: bool,
    pub time_offset: BTreeMap<NodeId, Duration>,
}

pub fn config() -> Config {
    Config {
        checkpoint_interval: 4,
        client_window: 64,
        client_outstanding: 32,
        client_requests: 64,
        ..Config::default()
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
            latency: Duration::from_millis(1),
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
        let machine: Box<dyn Machine<Pbft>> = if self.roster.contains(id) {
            let records = disk
                .records
                .iter()
                .map(|(lsn, bytes)| (*lsn, Record::decode(bytes).expect("own record")));
            let replica =
                Replica::recover(self.config.clone(), keyring, records, disk.app.executed);
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

    /// Tells one that its connection with a replica broke, or stands again.
    pub fn tell(&mut self, id: u32, peer: u32, up: bool) {
        let peer = NodeId(peer);
        self.nodes[id as usize]
            .inbox
            .push_back(Input::Link { peer, up });
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

    pub fn read(&mut self, client: u32, ticket: u64, query: &str) {
        let query = Bytes::copy_from_slice(query.as_bytes());
        let command = Command::Read { ticket, query };
        self.nodes[client as usize]
            .inbox
            .push_back(Input::Command(command));
    }

    pub fn snapshot(&self, id: u32) -> Snapshot {
        self.nodes[id as usize].machine.snapshot()
    }

    pub fn executed(&self, id: u32) -> u64 {
        self.nodes[id as usize].app.executed.0
    }

    /// Injects a frame.
    pub fn inject(&mut self, from: u32, to: u32, frame: Bytes) {
        self.order += 1;
        let key = (self.now.plus(self.latency), self.order);
        self.wire.insert(key, (NodeId(from), NodeId(to), frame));
    }

    fn post(&mut self, from: NodeId, to: Target, message: Message) {
        *self.sent.entry(message.name()).or_default() += 1;
        self.note_said(from, &message);
        let frame = PbftCodec::new(self.keys[from.index()].clone()).seal(&message, to);
        let receivers: Vec<NodeId> = match to {
            Target::Node(node) => vec![node],
            Target::Others => self.roster.others(from).collect(),
            Target::All => self.roster.iter().collect(),
            Target::Set(set) => set.iter().collect(),
        };
        for receiver in receivers {
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
                let key = (self.now.plus(self.latency), self.order);
                self.wire.insert(key, (from, receiver, frame));
            }
        }
    }

    /// A correct replica never says two things about the same place.
    fn note_said(&mut self, from: NodeId, message: &Message) {
        let (kind, view, slot, digest) = match message {
            Message::PrePrepare(s, _) => ("pp", s.value().view, s.value().slot, s.value().digest),
            Message::Prepare(s) => ("p", s.value().view, s.value().slot, s.value().digest),
            Message::Commit(s) => ("c", s.value().view, s.value().slot, s.value().digest),
            Message::ViewChange(s) if s.origin() == from => {
                ("vc", s.value().view, Slot::ZERO, s.digest())
            }
            Message::NewView(p) if p.new_view.origin() == from => (
                "nv",
                p.new_view.value().view,
                Slot::ZERO,
                p.new_view.digest(),
            ),
            _ => return,
        };
        let known = self
            .said
            .entry((from, kind, view.0, slot.0))
            .or_insert(digest);
        if *known != digest {
            self.contradictions
                .push(format!("{from} {kind} view {view} slot {slot}"));
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
                assert_eq!(node.app.speculative, None, "what is given is committed");
                node.app.speculative = Some(batch.slot);
                let (replies, state) = node.app.execute(&batch);
                let slot = batch.slot;
                node.inbox.push_back(Input::Command(Command::Executed {
                    slot,
                    replies,
                    state,
                }));
            }
            Event::Final(slot) => {
                assert_eq!(
                    node.app.speculative.take(),
                    Some(slot),
                    "final is what was given last"
                );
            }
            Event::Epoch(_) => panic!("{} speaks of epochs", node.id),
            Event::Rollback(slot) => panic!("{} rolls back to slot {slot}", node.id),
            Event::Answer { token, query } => {
                let mut reply = format!("{:?} ", node.app.state).into_bytes();
                reply.extend_from_slice(&query);
                let reply = reply.into();
                node.inbox
                    .push_back(Input::Command(Command::Answered { token, reply }));
            }
            Event::Load { token, slot } => {
                let batch = node.app.log.get(slot.0 as usize - 1);
                let batch = batch.map(|(batch, ..)| batch.clone());
                node.inbox
                    .push_back(Input::Command(Command::Loaded { token, slot, batch }));
            }
            Event::Stable(slot) => {
                if !keep {
                    node.disk.app = node.app.clone();
                    node.inbox.push_back(Input::Command(Command::Stored(slot)));
                }
            }
            Event::Completed { ticket, reply } => self.completed.push((node.id, ticket, reply)),
        }
    }

    /// Runs until nothing happens any more, or for `limit`.
    pub fn run(&mut self, limit: Duration) {
        let end = self.now.plus(limit);
        loop {
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
            let codec = PbftCodec::new(self.keys[to.index()].clone());
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

    /// Every replica that is up has executed the same.
    pub fn assert_agreement(&self) {
        let longest = self
            .nodes
            .iter()
            .max_by_key(|node| node.app.log.len())
            .unwrap();
        for node in &self.nodes {
            for (mine, theirs) in node.app.log.iter().zip(&longest.app.log) {
                assert_eq!(mine.0, theirs.0, "replica {}", node.id);
            }
        }
        assert_eq!(self.contradictions, Vec::<String>::new());
        let mut seen = std::collections::BTreeSet::new();
        for (batch, ..) in &longest.app.log {
            for op in batch.operations.iter() {
                assert!(seen.insert((op.client, op.number)), "executed twice");
            }
        }
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
        Message::Requests(list) => format!("request ×{}", list.len()),
        Message::PrePrepare(s, body) => format!(
            "pre-prepare v{} n{} ×{}",
            s.value().view,
            s.value().slot,
            body.requests().len()
        ),
        Message::Prepare(s) => format!("prepare v{} n{}", s.value().view, s.value().slot),
        Message::Commit(s) => format!("commit v{} n{}", s.value().view, s.value().slot),
        Message::Checkpoint(s) => format!("checkpoint n{}", s.value().slot),
        Message::ViewChange(s) => format!("view-change v{}", s.value().view),
        Message::NewView(p) => format!("new-view v{}", p.new_view.value().view),
        Message::Replies(s) => format!("reply ×{}", s.value().list.len()),
        other => other.name().to_string(),
    };
    format!("{from}→{to} {what}")
}

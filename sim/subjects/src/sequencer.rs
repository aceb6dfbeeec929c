//! The least ordering protocol: replica 0 orders and the others follow. It stands crashes and bad links but no lies
//! and no lost disks. It is here to test the simulator itself: it can be given faults, and each checker must see
//! the one that is its business.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::{Lsn, NodeId, NodeSet, Slot, Time, View};
use hedgerow_crypto::{Checks, Keyring, hash};
use hedgerow_machine::{Codec, Input, Machine, Outbox, Protocol, Reject, Target};
use hedgerow_ordering::{Batch, Command, Event, Operation, Phase, Snapshot};
use hedgerow_wire::{decode, encode};
use hedgerow_world::{Attack, Recovered, Start, Subject, Vote};

/// A fault that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The sequencer lets an assignment out before it is on disk.
    SaysBeforeStored,
    /// A follower executes assignments as they come.
    IgnoresOrder,
    /// The sequencer orders what is sent again a second time.
    ForgetsNumbers,
    /// The sequencer orders an operation that nobody invoked.
    Invents,
    /// A follower that lags answers queries.
    ReadsStale,
    /// Clients do not ask again.
    NeverRetries,
    /// The sequencer wants to be woken for ever.
    NeverRests,
    /// The sequencer sends everything it has with each assignment.
    Babbles,
    /// The sequencer replies before anything is executed.
    RepliesEarly,
    /// Who guesses takes the guess for final.
    TrustsGuesses,
    /// The sequencer replies to what it guessed.
    RepliesToGuesses,
    /// What is executed never becomes final.
    NeverSettles,
}

/// The protocol with or without a planted fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequencer {
    /// What is wrong with it.
    pub planted: Option<Planted>,
    /// Whether replicas execute before they call it final, and sometimes guess wrong and roll back: then clients are
    /// answered before what they asked for is final.
    pub guesses: bool,
}

/// What its participants say.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[allow(missing_docs)]
pub enum Message {
    Ask { number: u64, operation: Vec<u8> },
    Query { number: u64 },
    Order(Entry),
    Want { from: u64 },
    Reply { number: u64, reply: Vec<u8> },
}

/// A slot's only operation.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Entry {
    slot: u64,
    client: u32,
    number: u64,
    operation: Vec<u8>,
}

impl Protocol for Sequencer {
    type Message = Message;
    type Command = Command;
    type Event = Event;
    type Record = Entry;
    type Snapshot = Snapshot;
}

struct Plain;

impl Codec<Sequencer> for Plain {
    fn admit(&self, _: NodeId, frame: &Bytes, _: &mut Checks) -> Result<Message, Reject> {
        Ok(decode(frame, 1 << 20)?)
    }

    fn seal(&self, message: &Message, _: Target) -> Bytes {
        encode(message).into()
    }
}

impl Subject for Sequencer {
    type Protocol = Self;

    fn name(&self) -> &'static str {
        "sequencer"
    }

    fn replica(&self, start: Start<Self>) -> Recovered<Self> {
        let mut replica = Replica {
            me: start.keyring.me(),
            planted: self.planted,
            guesses: self.guesses,
            log: start.records.into_iter().map(|(_, entry)| entry).collect(),
            early: BTreeMap::new(),
            numbers: BTreeSet::new(),
            executed: start.executed,
            given: start.executed.0 as usize,
            had: start.executed,
            settled: start.executed,
            undone: VecDeque::new(),
            queries: BTreeMap::new(),
            tokens: 0,
            ask_at: None,
        };
        if self.guesses {
            // What the application has it is given again: it must answer the same.
            replica.given = replica.given.saturating_sub(REPEATED);
            replica.executed = Slot(replica.given as u64);
        }
        let numbers = replica.log.iter().map(|entry| (entry.client, entry.number));
        replica.numbers = numbers.collect();
        Ok(Box::new(replica))
    }

    fn client(&self, start: Start<Self>) -> Box<dyn Machine<Self>> {
        Box::new(Client {
            next: start.nonce & (u64::MAX >> 1),
            roster: start.keyring.roster().n() as u32,
            planted: self.planted,
            asked: BTreeMap::new(),
            again_at: None,
        })
    }

    fn codec(&self, _: &Arc<Keyring>) -> Arc<dyn Codec<Self>> {
        Arc::new(Plain)
    }

    fn encode_record(&self, record: &Entry) -> Bytes {
        encode(record).into()
    }

    fn decode_record(&self, bytes: &Bytes) -> Entry {
        decode(bytes, 1 << 20).unwrap_or_else(|error| panic!("a record that was stored: {error}"))
    }

    fn votes(&self, from: NodeId, message: &Message, votes: &mut Vec<Vote>) {
        if let (NodeId(0), Message::Order(entry)) = (from, message) {
            votes.push(Vote {
                kind: "order",
                view: 0,
                slot: entry.slot,
                value: hash(&encode(entry)),
            });
        }
    }

    fn attacks(&self) -> Vec<Attack<Self>> {
        Vec::new()
    }
}

const AGAIN: Duration = Duration::from_millis(300);
/// How many slots are given to the application again after a restart.
const REPEATED: usize = 5;
/// In how many slots one is guessed wrong.
const GUESSED: u64 = 3;
/// How many slots become final at once, unless there are no more.
const SETTLED: u64 = 4;

struct Replica {
    me: NodeId,
    planted: Option<Planted>,
    guesses: bool,
    log: Vec<Entry>,
    /// Assignments that came before their turn.
    early: BTreeMap<u64, Entry>,
    numbers: BTreeSet<(u32, u64)>,
    executed: Slot,
    given: usize,
    /// The last slot that the application had at the start.
    had: Slot,
    /// The last slot that was called final.
    settled: Slot,
    /// Rollbacks that the application has not confirmed, by the slots that stay.
    undone: VecDeque<Slot>,
    queries: BTreeMap<u64, (NodeId, u64)>,
    tokens: u64,
    ask_at: Option<Time>,
}

impl Replica {
    fn append(&mut self, entry: Entry, out: &mut Outbox<Sequencer>) {
        self.numbers.insert((entry.client, entry.number));
        let stored = out.persist(entry.clone());
        let after = if self.planted == Some(Planted::SaysBeforeStored) {
            Lsn::ZERO
        } else {
            stored
        };
        if self.me == NodeId(0) {
            if self.planted == Some(Planted::Babbles) {
                for entry in self
                    .log
                    .iter()
                    .flat_map(|entry| std::iter::repeat_n(entry, 200))
                {
                    out.send(Target::Others, Message::Order(entry.clone()));
                }
            }
            out.send_after(after, Target::Others, Message::Order(entry.clone()));
        }
        self.log.push(entry);
        self.give(after, out);
    }

    /// Gives the application what it does not have.
    fn give(&mut self, after: Lsn, out: &mut Outbox<Sequencer>) {
        while let Some(entry) = self.log.get(self.given) {
            self.given += 1;
            let slot = Slot(entry.slot);
            if self.guesses && slot > self.had && slot.0.is_multiple_of(GUESSED) {
                // Either nothing, or what really comes next.
                let guess = self.log.get(self.given).map(|next| Entry {
                    slot: slot.0,
                    ..next.clone()
                });
                let guess = guess.map_or_else(|| null(slot), |guess| batch(&guess));
                out.emit_after(after, Event::Execute(guess));
                if self.planted == Some(Planted::TrustsGuesses) {
                    out.emit_after(after, Event::Final(slot));
                }
                let before = Slot(slot.0 - 1);
                out.emit_after(after, Event::Rollback(before));
                self.undone.push_back(before);
            }
            out.emit_after(after, Event::Execute(batch(entry)));
            if !self.guesses {
                out.emit_after(after, Event::Final(slot));
            }
        }
    }

    fn on_executed(&mut self, slot: Slot, replies: &[Bytes], out: &mut Outbox<Sequencer>) {
        let guess = self.undone.iter().any(|kept| slot > *kept);
        if guess && self.planted != Some(Planted::RepliesToGuesses) {
            return;
        }
        // The guess at a slot is the entry after it.
        let at = slot.0 as usize - usize::from(!guess);
        if let (NodeId(0), Some(entry), Some(reply)) = (self.me, self.log.get(at), replies.first())
        {
            let (number, reply) = (entry.number, reply.to_vec());
            out.send(
                Target::Node(NodeId(entry.client)),
                Message::Reply { number, reply },
            );
        }
        if guess {
            return;
        }
        self.executed = slot;
        let due = slot.0.is_multiple_of(SETTLED) || slot.0 == self.log.len() as u64;
        if self.guesses && due && self.planted != Some(Planted::NeverSettles) {
            out.emit(Event::Final(slot));
            self.settled = slot;
        }
        out.emit(Event::Stable(Slot(slot.0.saturating_sub(10))));
    }

    fn on_message(
        &mut self,
        now: Time,
        from: NodeId,
        message: Message,
        out: &mut Outbox<Sequencer>,
    ) {
        match message {
            Message::Ask { number, operation } if self.me == NodeId(0) => {
                let known = self.numbers.contains(&(from.0, number));
                if known && self.planted != Some(Planted::ForgetsNumbers) {
                    if let Some(entry) = self
                        .log
                        .iter()
                        .find(|entry| (entry.client, entry.number) == (from.0, number))
                        && entry.slot <= self.executed.0
                    {
                        let reply = entry.slot.to_le_bytes().to_vec();
                        out.send(Target::Node(from), Message::Reply { number, reply });
                    }
                    return;
                }
                let slot = self.log.len() as u64 + 1;
                if self.planted == Some(Planted::RepliesEarly) {
                    let reply = slot.to_le_bytes().to_vec();
                    out.send(Target::Node(from), Message::Reply { number, reply });
                }
                let invents = self.planted == Some(Planted::Invents) && slot == 20;
                let operation = if invents {
                    b"nobody".to_vec()
                } else {
                    operation
                };
                let client = from.0;
                self.append(
                    Entry {
                        slot,
                        client,
                        number,
                        operation,
                    },
                    out,
                );
            }
            Message::Order(entry) if from == NodeId(0) && self.me != from => {
                if self.planted == Some(Planted::IgnoresOrder) {
                    if self.early.insert(entry.slot, entry.clone()).is_none() {
                        out.emit(Event::Execute(batch(&entry)));
                        out.emit(Event::Final(Slot(entry.slot)));
                    }
                    return;
                }
                self.early.insert(entry.slot, entry);
                while let Some(entry) = self.early.remove(&(self.log.len() as u64 + 1)) {
                    self.append(entry, out);
                }
                let end = self.log.len() as u64;
                self.early.retain(|slot, _| *slot > end);
                if self.early.is_empty() {
                    self.ask_at = None;
                } else if self.ask_at.is_none() {
                    self.ask(now, out);
                }
            }
            Message::Want { from: first } => {
                for entry in self.log.iter().skip(first as usize - 1).take(64) {
                    out.send_after(
                        out.last(),
                        Target::Node(from),
                        Message::Order(entry.clone()),
                    );
                }
            }
            // After a restart the application first has to execute what it had executed before; and it answers from what is
            // final, which others may know less of than was told to clients.
            Message::Query { .. }
                if (self.executed.0 < self.log.len() as u64
                    || self.guesses && self.settled.0 < self.log.len() as u64)
                    && self.planted != Some(Planted::ReadsStale) => {}
            Message::Query { number } => {
                self.tokens += 1;
                let token = self.tokens;
                self.queries.insert(token, (from, number));
                out.emit(Event::Answer {
                    token,
                    query: Bytes::new(),
                });
            }
            _ => {}
        }
    }

    fn ask(&mut self, now: Time, out: &mut Outbox<Sequencer>) {
        self.ask_at = Some(now.plus(AGAIN));
        let from = self.log.len() as u64 + 1;
        out.send(Target::Node(NodeId(0)), Message::Want { from });
    }
}

fn null(slot: Slot) -> Batch {
    Batch {
        slot,
        time_ms: 0,
        operations: Arc::new([]),
    }
}

fn batch(entry: &Entry) -> Batch {
    Batch {
        slot: Slot(entry.slot),
        time_ms: 0,
        operations: Arc::new([Operation {
            client: NodeId(entry.client),
            number: entry.number,
            operation: entry.operation.clone().into(),
        }]),
    }
}

impl Machine<Sequencer> for Replica {
    fn step(&mut self, now: Time, input: Input<Sequencer>, out: &mut Outbox<Sequencer>) {
        match input {
            Input::Message { from, message } => self.on_message(now, from, message, out),
            Input::Command(Command::Executed { slot, replies, .. }) => {
                self.on_executed(slot, &replies, out);
            }
            Input::Command(Command::RolledBack(slot)) => {
                let undone = self.undone.pop_front();
                assert_eq!(undone, Some(slot), "rollbacks are confirmed in order");
            }
            Input::Command(Command::Answered { token, reply }) => {
                if let Some((client, number)) = self.queries.remove(&token) {
                    let reply = reply.to_vec();
                    out.send(Target::Node(client), Message::Reply { number, reply });
                }
            }
            Input::Deadline if self.ask_at.is_some_and(|at| at <= now) => self.ask(now, out),
            _ => {}
        }
    }

    fn settle(&mut self, _: Time, out: &mut Outbox<Sequencer>) {
        // After a restart: what the log has and the application has not.
        self.give(out.last(), out);
    }

    fn deadline(&self) -> Option<Time> {
        if self.planted == Some(Planted::NeverRests) && self.me == NodeId(0) {
            return Some(Time::NEVER);
        }
        self.ask_at
    }

    fn credit(&self) -> usize {
        usize::MAX
    }

    fn snapshot(&self) -> Snapshot {
        snapshot(Phase::Normal, self.log.len() as u64, self.executed)
    }
}

fn snapshot(phase: Phase, decided: u64, executed: Slot) -> Snapshot {
    Snapshot {
        consensus: "sequencer",
        protocol: "sequencer",
        switched: None,
        phase,
        view: View::ZERO,
        primary: NodeId(0),
        decided: Slot(decided),
        executed,
        stable: executed,
        pending: 0,
        view_changes: 0,
        heard: NodeSet::EMPTY,
    }
}

struct Client {
    next: u64,
    roster: u32,
    planted: Option<Planted>,
    /// By number: the ticket, and the operation or a query.
    asked: BTreeMap<u64, (u64, Option<Bytes>)>,
    again_at: Option<Time>,
}

impl Client {
    fn ask(&self, number: u64, out: &mut Outbox<Sequencer>) {
        match &self.asked[&number].1 {
            Some(operation) => {
                let operation = operation.to_vec();
                out.send(Target::Node(NodeId(0)), Message::Ask { number, operation });
            }
            None => {
                let stale = self.planted == Some(Planted::ReadsStale);
                let to = NodeId(if stale { self.roster - 1 } else { 0 });
                out.send(Target::Node(to), Message::Query { number });
            }
        }
    }
}

impl Machine<Sequencer> for Client {
    fn step(&mut self, now: Time, input: Input<Sequencer>, out: &mut Outbox<Sequencer>) {
        let asked = match input {
            Input::Command(Command::Invoke { ticket, operation }) => (ticket, Some(operation)),
            Input::Command(Command::Read { ticket, .. }) => (ticket, None),
            Input::Message {
                message: Message::Reply { number, reply },
                ..
            } => {
                if let Some((ticket, _)) = self.asked.remove(&number) {
                    out.emit(Event::Completed { ticket, reply });
                }
                if self.asked.is_empty() {
                    self.again_at = None;
                }
                return;
            }
            Input::Deadline if self.again_at.is_some_and(|at| at <= now) => {
                for number in self.asked.keys() {
                    self.ask(*number, out);
                }
                self.again_at = Some(now.plus(AGAIN));
                return;
            }
            _ => return,
        };
        self.next += 1;
        self.asked.insert(self.next, asked);
        self.ask(self.next, out);
        if self.planted != Some(Planted::NeverRetries) && self.again_at.is_none() {
            self.again_at = Some(now.plus(AGAIN));
        }
    }

    fn settle(&mut self, _: Time, _: &mut Outbox<Sequencer>) {}

    fn deadline(&self) -> Option<Time> {
        self.again_at
    }

    fn credit(&self) -> usize {
        64_usize.saturating_sub(self.asked.len())
    }

    fn snapshot(&self) -> Snapshot {
        snapshot(Phase::Client, 0, Slot::ZERO)
    }
}

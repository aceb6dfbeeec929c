//! A reliable counter: everybody may add, every addition is counted once by everybody, whatever is lost or stops.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, Roster, Time};
use hedgerow_crypto::{Checks, Signature, SignatureCheck, SigningKey, VerifyingKey};
use hedgerow_driver::{
    Application, ApplicationError, Clock, Driver, Handle, Options, Parts, Persistence,
};
use hedgerow_journal::Journal;
use hedgerow_machine::{Codec, Input, Machine, Outbox, Protocol, Reject, Target};
use hedgerow_transport::{
    Channel, Doorbell, Limits, MailboxLimits, MemberAddress, Routes, Transport, TransportConfig,
};
use hedgerow_wire::{BorshDeserialize, BorshSerialize, DecodeError, decode, encode};

pub(crate) const CHANNEL: Channel = Channel(1);

#[derive(Debug)]
pub(crate) struct Counting;

#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum Message {
    /// Signed; promises that the sender has it stored.
    Add { number: u64, amount: u64 },
    /// Promises that the sender of this has the addition stored.
    Stored { number: u64 },
    /// Promises nothing.
    Hello(u64),
}

#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub(crate) enum Record {
    Mine {
        number: u64,
        amount: u64,
    },
    Theirs {
        from: NodeId,
        number: u64,
        amount: u64,
    },
    Finished {
        number: u64,
    },
}

#[derive(Debug)]
pub(crate) enum Command {
    Add(u64),
    /// Says hello to all others, ungated.
    Greet(u64),
    /// A fault of the program.
    Panic,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Everybody has stored an addition of one's own.
    Done(u64),
    Greeted(NodeId, u64),
    Link(NodeId, bool),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) total: u64,
    pub(crate) unfinished: usize,
    pub(crate) rejected: u64,
}

impl Protocol for Counting {
    type Message = Message;
    type Command = Command;
    type Event = Event;
    type Record = Record;
    type Snapshot = Snapshot;
}

/// Each addition of one's own that somebody has not stored yet.
struct Unfinished {
    amount: u64,
    after: Lsn,
    missing: BTreeSet<NodeId>,
}

pub(crate) struct Counter {
    me: NodeId,
    roster: Roster,
    next: u64,
    total: u64,
    unfinished: BTreeMap<u64, Unfinished>,
    seen: BTreeSet<(NodeId, u64)>,
    resend: Option<Time>,
    rejected: u64,
}

const RESEND: Duration = Duration::from_millis(30);

impl Counter {
    pub(crate) fn recover(me: NodeId, roster: Roster, records: Vec<Record>) -> Self {
        let mut counter = Self {
            me,
            roster,
            next: 0,
            total: 0,
            unfinished: BTreeMap::new(),
            seen: BTreeSet::new(),
            resend: Some(Time::ZERO),
            rejected: 0,
        };
        for record in records {
            match record {
                Record::Mine { number, amount } => counter.begin(number, amount, Lsn::ZERO),
                Record::Theirs {
                    from,
                    number,
                    amount,
                } => {
                    counter.seen.insert((from, number));
                    counter.total += amount;
                }
                Record::Finished { number } => drop(counter.unfinished.remove(&number)),
            }
        }
        counter
    }

    fn begin(&mut self, number: u64, amount: u64, after: Lsn) {
        self.next = number + 1;
        self.total += amount;
        let missing = self.roster.others(self.me).collect();
        self.unfinished.insert(
            number,
            Unfinished {
                amount,
                after,
                missing,
            },
        );
    }
}

impl Machine<Counting> for Counter {
    fn step(&mut self, now: Time, input: Input<Counting>, out: &mut Outbox<Counting>) {
        match input {
            Input::Command(Command::Add(amount)) => {
                let number = self.next;
                let after = out.persist(Record::Mine { number, amount });
                self.begin(number, amount, after);
                out.send_after(after, Target::Others, Message::Add { number, amount });
                self.resend.get_or_insert_with(|| now.plus(RESEND));
            }
            Input::Command(Command::Greet(word)) => out.send(Target::All, Message::Hello(word)),
            Input::Command(Command::Panic) => panic!("a fault of the program"),
            Input::Message {
                from,
                message: Message::Hello(word),
            } => out.emit(Event::Greeted(from, word)),
            Input::Message {
                from,
                message: Message::Add { number, amount },
            } => {
                let mut after = Lsn::ZERO;
                if self.seen.insert((from, number)) {
                    self.total += amount;
                    after = out.persist(Record::Theirs {
                        from,
                        number,
                        amount,
                    });
                } else if out.last() > Lsn::ZERO {
                    // Stored at some position that this toy does not remember.
                    after = out.last();
                }
                out.send_after(after, Target::Node(from), Message::Stored { number });
            }
            Input::Message {
                from,
                message: Message::Stored { number },
            } => {
                if let Some(unfinished) = self.unfinished.get_mut(&number) {
                    unfinished.missing.remove(&from);
                    if unfinished.missing.is_empty() {
                        self.unfinished.remove(&number);
                        let after = out.persist(Record::Finished { number });
                        out.emit_after(after, Event::Done(number));
                    }
                }
            }
            Input::Link { peer, up } => out.emit(Event::Link(peer, up)),
            Input::Rejected { .. } => self.rejected += 1,
            Input::Durable(_) => {}
            Input::Deadline => {
                self.resend = (!self.unfinished.is_empty()).then(|| now.plus(RESEND));
                for (
                    &number,
                    Unfinished {
                        amount,
                        after,
                        missing,
                    },
                ) in &self.unfinished
                {
                    for &node in missing {
                        out.send_after(
                            *after,
                            Target::Node(node),
                            Message::Add {
                                number,
                                amount: *amount,
                            },
                        );
                    }
                }
            }
        }
    }

    fn settle(&mut self, _now: Time, _out: &mut Outbox<Counting>) {}

    fn deadline(&self) -> Option<Time> {
        self.resend
    }

    fn credit(&self) -> usize {
        100 - self.unfinished.len().min(100)
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            total: self.total,
            unfinished: self.unfinished.len(),
            rejected: self.rejected,
        }
    }
}

pub(crate) const fn seed(node: u32) -> [u8; 32] {
    [node as u8 + 1; 32]
}

fn key(node: NodeId) -> VerifyingKey {
    SigningKey::from_seed(seed(node.0)).verifying_key()
}

/// Additions are signed, the rest is not sealed at all.
pub(crate) struct ToyCodec {
    signing: SigningKey,
    keys: Vec<VerifyingKey>,
}

impl ToyCodec {
    pub(crate) fn new(me: u32, n: u32) -> Self {
        Self {
            signing: SigningKey::from_seed(seed(me)),
            keys: (0..n).map(|node| key(NodeId(node))).collect(),
        }
    }
}

impl Codec<Counting> for ToyCodec {
    fn admit(&self, link: NodeId, frame: &Bytes, checks: &mut Checks) -> Result<Message, Reject> {
        let (message, signature): (Message, Option<Signature>) = decode(frame, 1000)?;
        match (&message, signature) {
            (Message::Add { .. }, Some(signature)) => {
                let key = *self
                    .keys
                    .get(link.index())
                    .ok_or_else(|| Reject::Inadmissible("a stranger".into()))?;
                checks.require(SignatureCheck::new(key, &encode(&message), signature));
            }
            (Message::Add { .. }, None) => return Err(Reject::Inadmissible("not signed".into())),
            _ => {}
        }
        Ok(message)
    }

    fn seal(&self, message: &Message, _to: Target) -> Bytes {
        let signature =
            matches!(message, Message::Add { .. }).then(|| self.signing.sign(&encode(message)));
        encode(&(message.clone(), signature)).into()
    }
}

/// Passes events on to the test, and may be made to wait before each burst.
pub(crate) struct Listener {
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) gate: Option<Arc<Mutex<()>>>,
}

impl Application<Counting> for Listener {
    fn on_events(
        &mut self,
        events: &mut Vec<Event>,
        _handle: &Handle<Counting>,
    ) -> Result<(), ApplicationError> {
        let _held = self.gate.as_ref().map(|gate| gate.lock().unwrap());
        for event in events.drain(..) {
            let _ = self.events.send(event);
        }
        Ok(())
    }
}

pub(crate) struct Network {
    pub(crate) n: u32,
    pub(crate) members: Vec<MemberAddress>,
}

/// A running participant.
pub(crate) struct Node {
    pub(crate) driver: Driver<Counting>,
    pub(crate) transport: Transport,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) exited: Arc<AtomicBool>,
}

impl Network {
    pub(crate) fn new(n: u32) -> Self {
        let sockets: Vec<_> = (0..n)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let member = |(id, socket): (u32, &TcpListener)| MemberAddress {
            id: NodeId(id),
            public_key: key(NodeId(id)).0,
            address: Some(socket.local_addr().unwrap().to_string()),
        };
        Self {
            n,
            members: (0..n).zip(&sockets).map(member).collect(),
        }
    }

    pub(crate) fn roster(&self) -> Roster {
        Roster::new(self.n).unwrap()
    }

    pub(crate) fn transport(&self, me: u32, routes: Routes) -> Transport {
        let config = TransportConfig {
            network: Digest::ZERO,
            me: NodeId(me),
            seed: seed(me),
            members: self.members.clone(),
            listen: Some(
                self.members[me as usize]
                    .address
                    .as_ref()
                    .unwrap()
                    .parse()
                    .unwrap(),
            ),
            limits: Limits {
                ping_after: Duration::from_millis(200),
                ..Limits::default()
            },
        };
        Transport::start(config, routes).unwrap()
    }

    pub(crate) fn start_with(
        &self,
        me: u32,
        records: Vec<Record>,
        last: Lsn,
        persistence: Persistence,
        gate: Option<Arc<Mutex<()>>>,
    ) -> Node {
        let bell = Arc::new(Doorbell::new());
        let mut routes = Routes::default();
        let mailbox = routes.open(&[CHANNEL], MailboxLimits::default(), bell.clone());
        let transport = self.transport(me, routes);
        let (sender, events) = mpsc::channel();
        let parts = Parts {
            me: NodeId(me),
            machine: Box::new(Counter::recover(NodeId(me), self.roster(), records)),
            last,
            codec: Arc::new(ToyCodec::new(me, self.n)),
            encode,
            persistence,
            application: Box::new(Listener {
                events: sender,
                gate,
            }),
            transport: transport.clone(),
            mailbox,
            bell,
            clock: Clock::new(),
            options: Options::new(self.roster(), CHANNEL),
        };
        let exited = Arc::new(AtomicBool::new(false));
        let exit = exited.clone();
        let driver = Driver::start(parts, move || exit.store(true, Ordering::Relaxed)).unwrap();
        Node {
            driver,
            transport,
            events,
            exited,
        }
    }

    /// Starts a participant with its journal in `dir`, and with what it says there.
    pub(crate) fn start(&self, me: u32, dir: &Path) -> Node {
        let (journal, records, recovery) = Journal::open(dir, Default::default()).unwrap();
        let decoded: Result<Vec<Record>, DecodeError> = records
            .iter()
            .map(|(_, record)| decode(record, 1000))
            .collect();
        self.start_with(
            me,
            decoded.unwrap(),
            recovery.last,
            Persistence::Thread(Box::new(journal)),
            None,
        )
    }
}

impl Node {
    pub(crate) fn stop(self) {
        self.driver.handle().stop();
        self.driver.join().unwrap();
        self.transport.shutdown();
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.driver.handle().snapshot()
    }

    pub(crate) fn connected(&self, peers: usize) {
        until("connected", || {
            self.transport
                .status()
                .iter()
                .filter(|peer| peer.connected)
                .count()
                == peers
        });
    }
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

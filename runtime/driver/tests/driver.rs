//! A machine on threads, sockets and a disk.

mod toy;

use std::{
    sync::{Arc, Condvar, Mutex, atomic::Ordering},
    thread,
    time::Duration,
};

use bytes::Bytes;
use hedgerow_base::{Lsn, NodeId};
use hedgerow_driver::{Busy, DriverError, Persistence};
use hedgerow_journal::{Journal, JournalError, Log};
use hedgerow_machine::{Codec, Target};
use hedgerow_transport::{Doorbell, Mailbox, MailboxLimits, Routes, Transport};
use hedgerow_wire::{decode, encode};
use toy::{CHANNEL, Command, Counting, Event, Message, Network, ToyCodec, until};

#[test]
fn additions_are_counted_once_by_all_though_a_member_is_restarted() {
    let network = Network::new(3);
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let mut nodes: Vec<_> = (0..3)
        .map(|id| network.start(id, dirs[id as usize].path()))
        .collect();
    let (mut expected, mut added_by_one) = (0, 0);
    for round in 0..4 {
        let adders: Vec<_> = nodes
            .iter()
            .map(|node| {
                let handle = node.driver.handle().clone();
                thread::spawn(move || {
                    (0..300)
                        .filter(|_| handle.command(Command::Add(1)).is_ok())
                        .count() as u64
                })
            })
            .collect();
        if round % 2 == 1 {
            // In the middle of it; commands that it had not stepped are lost, and nobody was told otherwise.
            let stopped = nodes.remove(1);
            stopped.stop();
            let added: Vec<_> = adders
                .into_iter()
                .map(|adder| adder.join().unwrap())
                .collect();
            nodes.insert(1, network.start(1, dirs[1].path()));
            expected += added[0] + added[2];
        } else {
            assert_eq!(
                adders
                    .into_iter()
                    .map(|adder| adder.join().unwrap())
                    .sum::<u64>(),
                900
            );
            expected += 600;
        }
        until("all is stored by all", || {
            nodes.iter().all(|node| node.snapshot().unfinished == 0)
                && nodes
                    .iter()
                    .all(|node| node.snapshot().total == nodes[0].snapshot().total)
                && nodes[0].snapshot().total >= expected + added_by_one
        });
        added_by_one = nodes[0].snapshot().total - expected;
        assert!(added_by_one <= 300 * (round + 1), "{added_by_one}");
    }
    let stats = nodes[0].driver.handle().stats();
    assert!(
        stats.syncs < stats.records,
        "{stats:?}: one sync is for many records"
    );
    nodes.into_iter().for_each(toy::Node::stop);
    // What the disks say is what the members said.
    for dir in &dirs {
        let (_, records, _) = Journal::open(dir.path(), Default::default()).unwrap();
        let amounts = records
            .iter()
            .map(|(_, record)| match decode(record, 1000).unwrap() {
                toy::Record::Mine { amount, .. } | toy::Record::Theirs { amount, .. } => amount,
                toy::Record::Finished { .. } => 0,
            });
        assert_eq!(amounts.sum::<u64>(), expected + added_by_one);
    }
}

/// A log in memory whose syncs wait for the test's word, or fail at it.
#[derive(Clone, Default)]
struct Stalled(Arc<(Mutex<Word>, Condvar)>);

#[derive(Default)]
struct Word {
    last: u64,
    may_sync: bool,
    fails: bool,
    waiting: bool,
}

impl Stalled {
    fn say(&self, change: impl FnOnce(&mut Word)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn waiting(&self) -> bool {
        self.0.0.lock().unwrap().waiting
    }
}

impl Log for Stalled {
    fn append(&mut self, _record: &[u8]) -> Result<Lsn, JournalError> {
        let mut word = self.0.0.lock().unwrap();
        word.last += 1;
        Ok(Lsn(word.last))
    }

    fn sync(&mut self) -> Result<Lsn, JournalError> {
        let mut word = self.0.0.lock().unwrap();
        word.waiting = true;
        let mut word = self
            .0
            .1
            .wait_while(word, |word| !word.may_sync && !word.fails)
            .unwrap();
        word.waiting = false;
        if word.fails {
            Err(JournalError::Poisoned)
        } else {
            Ok(Lsn(word.last))
        }
    }

    fn release(&mut self, _below: Lsn) -> Result<(), JournalError> {
        Ok(())
    }
}

/// A member without a machine: hears what is said to it.
struct Ear {
    transport: Transport,
    mailbox: Mailbox,
    heard: Vec<Message>,
}

impl Ear {
    fn new(network: &Network, me: u32) -> Self {
        let mut routes = Routes::default();
        let mailbox = routes.open(
            &[CHANNEL],
            MailboxLimits::default(),
            Arc::new(Doorbell::new()),
        );
        Self {
            transport: network.transport(me, routes),
            mailbox,
            heard: Vec::new(),
        }
    }

    fn heard(&mut self) -> &[Message] {
        let mut burst = Vec::new();
        self.mailbox.take(1000, &mut burst);
        for frame in burst {
            let (message, _): (Message, Option<hedgerow_crypto::Signature>) =
                decode(&frame.bytes, 1000).unwrap();
            self.heard.push(message);
        }
        &self.heard
    }
}

#[test]
fn nothing_gated_leaves_before_its_position_is_durable() {
    let network = Network::new(2);
    let log = Stalled::default();
    let node = network.start_with(
        0,
        Vec::new(),
        Lsn::ZERO,
        Persistence::Thread(Box::new(log.clone())),
        None,
    );
    let mut ear = Ear::new(&network, 1);
    node.connected(1);
    let handle = node.driver.handle().clone();
    for n in 0..20 {
        handle.command(Command::Add(n)).unwrap();
    }
    until("the log waits for the disk", || log.waiting());
    // Long enough for resends, which are gated as well. What is ungated passes all that waits.
    for n in 0..50 {
        handle.command(Command::Greet(n)).unwrap();
        until("greeted", || ear.heard().contains(&Message::Hello(n)));
        thread::sleep(Duration::from_millis(2));
    }
    assert!(
        ear.heard()
            .iter()
            .all(|message| matches!(message, Message::Hello(_)))
    );
    log.say(|word| word.may_sync = true);
    let all = |heard: &[Message]| {
        (0..20).all(|n| {
            heard.contains(&Message::Add {
                number: n,
                amount: n,
            })
        })
    };
    until("said once it is durable", || all(ear.heard()));

    // The disk fails: what was to wait for it is never said, and the driver says why it stopped.
    log.say(|word| (word.may_sync, word.fails) = (false, true));
    handle.command(Command::Add(777)).unwrap();
    let error = node.driver.join().unwrap_err();
    assert!(
        matches!(error, DriverError::Log(JournalError::Poisoned)),
        "{error}"
    );
    node.transport.shutdown();
    assert!(
        !ear.heard()
            .iter()
            .any(|message| matches!(message, Message::Add { amount: 777, .. }))
    );
    assert!(matches!(
        handle.try_command(Command::Add(1)),
        Err(Busy::Stopped(_))
    ));
    assert!(handle.command(Command::Add(1)).is_err());
    ear.transport.shutdown();
}

#[test]
fn events_wait_for_the_log_too() {
    let network = Network::new(1);
    let log = Stalled::default();
    let node = network.start_with(
        0,
        Vec::new(),
        Lsn::ZERO,
        Persistence::Thread(Box::new(log.clone())),
        None,
    );
    // Alone, every addition is stored by all others at once, but a resend tells it so: the toy needs no more.
    node.driver.handle().command(Command::Greet(5)).unwrap();
    assert_eq!(
        node.events.recv_timeout(Duration::from_secs(10)).unwrap(),
        Event::Greeted(NodeId(0), 5)
    );
    assert_eq!(
        node.driver.handle().stats().messages_in,
        1,
        "one's own word comes back"
    );
    node.stop();
}

#[test]
fn a_slow_application_does_not_hold_up_the_machine() {
    let network = Network::new(2);
    let gate = Arc::new(Mutex::new(()));
    let slow = network.start_with(
        0,
        Vec::new(),
        Lsn::ZERO,
        Persistence::None,
        Some(gate.clone()),
    );
    let other = network.start_with(1, Vec::new(), Lsn::ZERO, Persistence::None, None);
    let first = slow.events.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(first, Event::Link(NodeId(1), true));
    let held = gate.lock().unwrap();
    for _ in 0..500 {
        slow.driver.handle().command(Command::Add(1)).unwrap();
        other.driver.handle().command(Command::Add(1)).unwrap();
    }
    // Both go on to the end while the slow one's application has not taken a single event.
    until("all is done", || {
        let done = |node: &toy::Node| {
            node.snapshot()
                == toy::Snapshot {
                    total: 1000,
                    unfinished: 0,
                    rejected: 0,
                }
        };
        done(&slow) && done(&other)
    });
    assert!(slow.events.try_recv().is_err());
    drop(held);
    let done: Vec<_> = (0..500)
        .map(|_| slow.events.recv_timeout(Duration::from_secs(10)).unwrap())
        .collect();
    assert_eq!(done.len(), 500);
    slow.stop();
    other.stop();
}

#[test]
fn what_fails_its_checks_reaches_the_machine_as_rejected_only() {
    let network = Network::new(2);
    let node = network.start_with(0, Vec::new(), Lsn::ZERO, Persistence::None, None);
    let liar = Ear::new(&network, 1);
    node.connected(1);
    until("connected", || liar.transport.status()[0].connected);
    let honest = ToyCodec::new(1, 2);
    let frame = |number| honest.seal(&Message::Add { number, amount: 1 }, Target::Node(NodeId(0)));
    let mut sent = 0;
    for number in 0..60 {
        let bytes = match number % 4 {
            // Signed by another than the one at the other end of the link.
            1 => ToyCodec::new(0, 2).seal(
                &Message::Add {
                    number,
                    amount: 1000,
                },
                Target::Others,
            ),
            2 => Bytes::from(encode(&(
                Message::Add {
                    number,
                    amount: 1000,
                },
                None::<hedgerow_crypto::Signature>,
            ))),
            3 => Bytes::from_static(&[9, 9, 9]),
            _ => {
                sent += 1;
                frame(number)
            }
        };
        liar.transport.post(NodeId(0), CHANNEL, bytes).unwrap();
    }
    liar.transport.flush();
    until("all came", || {
        node.snapshot().total + node.snapshot().rejected == 60
    });
    assert_eq!(node.snapshot().total, sent);
    assert_eq!(node.driver.handle().stats().rejected, 60 - sent);
    node.stop();
    liar.transport.shutdown();
}

#[test]
fn a_machine_without_credit_pushes_back() {
    let network = Network::new(2);
    let node = network.start_with(0, Vec::new(), Lsn::ZERO, Persistence::None, None);
    let handle = node.driver.handle().clone();
    // Nobody answers: 100 are taken by the machine, 4096 wait, the next one is turned away.
    let mut taken = 0;
    until("full", || match handle.try_command(Command::Add(1)) {
        Ok(()) => {
            taken += 1;
            false
        }
        Err(busy) => {
            matches!(busy, Busy::Full(Command::Add(1))) && node.snapshot().unfinished == 100
        }
    });
    assert!((4096..=4196).contains(&taken), "{taken}");
    let waits = thread::spawn({
        let handle = handle.clone();
        move || (0..200).all(|_| handle.command(Command::Add(1)).is_ok())
    });
    // Someone answers: all go through.
    let other = network.start_with(1, Vec::new(), Lsn::ZERO, Persistence::None, None);
    assert!(waits.join().unwrap());
    until("all is done", || {
        node.snapshot().total == taken + 200 && node.snapshot().unfinished == 0
    });
    node.stop();
    other.stop();
}

#[test]
fn a_panic_is_a_failure_with_words_not_an_abort() {
    let network = Network::new(1);
    let node = network.start_with(0, Vec::new(), Lsn::ZERO, Persistence::None, None);
    node.driver.handle().command(Command::Panic).unwrap();
    let error = node.driver.join().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the lane thread panicked: a fault of the program"
    );
    assert!(node.exited.load(Ordering::Relaxed));
    node.transport.shutdown();
}

#[test]
fn an_idle_machine_is_left_alone() {
    let network = Network::new(2);
    let nodes =
        [0, 1].map(|id| network.start_with(id, Vec::new(), Lsn::ZERO, Persistence::None, None));
    nodes[0].connected(1);
    nodes[0].driver.handle().command(Command::Add(3)).unwrap();
    until("counted", || {
        nodes.iter().all(|node| {
            node.snapshot()
                == toy::Snapshot {
                    total: 3,
                    unfinished: 0,
                    rejected: 0,
                }
        })
    });
    // The last resend's deadline passes.
    thread::sleep(Duration::from_millis(100));
    let before = [0, 1].map(|n: usize| nodes[n].driver.handle().stats());
    thread::sleep(Duration::from_millis(700));
    assert_eq!(
        [0, 1].map(|n: usize| nodes[n].driver.handle().stats()),
        before
    );
    nodes.into_iter().for_each(toy::Node::stop);
}

const _: fn() = || {
    const fn shared<T: Send + Sync>() {}
    shared::<hedgerow_driver::Handle<Counting>>();
};

#[test]
fn a_machine_is_told_of_connections_that_stand_and_break() {
    let network = Network::new(2);
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [node, other] = [0, 1].map(|id| network.start(id, dirs[id as usize].path()));
    let told = || node.events.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(told(), Event::Link(NodeId(1), true));
    other.stop();
    assert_eq!(told(), Event::Link(NodeId(1), false));
    let other = network.start(1, dirs[1].path());
    assert_eq!(told(), Event::Link(NodeId(1), true));
    other.stop();
    node.stop();
}

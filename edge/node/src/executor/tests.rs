//! What an executor does with what a replica tells it: it executes at once, and shows, stores and announces what is final.

use std::sync::mpsc::{Receiver, channel};

use hedgerow_base::NodeId;
use hedgerow_chain::{Answer, Genesis, Query};
use hedgerow_crypto::SigningKey;
use hedgerow_driver::{Busy, Stats, Stopped};
use hedgerow_kv::MemoryStore;
use hedgerow_ordering::Snapshot;
use hedgerow_records::{Bundle, Transaction, VERSION, Vote};
use hedgerow_wire::{Blob, List};

use super::*;

fn genesis() -> Genesis {
    let member = |node: u8| {
        let key = SigningKey::from_seed([node + 1; 32]).verifying_key();
        let (key, mac_key) = (key.to_hex(), hex::encode([node + 100; 32]));
        format!(r#"{{"name": "m{node}", "key": "{key}", "mac_key": "{mac_key}"}}"#)
    };
    let validators: Vec<_> = (0..4).map(member).collect();
    let text = format!(
        r#"{{
            "network": 7, "name": "test", "time": 1700000000000,
            "validators": [{}], "gateways": [{}],
            "ordering": {{"consensus": "pbft", "checkpoint_interval": 128, "window": 256, "batch": "burst"}}
        }}"#,
        validators.join(","),
        member(4),
    );
    Genesis::from_json(&text).unwrap()
}

/// Keeps what the application says.
#[derive(Default)]
struct Said(Mutex<Vec<Command>>);

impl Participant for Said {
    fn try_command(&self, command: Command) -> Result<(), Busy<Command>> {
        self.0.lock().unwrap().push(command);
        Ok(())
    }

    fn commands_all(&self, commands: Vec<Command>) -> Result<(), Stopped> {
        self.0.lock().unwrap().extend(commands);
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        unreachable!("an application does not ask for it")
    }

    fn stats(&self) -> Stats {
        unreachable!("an application does not ask for them")
    }

    fn stop(&self) {
        unreachable!("an application does not stop its participant")
    }
}

struct Bench {
    ledger: Shared<MemoryStore>,
    executor: Executor<MemoryStore>,
    told: Receiver<Vec<(Height, Digest)>>,
}

impl Bench {
    fn new(store: MemoryStore) -> Self {
        let ledger = Shared::new(Ledger::open(store, genesis()).unwrap());
        let (sender, told) = channel();
        let executor = Executor::new(ledger.clone(), move |blocks| sender.send(blocks).unwrap());
        Self {
            ledger,
            executor,
            told,
        }
    }

    /// The power goes; what was synced stays.
    fn restart(self) -> Self {
        drop(self.executor);
        let ledger = Arc::into_inner(self.ledger.0).unwrap();
        let mut store = ledger.into_inner().unwrap().into_store();
        store.crash(0);
        Self::new(store)
    }

    fn tell(&mut self, events: Vec<Event>) -> Vec<Command> {
        let said = Said::default();
        let mut events = events;
        self.executor.on_events(&mut events, &said).unwrap();
        said.0.into_inner().unwrap()
    }

    /// The heights announced since the last time.
    fn announced(&self) -> Vec<u64> {
        self.told
            .try_iter()
            .flatten()
            .map(|(height, _)| height.0)
            .collect()
    }

    /// The height and slot that a query sees.
    fn shown(&mut self) -> (u64, u64) {
        let query = Query::Head.to_bytes().into();
        let said = self.tell(vec![Event::Answer { token: 3, query }]);
        let [Command::Answered { token: 3, reply }] = &said[..] else {
            panic!("{said:?}")
        };
        match Answer::from_bytes(reply).unwrap() {
            Answer::Head(head) => (head.block.height.0, head.block.slot.0),
            other => panic!("{other:?}"),
        }
    }
}

fn execute(slot: u64, operations: &[&'static [u8]]) -> Event {
    let operation = |operation: &&'static [u8]| Operation {
        client: NodeId(4),
        number: slot,
        operation: Bytes::from_static(operation),
    };
    Event::Execute(Batch {
        slot: Slot(slot),
        time_ms: 1_700_000_000_000 + slot,
        operations: operations.iter().map(operation).collect(),
    })
}

const fn settle(slot: u64) -> Event {
    Event::Final(Slot(slot))
}

/// A word for each answer: what it is, its slot, its replies.
fn words(said: &[Command]) -> Vec<(&'static str, u64, usize)> {
    let word = |command: &Command| match command {
        Command::Executed { slot, replies, .. } => ("executed", slot.0, replies.len()),
        Command::RolledBack(slot) => ("rolled back", slot.0, 0),
        Command::Stored(slot) => ("stored", slot.0, 0),
        other => panic!("{other:?}"),
    };
    said.iter().map(word).collect()
}

fn states(said: &[Command]) -> Vec<Digest> {
    let state = |command: &Command| match command {
        Command::Executed { state, .. } => Some(*state),
        _ => None,
    };
    said.iter().filter_map(state).collect()
}

#[test]
fn what_is_executed_is_shown_and_announced_when_it_is_final() {
    let mut bench = Bench::new(MemoryStore::new());
    let said = bench.tell(vec![execute(1, &[b"a", b"b"]), execute(2, &[b"c"])]);
    assert_eq!(words(&said), [("executed", 1, 2), ("executed", 2, 1)]);
    assert_eq!((bench.shown(), bench.announced()), ((0, 0), vec![]));
    assert_eq!(words(&bench.tell(vec![settle(1)])), []);
    assert_eq!((bench.shown(), bench.announced()), ((1, 1), vec![1]));
    // A slot without requests makes no block: there is nothing to announce.
    bench.tell(vec![execute(3, &[]), settle(3), settle(3)]);
    assert_eq!((bench.shown(), bench.announced()), ((2, 2), vec![2]));
    bench.tell(vec![execute(4, &[]), settle(4)]);
    assert_eq!((bench.shown(), bench.announced()), ((2, 2), vec![]));
}

#[test]
fn a_rollback_is_answered_in_order_and_leaves_no_trace() {
    let mut bench = Bench::new(MemoryStore::new());
    let said = bench.tell(vec![
        execute(1, &[b"a"]),
        settle(1),
        execute(2, &[b"wrong"]),
        execute(3, &[]),
        Event::Rollback(Slot(1)),
        execute(2, &[]),
        execute(3, &[b"b"]),
        settle(3),
    ]);
    let expected = [
        ("executed", 1, 1),
        ("executed", 2, 1),
        ("executed", 3, 0),
        ("rolled back", 1, 0),
        ("executed", 2, 0),
        ("executed", 3, 1),
    ];
    assert_eq!(words(&said), expected);
    assert_eq!((bench.shown(), bench.announced()), ((2, 3), vec![1, 2]));

    let mut straight = Bench::new(MemoryStore::new());
    let events = vec![execute(1, &[b"a"]), execute(2, &[]), execute(3, &[b"b"])];
    let straight = states(&straight.tell(events));
    let states = states(&said);
    assert_eq!([states[0], states[3], states[4]], straight[..]);
}

#[test]
fn only_what_is_final_is_stored_and_given_to_others() {
    let mut bench = Bench::new(MemoryStore::new());
    bench.tell(vec![execute(1, &[b"a"]), settle(1), execute(2, &[b"b"])]);
    let said = bench.tell(vec![Event::Stable(Slot(1))]);
    assert_eq!(words(&said), [("stored", 1, 0)]);
    let load = |slot| Event::Load {
        token: slot,
        slot: Slot(slot),
    };
    let said = bench.tell(vec![load(1), load(2)]);
    let loaded = |command: &Command| matches!(command, Command::Loaded { batch: Some(_), .. });
    assert_eq!(said.iter().map(loaded).collect::<Vec<_>>(), [true, false]);
    let bench = bench.restart();
    let head = bench.ledger.lock().head();
    assert_eq!((head.slot, head.stable_slot), (Slot(1), Slot(1)));
}

#[test]
fn after_a_restart_what_was_final_is_answered_again() {
    let mut bench = Bench::new(MemoryStore::new());
    let events = |slots: std::ops::RangeInclusive<u64>| -> Vec<_> {
        let event = |slot| execute(slot, if slot == 2 { &[] } else { &[b"a"] });
        slots.flat_map(|slot| [event(slot), settle(slot)]).collect()
    };
    let before = bench.tell(events(1..=4));
    assert_eq!(bench.announced(), [1, 2, 3]);
    bench.tell(vec![Event::Stable(Slot(4)), execute(5, &[b"wrong"])]);

    let mut bench = bench.restart();
    let again = bench.tell(events(2..=4));
    assert_eq!(states(&again), states(&before)[1..]);
    assert_eq!(words(&again), words(&before)[1..]);
    assert_eq!((bench.shown(), bench.announced()), ((3, 4), vec![]));
    // Whoever starts at an old checkpoint may go back behind what is final here: it is executed again all the same.
    let said = bench.tell(vec![Event::Rollback(Slot(3))]);
    assert_eq!(words(&said), [("rolled back", 3, 0)]);
    let said = bench.tell(events(4..=5));
    assert_eq!(states(&said)[0], states(&before)[3]);
    assert_eq!((bench.shown(), bench.announced()), ((4, 5), vec![4]));
}

/// Validators vote, in one slot.
fn votes(slot: u64, epoch: u64, protocol: &str, validators: std::ops::Range<u8>) -> Event {
    let vote = |node: u8| {
        let vote = Vote {
            version: VERSION,
            genesis: genesis().digest(),
            epoch,
            protocol: protocol.parse().unwrap(),
            validator: NodeId(node.into()),
        };
        let signed = vote.sign(&SigningKey::from_seed([node + 1; 32]));
        Blob::new(Transaction::Vote(signed).to_bytes()).unwrap()
    };
    let transactions = List::new(validators.map(vote).collect()).unwrap();
    let bundle: &'static [u8] = Box::leak(Bundle { transactions }.to_bytes().into_boxed_slice());
    execute(slot, &[bundle])
}

#[test]
fn a_vote_ends_the_epoch_and_what_is_ordered_after_it_is_void() {
    let void = |command: &Command| match command {
        Command::Executed { replies, .. } => replies.iter().all(|reply| reply == VOID),
        _ => false,
    };
    let ended = |command: &Command| match command {
        Command::EndEpoch {
            slot,
            next,
            protocol,
        } => Some((slot.0, *next, protocol.to_string())),
        _ => None,
    };
    let aliph = Some((2, 1, "aliph".to_owned()));
    let mut bench = Bench::new(MemoryStore::new());
    // Undone by a rollback, it has not ended.
    let said = bench.tell(vec![
        execute(1, &[b"a"]),
        votes(2, 0, "aliph", 0..3),
        execute(3, &[b"b"]),
        Event::Rollback(Slot(1)),
        votes(2, 0, "aliph", 0..2),
        execute(3, &[b"b"]),
        Event::Rollback(Slot(1)),
    ]);
    assert_eq!(said.len(), 8);
    assert_eq!(ended(&said[2]), aliph);
    assert!(void(&said[3]) && !void(&said[5]) && !void(&said[6]));

    let said = bench.tell(vec![
        votes(2, 0, "aliph", 1..4),
        execute(3, &[b"c", b"d"]),
        settle(3),
        Event::Stable(Slot(3)),
    ]);
    assert_eq!(ended(&said[1]), aliph);
    assert!(void(&said[2]));
    assert!(matches!(said[3], Command::Stored(Slot(2))));
    // After a restart it is told again of the epoch that it was in, and says the same.
    let mut bench = bench.restart();
    let said = bench.tell(vec![
        execute(1, &[b"a"]),
        votes(2, 0, "aliph", 1..4),
        execute(3, &[b"c", b"d"]),
    ]);
    assert_eq!(ended(&said[2]), aliph);
    assert!(void(&said[3]));
    let said = bench.tell(vec![Event::Epoch(None), Event::Epoch(Some(1))]);
    assert!(matches!(
        said[..],
        [Command::Epoch(None), Command::Epoch(Some(1))]
    ));
    let said = bench.tell(vec![execute(3, &[b"c"]), settle(3)]);
    assert!(!void(&said[0]));
    assert_eq!(bench.ledger.lock().head().stable_slot, Slot(3));
}

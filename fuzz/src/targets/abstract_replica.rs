//! A replica of a composition whose leader and whose client lie to it under their own seals, while the other replicas log
//! nothing and go from instance to instance with it: it never panics, never rolls back what is final, never executes with
//! a gap, and one input never causes many effects.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hedgerow_abstract::{
    Abort, Abstract, AbstractCodec, Composition, Config, Instance, Message, Point, Replica, Welcome,
};
use hedgerow_base::{Digest, Lsn, NodeId, Slot, Time};
use hedgerow_crypto::{Checks, Sealed, Sealing};
use hedgerow_machine::{Codec, Effect, Input, Machine, Outbox, Reject, Target};
use hedgerow_ordering::{Batch, Command, Event};
use hedgerow_wire::List;

use super::abstract_frames::message;
use crate::members::keyrings;

/// The replica that is lied to.
const ME: usize = 1;
/// The liars: the leader of the first instances, and a client.
const LIARS: [usize; 2] = [0, 4];

struct Scene {
    replica: Replica,
    now: Time,
    out: Outbox<Abstract>,
    executed: Vec<Batch>,
    last_final: Slot,
}

impl Scene {
    fn new(composition: Composition) -> Self {
        let config = Config {
            checkpoint_interval: 2,
            history: 8,
            ..Config::of(composition)
        };
        let replica = Replica::new(config, Arc::clone(&keyrings()[ME])).expect("a replica");
        let mut scene = Self {
            replica,
            now: Time::from_millis(1_700_000_000_000),
            out: Outbox::new(Lsn::ZERO),
            executed: Vec::new(),
            last_final: Slot::ZERO,
        };
        scene.settle();
        for peer in [2, 3] {
            let welcome = Welcome {
                nonce: scene.now.0,
                instance: Instance::FIRST,
                head: Slot::ZERO,
                init: None,
            };
            scene.say(peer, &Message::Welcome(Arc::new(welcome)));
        }
        scene.settle();
        scene
    }

    fn step(&mut self, input: Input<Abstract>) {
        let before = self.out.len();
        self.replica.step(self.now, input, &mut self.out);
        let effects = self.out.len() - before;
        assert!(effects < 10_000, "one input, {effects} effects");
    }

    /// Settles, and does what the replica asks for until it asks for nothing.
    fn settle(&mut self) {
        for _ in 0..100 {
            self.replica.settle(self.now, &mut self.out);
            let effects: Vec<_> = self.out.drain().collect();
            if effects.is_empty() {
                return;
            }
            let mut durable = None;
            for effect in effects {
                match effect {
                    Effect::Persist { lsn, .. } => durable = Some(lsn),
                    Effect::Emit { event, .. } => self.on_event(event),
                    Effect::Send { .. } | Effect::Release(_) => {}
                }
            }
            if let Some(lsn) = durable {
                self.step(Input::Durable(lsn));
            }
        }
        panic!("the replica never comes to rest");
    }

    fn on_event(&mut self, event: Event) {
        let command = match event {
            Event::Execute(batch) => {
                let slot = batch.slot;
                assert_eq!(slot.0, self.executed.len() as u64 + 1, "a gap");
                let replies = vec![Bytes::from_static(b"reply"); batch.operations.len()];
                self.executed.push(batch);
                Command::Executed {
                    slot,
                    replies,
                    state: Digest([slot.0 as u8; 32]),
                }
            }
            Event::Rollback(slot) => {
                assert!(slot >= self.last_final, "what is final is rolled back");
                self.executed.truncate(slot.0 as usize);
                Command::RolledBack(slot)
            }
            Event::Final(slot) => {
                assert!(slot >= self.last_final && slot.0 <= self.executed.len() as u64);
                self.last_final = slot;
                return;
            }
            Event::Answer { token, query } => Command::Answered {
                token,
                reply: query,
            },
            Event::Load { token, slot } => Command::Loaded {
                token,
                slot,
                batch: self.executed.get(slot.0 as usize - 1).cloned(),
            },
            Event::Stable(slot) => Command::Stored(slot),
            Event::Completed { .. } | Event::Epoch(_) => return,
        };
        self.step(Input::Command(command));
    }

    fn say(&mut self, author: usize, said: &Message) {
        let from = NodeId(author as u32);
        let codec = AbstractCodec::new(Arc::clone(&keyrings()[author]));
        let frame = codec.seal(said, Target::Others);
        let mut checks = Checks::default();
        let codec = AbstractCodec::new(Arc::clone(&keyrings()[ME]));
        let input = match codec.admit(from, &frame, &mut checks) {
            Ok(message) if checks.hold() => Input::Message { from, message },
            Ok(_) => Input::Rejected {
                from,
                reason: Reject::Signature,
            },
            Err(reason) => Input::Rejected { from, reason },
        };
        self.step(input);
    }

    /// The others stop the instance that the replica is in. They have logged nothing.
    fn abort(&mut self) {
        for peer in [2, 3] {
            let abort = Abort {
                instance: Instance(self.replica.snapshot().view.0),
                low_load: false,
                base: Point::default(),
                suffix: List::default(),
            };
            let abort = Sealed::new(abort, Sealing::Signature, &keyrings()[peer]);
            self.say(peer, &Message::Abort(abort));
        }
    }
}

pub(crate) fn run(data: &[u8]) {
    let Some((&which, mut left)) = data.split_first() else {
        return;
    };
    let composition = Composition::ALL[usize::from(which) % Composition::ALL.len()];
    let (mut scene, mut lies) = (Scene::new(composition), 0);
    while let Some((&action, rest)) = left.split_first() {
        left = rest;
        if action & 1 == 0 {
            let past = Duration::from_millis(u64::from(action) * 10);
            scene.now = scene.now.plus(past);
            if scene.replica.deadline().is_some_and(|due| due <= scene.now) {
                scene.step(Input::Deadline);
            }
            if action & 14 == 14 {
                scene.abort();
            }
            scene.settle();
            continue;
        }
        let length = rest.first().map_or(0, |&length| usize::from(length));
        let after = rest.get(1..).unwrap_or_default();
        let (mut bytes, after) = after.split_at_checked(length).unwrap_or((after, &[]));
        let liar = LIARS[usize::from(action >> 1 & 1)];
        if let Some(said) = message(liar, &mut bytes) {
            scene.say(liar, &said);
        }
        if action & 4 == 0 {
            scene.settle();
        }
        left = after;
        lies += 1;
        if lies == 200 {
            break;
        }
    }
    scene.settle();
    let _ = (scene.replica.snapshot(), scene.replica.credit());
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for composition in 0..Composition::ALL.len() as u8 {
        let mut input = vec![composition];
        for instance in 1..=4_u8 {
            for author in [1_u8, 3] {
                for kind in 0..15_u8 {
                    // The number of the instance comes first in most of what is said.
                    input.extend([author, 121, kind, instance]);
                    input.extend([0; 119]);
                }
            }
            input.extend([20, 14]);
        }
        seeds.push(input);
    }
    seeds
}

//! A replica whose primary and whose client lie to it under their own seals, in any order, while time passes: it never
//! panics, never executes a slot twice or out of order, and one input never causes many effects.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use hedgerow_base::{Lsn, NodeId, Slot, Time};
use hedgerow_crypto::{Checks, hash};
use hedgerow_machine::{Codec, Effect, Input, Machine, Outbox, Reject, Target};
use hedgerow_ordering::{Batch, Command, Event};
use hedgerow_pbft::{Config, Pbft, PbftCodec, Replica};

use super::ordering::message;
use crate::members::keyrings;

/// The replica that is lied to.
const ME: usize = 1;

/// The liars: the primary of the first view, and a client.
const LIARS: [usize; 2] = [0, 4];

struct Scene {
    replica: Replica,
    now: Time,
    out: Outbox<Pbft>,
    batches: BTreeMap<Slot, Batch>,
    last: Slot,
}

impl Scene {
    fn new() -> Self {
        let config = Config {
            checkpoint_interval: 2,
            ..Config::default()
        };
        let replica = Replica::new(config, Arc::clone(&keyrings()[ME])).expect("a replica");
        Self {
            replica,
            now: Time::from_millis(1_700_000_000_000),
            out: Outbox::new(Lsn::ZERO),
            batches: BTreeMap::new(),
            last: Slot::ZERO,
        }
    }

    fn step(&mut self, input: Input<Pbft>) {
        let before = self.out.len();
        self.replica.step(self.now, input, &mut self.out);
        assert!(
            self.out.len() - before < 10_000,
            "one input, {} effects",
            self.out.len() - before
        );
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
                assert_eq!(
                    batch.slot,
                    self.last.next(),
                    "slots are executed in order, each once"
                );
                self.last = batch.slot;
                let replies = batch
                    .operations
                    .iter()
                    .map(|_| Bytes::from_static(b"reply"))
                    .collect();
                let state = hash(&batch.slot.0.to_le_bytes());
                let slot = batch.slot;
                self.batches.insert(slot, batch);
                Command::Executed {
                    slot,
                    replies,
                    state,
                }
            }
            Event::Answer { token, query } => Command::Answered {
                token,
                reply: query,
            },
            Event::Load { token, slot } => Command::Loaded {
                token,
                slot,
                batch: self.batches.get(&slot).cloned(),
            },
            Event::Stable(slot) => Command::Stored(slot),
            Event::Final(slot) => {
                assert_eq!(slot, self.last, "what is executed is final at once");
                return;
            }
            Event::Rollback(slot) => panic!("a rollback to slot {slot}: nothing is speculative"),
            Event::Completed { .. } | Event::Epoch(_) => return,
        };
        self.step(Input::Command(command));
    }

    fn lie(&mut self, liar: usize, mut bytes: &[u8]) {
        let from = NodeId(liar as u32);
        let Some(said) = message(keyrings(), liar, &mut bytes) else {
            return;
        };
        let frame = PbftCodec::new(Arc::clone(&keyrings()[liar])).seal(&said, Target::Others);
        let mut checks = Checks::default();
        let codec = PbftCodec::new(Arc::clone(&keyrings()[ME]));
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
}

pub(crate) fn run(data: &[u8]) {
    let mut scene = Scene::new();
    let mut left = data;
    let mut lies = 0;
    while let Some((&action, rest)) = left.split_first() {
        left = rest;
        if action & 1 == 0 {
            scene.now = scene
                .now
                .plus(Duration::from_millis(u64::from(action) * 10));
            if scene
                .replica
                .deadline()
                .is_some_and(|deadline| deadline <= scene.now)
            {
                scene.step(Input::Deadline);
            }
            scene.settle();
        } else {
            let length = rest.first().map_or(0, |&length| usize::from(length));
            let after = rest.get(1..).unwrap_or_default();
            let (bytes, after) = after.split_at_checked(length).unwrap_or((after, &[]));
            scene.lie(LIARS[usize::from(action >> 1 & 1)], bytes);
            if action & 4 == 0 {
                scene.settle();
            }
            left = after;
            lies += 1;
            if lies == 200 {
                break;
            }
        }
    }
    scene.settle();
    let _ = (scene.replica.snapshot(), scene.replica.credit());
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for author in [1_u8, 3] {
        let mut input = Vec::new();
        for kind in 0..16_u8 {
            input.extend([author, 121, kind]);
            input.extend([0; 120]);
            input.push(100);
        }
        seeds.push(input);
    }
    seeds
}

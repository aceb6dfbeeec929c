use bytes::Bytes;
use hedgerow_abstract::{Fetch, Fetched, MAX_FETCH, Message};
use hedgerow_base::Slot;
use hedgerow_machine::Target;
use hedgerow_world::{Attacker, Liar, MS, Plot, Rng};

use super::{super::Composed, anyone, say_honestly, say_to};

/// Gives whoever lacks batches of its init history wrong ones, in wrong places or many times, or nothing; and asks for
/// everything there is again and again.
#[derive(Debug)]
pub(super) struct LyingFetch {
    ppm: u32,
    every_ns: u64,
    left: u32,
}

impl LyingFetch {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(200_000, 1_000_000) as u32,
            every_ns: rng.spread(5 * MS, 500 * MS),
            left: 300,
        }
    }
}

fn distort(rng: &mut Rng, list: &mut Vec<Fetched>) {
    match rng.below(6) {
        0 => list.clear(),
        1 => list.reverse(),
        // Each batch in the place of the one before.
        2 => {
            for at in 1..list.len() {
                list[at - 1].batch = list[at].batch.clone();
            }
        }
        3 => {
            for one in list.iter_mut() {
                one.slot = one.slot.plus(1);
            }
        }
        // A byte of a batch is another one: in its slot, its time, a client, a number, or an operation.
        4 => {
            for one in list.iter_mut() {
                let mut bytes = one.batch.to_vec();
                let at = rng.below(bytes.len().max(1) as u64) as usize;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1;
                }
                one.batch = bytes.into();
            }
        }
        _ => {
            for one in list.iter_mut() {
                one.batch = Bytes::from(vec![0; rng.below(64) as usize]);
            }
        }
    }
}

impl Attacker<Composed> for LyingFetch {
    fn start(&mut self, _: &mut Liar<'_, Composed>, plot: &mut Plot) {
        plot.tick_in(self.every_ns);
    }

    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        let lie = match message {
            Message::Fetched(mut list) if me.rng.chance(self.ppm) => {
                distort(me.rng, &mut list);
                Message::Fetched(list)
            }
            other => other,
        };
        say_honestly(me, to, &lie, plot);
    }

    fn tick(&mut self, me: &mut Liar<'_, Composed>, plot: &mut Plot) {
        let to = anyone(me);
        let message = if me.rng.chance(700_000) {
            let from = match me.rng.below(4) {
                0 => Slot(u64::MAX - me.rng.below(70)),
                _ => Slot(me.rng.below(300)),
            };
            Message::Fetch(Fetch {
                from,
                count: me.rng.between(1, MAX_FETCH),
            })
        } else {
            // An answer to no question.
            let slots = 0..me.rng.below(MAX_FETCH);
            Message::Fetched(
                slots
                    .map(|slot| Fetched {
                        slot: Slot(slot),
                        batch: Bytes::from_static(&[0; 20]),
                    })
                    .collect(),
            )
        };
        say_to(me, to, &message, plot);
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            plot.tick_in(self.every_ns);
        }
    }
}

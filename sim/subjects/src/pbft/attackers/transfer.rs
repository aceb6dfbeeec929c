use std::sync::Arc;

use bytes::Bytes;
use hedgerow_crypto::hash;
use hedgerow_machine::Target;
use hedgerow_pbft::{Body, Decided, Message};
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Pbft, say_honestly};

/// Gives replicas that fetch what they missed wrong batches, wrong digests, or batches that do not match; and wrong
/// bodies to those that want one.
#[derive(Debug)]
pub(super) struct LyingTransfer {
    ppm: u32,
}

impl LyingTransfer {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(200_000, 1_000_000) as u32,
        }
    }
}

fn distort(rng: &mut Rng, decided: &mut Vec<Decided>) {
    match rng.below(6) {
        0 => decided.clear(),
        1 => {
            for (one, step) in decided.iter_mut().zip(1..) {
                one.slot = one.slot.plus(step);
            }
        }
        _ => {
            for one in decided {
                match rng.below(4) {
                    0 => one.digest.0[0] ^= 1,
                    1 => one.batch = None,
                    _ => {
                        if let Some(batch) = &one.batch {
                            let mut bytes = batch.to_vec();
                            let at = rng.below(bytes.len().max(1) as u64) as usize;
                            if let Some(byte) = bytes.get_mut(at) {
                                *byte ^= 1;
                            }
                            if rng.chance(500_000) {
                                one.digest = hash(&bytes);
                            }
                            one.batch = Some(Bytes::from(bytes));
                        }
                    }
                }
            }
        }
    }
}

impl Attacker<Pbft> for LyingTransfer {
    fn say(&mut self, me: &mut Liar<'_, Pbft>, to: Target, message: Message, plot: &mut Plot) {
        let lie = match &message {
            Message::Decided(decided) if me.rng.chance(self.ppm) => {
                let mut decided = decided.clone();
                distort(me.rng, &mut decided);
                Message::Decided(decided)
            }
            Message::Body(body) if me.rng.chance(self.ppm) => {
                let requests = body.requests().iter().rev().cloned().collect();
                Message::Body(Arc::new(Body::new(body.time_ms() + 1, requests)))
            }
            other => other.clone(),
        };
        say_honestly(me, to, &lie, plot);
    }
}

use hedgerow_epochs::{Fetched, Message};
use hedgerow_machine::Target;
use hedgerow_pbft::{batch_digest, decode_batch, encode_batch};
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use crate::changing::Changing;

/// Gives who lacks batches of earlier epochs other ones, or none, or the digests only.
#[derive(Debug)]
pub(super) struct FalseBatches {
    ppm: u32,
}

impl FalseBatches {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(50_000, 1_000_000) as u32,
        }
    }

    fn lie(rng: &mut Rng, fetched: &mut Fetched) {
        match rng.below(3) {
            0 => fetched.batch = None,
            1 => fetched.digest.0[0] ^= 1,
            _ => {
                let batch = fetched.batch.as_deref().and_then(decode_batch);
                if let Some(mut batch) = batch {
                    batch.time_ms += 1;
                    let bytes = encode_batch(&batch);
                    fetched.digest = batch_digest(&bytes);
                    fetched.batch = Some(bytes);
                }
            }
        }
    }
}

impl Attacker<Changing> for FalseBatches {
    fn say(
        &mut self,
        me: &mut Liar<'_, Changing>,
        to: Target,
        mut message: Message,
        plot: &mut Plot,
    ) {
        if let Message::Fetched(list) = &mut message {
            for fetched in list {
                if me.rng.chance(self.ppm) {
                    Self::lie(me.rng, fetched);
                }
            }
        }
        let frame = me.codec.seal(&message, to);
        for receiver in me.receivers(to) {
            self.frame(me, receiver, frame.clone(), plot);
        }
    }
}

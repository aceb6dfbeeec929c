use hedgerow_base::Slot;
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_pbft::{Checkpoint, Message};
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Pbft, say_to};

/// Signs checkpoints with other digests, for slots that nobody has executed, different for each replica.
#[derive(Debug)]
pub(super) struct LyingCheckpoint {
    ppm: u32,
}

impl LyingCheckpoint {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(200_000, 1_000_000) as u32,
        }
    }
}

impl Attacker<Pbft> for LyingCheckpoint {
    fn say(&mut self, me: &mut Liar<'_, Pbft>, to: Target, message: Message, plot: &mut Plot) {
        for receiver in me.receivers(to) {
            match &message {
                Message::Checkpoint(honest)
                    if honest.origin() == me.me() && me.rng.chance(self.ppm) =>
                {
                    let Checkpoint {
                        mut slot,
                        mut digest,
                    } = *honest.value();
                    if me.rng.chance(700_000) {
                        digest.0[0] ^= 1 + me.rng.below(3) as u8;
                    }
                    if me.rng.chance(400_000) {
                        slot = Slot(slot.0 * me.rng.between(1, 3) + me.rng.below(2));
                    }
                    let lie = Checkpoint { slot, digest };
                    let lie = Sealed::new(lie, Sealing::Signature, me.keyring);
                    say_to(me, receiver, &Message::Checkpoint(lie), plot);
                }
                _ => say_to(me, receiver, &message, plot),
            }
        }
    }
}

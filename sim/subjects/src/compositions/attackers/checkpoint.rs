use hedgerow_abstract::{Checkpoint, Instance, Message};
use hedgerow_base::Slot;
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Composed, made_up, say_to};

/// Votes for checkpoints of other states, in other histories, in slots that nobody has executed; different for each
/// replica.
#[derive(Debug)]
pub(super) struct LyingCheckpoint {
    ppm: u32,
}

impl LyingCheckpoint {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(100_000, 1_000_000) as u32,
        }
    }
}

impl Attacker<Composed> for LyingCheckpoint {
    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        for receiver in me.receivers(to) {
            match &message {
                Message::Checkpoint(honest)
                    if honest.origin() == me.me() && me.rng.chance(self.ppm) =>
                {
                    let mut lie: Checkpoint = *honest.value();
                    match me.rng.below(6) {
                        0 => lie.state.0[0] ^= 1 + me.rng.below(3) as u8,
                        1 => lie.at.chain = made_up(me.rng),
                        2 => lie.at.slot = lie.at.slot.plus(me.rng.spread(1, 600)),
                        3 => lie.at.slot = Slot(u64::MAX - me.rng.below(2)),
                        4 => lie.at.slot = Slot(me.rng.below(lie.at.slot.0 + 1)),
                        _ => lie.instance = Instance(lie.instance.0 + me.rng.below(3)),
                    }
                    let lie = Sealed::new(lie, Sealing::Authenticator, me.keyring);
                    say_to(me, receiver, &Message::Checkpoint(lie), plot);
                }
                _ => say_to(me, receiver, &message, plot),
            }
        }
    }
}

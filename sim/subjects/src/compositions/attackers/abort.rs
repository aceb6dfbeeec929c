use hedgerow_abstract::{Abort, Instance, Message};
use hedgerow_machine::Target;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Composed, made_up, made_up_point, say_to, signed_abort};

/// Signs ABORTs of histories that it does not have: cut, extended, forked, on a base of its own, of another instance; a
/// different one for each receiver.
#[derive(Debug)]
pub(super) struct LyingAbort {
    ppm: u32,
    /// Always the same way, or another one each time.
    way: Option<u64>,
}

const WAYS: u64 = 8;

impl LyingAbort {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let way = rng.chance(500_000).then(|| rng.below(WAYS));
        Self {
            ppm: rng.spread(200_000, 1_000_000) as u32,
            way,
        }
    }
}

/// Another ABORT than the honest one.
pub(super) fn lie(
    me: &mut Liar<'_, Composed>,
    honest: &Abort,
    way: u64,
) -> hedgerow_crypto::Sealed<Abort> {
    let mut instance = honest.instance;
    let mut base = honest.base;
    let mut suffix = honest.suffix.to_vec();
    match way {
        // Cut: as if the last were not logged.
        0 => suffix.truncate(me.rng.below(suffix.len() as u64 + 1) as usize),
        1 => suffix.clear(),
        // Extended.
        2 => {
            for _ in 0..me.rng.spread(1, 100) {
                suffix.push(made_up(me.rng));
            }
        }
        // Forked: the same length, other entries from some place on.
        3 => {
            let from = me.rng.below(suffix.len() as u64 + 1) as usize;
            for entry in suffix.iter_mut().skip(from) {
                *entry = made_up(me.rng);
            }
        }
        // The same entries in another order.
        4 => suffix.reverse(),
        5 => base = made_up_point(me.rng, base.slot),
        6 => instance = Instance(instance.0 + me.rng.between(1, 3)),
        // Its base is where its suffix ends: of a Backup, that is the form of an honest one.
        _ => {
            base = made_up_point(me.rng, base.slot);
            suffix.clear();
        }
    }
    signed_abort(me, instance, base, suffix)
}

impl Attacker<Composed> for LyingAbort {
    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        for receiver in me.receivers(to) {
            match &message {
                Message::Abort(honest) if honest.origin() == me.me() && me.rng.chance(self.ppm) => {
                    let way = self.way.unwrap_or_else(|| me.rng.below(WAYS));
                    let lie = lie(me, honest.value(), way);
                    say_to(me, receiver, &Message::Abort(lie), plot);
                }
                _ => say_to(me, receiver, &message, plot),
            }
        }
    }
}

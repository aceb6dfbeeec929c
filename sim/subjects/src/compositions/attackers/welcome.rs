use std::sync::Arc;

use hedgerow_abstract::{Instance, Message};
use hedgerow_base::Slot;
use hedgerow_machine::Target;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Composed, made_up_point, say_honestly, signed_abort};

/// Tells a replica that has started that nothing ever happened, or that the network is far ahead; hides what began the
/// instance, or shows a proof that proves nothing; and says wrongly where it is.
#[derive(Debug)]
pub(super) struct LyingWelcome {
    ppm: u32,
}

impl LyingWelcome {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(300_000, 1_000_000) as u32,
        }
    }
}

fn another(rng: &mut Rng, instance: Instance) -> Instance {
    match rng.below(5) {
        0 => Instance::FIRST,
        1 => Instance(instance.0 + rng.spread(1, 1_000)),
        2 => Instance(u64::MAX),
        3 => Instance(0),
        _ => instance,
    }
}

impl Attacker<Composed> for LyingWelcome {
    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        let lie = match &message {
            Message::Welcome(honest) if me.rng.chance(self.ppm) => {
                let mut lie = (**honest).clone();
                lie.instance = another(me.rng, lie.instance);
                lie.head = match me.rng.below(4) {
                    0 => Slot::ZERO,
                    1 => lie.head.plus(me.rng.spread(1, 100_000)),
                    2 => Slot(u64::MAX),
                    _ => lie.head,
                };
                if me.rng.chance(400_000) {
                    lie.init = None;
                } else if let Some(init) = &lie.init
                    && me.rng.chance(500_000)
                {
                    let mut init = (**init).clone();
                    let before = Instance(init.instance.0.saturating_sub(1));
                    let base = made_up_point(me.rng, honest.head);
                    init.aborts.pop();
                    init.aborts.push(signed_abort(me, before, base, Vec::new()));
                    lie.init = Some(Arc::new(init));
                }
                if me.rng.chance(50_000) {
                    lie.nonce ^= 1;
                }
                Message::Welcome(Arc::new(lie))
            }
            Message::Status(instance) if me.rng.chance(self.ppm) => {
                Message::Status(another(me.rng, *instance))
            }
            other => other.clone(),
        };
        say_honestly(me, to, &lie, plot);
    }
}

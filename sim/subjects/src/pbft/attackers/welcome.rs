use std::sync::Arc;

use hedgerow_base::Slot;
use hedgerow_machine::Target;
use hedgerow_pbft::{Message, Welcome, Witness};
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Pbft, say_honestly};

/// Tells a replica that has restarted that it never said anything, or that the order is longer or shorter than it
/// is; hides checkpoints, certificates and views.
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

impl Attacker<Pbft> for LyingWelcome {
    fn say(&mut self, me: &mut Liar<'_, Pbft>, to: Target, message: Message, plot: &mut Plot) {
        let lie = match &message {
            Message::Welcome(honest) if me.rng.chance(self.ppm) => {
                let mut lie: Welcome = (**honest).clone();
                if me.rng.chance(600_000) {
                    lie.evidence = None;
                }
                if me.rng.chance(500_000) {
                    lie.stable.clear();
                }
                if me.rng.chance(500_000) {
                    lie.witness = Witness::default();
                }
                if me.rng.chance(400_000) {
                    lie.new_view = None;
                }
                lie.decided = match me.rng.below(4) {
                    0 => Slot::ZERO,
                    1 => lie.decided.plus(me.rng.spread(1, 100_000)),
                    2 => Slot(u64::MAX),
                    _ => lie.decided,
                };
                if me.rng.chance(50_000) {
                    lie.nonce ^= 1;
                }
                Message::Welcome(Arc::new(lie))
            }
            other => other.clone(),
        };
        say_honestly(me, to, &lie, plot);
    }
}

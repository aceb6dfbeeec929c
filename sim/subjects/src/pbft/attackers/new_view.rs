use std::sync::Arc;

use hedgerow_base::View;
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_pbft::{Message, NewView, NewViewProof};
use hedgerow_wire::List;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Pbft, say_to};

/// As new primary it begins its view on other grounds than it should: too few view changes, one of them twice, those
/// of another view, a different selection for each replica.
#[derive(Debug)]
pub(super) struct LyingNewView {
    ppm: u32,
}

impl LyingNewView {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(300_000, 1_000_000) as u32,
        }
    }
}

impl Attacker<Pbft> for LyingNewView {
    fn say(&mut self, me: &mut Liar<'_, Pbft>, to: Target, message: Message, plot: &mut Plot) {
        for receiver in me.receivers(to) {
            match &message {
                Message::NewView(honest)
                    if honest.new_view.origin() == me.me() && me.rng.chance(self.ppm) =>
                {
                    let mut view_changes = honest.view_changes.clone();
                    let mut value: NewView = honest.new_view.value().clone();
                    match me.rng.below(5) {
                        0 => {
                            view_changes.pop();
                        }
                        1 => {
                            if let Some(first) = view_changes.first().cloned() {
                                view_changes.pop();
                                view_changes.push(first);
                            }
                        }
                        2 => view_changes.reverse(),
                        3 => value.view = View(value.view.0 + me.roster().n() as u64),
                        // It says nothing about its view to this one.
                        _ => continue,
                    }
                    let digests = view_changes.iter().map(Sealed::digest).collect();
                    value.view_changes = List::new(digests).unwrap_or_default();
                    let lie = NewViewProof {
                        new_view: Sealed::new(value, Sealing::Signature, me.keyring),
                        view_changes,
                    };
                    say_to(me, receiver, &Message::NewView(Arc::new(lie)), plot);
                }
                _ => say_to(me, receiver, &message, plot),
            }
        }
    }
}

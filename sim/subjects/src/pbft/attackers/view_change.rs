use hedgerow_base::{Digest, Slot, View};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_pbft::{Message, Vouched};
use hedgerow_wire::List;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Pbft, say_honestly, say_to};

/// Lies about what it prepared and pre-prepared, and about its checkpoints; tells each replica another story, and
/// calls for views that nobody needs.
#[derive(Debug)]
pub(super) struct LyingViewChange {
    ppm: u32,
    two_stories: bool,
    calls_ppm: u32,
}

impl LyingViewChange {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(200_000, 1_000_000) as u32,
            two_stories: rng.chance(500_000),
            calls_ppm: rng.weighted(&[(1, 0), (1, 2_000), (1, 30_000)]),
        }
    }
}

fn random_digest(rng: &mut Rng) -> Digest {
    let mut digest = [0; 32];
    for byte in &mut digest {
        *byte = rng.draw() as u8;
    }
    Digest(digest)
}

/// Entries left out, made up, moved to other views or digests.
fn distort<const MAX: usize>(
    rng: &mut Rng,
    entries: &List<Vouched, MAX>,
    stable: Slot,
    view: View,
) -> List<Vouched, MAX> {
    let mut entries = entries.to_vec();
    match rng.below(5) {
        0 => entries.clear(),
        1 => entries.retain(|_| rng.chance(500_000)),
        2 => {
            for entry in &mut entries {
                if rng.chance(500_000) {
                    entry.digest = random_digest(rng);
                    entry.view = view.previous();
                }
            }
        }
        3 => {
            for entry in &mut entries {
                entry.view = View(rng.below(view.0.max(1)));
            }
        }
        _ => {
            for step in 1..rng.between(2, 6) {
                entries.push(Vouched {
                    slot: stable.plus(step),
                    view: View(rng.below(view.0.max(1))),
                    digest: random_digest(rng),
                });
            }
        }
    }
    entries.sort();
    entries.dedup_by_key(|entry| (entry.slot, entry.digest));
    entries.truncate(MAX);
    List::new(entries).unwrap_or_default()
}

impl Attacker<Pbft> for LyingViewChange {
    fn say(&mut self, me: &mut Liar<'_, Pbft>, to: Target, message: Message, plot: &mut Plot) {
        let honest = match &message {
            Message::ViewChange(honest) if honest.origin() == me.me() => honest,
            Message::Commit(vote) if me.rng.chance(self.calls_ppm) => {
                let view = vote.value().view.plus(me.rng.between(1, 5));
                let call = hedgerow_pbft::ViewChange {
                    view,
                    stable: Slot::ZERO,
                    checkpoints: List::default(),
                    prepared: List::default(),
                    pre_prepared: List::default(),
                    lsn: vote.value().lsn,
                };
                let call = Sealed::new(call, Sealing::Signature, me.keyring);
                say_honestly(me, to, &message, plot);
                say_honestly(me, Target::Others, &Message::ViewChange(call), plot);
                return;
            }
            _ => {
                say_honestly(me, to, &message, plot);
                return;
            }
        };
        let mut lie = None;
        for receiver in me.receivers(to) {
            if lie.is_none() || self.two_stories {
                let mut value = honest.value().clone();
                if me.rng.chance(self.ppm) {
                    let (stable, view) = (value.stable, value.view);
                    if me.rng.chance(700_000) {
                        value.prepared = distort(me.rng, &value.prepared, stable, view);
                    }
                    if me.rng.chance(700_000) {
                        value.pre_prepared = distort(me.rng, &value.pre_prepared, stable, view);
                    }
                    if me.rng.chance(300_000) {
                        let mut checkpoints = value.checkpoints.to_vec();
                        let slot = Slot(stable.0 + me.rng.below(40));
                        checkpoints.push((slot, random_digest(me.rng)));
                        checkpoints.sort();
                        value.stable = if me.rng.chance(500_000) { slot } else { stable };
                        value.checkpoints = List::new(checkpoints).unwrap_or_default();
                    }
                }
                let sealed = Sealed::new(value, Sealing::Signature, me.keyring);
                lie = Some(Message::ViewChange(sealed));
            }
            if let Some(lie) = &lie {
                say_to(me, receiver, lie, plot);
            }
        }
    }
}

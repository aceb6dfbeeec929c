use hedgerow_abstract::{Feedback, Message};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_wire::List;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Composed, say_honestly, say_to};

/// A client that lies about how it is served: commits that never were, in no time or in ages, and requests that it never
/// sends to anybody; not the same to each replica.
#[derive(Debug)]
pub(super) struct LyingFeedback {
    ppm: u32,
}

impl LyingFeedback {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(10_000, 1_000_000) as u32,
        }
    }

    fn lie(me: &mut Liar<'_, Composed>, said: &Feedback) -> Feedback {
        let mut issued = said.issued.to_vec();
        let mut committed = said.committed.to_vec();
        match me.rng.below(4) {
            0 => {
                for (_, micros) in &mut committed {
                    *micros = 0;
                }
            }
            1 => {
                for (_, micros) in &mut committed {
                    *micros = u32::MAX;
                }
            }
            2 => {
                let last = issued.last().copied().unwrap_or(1);
                issued.extend((1..=me.rng.spread(1, 100)).map(|more| last.saturating_add(more)));
            }
            _ => {
                let twice = committed.clone();
                committed.extend(twice);
                committed.push((me.rng.draw(), 0));
            }
        }
        Feedback {
            instance: said.instance,
            issued: List::new(issued).unwrap_or_default(),
            committed: List::new(committed).unwrap_or_default(),
        }
    }
}

impl Attacker<Composed> for LyingFeedback {
    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        let Message::Feedback(said) = &message else {
            return say_honestly(me, to, &message, plot);
        };
        for receiver in me.receivers(to) {
            if me.rng.chance(self.ppm) {
                let lie = Self::lie(me, said.value());
                let sealed = Sealed::new(lie, Sealing::Authenticator, me.keyring);
                say_to(me, receiver, &Message::Feedback(sealed), plot);
            } else {
                say_to(me, receiver, &message, plot);
            }
        }
    }
}

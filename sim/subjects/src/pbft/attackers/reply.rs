use bytes::Bytes;
use hedgerow_crypto::{Sealed, Sealing, hash};
use hedgerow_machine::Target;
use hedgerow_pbft::{Answer, Message, Outcome, Replies};
use hedgerow_wire::List;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Pbft, say_honestly};

/// Tells clients wrong results.
#[derive(Debug)]
pub(super) struct LyingReply {
    ppm: u32,
}

impl LyingReply {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(100_000, 1_000_000) as u32,
        }
    }
}

fn wrong(rng: &mut Rng, outcome: &Outcome) -> Outcome {
    let reply = Bytes::from(rng.below(40).to_le_bytes().to_vec());
    match outcome {
        Outcome::Full(_) if rng.chance(500_000) => Outcome::Full(reply),
        _ => Outcome::Digest(hash(&reply)),
    }
}

impl Attacker<Pbft> for LyingReply {
    fn say(&mut self, me: &mut Liar<'_, Pbft>, to: Target, message: Message, plot: &mut Plot) {
        let Target::Node(client) = to else {
            say_honestly(me, to, &message, plot);
            return;
        };
        let lie = match &message {
            Message::Replies(honest) if me.rng.chance(self.ppm) => {
                let Replies { view, list } = honest.value();
                let list = list
                    .iter()
                    .map(|(number, outcome)| (*number, wrong(me.rng, outcome)))
                    .collect();
                let lie = Replies {
                    view: view.plus(me.rng.below(3)),
                    list: List::new(list).unwrap_or_default(),
                };
                Message::Replies(Sealed::new(lie, Sealing::MacFor(client), me.keyring))
            }
            Message::Answer(honest) if me.rng.chance(self.ppm) => {
                let Answer { number, outcome } = honest.value();
                let lie = Answer {
                    number: *number,
                    outcome: wrong(me.rng, outcome),
                };
                Message::Answer(Sealed::new(lie, Sealing::MacFor(client), me.keyring))
            }
            other => other.clone(),
        };
        say_honestly(me, to, &lie, plot);
    }
}

use bytes::Bytes;
use hedgerow_abstract::{Instance, Message, Outcome, Response, Responses};
use hedgerow_crypto::{Sealed, Sealing, hash};
use hedgerow_machine::Target;
use hedgerow_wire::List;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Composed, made_up, say_honestly};

/// Tells clients wrong results, or right ones in a history that it does not have, or in another instance.
#[derive(Debug)]
pub(super) struct LyingResponse {
    ppm: u32,
}

impl LyingResponse {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(50_000, 1_000_000) as u32,
        }
    }
}

fn lie(rng: &mut Rng, honest: &Response) -> Response {
    let mut lie = honest.clone();
    match rng.below(5) {
        0 => lie.at.chain = made_up(rng),
        1 => lie.at.slot = lie.at.slot.plus(rng.between(1, 3)),
        2 => lie.outcome = Outcome::Full(Bytes::from(rng.below(40).to_le_bytes().to_vec())),
        3 => lie.outcome = Outcome::Digest(made_up(rng)),
        // Right, but as a digest: the result itself is left to the others.
        _ => {
            if let Outcome::Full(result) = &honest.outcome {
                lie.outcome = Outcome::Digest(hash(result));
            }
        }
    }
    lie
}

impl Attacker<Composed> for LyingResponse {
    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        if let (Message::Responses(honest), Target::Node(client)) = (&message, to)
            && me.rng.chance(self.ppm)
        {
            let Responses { mut instance, list } = honest.value().clone();
            let list = list.iter().map(|one| lie(me.rng, one)).collect();
            if me.rng.chance(100_000) {
                instance = Instance(instance.0 + 1);
            }
            let lie = Responses {
                instance,
                list: List::new(list).unwrap_or_default(),
            };
            let lie = Sealed::new(lie, Sealing::MacFor(client), me.keyring);
            say_honestly(me, to, &Message::Responses(lie), plot);
            return;
        }
        say_honestly(me, to, &message, plot);
    }
}

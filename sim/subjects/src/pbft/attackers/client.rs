use std::sync::Arc;

use bytes::Bytes;
use hedgerow_crypto::{Seal, Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_pbft::{Message, Request};
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Pbft, say_honestly, say_to};

/// A client that uses one number for two operations, tells each replica another one, and authenticates them to some
/// replicas only.
#[derive(Debug)]
pub(super) struct TwoOperations {
    ppm: u32,
    signs: bool,
}

impl TwoOperations {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(50_000, 1_000_000) as u32,
            signs: rng.chance(400_000),
        }
    }

    fn variant(&self, me: &mut Liar<'_, Pbft>, honest: &Sealed<Request>) -> Sealed<Request> {
        let operation = match me.rng.below(3) {
            0 => honest.value().operation.clone(),
            1 => Bytes::from_static(b"one"),
            _ => Bytes::from_static(b"other"),
        };
        let number = match me.rng.below(12) {
            0 => u64::MAX - me.rng.below(3),
            1 => me.rng.below(10),
            _ => honest.value().number,
        };
        let sealing = if self.signs {
            Sealing::Signature
        } else {
            Sealing::Authenticator
        };
        let sealed = Sealed::new(Request { number, operation }, sealing, me.keyring);
        match sealed.seal() {
            Seal::Authenticator(tags) if me.rng.chance(300_000) => {
                let spoilt = tags.spoilt(|_| me.rng.chance(400_000));
                sealed.resealed(Seal::Authenticator(spoilt))
            }
            _ => sealed,
        }
    }
}

impl Attacker<Pbft> for TwoOperations {
    fn say(&mut self, me: &mut Liar<'_, Pbft>, to: Target, message: Message, plot: &mut Plot) {
        let Message::Requests(requests) = &message else {
            say_honestly(me, to, &message, plot);
            return;
        };
        for receiver in me.roster().iter() {
            if !me.rng.chance(self.ppm) {
                say_to(me, receiver, &message, plot);
                continue;
            }
            let lies: Arc<[_]> = requests
                .iter()
                .map(|request| self.variant(me, request))
                .collect();
            say_to(me, receiver, &Message::Requests(lies), plot);
        }
    }
}

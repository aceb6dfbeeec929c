use std::sync::Arc;

use bytes::Bytes;
use hedgerow_abstract::{Message, Request};
use hedgerow_crypto::{Seal, Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_wire::encode;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Composed, say_honestly, say_to, scoped};

/// A client that uses one number for two commands, and tells each replica another one; in a Backup, it has several
/// commands of one number ordered.
#[derive(Debug)]
pub(super) struct TwoCommands {
    ppm: u32,
    seal: Sealing,
}

impl TwoCommands {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let seal = if rng.chance(300_000) {
            Sealing::Signature
        } else {
            Sealing::Authenticator
        };
        Self {
            ppm: rng.spread(50_000, 1_000_000) as u32,
            seal,
        }
    }
}

fn variant(rng: &mut Rng, honest: &Request) -> Request {
    let mut lie = honest.clone();
    match rng.below(3) {
        0 => {}
        1 => lie.operation = Bytes::from_static(b"one"),
        _ => lie.operation = Bytes::from_static(b"other"),
    }
    match rng.below(12) {
        0 => lie.number = u64::MAX - rng.below(3),
        1 => lie.number = rng.below(10),
        2 => lie.time_ms = rng.draw(),
        3 => lie.time_ms = lie.time_ms.saturating_sub(rng.spread(1, 100_000)),
        4 => lie.time_ms = lie.time_ms.saturating_add(rng.spread(1, 100_000)),
        _ => {}
    }
    lie
}

impl Attacker<Composed> for TwoCommands {
    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        for receiver in me.receivers(to) {
            if !me.rng.chance(self.ppm) {
                say_to(me, receiver, &message, plot);
                continue;
            }
            match &message {
                Message::Requests(instance, requests) => {
                    let mut lies = Vec::new();
                    for request in requests.iter() {
                        let lie = variant(me.rng, request.value());
                        let lie = Sealed::new(lie, self.seal, me.keyring);
                        lies.push(match lie.seal() {
                            Seal::Authenticator(tags) if me.rng.chance(200_000) => {
                                let spoilt = tags.spoilt(|_| me.rng.chance(400_000));
                                lie.resealed(Seal::Authenticator(spoilt))
                            }
                            _ => lie,
                        });
                    }
                    let lie = Message::Requests(*instance, lies.into());
                    say_to(me, receiver, &lie, plot);
                }
                Message::Backup(instance, hedgerow_pbft::Message::Requests(requests)) => {
                    // In a Backup the command is inside an operation, whose own number is another one.
                    let keyring = scoped(me, *instance);
                    let mut lies = requests.to_vec();
                    for request in requests.iter() {
                        let inner = Request {
                            number: me.rng.between(1, 4),
                            time_ms: 0,
                            operation: Bytes::from_static(b"one"),
                        };
                        let inner = variant(me.rng, &inner);
                        let operation = encode(&(Some(inner), None::<Bytes>));
                        let lie = hedgerow_pbft::Request {
                            number: request.value().number + me.rng.below(3),
                            operation: operation.into(),
                        };
                        lies.push(Sealed::new(lie, self.seal, &keyring));
                    }
                    let lies: Arc<[_]> = lies.into();
                    let lie = hedgerow_pbft::Message::Requests(lies);
                    say_to(me, receiver, &Message::Backup(*instance, lie), plot);
                }
                other => say_honestly(me, Target::Node(receiver), other, plot),
            }
        }
    }
}

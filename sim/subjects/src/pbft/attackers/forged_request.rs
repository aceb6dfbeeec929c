use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_crypto::{Claimed, Keyring, Seal, Sealed, Sealing, Signature};
use hedgerow_machine::Target;
use hedgerow_pbft::{Body, Message, PrePrepare, Request};
use hedgerow_wire::{decode, encode};
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Pbft, assign, say_honestly};

/// As primary it proposes requests that clients never made, with seals that it can't make, or altered ones under the
/// seals of the true ones; and relays such requests to others.
#[derive(Debug)]
pub(super) struct ForgedRequest {
    ppm: u32,
}

impl ForgedRequest {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(20_000, 700_000) as u32,
        }
    }
}

/// A request that says it is `client`'s. The liar knows the bytes, but not the keys.
pub(super) fn forge(
    rng: &mut Rng,
    keyring: &Keyring,
    client: NodeId,
    true_one: Option<&Sealed<Request>>,
) -> Option<Sealed<Request>> {
    let request = Request {
        number: true_one.map_or_else(|| rng.below(1 << 20), |one| one.value().number),
        operation: Bytes::from(format!("forged {}", rng.draw())),
    };
    let seal = match rng.below(4) {
        0 => Seal::None,
        1 => Seal::Signature(Signature([rng.draw() as u8; 64])),
        2 => Seal::Authenticator(keyring.authenticator(&hedgerow_crypto::hash(b"forged"))),
        _ => true_one.map_or(Seal::None, |one| one.seal().clone()),
    };
    // Encoded by hand: the types make honest seals only.
    let mut bytes = encode(&(client, seal));
    bytes.extend_from_slice(&encode(&encode(&request)));
    Some(decode::<Claimed<Request>>(&bytes, 1 << 20).ok()?.trusted())
}

impl Attacker<Pbft> for ForgedRequest {
    fn say(&mut self, me: &mut Liar<'_, Pbft>, to: Target, message: Message, plot: &mut Plot) {
        if !me.rng.chance(self.ppm) {
            say_honestly(me, to, &message, plot);
            return;
        }
        let replicas = me.roster().n() as u64;
        let clients = me.keyring.members() as u64 - replicas;
        let client = NodeId((replicas + me.rng.below(clients)) as u32);
        match &message {
            Message::PrePrepare(honest, body) => {
                let mut requests = body.requests().to_vec();
                let true_one = (!requests.is_empty()).then(|| me.rng.pick(&requests).clone());
                let client = true_one.as_ref().map_or(client, Sealed::origin);
                match forge(me.rng, me.keyring, client, true_one.as_ref()) {
                    Some(forged) => requests.push(forged),
                    // The same request twice in one batch.
                    None => requests.extend(true_one),
                }
                if me.rng.chance(300_000) {
                    let own = Request {
                        number: me.rng.below(1_000),
                        operation: Bytes::from_static(b"a replica's own"),
                    };
                    requests.push(Sealed::new(own, Sealing::Authenticator, me.keyring));
                }
                let body = Body::new(body.time_ms(), requests);
                let lie = PrePrepare {
                    digest: body.digest(),
                    ..*honest.value()
                };
                let lie = Message::PrePrepare(assign(me, lie), Arc::new(body));
                say_honestly(me, to, &lie, plot);
            }
            _ => {
                if let Some(forged) = forge(me.rng, me.keyring, client, None) {
                    let lie = Message::Requests(Arc::new([forged]));
                    say_honestly(me, Target::Others, &lie, plot);
                }
                say_honestly(me, to, &message, plot);
            }
        }
    }
}

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_crypto::Checks;
use hedgerow_machine::Target;
use hedgerow_pbft::{Body, Message, PrePrepare};
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Pbft, assign, say_honestly};

/// As primary it never proposes the requests of one client, and serves all others well.
#[derive(Debug)]
pub(super) struct Starve {
    which: u64,
}

impl Starve {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self { which: rng.draw() }
    }

    fn victim(&self, me: &Liar<'_, Pbft>) -> NodeId {
        let replicas = me.roster().n() as u64;
        let clients = me.keyring.members() as u64 - replicas;
        NodeId((replicas + self.which % clients) as u32)
    }
}

impl Attacker<Pbft> for Starve {
    fn hear(&mut self, me: &mut Liar<'_, Pbft>, from: NodeId, frame: &Bytes, _: &mut Plot) -> bool {
        let victim = self.victim(me);
        if from == victim {
            return false;
        }
        match me.codec.admit(from, frame, &mut Checks::default()) {
            Ok(Message::Requests(requests)) => {
                requests.iter().all(|request| request.origin() != victim)
            }
            _ => true,
        }
    }

    fn say(&mut self, me: &mut Liar<'_, Pbft>, to: Target, message: Message, plot: &mut Plot) {
        let victim = self.victim(me);
        if let Message::PrePrepare(honest, body) = &message
            && body
                .requests()
                .iter()
                .any(|request| request.origin() == victim)
        {
            let mut requests = body.requests().to_vec();
            requests.retain(|request| request.origin() != victim);
            if requests.is_empty() {
                return;
            }
            let body = Body::new(body.time_ms(), requests);
            let digest = body.digest();
            let lie = PrePrepare {
                digest,
                ..*honest.value()
            };
            let lie = Message::PrePrepare(assign(me, lie), Arc::new(body));
            say_honestly(me, to, &lie, plot);
            return;
        }
        say_honestly(me, to, &message, plot);
    }
}

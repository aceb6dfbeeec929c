use std::sync::Arc;

use hedgerow_base::NodeSet;
use hedgerow_crypto::{Seal, Sealed};
use hedgerow_machine::Target;
use hedgerow_pbft::Message;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Pbft, say_honestly};

/// Its authenticators convince some replicas and not others: as a replica in all phases, as a client in its requests.
#[derive(Debug)]
pub(super) struct Macs {
    ppm: u32,
    /// The entries that it spoils; a new choice each time when empty.
    fixed: NodeSet,
}

impl Macs {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let fixed = if rng.chance(500_000) {
            (0..16)
                .filter(|_| rng.chance(400_000))
                .map(hedgerow_base::NodeId)
                .collect()
        } else {
            NodeSet::EMPTY
        };
        Self {
            ppm: rng.spread(50_000, 1_000_000) as u32,
            fixed,
        }
    }

    fn spoil<T: Clone>(&self, rng: &mut Rng, sealed: &Sealed<T>) -> Sealed<T> {
        let Seal::Authenticator(tags) = sealed.seal() else {
            return sealed.clone();
        };
        if !rng.chance(self.ppm) {
            return sealed.clone();
        }
        let spoilt = tags.spoilt(|index| {
            if self.fixed.is_empty() {
                rng.chance(400_000)
            } else {
                self.fixed.contains(hedgerow_base::NodeId(index as u32))
            }
        });
        sealed.clone().resealed(Seal::Authenticator(spoilt))
    }
}

impl Attacker<Pbft> for Macs {
    fn say(&mut self, me: &mut Liar<'_, Pbft>, to: Target, message: Message, plot: &mut Plot) {
        let lie = match &message {
            Message::Requests(requests) => {
                let own = me.me();
                let requests: Arc<[_]> = requests
                    .iter()
                    .map(|request| {
                        if request.origin() == own {
                            self.spoil(me.rng, request)
                        } else {
                            request.clone()
                        }
                    })
                    .collect();
                Message::Requests(requests)
            }
            Message::Query(query) => Message::Query(self.spoil(me.rng, query)),
            Message::PrePrepare(vote, body) => {
                Message::PrePrepare(self.spoil(me.rng, vote), Arc::clone(body))
            }
            Message::Prepare(vote) => Message::Prepare(self.spoil(me.rng, vote)),
            Message::Commit(vote) => Message::Commit(self.spoil(me.rng, vote)),
            other => other.clone(),
        };
        say_honestly(me, to, &lie, plot);
    }
}

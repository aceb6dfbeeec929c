use std::sync::Arc;

use hedgerow_abstract::{Chained, Message, Proposal};
use hedgerow_base::{NodeId, NodeSet};
use hedgerow_crypto::{Seal, Sealed};
use hedgerow_machine::Target;
use hedgerow_wire::List;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Composed, say_honestly};

/// Its authenticators convince some replicas and not others: as a client in its requests, as a replica in all that it
/// says, and in the requests that it passes on.
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
                .map(NodeId)
                .collect()
        } else {
            NodeSet::EMPTY
        };
        Self {
            ppm: rng.spread(20_000, 1_000_000) as u32,
            fixed,
        }
    }

    fn spoil<T: Clone>(&self, rng: &mut Rng, sealed: &Sealed<T>) -> Sealed<T> {
        if let Seal::Macs(tags) = sealed.seal()
            && rng.chance(self.ppm)
        {
            let mut tags = tags.to_vec();
            tags.retain(|_| rng.chance(600_000));
            return sealed
                .clone()
                .resealed(Seal::Macs(List::new(tags).unwrap_or_default()));
        }
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
                self.fixed.contains(NodeId(index as u32))
            }
        });
        sealed.clone().resealed(Seal::Authenticator(spoilt))
    }
}

impl Attacker<Composed> for Macs {
    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        let lie = match &message {
            Message::Requests(instance, requests) => {
                let requests: Arc<[_]> = requests
                    .iter()
                    .map(|request| self.spoil(me.rng, request))
                    .collect();
                Message::Requests(*instance, requests)
            }
            Message::Order(order, proposal) => {
                let requests = proposal.requests.iter();
                let requests = if me.rng.chance(500_000) {
                    requests
                        .map(|request| self.spoil(me.rng, request))
                        .collect()
                } else {
                    requests.cloned().collect()
                };
                let proposal = Proposal {
                    requests,
                    convincing: proposal.convincing,
                };
                Message::Order(self.spoil(me.rng, order), Arc::new(proposal))
            }
            Message::Chain(chained) => {
                let mut chained = Chained::clone(chained);
                if let Some(mine) = chained.links.last_mut() {
                    *mine = self.spoil(me.rng, mine);
                }
                Message::Chain(Arc::new(chained))
            }
            Message::Panic(panic) => Message::Panic(self.spoil(me.rng, panic)),
            Message::Checkpoint(vote) => Message::Checkpoint(self.spoil(me.rng, vote)),
            other => other.clone(),
        };
        say_honestly(me, to, &lie, plot);
    }
}

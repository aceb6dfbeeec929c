use std::sync::Arc;

use hedgerow_abstract::{ChainReply, Chained, Link, Message, Outcome, Responses};
use hedgerow_base::{NodeId, NodeSet};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_wire::List;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Composed, made_up, say_honestly, say_to};

/// A replica of a Chain that passes on something else than it got, to fewer or others than it should, and vouches to
/// clients for results that nobody has.
#[derive(Debug)]
pub(super) struct LyingLink {
    ppm: u32,
}

impl LyingLink {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(10_000, 1_000_000) as u32,
        }
    }

    /// The link under the liar's own seal, which convinces those in `set`.
    fn relink(me: &Liar<'_, Composed>, chained: &mut Chained, link: Link, set: NodeSet) {
        if let Some(mine) = chained.links.last_mut() {
            *mine = Sealed::new(link, Sealing::MacsFor(set), me.keyring);
        }
    }

    fn lie_down_the_chain(
        me: &mut Liar<'_, Composed>,
        to: NodeId,
        chained: &Chained,
        plot: &mut Plot,
    ) {
        let Some(mut link) = chained.links.last().map(|said| *said.value()) else {
            return;
        };
        let all: NodeSet = me.keyring.roster().iter().collect();
        let mut lie = chained.clone();
        let mut to = to;
        match me.rng.below(9) {
            0 => link.at.chain = made_up(me.rng),
            1 => link.at.slot = link.at.slot.plus(me.rng.spread(1, 3)),
            2 => link.time_ms ^= 1 << me.rng.below(40),
            3 => link.instance.0 += me.rng.below(3),
            4 => {
                lie.proposal.requests.pop();
            }
            5 => {
                if let Some(twice) = lie.proposal.requests.first().cloned() {
                    lie.proposal.requests.push(twice);
                }
            }
            6 => to = NodeId(me.rng.below(me.keyring.roster().n() as u64) as u32),
            7 => {
                lie.links.remove(0);
            }
            _ => return,
        }
        if !lie.links.is_empty() {
            let some = all.iter().filter(|_| me.rng.chance(700_000)).collect();
            Self::relink(me, &mut lie, link, some);
        }
        if let Some(mine) = lie.vouched.last_mut()
            && me.rng.chance(500_000)
        {
            let clients: Vec<_> = clients(chained);
            for (said, client) in mine.iter_mut().zip(clients) {
                *said = Self::other_word(me, said.value(), client);
            }
        }
        say_to(me, to, &Message::Chain(Arc::new(lie)), plot);
    }

    /// What it says to a client, of other results or another history.
    fn other_word(
        me: &mut Liar<'_, Composed>,
        said: &Responses,
        client: NodeId,
    ) -> Sealed<Responses> {
        let mut list = said.list.to_vec();
        for response in &mut list {
            match me.rng.below(4) {
                0 => response.outcome = Outcome::Digest(made_up(me.rng)),
                1 => response.at.chain = made_up(me.rng),
                2 => response.number += 1,
                _ => {}
            }
        }
        let other = Responses {
            instance: said.instance,
            list: List::new(list).unwrap_or_default(),
        };
        Sealed::new(other, Sealing::MacFor(client), me.keyring)
    }
}

/// The clients of a batch, in the order of their first requests.
fn clients(chained: &Chained) -> Vec<NodeId> {
    let mut clients = Vec::new();
    for request in &chained.proposal.requests {
        if !clients.contains(&request.origin()) {
            clients.push(request.origin());
        }
    }
    clients
}

impl Attacker<Composed> for LyingLink {
    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        match (&message, to) {
            (Message::Chain(chained), Target::Node(next)) if me.rng.chance(self.ppm) => {
                Self::lie_down_the_chain(me, next, chained, plot);
                // Both, so that the receiver has a choice; or the truth too late.
                if me.rng.chance(300_000) {
                    say_honestly(me, to, &message, plot);
                }
            }
            (Message::ChainReply(reply), Target::Node(client)) if me.rng.chance(self.ppm) => {
                let mut lie = ChainReply::clone(reply);
                match me.rng.below(4) {
                    0 => lie.results.clear(),
                    1 => {
                        lie.vouched.pop();
                    }
                    2 => return,
                    _ => {}
                }
                if let Some(mine) = lie.vouched.last_mut() {
                    *mine = Self::other_word(me, mine.value(), client);
                }
                say_to(me, client, &Message::ChainReply(Arc::new(lie)), plot);
            }
            _ => say_honestly(me, to, &message, plot),
        }
    }
}

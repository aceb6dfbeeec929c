use std::sync::Arc;

use hedgerow_abstract::{Carried, ChainReply, Chained, Link, Message, Vouch, results_digest};
use hedgerow_base::{NodeId, NodeSet};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
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
            4 => change(&mut lie.batch, |count| count.saturating_sub(1)),
            5 => change(&mut lie.batch, |count| count + 1),
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
    fn other_word(me: &mut Liar<'_, Composed>, said: &Vouch, client: NodeId) -> Sealed<Vouch> {
        let mut other = *said;
        match me.rng.below(4) {
            0 => other.results = made_up(me.rng),
            1 => other.at.chain = made_up(me.rng),
            2 => other.instance.0 += 1,
            _ => {}
        }
        Sealed::new(other, Sealing::MacFor(client), me.keyring)
    }
}

/// The batch with as many requests as `count` says, of those that it has.
fn change(batch: &mut Carried, count: impl Fn(usize) -> usize) {
    match batch {
        Carried::Sealed(proposal) => {
            let requests = proposal.requests.iter().cycle();
            proposal.requests = requests
                .take(count(proposal.requests.len()))
                .cloned()
                .collect();
        }
        Carried::Plain(operations) => {
            let all = operations.iter().cycle();
            *operations = all.take(count(operations.len())).cloned().collect();
        }
    }
}

/// The clients of a batch, in the order of their first requests.
fn clients(chained: &Chained) -> Vec<NodeId> {
    let origins: Vec<_> = match &chained.batch {
        Carried::Sealed(proposal) => proposal.requests.iter().map(Sealed::origin).collect(),
        Carried::Plain(operations) => operations.iter().map(|op| op.client).collect(),
    };
    let mut clients = Vec::new();
    for client in origins {
        if !clients.contains(&client) {
            clients.push(client);
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
                match me.rng.below(5) {
                    0 => lie.results.clear(),
                    3 => {
                        if let Some((number, _)) = lie.results.last_mut() {
                            *number += 1;
                        }
                        // Vouched for like the truth by this replica, not by the others.
                        if let Some(mine) = lie.vouched.last_mut() {
                            let results = results_digest(&lie.results);
                            let said = Vouch {
                                results,
                                ..*mine.value()
                            };
                            *mine = Sealed::new(said, Sealing::MacFor(client), me.keyring);
                        }
                        say_to(me, client, &Message::ChainReply(Arc::new(lie)), plot);
                        return;
                    }
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

use std::{collections::VecDeque, sync::Arc};

use hedgerow_abstract::{Composition, Config, Message, Order, Proposal, Request, entry_digest};
use hedgerow_base::NodeId;
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_ordering::Operation;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Composed, say_honestly};

/// As ZLight's primary it orders differently for different replicas, skips slots, gives times that have not come, orders a
/// request twice, leaves replicas out, or is as slow as clients just bear.
#[derive(Debug)]
pub(super) struct LyingPrimary {
    ppm: u32,
    way: Option<u64>,
    /// What it has ordered.
    before: VecDeque<Sealed<Request>>,
}

const WAYS: u64 = 8;

impl LyingPrimary {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let way = rng.chance(500_000).then(|| rng.below(WAYS));
        Self {
            ppm: rng.spread(30_000, 1_000_000) as u32,
            way,
            before: VecDeque::new(),
        }
    }

    fn lie(
        &mut self,
        me: &mut Liar<'_, Composed>,
        to: NodeId,
        honest: &Order,
        proposal: &Proposal,
        plot: &mut Plot,
    ) {
        let mut order = *honest;
        let mut requests = proposal.requests.clone();
        let mut delay = 0;
        match self.way.unwrap_or_else(|| me.rng.below(WAYS)) {
            0 => requests.reverse(),
            1 => {
                requests.pop();
            }
            // One request twice: in this batch, or again after an earlier one.
            2 => {
                let again = if me.rng.chance(500_000) {
                    requests.first().cloned()
                } else {
                    self.before.front().cloned()
                };
                requests.extend(again);
            }
            3 => order.slot = order.slot.plus(me.rng.spread(1, 100)),
            4 => order.time_ms = order.time_ms.saturating_add(me.rng.spread(1_000, 1 << 50)),
            // Not to this one.
            5 => return,
            // Almost too late for the client.
            6 => {
                let delta = Config::of(Composition::AZYZZYVA).delta.as_nanos() as u64;
                delay = me.rng.between(delta / 2, delta);
            }
            // Requests that do not fit their digest.
            _ => {
                let other = entry_digest(me.rng.draw(), &[]);
                order.entry = other;
                self.seal(me, to, order, requests, delay, plot);
                return;
            }
        }
        let operations: Vec<_> = requests
            .iter()
            .map(|request| Operation {
                client: request.origin(),
                number: request.value().number,
                operation: request.value().operation.clone(),
            })
            .collect();
        order.entry = entry_digest(order.time_ms, &operations);
        self.seal(me, to, order, requests, delay, plot);
    }

    fn seal(
        &self,
        me: &Liar<'_, Composed>,
        to: NodeId,
        order: Order,
        requests: Vec<Sealed<Request>>,
        delay: u64,
        plot: &mut Plot,
    ) {
        let sealed = Sealed::new(order, Sealing::Authenticator, me.keyring);
        let proposal = Proposal {
            requests,
            convincing: true,
        };
        let message = Message::Order(sealed, Arc::new(proposal));
        plot.send_in(delay, to, me.codec.seal(&message, Target::Node(to)));
    }
}

impl Attacker<Composed> for LyingPrimary {
    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        let Message::Order(order, proposal) = &message else {
            say_honestly(me, to, &message, plot);
            return;
        };
        for receiver in me.receivers(to) {
            if me.rng.chance(self.ppm) {
                self.lie(me, receiver, order.value(), proposal, plot);
            } else {
                say_honestly(me, Target::Node(receiver), &message, plot);
            }
        }
        self.before.extend(proposal.requests.iter().cloned());
        while self.before.len() > 64 {
            self.before.pop_front();
        }
    }
}

use bytes::Bytes;
use hedgerow_base::{NodeId, NodeSet};
use hedgerow_world::{Attacker, Liar, Plot, Rng, Subject};

/// Talks only to some, and changes its mind about whom from time to time.
#[derive(Debug)]
pub struct Selective {
    shunned: NodeSet,
    /// How many frames until it changes its mind; 0: never.
    steady: u64,
    left: u64,
}

impl Selective {
    /// Whom it shuns is up to the seed.
    pub fn new(rng: &mut Rng) -> Self {
        let steady = if rng.chance(500_000) {
            0
        } else {
            rng.spread(10, 2_000)
        };
        Self {
            shunned: choose(rng),
            steady,
            left: steady,
        }
    }
}

fn choose(rng: &mut Rng) -> NodeSet {
    (0..NodeSet::CAPACITY)
        .filter(|_| rng.chance(400_000))
        .map(NodeId)
        .collect()
}

impl<S: Subject> Attacker<S> for Selective {
    fn frame(&mut self, me: &mut Liar<'_, S>, to: NodeId, frame: Bytes, plot: &mut Plot) {
        if self.steady > 0 {
            self.left -= 1;
            if self.left == 0 {
                self.left = self.steady;
                self.shunned = choose(me.rng);
            }
        }
        if !self.shunned.contains(to) {
            plot.send(to, frame);
        }
    }
}

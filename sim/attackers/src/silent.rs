use bytes::Bytes;
use hedgerow_base::{NodeId, Time};
use hedgerow_world::{Attacker, Liar, MS, Plot, Rng, Subject};

/// Says nothing, from some moment on; it still listens.
#[derive(Debug)]
pub struct Silent {
    after_ns: u64,
    began: Option<Time>,
}

impl Silent {
    /// When it falls silent is up to the seed; often it never speaks.
    pub fn new(rng: &mut Rng) -> Self {
        let after_ns = if rng.chance(500_000) {
            0
        } else {
            rng.spread(MS, 20_000 * MS)
        };
        Self {
            after_ns,
            began: None,
        }
    }
}

impl<S: Subject> Attacker<S> for Silent {
    fn frame(&mut self, me: &mut Liar<'_, S>, to: NodeId, frame: Bytes, plot: &mut Plot) {
        let began = *self.began.get_or_insert(me.now);
        if (me.now.since(began).as_nanos() as u64) < self.after_ns {
            plot.send(to, frame);
        }
    }
}

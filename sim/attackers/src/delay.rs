use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_world::{Attacker, Liar, MS, Plot, Rng, Subject};

/// Says everything, but late: by about as much as the others' patience lasts.
#[derive(Debug)]
pub struct Delay {
    by_ns: u64,
    jitter_ns: u64,
}

impl Delay {
    /// How late is up to the seed.
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            by_ns: rng.spread(50 * MS, 3_000 * MS),
            jitter_ns: rng.spread(MS, 300 * MS),
        }
    }
}

impl<S: Subject> Attacker<S> for Delay {
    fn frame(&mut self, me: &mut Liar<'_, S>, to: NodeId, frame: Bytes, plot: &mut Plot) {
        plot.send_in(self.by_ns + me.rng.below(self.jitter_ns), to, frame);
    }
}

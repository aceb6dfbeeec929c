use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_world::{Attacker, Liar, Plot, Rng, Subject};

/// Dies again and again, in the middle of what it says, and restarts each time.
#[derive(Debug)]
pub struct CrashLoop {
    ppm: u32,
}

impl CrashLoop {
    /// How often is up to the seed.
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(500, 50_000) as u32,
        }
    }
}

impl<S: Subject> Attacker<S> for CrashLoop {
    fn frame(&mut self, me: &mut Liar<'_, S>, to: NodeId, frame: Bytes, plot: &mut Plot) {
        plot.send(to, frame);
        if me.rng.chance(self.ppm) {
            plot.crash();
        }
    }
}

use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_world::{Attacker, Liar, MS, Plot, Rng, Subject};

/// Keeps what it said and heard, and says it again later, to anyone.
#[derive(Debug)]
pub struct Replay {
    kept: Vec<Bytes>,
    every_ns: u64,
    ticking: bool,
}

/// How many frames it keeps.
const KEPT: usize = 512;

impl Replay {
    /// How often is up to the seed.
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            kept: Vec::new(),
            every_ns: rng.spread(2 * MS, 500 * MS),
            ticking: false,
        }
    }

    fn keep(&mut self, rng: &mut Rng, frame: &Bytes) {
        if self.kept.len() < KEPT {
            self.kept.push(frame.clone());
        } else if rng.chance(100_000) {
            let at = rng.below(KEPT as u64) as usize;
            self.kept[at] = frame.clone();
        }
    }
}

impl<S: Subject> Attacker<S> for Replay {
    fn start(&mut self, _: &mut Liar<'_, S>, plot: &mut Plot) {
        self.ticking = true;
        plot.tick_in(self.every_ns);
    }

    fn frame(&mut self, me: &mut Liar<'_, S>, to: NodeId, frame: Bytes, plot: &mut Plot) {
        self.keep(me.rng, &frame);
        plot.send(to, frame);
    }

    fn hear(&mut self, me: &mut Liar<'_, S>, _: NodeId, frame: &Bytes, _: &mut Plot) -> bool {
        self.keep(me.rng, frame);
        true
    }

    fn tick(&mut self, me: &mut Liar<'_, S>, plot: &mut Plot) {
        if !self.kept.is_empty() {
            for _ in 0..me.rng.between(1, 8) {
                let frame = me.rng.pick(&self.kept).clone();
                let to = NodeId(me.rng.below(me.keyring.members() as u64) as u32);
                plot.send(to, frame);
            }
        }
        plot.tick_in(self.every_ns);
    }
}

use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_world::{Attacker, Liar, MS, Plot, Rng, Subject};

/// Sends the same few frames over and over, and now and then a large heap of nonsense.
#[derive(Debug)]
pub struct Flood {
    recent: Vec<Bytes>,
    every_ns: u64,
    burst: u64,
    bursts: u64,
}

impl Flood {
    /// How hard is up to the seed.
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            recent: Vec::new(),
            every_ns: rng.spread(20 * MS, 500 * MS),
            burst: rng.spread(20, 200),
            bursts: 150,
        }
    }
}

impl<S: Subject> Attacker<S> for Flood {
    fn start(&mut self, _: &mut Liar<'_, S>, plot: &mut Plot) {
        plot.tick_in(self.every_ns);
    }

    fn frame(&mut self, me: &mut Liar<'_, S>, to: NodeId, frame: Bytes, plot: &mut Plot) {
        if self.recent.len() < 8 {
            self.recent.push(frame.clone());
        } else {
            let at = me.rng.below(8) as usize;
            self.recent[at] = frame.clone();
        }
        plot.send(to, frame);
    }

    fn tick(&mut self, me: &mut Liar<'_, S>, plot: &mut Plot) {
        let to = NodeId(me.rng.below(me.roster().n() as u64) as u32);
        let frame = if self.recent.is_empty() || me.rng.chance(100_000) {
            let size = me.rng.spread(1, 20_000) as usize;
            let byte = me.rng.below(256) as u8;
            Bytes::from(vec![byte; size])
        } else {
            me.rng.pick(&self.recent).clone()
        };
        for _ in 0..self.burst {
            plot.send(to, frame.clone());
        }
        self.bursts = self.bursts.saturating_sub(1);
        if self.bursts > 0 {
            plot.tick_in(self.every_ns);
        }
    }
}

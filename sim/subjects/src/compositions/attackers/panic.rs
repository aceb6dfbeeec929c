use bytes::Bytes;
use hedgerow_abstract::{Instance, Message, Panic};
use hedgerow_base::NodeId;
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_world::{Attacker, Liar, MS, Plot, Rng};

use super::{super::Composed, keep_up, open, say_honestly, say_to};

/// Panics without need, in this instance, in past and coming ones; now and then a hundred times.
#[derive(Debug)]
pub(super) struct Panicker {
    every_ns: u64,
    left: u32,
    /// Only to one replica at a time.
    single: bool,
    newest: Instance,
}

impl Panicker {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            every_ns: rng.spread(2 * MS, 2_000 * MS),
            left: 300,
            single: rng.chance(300_000),
            newest: Instance::FIRST,
        }
    }
}

impl Attacker<Composed> for Panicker {
    fn start(&mut self, _: &mut Liar<'_, Composed>, plot: &mut Plot) {
        plot.tick_in(self.every_ns);
    }

    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        keep_up(&mut self.newest, &message);
        say_honestly(me, to, &message, plot);
    }

    fn hear(
        &mut self,
        me: &mut Liar<'_, Composed>,
        from: NodeId,
        frame: &Bytes,
        _: &mut Plot,
    ) -> bool {
        if let Some(message) = open(me, from, frame) {
            keep_up(&mut self.newest, &message);
        }
        true
    }

    fn tick(&mut self, me: &mut Liar<'_, Composed>, plot: &mut Plot) {
        let instance = match me.rng.below(10) {
            0 => Instance(self.newest.0.saturating_sub(me.rng.between(1, 3))),
            1 => Instance(self.newest.0 + me.rng.between(1, 3)),
            2 => Instance(u64::MAX),
            _ => self.newest,
        };
        let sealed = Sealed::new(Panic { instance }, Sealing::Authenticator, me.keyring);
        let message = Message::Panic(sealed);
        let times = if me.rng.chance(50_000) { 100 } else { 1 };
        for _ in 0..times {
            if self.single {
                let to = NodeId(me.rng.below(me.roster().n() as u64) as u32);
                say_to(me, to, &message, plot);
            } else {
                say_honestly(me, Target::Others, &message, plot);
            }
        }
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            plot.tick_in(self.every_ns);
        }
    }
}

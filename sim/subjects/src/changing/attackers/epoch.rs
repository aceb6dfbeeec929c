use hedgerow_base::Slot;
use hedgerow_crypto::{Sealed, Sealing, hash};
use hedgerow_epochs::{Epoch, Message, Name};
use hedgerow_machine::Target;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use crate::changing::{Changing, any};

/// Says that epochs have begun that nobody voted for, or that they began elsewhere; keeps silent about those that have.
#[derive(Debug)]
pub(super) struct FalseEpoch {
    ppm: u32,
    every: u64,
    newest: u64,
}

impl FalseEpoch {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(50_000, 1_000_000) as u32,
            every: rng.spread(5_000_000, 2_000_000_000),
            newest: 0,
        }
    }

    fn lie(&self, me: &mut Liar<'_, Changing>, plot: &mut Plot) {
        let epoch = Epoch {
            number: self.newest + me.rng.below(3),
            protocol: Name::new(any(me.rng.below(64) as usize).name()).unwrap_or_default(),
            base: Slot(me.rng.spread(0, 400)),
            state: hash(&me.rng.draw().to_le_bytes()),
        };
        let word = Sealed::new(epoch, Sealing::Signature, me.keyring);
        let frame = me.codec.seal(&Message::Ended(word), Target::Others);
        // To everyone, or to some; to clients, too.
        for member in 0..me.keyring.members() {
            let member = hedgerow_base::NodeId(member as u32);
            if member != me.me() && me.rng.chance(700_000) {
                plot.send(member, frame.clone());
            }
        }
    }
}

impl Attacker<Changing> for FalseEpoch {
    fn start(&mut self, _: &mut Liar<'_, Changing>, plot: &mut Plot) {
        plot.tick_in(self.every);
    }

    fn say(&mut self, me: &mut Liar<'_, Changing>, to: Target, message: Message, plot: &mut Plot) {
        if let Message::Ended(word) = &message {
            self.newest = self.newest.max(word.value().number);
        }
        if let Message::Ended(_) | Message::Begun(_) = &message
            && me.rng.chance(self.ppm)
        {
            return self.lie(me, plot);
        }
        let frame = me.codec.seal(&message, to);
        for receiver in me.receivers(to) {
            self.frame(me, receiver, frame.clone(), plot);
        }
    }

    fn tick(&mut self, me: &mut Liar<'_, Changing>, plot: &mut Plot) {
        self.lie(me, plot);
        plot.tick_in(self.every);
    }
}

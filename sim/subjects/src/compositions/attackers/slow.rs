use hedgerow_abstract::{Composition, Config, Message};
use hedgerow_machine::Target;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Composed, say_honestly};

/// Does all that it should, but what commits depends on as late as clients' patience allows: a slow head, link or tail of
/// a Chain, a slow primary of ZLight, a slow replica of Quorum. In a Backup it is honest.
#[derive(Debug)]
pub(super) struct Slow {
    by_ns: u64,
}

impl Slow {
    pub(super) fn new(_: &mut Rng) -> Self {
        // Well within the time-outs that would replace it: 2 Δ in Quorum, 5 in Chain, 8 until a checkpoint.
        let delta = Config::of(Composition::ALIPH).delta;
        Self {
            by_ns: (delta.as_nanos() as u64) * 3 / 2,
        }
    }
}

impl Attacker<Composed> for Slow {
    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        let late = matches!(
            message,
            Message::Chain(_) | Message::ChainReply(_) | Message::Order(..) | Message::Responses(_)
        );
        if !late {
            say_honestly(me, to, &message, plot);
            return;
        }
        let frame = me.codec.seal(&message, to);
        for receiver in me.receivers(to) {
            plot.send_in(self.by_ns, receiver, frame.clone());
        }
    }
}

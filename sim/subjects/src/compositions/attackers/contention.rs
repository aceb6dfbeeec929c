use bytes::Bytes;
use hedgerow_abstract::{Instance, Message, Request};
use hedgerow_base::NodeId;
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_world::{Attacker, Liar, MS, Plot, Rng};

use super::{super::Composed, keep_up, open, say_honestly, say_to};

/// A client that contends with itself: it never stops invoking, and every replica hears its requests in another order. All of
/// them are valid; a Quorum can't commit them, nor what others invoke meanwhile.
#[derive(Debug)]
pub(super) struct Contention {
    every_ns: u64,
    left: u32,
    said: u64,
    newest: Instance,
}

impl Contention {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            every_ns: rng.spread(MS, 200 * MS),
            left: 400,
            said: 0,
            newest: Instance::FIRST,
        }
    }
}

impl Attacker<Composed> for Contention {
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
        let mut requests = Vec::new();
        for _ in 0..me.rng.between(2, 4) {
            self.said += 1;
            let request = Request {
                // Beside what its honest part uses.
                number: me.now.0 / 1_000 + 1_000_000 + self.said,
                time_ms: me.now.as_millis(),
                operation: Bytes::from(format!("contention {}", self.said)),
            };
            requests.push(Sealed::new(request, Sealing::Authenticator, me.keyring));
        }
        for to in me.roster().iter() {
            let turn = me.rng.below(requests.len() as u64) as usize;
            requests.rotate_left(turn);
            let message = Message::Requests(self.newest, requests.clone().into());
            say_to(me, to, &message, plot);
        }
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            plot.tick_in(self.every_ns);
        }
    }
}

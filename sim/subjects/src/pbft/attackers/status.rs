use hedgerow_base::{Digest, NodeId, NodeSet, Slot, View};
use hedgerow_machine::Target;
use hedgerow_pbft::{Fetch, MAX_FETCH, Message, Status};
use hedgerow_wire::List;
use hedgerow_world::{Attacker, Liar, MS, Plot, Rng};

use super::{super::Pbft, say_honestly};

/// Says that it has everything or nothing, asks for all there is again and again, and doubts every client.
#[derive(Debug)]
pub(super) struct LyingStatus {
    every_ns: u64,
    left: u32,
}

impl LyingStatus {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            every_ns: rng.spread(5 * MS, 500 * MS),
            left: 400,
        }
    }
}

impl Attacker<Pbft> for LyingStatus {
    fn start(&mut self, _: &mut Liar<'_, Pbft>, plot: &mut Plot) {
        plot.tick_in(self.every_ns);
    }

    fn tick(&mut self, me: &mut Liar<'_, Pbft>, plot: &mut Plot) {
        let replicas = me.roster().n() as u64;
        let clients = me.keyring.members() as u64 - replicas;
        let lie = match me.rng.below(5) {
            0 => Message::Doubt(NodeId((replicas + me.rng.below(clients)) as u32)),
            1 => Message::WantBodies(vec![Digest([me.rng.draw() as u8; 32]); 8]),
            2 => Message::Fetch(Fetch {
                from: Slot(me.rng.below(300)),
                count: MAX_FETCH,
                bearer: me.me(),
            }),
            _ => Message::Status(Status {
                view: View(me.rng.below(20)),
                entered: View(me.rng.below(20)),
                changing: me.rng.chance(500_000),
                stable: Slot(me.rng.below(300)),
                decided: Slot(me.rng.below(400)),
                slots: List::new((0..me.rng.below(64)).map(|slot| (slot % 3) as u8).collect())
                    .unwrap_or_default(),
                view_changes: if me.rng.chance(500_000) {
                    NodeSet::EMPTY
                } else {
                    me.roster().iter().collect()
                },
                wants: true,
            }),
        };
        say_honestly(me, Target::Others, &lie, plot);
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            plot.tick_in(self.every_ns);
        }
    }
}

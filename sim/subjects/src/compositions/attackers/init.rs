use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use hedgerow_abstract::{Abort, Init, Instance, Message, Request};
use hedgerow_base::NodeId;
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_wire::encode;
use hedgerow_world::{Attacker, Liar, MS, Plot, Rng};

use super::{
    super::Composed, abort, anyone, keep_up, made_up_point, open, say_to, scoped, signed_abort,
};

/// Shows init histories that prove nothing, or another history than everybody else's: too few ABORTs, one of them twice,
/// ABORTs of different instances, those that it likes best with one of its own; and has a Backup order them.
#[derive(Debug)]
pub(super) struct ForgedInit {
    every_ns: u64,
    left: u32,
    /// What it has heard, by instance and signer.
    heard: BTreeMap<Instance, BTreeMap<NodeId, Sealed<Abort>>>,
    newest: Instance,
}

impl ForgedInit {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            every_ns: rng.spread(2 * MS, 500 * MS),
            left: 300,
            heard: BTreeMap::new(),
            newest: Instance::FIRST,
        }
    }

    fn note(&mut self, message: &Message) {
        let aborts: &[Sealed<Abort>] = match message {
            Message::Abort(abort) => std::slice::from_ref(abort),
            Message::Init(init) => &init.aborts,
            Message::Welcome(welcome) => welcome.init.as_ref().map_or(&[], |init| &init.aborts),
            _ => &[],
        };
        for abort in aborts {
            let of = self.heard.entry(abort.value().instance).or_default();
            of.insert(abort.origin(), abort.clone());
        }
        while self.heard.len() > 8 {
            self.heard.pop_first();
        }
        keep_up(&mut self.newest, message);
    }

    /// A proof that is wrong in some way, or right and not the one that the others have.
    fn forge(&self, me: &mut Liar<'_, Composed>) -> Init {
        let replica = me.roster().contains(me.me());
        let instance = match me.rng.below(8) {
            0 => Instance(self.newest.0 + me.rng.spread(2, 1_000)),
            1 => Instance(me.rng.below(2)),
            2 | 3 => self.newest,
            _ => self.newest.next(),
        };
        let before = Instance(instance.0.saturating_sub(1));
        let mut aborts: Vec<_> = self
            .heard
            .get(&before)
            .map(|heard| heard.values().cloned().collect())
            .unwrap_or_default();
        if aborts.is_empty() {
            aborts = self
                .heard
                .values()
                .flat_map(BTreeMap::values)
                .cloned()
                .collect();
        }
        let mine = aborts
            .iter()
            .find(|abort| abort.origin() == me.me())
            .cloned();
        // Which of them come first is up to it.
        for at in (1..aborts.len()).rev() {
            let other = me.rng.below(at as u64 + 1) as usize;
            aborts.swap(at, other);
        }
        let (weak, strong) = (me.roster().weak(), 2 * me.roster().f() + 1);
        let count = *me
            .rng
            .pick(&[weak, strong, strong, strong, strong - 1, strong + 1, 0, 1]);
        match me.rng.below(6) {
            // As they are.
            0 => aborts.truncate(count),
            // One of them as often as needed.
            1 => {
                if let Some(one) = aborts.first().cloned() {
                    aborts = vec![one; count];
                }
            }
            // Of several instances.
            2 => {
                aborts = self
                    .heard
                    .values()
                    .flat_map(BTreeMap::values)
                    .cloned()
                    .collect();
                aborts.reverse();
                aborts.truncate(count);
            }
            // With its own, which lies.
            _ if replica => {
                aborts.retain(|abort| abort.origin() != me.me());
                aborts.truncate(count.saturating_sub(1));
                let honest = mine.or_else(|| aborts.first().cloned());
                let lie = match honest {
                    Some(honest) => {
                        let way = me.rng.below(8);
                        abort::lie(me, honest.value(), way)
                    }
                    None => {
                        let base = made_up_point(me.rng, hedgerow_base::Slot(1));
                        signed_abort(me, before, base, Vec::new())
                    }
                };
                aborts.push(lie);
            }
            _ => {
                aborts.truncate(count);
                aborts.reverse();
            }
        }
        Init { instance, aborts }
    }

    /// Has the protocol inside a Backup order this proof.
    fn order(me: &mut Liar<'_, Composed>, init: &Init, instance: Instance, plot: &mut Plot) {
        let frame = me
            .codec
            .seal(&Message::Init(Arc::new(init.clone())), Target::Others);
        // Behind the tag the frame is the proof.
        let proof = frame.slice(1..);
        let request = me.rng.chance(500_000).then(|| Request {
            number: me.now.0 / 1000,
            time_ms: me.now.as_millis(),
            operation: Bytes::from_static(b"with a forged init history"),
        });
        let operation = hedgerow_pbft::Request {
            number: me.now.0 / 1000,
            operation: encode(&(request, Some(proof))).into(),
        };
        let sealed = Sealed::new(operation, Sealing::Authenticator, &scoped(me, instance));
        let message = hedgerow_pbft::Message::Requests(vec![sealed].into());
        for receiver in me.roster().iter() {
            say_to(
                me,
                receiver,
                &Message::Backup(instance, message.clone()),
                plot,
            );
        }
    }
}

impl Attacker<Composed> for ForgedInit {
    fn start(&mut self, _: &mut Liar<'_, Composed>, plot: &mut Plot) {
        plot.tick_in(self.every_ns);
    }

    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        self.note(&message);
        for receiver in me.receivers(to) {
            let lie = match &message {
                Message::Init(_) if me.rng.chance(500_000) => {
                    Message::Init(Arc::new(self.forge(me)))
                }
                other => other.clone(),
            };
            say_to(me, receiver, &lie, plot);
        }
    }

    fn hear(
        &mut self,
        me: &mut Liar<'_, Composed>,
        from: NodeId,
        frame: &Bytes,
        _: &mut Plot,
    ) -> bool {
        if let Some(message) = open(me, from, frame) {
            self.note(&message);
        }
        true
    }

    fn tick(&mut self, me: &mut Liar<'_, Composed>, plot: &mut Plot) {
        let init = self.forge(me);
        if me.rng.chance(400_000) {
            Self::order(me, &init, init.instance, plot);
        } else {
            let to = anyone(me);
            say_to(me, to, &Message::Init(Arc::new(init)), plot);
        }
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            plot.tick_in(self.every_ns);
        }
    }
}

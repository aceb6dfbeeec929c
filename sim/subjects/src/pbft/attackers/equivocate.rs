use std::{collections::BTreeMap, sync::Arc};

use hedgerow_base::{Digest, NodeId, Slot, View};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_pbft::{Body, Commit, Message, PrePrepare, Prepare};
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{super::Pbft, assign, say_honestly, say_to};

/// As primary it proposes one batch to some replicas and another to the rest, and tells each what it wants to hear in
/// the phases that follow; as backup it agrees to different batches.
#[derive(Debug)]
pub(super) struct Equivocate {
    ppm: u32,
    /// What each replica was told about a slot.
    told: BTreeMap<(View, Slot), BTreeMap<NodeId, Digest>>,
}

impl Equivocate {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ppm: rng.spread(20_000, 1_000_000) as u32,
            told: BTreeMap::new(),
        }
    }

    fn told(&self, view: View, slot: Slot, to: NodeId, honest: Digest) -> Digest {
        let told = self.told.get(&(view, slot)).and_then(|told| told.get(&to));
        told.copied().unwrap_or(honest)
    }
}

/// A batch that differs from `body` in a way that no correct replica can object to.
fn another(rng: &mut Rng, body: &Body) -> Body {
    let mut requests = body.requests().to_vec();
    match rng.below(3) {
        0 => requests.reverse(),
        1 => {
            requests.pop();
        }
        _ => return Body::new(body.time_ms() + 1, requests),
    }
    if requests.is_empty() || requests.len() == 1 {
        return Body::new(body.time_ms() + 1, body.requests().to_vec());
    }
    Body::new(body.time_ms(), requests)
}

impl Attacker<Pbft> for Equivocate {
    fn say(&mut self, me: &mut Liar<'_, Pbft>, to: Target, message: Message, plot: &mut Plot) {
        match &message {
            Message::PrePrepare(honest, body) if me.rng.chance(self.ppm) => {
                let PrePrepare {
                    view, slot, lsn, ..
                } = *honest.value();
                let other = Arc::new(another(me.rng, body));
                let digest = other.digest();
                let lie = Message::PrePrepare(
                    assign(
                        me,
                        PrePrepare {
                            view,
                            slot,
                            digest,
                            lsn,
                        },
                    ),
                    other,
                );
                if self.told.len() > 200 {
                    self.told.pop_first();
                }
                for receiver in me.receivers(to) {
                    if me.rng.chance(500_000) {
                        self.told
                            .entry((view, slot))
                            .or_default()
                            .insert(receiver, digest);
                        say_to(me, receiver, &lie, plot);
                    } else {
                        say_to(me, receiver, &message, plot);
                    }
                }
            }
            Message::Prepare(honest) => {
                let value = *honest.value();
                for receiver in me.receivers(to) {
                    let digest = self.told(value.view, value.slot, receiver, value.digest);
                    let lie = Prepare { digest, ..value };
                    let lie = Sealed::new(lie, Sealing::Authenticator, me.keyring);
                    say_to(me, receiver, &Message::Prepare(lie), plot);
                }
            }
            Message::Commit(honest) => {
                let value = *honest.value();
                for receiver in me.receivers(to) {
                    let digest = self.told(value.view, value.slot, receiver, value.digest);
                    let lie = Commit { digest, ..value };
                    let lie = Sealed::new(lie, Sealing::Authenticator, me.keyring);
                    say_to(me, receiver, &Message::Commit(lie), plot);
                }
            }
            _ => say_honestly(me, to, &message, plot),
        }
    }

    /// It backs whatever others propose and agree to, at once and to everyone.
    fn hear(
        &mut self,
        me: &mut Liar<'_, Pbft>,
        from: NodeId,
        frame: &bytes::Bytes,
        plot: &mut Plot,
    ) -> bool {
        let mut checks = hedgerow_crypto::Checks::default();
        if me.rng.chance(self.ppm / 4)
            && let Ok(Message::Prepare(vote)) = me.codec.admit(from, frame, &mut checks)
        {
            let Prepare {
                view,
                slot,
                digest,
                lsn,
            } = *vote.value();
            let commit = Commit {
                view,
                slot,
                digest,
                lsn,
            };
            let commit = Sealed::new(commit, Sealing::Authenticator, me.keyring);
            say_honestly(me, Target::Others, &Message::Commit(commit), plot);
        }
        true
    }
}

//! Checkpoints and garbage collection (§4.3).

use alloc::{collections::BTreeMap, vec::Vec};

use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, Slot};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_ordering::Event;

use super::{Out, Replica, clients::checkpoint_digest};
use crate::{
    messages::{Checkpoint, Message},
    record::Record,
};

/// How many of its own checkpoints, and of each replica's votes, a replica keeps beside the stable one.
const KEPT: usize = 4;

/// A checkpoint of one's own.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) digest: Digest,
    pub(super) clients: Bytes,
    pub(super) state: Digest,
}

impl Replica {
    pub(super) fn take_checkpoint(&mut self, slot: Slot, state: Digest, out: &mut Out) {
        let clients = self.clients.encode();
        let digest = checkpoint_digest(slot, &state, &clients);
        let own = Own {
            digest,
            clients,
            state,
        };
        self.checkpoints.insert(slot, own);
        let unstable: Vec<_> = self.checkpoints.range(self.stable.next()..).collect();
        if unstable.len() > KEPT {
            let oldest = *unstable[0].0;
            self.checkpoints.remove(&oldest);
        }
        let vote = self.sign_checkpoint(slot, digest);
        // While it starts this was said before, and the others will ask; but it counts for this replica itself.
        if !self.presence.is_starting() {
            // It must know that again after a restart: f + 1 who do are what a new view begins with.
            let lsn = out.persist(Record::Reached(slot));
            out.send_after(lsn, Target::Others, Message::Checkpoint(vote.clone()));
        }
        self.on_checkpoint(vote, out);
    }

    pub(super) fn sign_checkpoint(&self, slot: Slot, digest: Digest) -> Sealed<Checkpoint> {
        Sealed::new(
            Checkpoint { slot, digest },
            Sealing::Signature,
            &self.keyring,
        )
    }

    pub(super) fn on_checkpoint(&mut self, vote: Sealed<Checkpoint>, out: &mut Out) {
        let Checkpoint { slot, .. } = *vote.value();
        let origin = vote.origin();
        if slot <= self.stable || !slot.0.is_multiple_of(self.config.checkpoint_interval) {
            return;
        }
        if origin != self.me {
            let peer = self.peers.entry(origin).or_default();
            peer.reached = peer.reached.max(slot);
        }
        self.checkpoint_votes
            .entry(slot)
            .or_default()
            .entry(origin)
            .or_insert(vote);
        self.forget_old_votes(origin);
        self.try_stabilize(slot, out);
    }

    /// Of each replica only the latest votes are kept; and those that the log has for the checkpoint at which this
    /// replica takes part again, however far the others have got.
    fn forget_old_votes(&mut self, origin: NodeId) {
        let voted = self
            .checkpoint_votes
            .iter()
            .filter(|(slot, votes)| **slot != self.known_stable && votes.contains_key(&origin));
        let slots: Vec<_> = voted.map(|(&slot, _)| slot).collect();
        if slots.len() > KEPT
            && let Some(votes) = self.checkpoint_votes.get_mut(&slots[0])
        {
            votes.remove(&origin);
            if votes.is_empty() {
                self.checkpoint_votes.remove(&slots[0]);
            }
        }
    }

    fn try_stabilize(&mut self, slot: Slot, out: &mut Out) {
        let (Some(own), Some(votes)) = (
            self.checkpoints.get(&slot),
            self.checkpoint_votes.get(&slot),
        ) else {
            return;
        };
        let mut tally = BTreeMap::<Digest, Vec<Sealed<Checkpoint>>>::new();
        for vote in votes.values() {
            tally
                .entry(vote.value().digest)
                .or_default()
                .push(vote.clone());
        }
        for (digest, certificate) in tally {
            if certificate.len() >= self.roster.quorum() {
                assert_eq!(
                    digest, own.digest,
                    "the state after slot {slot} is not the one that a quorum has: this node's application is not \
                     deterministic or its disk is corrupt; wipe its data and let it rejoin"
                );
                self.stabilize(slot, certificate, out);
                return;
            }
        }
    }

    fn stabilize(&mut self, slot: Slot, certificate: Vec<Sealed<Checkpoint>>, out: &mut Out) {
        self.stable = slot;
        self.checkpoints = self.checkpoints.split_off(&slot);
        self.checkpoint_votes = self.checkpoint_votes.split_off(&slot.next());
        let Some(own) = self.checkpoints.get(&slot) else {
            return;
        };
        let lsn = out.persist(Record::Stable {
            slot,
            certificate: certificate.clone(),
            clients: own.clients.clone(),
            state: own.state,
        });
        self.certificate = certificate;
        self.stables.push_back((slot, lsn));
        self.log.discard(slot);
        self.next = self.next.max(slot.next());
        out.emit_after(lsn, Event::Stable(slot));
        self.want_missing(out);
        let open: Vec<_> = self.log.after(slot).map(|(slot, _)| slot).collect();
        for slot in open {
            self.advance(slot, out);
        }
        self.try_start(out);
    }

    /// The application has everything up to `slot` on disk: the log before the last stable checkpoint up to there can
    /// go. What concerns the view is written again when it alone would hold the log.
    pub(super) fn on_stored(&mut self, slot: Slot, out: &mut Out) {
        self.stored = self.stored.max(slot);
        let covered = self
            .stables
            .iter()
            .filter(|(slot, _)| *slot <= self.stored)
            .count();
        if covered == 0 {
            return;
        }
        self.stables.drain(..covered - 1);
        let Some(&(base, lsn)) = self.stables.front() else {
            return;
        };
        let keep = self
            .log
            .first_record_after(base)
            .map_or(lsn, |first| first.min(lsn));
        if self.view_lsn < keep {
            self.rewrite_view(out);
        }
        out.release(keep);
    }

    /// Writes down again what recovery must know beside the slots: the view, and what was forgotten.
    fn rewrite_view(&mut self, out: &mut Out) {
        self.view_lsn = out.last().next();
        if self.safety.amnesiac {
            let Safety {
                forgotten,
                forgotten_view,
                base,
                ..
            } = self.safety;
            out.persist(Record::Rejoining {
                slot: forgotten,
                view: forgotten_view,
                base,
            });
            if self.presence.is_ready() {
                out.persist(Record::Rejoined);
            }
        }
        if let Some(proof) = &self.proof {
            out.persist(Record::NewView(proof.clone()));
        }
        if let Some(mine) = self.view_changes.get(&self.me)
            && mine.value().view > self.entered
        {
            out.persist(Record::ViewChange(mine.clone()));
        }
    }
}

use super::safety::Safety;

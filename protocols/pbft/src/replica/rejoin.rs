//! Starting: a replica first asks the others what it said before, because its disk may be an old copy, or new. What it
//! forgot it does not contradict; it learns the order by state transfer and takes part again behind what it forgot.
//! The argument is in `docs/protocols/pbft.md`, "A replica that lost its memory".

use alloc::{collections::BTreeMap, sync::Arc};

use hedgerow_base::{Lsn, NodeId, NodeSet, Slot, Time, View};
use hedgerow_crypto::Sealed;
use hedgerow_machine::Target;

use super::{Out, Replica, clients::most_common};
use crate::{
    messages::{Checkpoint, Evidence, Hello, Message, Welcome, Witness},
    record::Record,
};

/// How far a replica has got since it started.
#[derive(Debug)]
pub(super) enum Presence {
    /// It asks, and says nothing that it might have to regret.
    Starting {
        nonce: Option<u64>,
        due: Time,
        welcomes: BTreeMap<NodeId, Arc<Welcome>>,
        /// A rejoining that a crash interrupted.
        again: bool,
        /// Where the log ended when it started.
        last: Lsn,
        /// Whether the log may have been lost: it is empty, and nobody says that it always was.
        blank: bool,
    },
    /// It learns what it forgot.
    Rejoining,
    /// It takes full part.
    Ready,
}

impl Default for Presence {
    fn default() -> Self {
        Self::Starting {
            nonce: None,
            due: Time::ZERO,
            welcomes: BTreeMap::new(),
            again: false,
            last: Lsn::ZERO,
            blank: true,
        }
    }
}

impl Presence {
    pub(super) const fn is_starting(&self) -> bool {
        matches!(self, Self::Starting { .. })
    }

    /// Asks at once when a connection with one that has not answered stands: the question may have been lost.
    pub(super) fn on_link(&mut self, peer: NodeId, now: Time) {
        if let Self::Starting { due, welcomes, .. } = self
            && !welcomes.contains_key(&peer)
        {
            *due = (*due).min(now);
        }
    }

    pub(super) const fn is_rejoining(&self) -> bool {
        matches!(self, Self::Rejoining)
    }

    pub(super) const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }
}

impl Replica {
    /// The same replica, which is known to take part for the first time: no earlier life of it has. It asks nobody, and
    /// takes full part at once.
    ///
    /// For whoever runs this protocol as one instance among others, and knows which of them have begun.
    #[must_use]
    pub fn first_life(mut self) -> Self {
        self.presence = Presence::Ready;
        self.set_timers();
        self
    }

    /// The same replica, whose log is known to be kept: if it is empty, that is because nothing was written.
    #[must_use]
    pub const fn with_kept_log(mut self) -> Self {
        if let Presence::Starting { blank, .. } = &mut self.presence {
            *blank = false;
        }
        self
    }

    pub(super) fn heard_from(&self) -> NodeSet {
        let mut heard: NodeSet = match &self.presence {
            Presence::Starting { welcomes, .. } => welcomes.keys().copied().collect(),
            _ if self.changing => {
                let together = self.view_changes.iter();
                let together = together.filter(|(_, m)| m.value().view >= self.view);
                together.map(|(&who, _)| who).collect()
            }
            _ => NodeSet::EMPTY,
        };
        heard.insert(self.me);
        heard
    }

    pub(super) const fn greeting_due(&self) -> Option<Time> {
        match self.presence {
            Presence::Starting { due, .. } => Some(due),
            _ => None,
        }
    }

    /// Asks the others, again until enough have answered. The clock makes the question new: it does not run backwards.
    pub(super) fn greet(&mut self, out: &mut Out) {
        let retry = self.now.plus(self.config.fetch_retry);
        if let Presence::Starting {
            nonce, due, last, ..
        } = &mut self.presence
            && *due <= self.now
        {
            let nonce = *nonce.get_or_insert(self.now.0);
            *due = retry;
            let hello = Hello { nonce, last: *last };
            out.send(Target::Others, Message::Hello(hello));
            self.try_start(out);
        }
    }

    pub(super) fn on_hello(&mut self, from: NodeId, hello: Hello, out: &mut Out) {
        let evidence = self.heard.get(&from).filter(|said| said.lsn() > hello.last);
        let mut prepared = self.log.after(self.stable).rev();
        let prepared = prepared.find_map(|(_, entry)| entry.certificate.as_ref());
        let witness = prepared.map(|certificate| Witness {
            pre_prepare: certificate.pre_prepare.clone(),
            prepares: certificate.prepares.clone(),
        });
        let welcome = Welcome {
            nonce: hello.nonce,
            decided: self.decided,
            evidence: evidence.cloned(),
            stable: self.certificate.clone(),
            witness: witness.unwrap_or_default(),
            new_view: self.proof.clone(),
        };
        // What it shows of this replica's own words may not be on disk yet.
        let message = Message::Welcome(Arc::new(welcome));
        out.send_after(out.last(), Target::Node(from), message);
    }

    pub(super) fn on_welcome(&mut self, from: NodeId, welcome: Arc<Welcome>, out: &mut Out) {
        let peer = self.peers.entry(from).or_default();
        peer.decided = peer.decided.max(welcome.decided);
        if let Presence::Starting {
            nonce: Some(nonce),
            welcomes,
            ..
        } = &mut self.presence
            && welcome.nonce == *nonce
        {
            welcomes.insert(from, welcome);
            self.try_start(out);
        }
    }

    /// With the answers of a quorum (oneself included) every slot in which this replica may have voted for what was
    /// committed is known to one correct replica among them.
    pub(super) fn try_start(&mut self, out: &mut Out) {
        let quorum = self.roster.quorum();
        if self.stable < self.known_stable {
            return;
        }
        let Presence::Starting {
            welcomes,
            again,
            last,
            blank,
            ..
        } = &mut self.presence
        else {
            return;
        };
        if welcomes.len() + 1 < quorum {
            return;
        }
        let (welcomes, again, last, blank) = (core::mem::take(welcomes), *again, *last, *blank);
        let mut slot = self.safety.forgotten;
        let mut view = self.safety.forgotten_view;
        let mut left = View::ZERO;
        let (mut base, mut said_more, mut history) = (last, false, false);
        let mut own = None;
        for welcome in welcomes.values() {
            if let Some(said) = welcome.evidence.as_ref().filter(|said| said.lsn() > last) {
                said_more = true;
                base = base.max(said.lsn());
                slot = slot.max(said.slot());
                view = view.max(said.view());
                if let Evidence::ViewChange(change) = said
                    && change.value().view > left
                {
                    left = change.value().view;
                    own = Some(change.clone());
                }
            }
            let stable = self.proven_checkpoint(&welcome.stable);
            let (prepared, prepared_view) = self.proven_prepared(&welcome.witness);
            history = history || stable > Slot::ZERO || prepared > Slot::ZERO;
            slot = slot.max(stable).max(prepared);
            view = view.max(prepared_view);
            self.transfer.aim(stable);
        }
        self.presence = Presence::Ready;
        let forgot = said_more || again || (history && blank);
        for welcome in welcomes.values() {
            if let Some(proof) = welcome.new_view.clone() {
                let begun = proof.new_view.value().view;
                if self.verify_new_view(&proof).is_some() {
                    view = view.max(begun);
                    if forgot {
                        self.presence = Presence::Rejoining;
                    }
                    self.on_new_view(proof, out);
                }
            }
        }
        if forgot {
            self.presence = Presence::Rejoining;
            self.safety.amnesiac = true;
            self.safety.forgotten = slot;
            self.safety.forgotten_view = view.max(left);
            self.safety.left = self.safety.left.max(left);
            if !again || said_more {
                self.safety.base = base;
            }
            let lsn = out.persist(Record::Rejoining {
                slot,
                view: self.safety.forgotten_view,
                base: self.safety.base,
            });
            self.view_lsn = self.view_lsn.min(lsn);
            if let Some(change) = own.filter(|change| change.value().view > self.view) {
                // My own words, signed: I stand by them rather than say something else about that view.
                self.view = change.value().view;
                self.changing = true;
                self.view_changes.insert(self.me, change.clone());
                out.persist(Record::ViewChange(change));
            }
            self.transfer.aim(self.transfer.aim.max(self.decided));
            self.transfer.start_if(true);
        }
        self.wake(out);
    }

    /// Takes up what was left when the last life of this replica ended.
    fn wake(&mut self, out: &mut Out) {
        self.status_soon();
        if !self.changing {
            self.want_missing(out);
        }
        let open: alloc::vec::Vec<_> = self.log.after(self.stable).map(|(slot, _)| slot).collect();
        for slot in open {
            self.advance(slot, out);
        }
        self.drive_transfer(out);
        self.finish_rejoining(out);
        // View changes that came while it could join none: said again they are no news.
        self.weigh_view_changes(out);
        // The others may have gone on without this replica: ask at once.
        self.send_status(true, out);
    }

    /// Everything that was forgotten is decided, and what it was decided as is known: this replica claims that in P and
    /// Q from now on, as it would if it had not forgotten, and takes full part again.
    pub(super) fn finish_rejoining(&mut self, out: &mut Out) {
        let forgotten = self.safety.forgotten;
        if !self.presence.is_rejoining() || self.decided < forgotten {
            return;
        }
        let slots = (self.stable.0 + 1..=forgotten.0).map(Slot);
        let known = slots.map(|slot| Some((slot, self.log.get(slot)?.decided?)));
        let Some(known) = known.collect::<Option<alloc::vec::Vec<_>>>() else {
            return;
        };
        let view = self.safety.forgotten_view;
        for (slot, digest) in known {
            let lsn = out.persist(Record::Prepared {
                view,
                slot,
                digest,
                decided: self.decided,
                prepares: alloc::vec::Vec::new(),
            });
            self.log.note_record(slot, lsn);
            self.claim(slot, view, digest);
        }
        self.presence = Presence::Ready;
        out.persist(Record::Rejoined);
        self.weigh_view_changes(out);
    }

    /// Claims a decided batch in P and Q, in the last view in which it can have been voted for.
    pub(super) fn claim(&mut self, slot: Slot, view: View, digest: hedgerow_base::Digest) {
        let entry = self.log.entry(slot);
        entry.note_pre_prepared(view, digest);
        entry.certificate = Some(super::log::Certificate {
            view,
            digest,
            pre_prepare: None,
            prepares: alloc::vec::Vec::new(),
        });
    }

    /// The slot of a checkpoint that f + 1 replicas signed; zero if these signatures do not prove one.
    fn proven_checkpoint(&self, certificate: &[Sealed<Checkpoint>]) -> Slot {
        let votes = certificate.iter().map(|vote| {
            let Checkpoint { slot, digest } = *vote.value();
            (vote.origin(), (slot, digest))
        });
        most_common(votes)
            .filter(|(_, who)| who.len() >= self.roster.weak())
            .map_or(Slot::ZERO, |((slot, _), _)| slot)
    }

    /// The slot and view of a prepared certificate of which f + 1 entries convince here: at least one of their authors is
    /// correct, so the slot is no invention.
    fn proven_prepared(&self, witness: &Witness) -> (Slot, View) {
        let prepares = witness.prepares.iter().map(|vote| {
            let vote = (vote.origin(), *vote.value());
            (vote.0, (vote.1.slot, vote.1.view, vote.1.digest))
        });
        let pre_prepare = witness.pre_prepare.iter().map(|vote| {
            let value = *vote.value();
            (vote.origin(), (value.slot, value.view, value.digest))
        });
        most_common(prepares.chain(pre_prepare))
            .filter(|(_, who)| who.len() >= self.roster.weak())
            .map_or((Slot::ZERO, View::ZERO), |((slot, view, _), _)| {
                (slot, view)
            })
    }
}

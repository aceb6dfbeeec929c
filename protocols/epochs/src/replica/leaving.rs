//! From one epoch to the next. The word that an epoch is over is its ABORT: who says it has everything up to the last slot
//! final, and on disk. With 2f + 1 of them f + 1 correct ones have it, so whoever stays behind can learn it; until then this
//! replica goes on taking part, so that the others get there.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use bytes::Bytes;
use hedgerow_base::{NodeId, Slot};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_ordering::Event;

use super::{CatchUp, Ended, Out, Replica, Stage, Standing, others};
use crate::{
    hosted::{self, Told},
    messages::{Epoch, Message, Name, Proof},
    record::Record,
};

impl Replica {
    /// Tells the application where this life begins.
    pub(super) fn greet(&mut self, out: &mut Out) {
        let epoch = match self.stage {
            Stage::Ordering(_) => Some(self.epoch.number),
            _ => None,
        };
        out.emit(Event::Epoch(epoch));
    }

    /// The application has executed the epoch's last slot, just now.
    pub(super) fn on_end(&mut self, slot: Slot, next: u64, protocol: &Arc<str>) {
        let (Stage::Ordering(inner) | Stage::Leaving(inner, _)) = &self.stage else {
            return;
        };
        // Anything else is of an earlier epoch, or was rolled back before it was said.
        if next != self.epoch.number.saturating_add(1) || inner.executed() != slot {
            return;
        }
        let Ok(protocol) = Name::new(&**protocol) else {
            return;
        };
        self.ended = Some(Ended {
            next: Epoch {
                number: next,
                protocol,
                base: slot,
                state: self.executed_state,
            },
            storing: false,
            written: false,
            word: None,
            clients: inner.table_at(slot),
        });
    }

    /// The end of the epoch, once it is final.
    fn over(&self) -> Option<&Ended> {
        let ended = self.ended.as_ref();
        ended.filter(|ended| ended.next.base <= self.finals)
    }

    /// Tells a member that is behind, now and then.
    pub(super) fn show(&mut self, to: NodeId, out: &mut Out) {
        let (now, spacing) = (self.now, self.config.retry / 4);
        let recent = |last: &hedgerow_base::Time| last.plus(spacing) > now;
        if self.shown.get(&to).is_some_and(recent) {
            return;
        }
        if let Some(proof) = &self.proof {
            self.shown.insert(to, now);
            out.send_after(out.last(), Target::Node(to), Message::Begun(proof.clone()));
        }
    }

    pub(super) fn on_ended(&mut self, word: Sealed<Epoch>, out: &mut Out) {
        let (from, number) = (word.origin(), word.value().number);
        if number <= self.epoch.number {
            return self.show(from, out);
        }
        let known = self
            .heard
            .get(&from)
            .map_or(0, |known| known.value().number);
        if number >= known && from != self.me {
            self.heard.insert(from, word);
        }
    }

    pub(super) fn on_begun(&mut self, proof: &Arc<Proof>) {
        let known = self
            .newer
            .as_ref()
            .map_or(self.epoch.number, |known| known.epoch().number);
        if proof.epoch().number > known {
            self.newer = Some(proof.clone());
        }
    }

    pub(super) fn drive_leaving(&mut self, out: &mut Out) {
        match &self.stage {
            Stage::Ordering(_) => self.drive_end(out),
            Stage::Settling(standing, _) if self.stored >= standing.slot => self.settled(out),
            Stage::CatchingUp(_) if self.newer.is_some() => self.again = None,
            // Where to? Who has gone on answers.
            Stage::CatchingUp(_) if self.again.is_none_or(|again| again <= self.now) => {
                self.again = Some(self.now.plus(self.config.retry));
                out.send(Target::Others, Message::Newer(self.epoch.number));
            }
            _ => {}
        }
    }

    fn drive_end(&mut self, out: &mut Out) {
        if let Some(base) = self.over().map(|ended| ended.next.base) {
            self.behind = None;
            if self.stored < base && self.newer.is_none() {
                // f + 1 of those who sign are all that later ones can learn this epoch from, also after a power cut.
                self.store_end(base, out);
                return;
            }
            self.write_end(out);
            let word = self.sign_end();
            let same =
                |other: &&Sealed<Epoch>| Some(other.value()) == word.as_ref().map(Sealed::value);
            let mut words: Vec<_> = self.heard.values().filter(same).cloned().collect();
            words.truncate(self.roster.quorum() - 1);
            words.extend(word.clone());
            let proof = Proof::of(words, self.roster).map(Arc::new);
            if let Some(proof) = self.newer.clone().or(proof) {
                self.leave(proof, out);
            } else if let Some(word) = word
                && self.again.is_none_or(|again| again <= self.now)
            {
                self.again = Some(self.now.plus(self.config.retry));
                out.send_after(out.last(), Target::Others, Message::Ended(word));
            }
            return;
        }
        self.again = None;
        let Some(proof) = self.newer.clone() else {
            self.behind = None;
            return;
        };
        // Perhaps its own protocol gets there.
        let since = *self.behind.get_or_insert(self.now);
        if since.plus(self.config.retry) <= self.now {
            self.leave(proof, out);
        }
    }

    fn store_end(&mut self, base: Slot, out: &mut Out) {
        if let Some(ended) = self.ended.as_mut()
            && !core::mem::replace(&mut ended.storing, true)
        {
            out.emit_after(out.last(), Event::Stable(base));
        }
    }

    /// A word that was said must be said again after a restart: the application does not execute the end again.
    fn write_end(&mut self, out: &mut Out) {
        if let Some(ended) = self.ended.as_mut()
            && !core::mem::replace(&mut ended.written, true)
        {
            out.persist(Record::Ended(ended.next.clone(), ended.clients.clone()));
        }
    }

    /// This replica's word that its epoch is over.
    fn sign_end(&mut self) -> Option<Sealed<Epoch>> {
        let ended = self.ended.as_mut()?;
        let sign = || Sealed::new(ended.next.clone(), Sealing::Signature, &self.keyring);
        Some(ended.word.get_or_insert_with(sign).clone())
    }

    fn leave(&mut self, target: Arc<Proof>, out: &mut Out) {
        self.again = None;
        self.behind = None;
        let stage = core::mem::replace(&mut self.stage, Stage::Unable);
        if let Stage::Ordering(inner) = stage {
            self.stage = Stage::Leaving(inner, target);
            out.emit_after(out.last(), Event::Epoch(None));
        } else {
            self.stage = stage;
        }
    }

    /// The application has heard of the change, and answered all that it was told before.
    pub(super) fn on_epoch_heard(&mut self, epoch: Option<u64>, out: &mut Out) {
        match core::mem::replace(&mut self.stage, Stage::Unable) {
            Stage::Leaving(inner, target) if epoch.is_none() => {
                let standing = if let Some(ended) = self.over() {
                    Standing {
                        slot: ended.next.base,
                        clients: ended.clients.clone(),
                    }
                } else {
                    let slot = inner.finished();
                    if inner.executed() > slot {
                        out.emit_after(out.last(), Event::Rollback(slot));
                    }
                    let clients = inner.table_at(slot);
                    Standing { slot, clients }
                };
                self.settle_at(standing, target, out);
            }
            Stage::Beginning(clients) if epoch == Some(self.epoch.number) => {
                let last = out.last();
                let inner = hosted::replica(
                    &self.config,
                    &self.keyring,
                    &self.epoch,
                    &clients,
                    alloc::vec::Vec::new(),
                    self.epoch.base,
                    last,
                );
                if let Ok(inner) = inner {
                    self.stage = Stage::Ordering(inner);
                    let number = self.epoch.number;
                    for peer in self.unreachable.iter() {
                        self.tell(Told::Link(peer, false), out);
                    }
                    for (from, epoch, message) in core::mem::take(&mut self.early) {
                        if epoch == number {
                            self.tell(Told::Message(from, message), out);
                        }
                    }
                }
            }
            stage => self.stage = stage,
        }
    }

    pub(super) fn settle_at(&mut self, standing: Standing, target: Arc<Proof>, out: &mut Out) {
        self.ended = None;
        self.given.clear();
        self.wanted.clear();
        self.finals = standing.slot;
        if self.stored < standing.slot {
            out.emit_after(out.last(), Event::Stable(standing.slot));
        }
        self.stage = Stage::Settling(standing, target);
        self.drive_leaving(out);
    }

    /// Everything up to here is the application's: no earlier record is needed.
    fn settled(&mut self, out: &mut Out) {
        let Stage::Settling(Standing { slot, clients }, target) =
            core::mem::replace(&mut self.stage, Stage::Unable)
        else {
            return;
        };
        let lsn = out.persist(Record::Left {
            epoch: self.epoch.number,
            slot,
            clients: clients.clone(),
            target: target.clone(),
        });
        self.release_when_durable(lsn, out);
        if target.epoch().base == slot {
            self.begin(target, clients, out);
        } else {
            self.catch_up(slot, &clients, out);
        }
    }

    pub(super) fn catch_up(&mut self, slot: Slot, clients: &Bytes, out: &mut Out) {
        self.stage = match CatchUp::from(slot, clients, &self.config) {
            Ok(catch_up) => Stage::CatchingUp(Box::new(catch_up)),
            // Not with a table that this replica's own protocol gave.
            Err(_) => Stage::Unable,
        };
        self.drive_catch_up(out);
    }

    fn begin(&mut self, proof: Arc<Proof>, clients: Bytes, out: &mut Out) {
        self.epoch = proof.epoch().clone();
        let number = self.epoch.number;
        self.newer.take_if(|newer| newer.epoch().number <= number);
        self.changes += 1;
        self.changed = Some(self.now);
        self.heard.retain(|_, word| word.value().number > number);
        self.began = out.persist(Record::Began(proof.clone()));
        let message = Message::Begun(proof.clone());
        self.proof = Some(proof);
        for to in others(&self.keyring) {
            out.send_after(out.last(), to, message.clone());
        }
        out.emit_after(out.last(), Event::Epoch(Some(number)));
        self.stage = Stage::Beginning(clients);
    }
}

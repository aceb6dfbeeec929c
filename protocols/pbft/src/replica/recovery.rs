//! From the log to a replica that contradicts nothing it said before.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, Slot};
use hedgerow_crypto::{Keyring, Sealed, Sealing};
use hedgerow_ordering::Batch;

use super::{
    Out, Replica,
    batch::decode_batch,
    checkpoint::Own,
    clients::checkpoint_digest,
    log::{Certificate, Proposal},
    rejoin::Presence,
};
use crate::{
    config::{Config, ConfigError},
    messages::{Commit, Evidence, NULL, Prepare},
    record::Record,
};

/// Why a replica can't be built from its log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// A bound of the configuration does not hold.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keyring belongs to a member that is not a replica.
    #[error("member {0} is not a validator of this network")]
    NotReplica(hedgerow_base::NodeId),
    /// The log was released because the application had everything before `log` on disk, but it has only `executed`.
    #[error(
        "the application has executed slots up to {executed} only, but the log begins after slot {log}: delete the \
         log and the application's data, and the validator rejoins from its peers"
    )]
    ApplicationBehind {
        /// The last slot that the application has executed.
        executed: Slot,
        /// The first checkpoint in the log.
        log: Slot,
    },
    /// The application has executed a slot that the log does not know.
    #[error(
        "the application has executed slots up to {executed}, but the log knows those up to {log} only: delete the \
         log and the application's data, and the validator rejoins from its peers"
    )]
    ApplicationAhead {
        /// The last slot that the application has executed.
        executed: Slot,
        /// The last decided slot in the log.
        log: Slot,
    },
    /// A record contradicts others or can't be read.
    #[error(
        "the record at {0} is corrupt: restore the disk, or delete the log and the application's data"
    )]
    Corrupt(Lsn),
}

impl Replica {
    /// The replica whose log holds `records`, oldest first, each with its position; the outbox that it is stepped with
    /// must begin after the last of them. `executed` is the last slot that the application has executed.
    ///
    /// The replica gives to the application every decided slot after its newest stable checkpoint that is not beyond
    /// `executed`. So an application that stores more than it confirmed by `Stored` is told some slots again: it answers
    /// them from what it stored, with the same replies and state.
    ///
    /// # Errors
    /// When the log and the application do not fit together.
    pub fn recover(
        config: Config,
        keyring: Arc<Keyring>,
        records: impl IntoIterator<Item = (Lsn, Record)>,
        executed: Slot,
    ) -> Result<Self, RecoverError> {
        Self::build(config, keyring, None, records, executed)
    }

    /// The same, where other protocols have ordered before this one: `clients` is the table of what was executed before
    /// slot 1, as [`hedgerow_clients::Clients::encode_plain`] gives it. That this one has begun is in the caller's own log:
    /// so the log is kept ([`Replica::with_kept_log`]).
    ///
    /// # Errors
    /// When the log and the application do not fit together, or the table is none.
    pub fn recover_after(
        config: Config,
        keyring: Arc<Keyring>,
        clients: &[u8],
        records: impl IntoIterator<Item = (Lsn, Record)>,
        executed: Slot,
    ) -> Result<Self, RecoverError> {
        let replica = Self::build(config, keyring, Some(clients), records, executed)?;
        Ok(replica.with_kept_log())
    }

    fn build(
        config: Config,
        keyring: Arc<Keyring>,
        before: Option<&[u8]>,
        records: impl IntoIterator<Item = (Lsn, Record)>,
        executed: Slot,
    ) -> Result<Self, RecoverError> {
        config.check()?;
        if !keyring.roster().contains(keyring.me()) {
            return Err(RecoverError::NotReplica(keyring.me()));
        }
        let records: Vec<_> = records.into_iter().collect();
        let mut replica = Self::blank(config, keyring);
        if let Some(before) = before {
            replica
                .clients
                .restore(before)
                .map_err(|_| RecoverError::Corrupt(Lsn::ZERO))?;
        }
        replica.restore_checkpoint(&records, executed)?;
        let mut history = History {
            decided: executed,
            ..History::default()
        };
        // The view first: its record may have been written again after those of its slots.
        for (lsn, record) in &records {
            replica.replay_view(*lsn, record, &mut history)?;
        }
        for (lsn, record) in records {
            replica.replay_slot(lsn, record, &mut history)?;
        }
        let (decision, entered) = (replica.decision.clone(), replica.entered);
        replica.prune_prepared(&decision, entered);
        replica.restore_order(history, executed)?;
        Ok(replica)
    }

    /// The last slot that the application has executed.
    #[must_use]
    pub const fn executed(&self) -> Slot {
        self.executed
    }

    /// The client table after that slot, as [`hedgerow_clients::Clients::encode_plain`] gives it.
    #[must_use]
    pub fn table(&self) -> Bytes {
        self.clients.encode_plain()
    }

    fn restore_checkpoint(
        &mut self,
        records: &[(Lsn, Record)],
        executed: Slot,
    ) -> Result<(), RecoverError> {
        let mut oldest = None;
        for (lsn, record) in records {
            let Record::Stable {
                slot,
                certificate,
                clients,
                state,
            } = record
            else {
                continue;
            };
            oldest.get_or_insert(*slot);
            if *slot > executed {
                // Executed again, it is stable again by the same votes. Before that this replica takes no part: the
                // window would begin too early, and end before slots that it voted on.
                self.known_stable = *slot;
                let votes = certificate.iter().map(|vote| (vote.origin(), vote.clone()));
                self.checkpoint_votes = BTreeMap::from([(*slot, votes.collect())]);
                continue;
            }
            self.clients
                .restore(clients)
                .map_err(|_| RecoverError::Corrupt(*lsn))?;
            let own = Own {
                digest: checkpoint_digest(*slot, state, clients),
                clients: clients.clone(),
                state: *state,
            };
            self.checkpoints = BTreeMap::from([(*slot, own)]);
            self.certificate.clone_from(certificate);
            self.stables.push_back((*slot, *lsn));
            self.stable = *slot;
        }
        if self.stable == Slot::ZERO
            && executed > Slot::ZERO
            && let Some(log) = oldest
        {
            // Whether the log still begins at slot 1 shows when it is replayed.
            let begins_at_one = records.iter().any(|(_, record)| match record {
                Record::Accepted { slot, .. } | Record::Decided { slot, .. } => *slot == Slot(1),
                _ => false,
            });
            if !begins_at_one {
                return Err(RecoverError::ApplicationBehind { executed, log });
            }
        }
        self.decided = self.stable;
        self.executed = self.stable;
        self.stored = self.stable;
        self.numbers = self.clients.numbers();
        Ok(())
    }

    fn replay_view(
        &mut self,
        lsn: Lsn,
        record: &Record,
        history: &mut History,
    ) -> Result<(), RecoverError> {
        match record {
            Record::ViewChange(change) => {
                let view = change.value().view;
                if view > self.view {
                    self.view = view;
                    self.changing = true;
                    self.safety.left = view;
                    self.view_changes.insert(self.me, change.clone());
                    self.view_lsn = self.view_lsn.max(lsn);
                }
            }
            Record::NewView(proof) => {
                for change in &proof.view_changes {
                    self.remember_said(Evidence::ViewChange(change.clone()));
                }
                let view = proof.new_view.value().view;
                if view >= self.view && view > self.entered {
                    let decision = self
                        .verify_new_view(proof)
                        .ok_or(RecoverError::Corrupt(lsn))?;
                    self.install_view(proof.clone(), decision);
                }
                if view >= self.view {
                    self.view_lsn = lsn;
                }
            }
            Record::Rejoining { slot, view, base } => {
                self.safety.amnesiac = true;
                self.safety.forgotten = *slot;
                self.safety.forgotten_view = *view;
                self.safety.base = *base;
                history.rejoining = true;
            }
            Record::Rejoined => history.rejoining = false,
            _ => {}
        }
        Ok(())
    }

    fn replay_slot(
        &mut self,
        lsn: Lsn,
        record: Record,
        history: &mut History,
    ) -> Result<(), RecoverError> {
        history.last = lsn;
        let corrupt = RecoverError::Corrupt(lsn);
        match record {
            Record::Accepted {
                view,
                slot,
                digest,
                decided,
                pre_prepare,
                body,
            } => {
                history.decided = history.decided.max(decided);
                if let Some(said) = &pre_prepare {
                    self.remember_said(Evidence::PrePrepare(said.clone()));
                }
                if slot <= self.stable {
                    return Ok(());
                }
                if let Some(body) = body {
                    self.log.entry(slot).note_logged(digest);
                    self.log.keep_body(slot, body);
                }
                if !self.log.has_body(digest) {
                    return Err(corrupt);
                }
                self.log.note_record(slot, lsn);
                let position = self.safety.position(lsn);
                let votes = self.safety.may_vote(view, slot);
                let backup = self.roster.primary(view) != self.me;
                let entry = self.log.entry(slot);
                if !self.safety.forgot(view, slot) {
                    entry.note_pre_prepared(view, digest);
                }
                entry.last_accepted = Some(digest);
                if view < self.entered {
                    return Ok(());
                }
                entry.proposal = Some(Proposal {
                    view,
                    digest,
                    pre_prepare,
                    lsn,
                });
                entry.prepared = false;
                // The same words as before, at the same position.
                if votes && backup {
                    let prepare = Prepare {
                        view,
                        slot,
                        digest,
                        lsn: position,
                    };
                    let sealed = Sealed::new(prepare, Sealing::Authenticator, &self.keyring);
                    entry.prepares.insert(self.me, sealed);
                }
                if !backup
                    && view == self.view
                    && entry
                        .proposal
                        .as_ref()
                        .is_some_and(|p| p.pre_prepare.is_none())
                    && slot > self.decision.last()
                {
                    let pre_prepare = crate::messages::PrePrepare {
                        view,
                        slot,
                        digest,
                        lsn: position,
                    };
                    let sealed = Sealed::new(pre_prepare, Sealing::Authenticator, &self.keyring);
                    if let Some(proposal) = &mut entry.proposal {
                        proposal.pre_prepare = Some(sealed);
                    }
                    self.next = self.next.max(slot.next());
                }
            }
            Record::Prepared {
                view,
                slot,
                digest,
                decided,
                prepares,
            } => {
                history.decided = history.decided.max(decided);
                for vote in &prepares {
                    self.remember_said(Evidence::Prepare(vote.clone()));
                }
                if slot <= self.stable {
                    return Ok(());
                }
                if prepares.is_empty() && self.safety.forgot(view, slot) {
                    self.claim(slot, view, digest);
                    return Ok(());
                }
                let commit = Commit {
                    view,
                    slot,
                    digest,
                    lsn: self.safety.position(lsn),
                };
                let entry = self.log.entry(slot);
                let pre_prepare = entry.proposal.as_ref().and_then(|p| p.pre_prepare.clone());
                for vote in &prepares {
                    entry
                        .prepares
                        .entry(vote.origin())
                        .or_insert_with(|| vote.clone());
                }
                entry.certificate = Some(Certificate {
                    view,
                    digest,
                    pre_prepare,
                    prepares,
                });
                if view < self.entered || !self.safety.may_vote(view, slot) {
                    return Ok(());
                }
                entry.prepared = true;
                let sealed = Sealed::new(commit, Sealing::Authenticator, &self.keyring);
                entry.commits.insert(self.me, sealed);
            }
            Record::Decided {
                slot,
                batch,
                proposal,
            } if slot > self.stable => {
                let batch = decode_batch(&batch).ok_or(corrupt)?;
                self.log.note_record(slot, lsn);
                history.decided = history.decided.max(slot);
                history.batches.insert(slot, (batch, proposal));
            }
            // What is stable was executed here. The records of votes may not have said yet that it was decided.
            Record::Stable { slot, .. } => history.decided = history.decided.max(slot),
            Record::Reached(slot) => history.decided = history.decided.max(slot),
            _ => {}
        }
        Ok(())
    }

    /// What the log holds of the others' words counts as heard, so that a power cut of all does not make anybody's old
    /// disk pass for a new one.
    fn remember_said(&mut self, said: Evidence) {
        self.hear(said.origin(), || said);
    }

    /// What is decided after the checkpoint will be given to the application again.
    fn restore_order(&mut self, history: History, executed: Slot) -> Result<(), RecoverError> {
        let mut slot = self.stable;
        while slot < history.decided {
            let next = slot.next();
            if let Some((batch, proposal)) = history.batches.get(&next) {
                self.resume.push_back((batch.clone(), *proposal));
            } else if let Some(digest) = self
                .log
                .get(next)
                .and_then(|entry| entry.last_accepted)
                .filter(|&digest| digest == NULL || self.log.has_body(digest))
            {
                let batch: Batch = self.body_as_batch(next, digest);
                self.resume.push_back((batch, Some(digest)));
            } else {
                break;
            }
            slot = next;
        }
        if slot < executed {
            return Err(RecoverError::ApplicationAhead {
                executed,
                log: slot,
            });
        }
        self.next = self.next.max(slot.next());
        self.presence = Presence::Starting {
            nonce: None,
            due: hedgerow_base::Time::ZERO,
            welcomes: BTreeMap::new(),
            again: history.rejoining,
            blank: history.last == Lsn::ZERO,
            last: if history.last == Lsn::ZERO {
                Lsn::ZERO
            } else {
                self.safety.position(history.last)
            },
        };
        self.set_timers();
        Ok(())
    }

    /// Gives the decided slots of the log to the application.
    pub(super) fn resume(&mut self, out: &mut Out) {
        while let Some((batch, digest)) = self.resume.pop_front() {
            self.give(batch, digest, out);
        }
    }
}

/// What the log says of the order.
#[derive(Default)]
struct History {
    last: Lsn,
    decided: Slot,
    batches: BTreeMap<Slot, (Batch, Option<Digest>)>,
    rejoining: bool,
}

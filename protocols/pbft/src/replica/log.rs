//! What is known of each slot of the window, and the batches that it refers to.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use hedgerow_base::{Digest, Lsn, NodeId, NodeSet, Slot, View};
use hedgerow_crypto::Sealed;
use hedgerow_ordering::Batch;

use crate::messages::{Body, Commit, MAX_PRE_PREPARED, NULL, PrePrepare, Prepare};

/// What the primary of a view, or its NEW-VIEW, put into a slot.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    pub(crate) view: View,
    pub(crate) digest: Digest,
    pub(crate) pre_prepare: Option<Sealed<PrePrepare>>,
    /// The position of the record that makes it mine.
    pub(crate) lsn: Lsn,
}

/// A prepared certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) view: View,
    pub(crate) digest: Digest,
    pub(crate) pre_prepare: Option<Sealed<PrePrepare>>,
    pub(crate) prepares: Vec<Sealed<Prepare>>,
}

#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) proposal: Option<Proposal>,
    /// A pre-prepare with requests that can't be told authentic yet.
    pub(crate) held: Option<(Sealed<PrePrepare>, Arc<Body>)>,
    /// The last vote of each replica; mine included.
    pub(crate) prepares: BTreeMap<NodeId, Sealed<Prepare>>,
    pub(crate) commits: BTreeMap<NodeId, Sealed<Commit>>,
    /// Whether the proposal is prepared here (§4.2), my COMMIT promised.
    pub(crate) prepared: bool,
    /// Whether a quorum committed the proposal.
    pub(crate) committed: bool,
    /// P: the last certificate.
    pub(crate) certificate: Option<Certificate>,
    /// Q: what was pre-prepared, the latest view of each digest.
    pub(crate) pre_prepared: Vec<(View, Digest)>,
    /// What was given to the application.
    pub(crate) batch: Option<Batch>,
    /// The proposal's digest that was decided, where it was decided by votes.
    pub(crate) decided: Option<Digest>,
    /// Batches that records of this slot hold: not written twice.
    logged: Vec<Digest>,
    /// The digest of the last assignment in the log that was read; used while recovering only.
    pub(crate) last_accepted: Option<Digest>,
}

impl Entry {
    /// Adds to Q; the oldest view goes when there are too many digests.
    pub(crate) fn note_pre_prepared(&mut self, view: View, digest: Digest) {
        self.pre_prepared.retain(|&(_, known)| known != digest);
        self.pre_prepared.push((view, digest));
        if self.pre_prepared.len() > MAX_PRE_PREPARED {
            self.pre_prepared.remove(0);
        }
    }

    /// Notes that a record of this slot holds a batch; says whether one did before.
    pub(crate) fn note_logged(&mut self, digest: Digest) -> bool {
        let before = self.logged.contains(&digest);
        if !before {
            self.logged.push(digest);
            if self.logged.len() > 2 * MAX_PRE_PREPARED {
                self.logged.remove(0);
            }
        }
        before
    }

    /// Who prepared (`view`, `digest`), its primary excepted.
    pub(crate) fn preparers(&self, view: View, digest: Digest, primary: NodeId) -> NodeSet {
        let votes = self
            .prepares
            .iter()
            .filter(|(_, vote)| vote.value().view == view && vote.value().digest == digest);
        votes
            .map(|(&who, _)| who)
            .filter(|&who| who != primary)
            .collect()
    }

    /// Who committed (`view`, `digest`).
    pub(crate) fn committers(&self, view: View, digest: Digest) -> NodeSet {
        let votes = self
            .commits
            .iter()
            .filter(|(_, vote)| vote.value().view == view && vote.value().digest == digest);
        votes.map(|(&who, _)| who).collect()
    }

    /// Forgets what belongs to an earlier view; votes that are for later ones stay.
    pub(crate) fn restart(&mut self, view: View) {
        self.proposal = None;
        self.held = None;
        self.prepared = false;
        self.committed = false;
        self.prepares.retain(|_, vote| vote.value().view >= view);
        self.commits.retain(|_, vote| vote.value().view >= view);
    }
}

#[derive(Debug, Default)]
pub(crate) struct SlotLog {
    entries: BTreeMap<Slot, Entry>,
    bodies: BTreeMap<Digest, (Arc<Body>, Slot)>,
    /// The first record of each slot that recovery may need.
    first: BTreeMap<Slot, Lsn>,
}

impl SlotLog {
    pub(crate) fn get(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(&slot)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(&slot)
    }

    /// The slot's entry; the caller has checked that the slot is within bounds.
    pub(crate) fn entry(&mut self, slot: Slot) -> &mut Entry {
        self.entries.entry(slot).or_default()
    }

    pub(crate) fn after(&self, slot: Slot) -> impl DoubleEndedIterator<Item = (Slot, &Entry)> {
        self.entries
            .range(slot.next()..)
            .map(|(&slot, entry)| (slot, entry))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Slot, &mut Entry)> {
        self.entries.iter_mut().map(|(&slot, entry)| (slot, entry))
    }

    pub(crate) fn body(&self, digest: Digest) -> Option<&Arc<Body>> {
        self.bodies.get(&digest).map(|(body, _)| body)
    }

    /// Whether the batch is at hand; the null batch always is.
    pub(crate) fn has_body(&self, digest: Digest) -> bool {
        digest == NULL || self.bodies.contains_key(&digest)
    }

    /// Keeps a batch as long as `slot` is in the window; says whether it is new.
    pub(crate) fn keep_body(&mut self, slot: Slot, body: Arc<Body>) -> bool {
        let digest = body.digest();
        match self.bodies.get_mut(&digest) {
            Some((_, last)) => {
                *last = slot.max(*last);
                false
            }
            None => {
                self.bodies.insert(digest, (body, slot));
                true
            }
        }
    }

    pub(crate) fn note_record(&mut self, slot: Slot, lsn: Lsn) {
        self.first.entry(slot).or_insert(lsn);
    }

    /// The earliest record of a slot after `slot`.
    pub(crate) fn first_record_after(&mut self, slot: Slot) -> Option<Lsn> {
        self.first = self.first.split_off(&slot.next());
        self.first.values().min().copied()
    }

    /// Garbage collection (§4.3): forgets the slots up to `stable`.
    pub(crate) fn discard(&mut self, stable: Slot) {
        self.entries = self.entries.split_off(&stable.next());
        self.bodies.retain(|_, (_, last)| *last > stable);
    }
}

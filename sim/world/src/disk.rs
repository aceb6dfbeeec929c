use std::collections::VecDeque;

use bytes::Bytes;
use hedgerow_base::Lsn;

use crate::Rng;

/// How many released records are still found after a restart: space is freed by the segment.
const SEGMENT: u64 = 16;

/// A node's log on a disk that keeps only what was synced: a crash cuts the rest at any place.
///
/// A record torn in the middle is one that recovery leaves out, so it counts as not written.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    records: VecDeque<(Lsn, Bytes)>,
    last: Lsn,
    synced: Lsn,
    released: Lsn,
    /// How far the sync under way goes.
    syncing: Option<Lsn>,
}

impl Disk {
    pub(crate) fn append(&mut self, lsn: Lsn, record: Bytes) {
        assert_eq!(lsn, self.last.next(), "log positions follow one another");
        self.records.push_back((lsn, record));
        self.last = lsn;
    }

    pub(crate) fn release(&mut self, below: Lsn) {
        assert!(
            below <= self.last.next(),
            "released what was never written: {below:?}"
        );
        self.released = self.released.max(below);
    }

    /// Begins a sync of all that was written, if there is something to sync and none is under way.
    pub(crate) fn begin_sync(&mut self) -> Option<Lsn> {
        if self.syncing.is_some() || self.synced == self.last {
            return None;
        }
        self.syncing = Some(self.last);
        self.syncing
    }

    /// The sync is through: up to where.
    pub(crate) fn end_sync(&mut self) -> Lsn {
        if let Some(synced) = self.syncing.take() {
            self.synced = synced;
        }
        // Old segments go when they hold nothing but released records that are not the log's end.
        while self
            .records
            .front()
            .is_some_and(|(lsn, _)| lsn.plus(SEGMENT) < self.released && *lsn <= self.synced)
        {
            self.records.pop_front();
        }
        self.synced
    }

    /// The power goes: what was not synced survives up to a place that `rng` chooses.
    pub(crate) fn crash(&mut self, rng: &mut Rng) {
        let unsynced = self.last.since(self.synced);
        let lost = if rng.chance(400_000) {
            unsynced
        } else {
            rng.between(0, unsynced)
        };
        for _ in 0..lost {
            self.records.pop_back();
        }
        self.last = Lsn(self.last.0 - lost);
        self.synced = self.last;
        self.released = self.released.min(self.last.next());
        self.syncing = None;
    }

    /// What a restarted node finds.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &(Lsn, Bytes)> {
        self.records.iter()
    }

    /// The position of the last record ever written here, released or not.
    #[must_use]
    pub const fn last(&self) -> Lsn {
        self.last
    }

    /// How many records it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

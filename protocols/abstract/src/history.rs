//! Histories: sequences of batches with a chained digest, of which two are equal only where everything before is.

use alloc::{collections::VecDeque, vec::Vec};

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, Slot};
use hedgerow_crypto::Hasher;
use hedgerow_ordering::{Batch, Operation};

/// A place in a history: a slot, and the digest over everything up to it. Equal points have equal histories.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize,
)]
pub struct Point {
    /// The last slot; zero for the empty history.
    pub slot: Slot,
    /// The chained digest (§3: D(LH)); [`Digest::ZERO`] for the empty history.
    pub chain: Digest,
}

/// The digest of what a batch orders, whatever its place.
#[must_use]
pub fn entry_digest(time_ms: u64, operations: &[Operation]) -> Digest {
    let mut hasher = Hasher::default();
    hasher
        .update(b"abstract entry\0")
        .update(&time_ms.to_le_bytes());
    for Operation {
        client,
        number,
        operation,
    } in operations
    {
        hasher
            .update(&client.0.to_le_bytes())
            .update(&number.to_le_bytes())
            .update(&(operation.len() as u64).to_le_bytes())
            .update(operation);
    }
    hasher.finish()
}

/// The digest of what a client's requests, by their numbers, gave.
#[must_use]
pub fn results_digest(results: &[(u64, Bytes)]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(b"abstract results\0");
    for (number, result) in results {
        hasher
            .update(&number.to_le_bytes())
            .update(&(result.len() as u64).to_le_bytes())
            .update(result);
    }
    hasher.finish()
}

/// The point after `point` when `entry` follows.
#[must_use]
pub fn chain(point: Point, entry: Digest) -> Point {
    let slot = point.slot.next();
    let mut hasher = Hasher::default();
    hasher
        .update(b"abstract history\0")
        .update(&point.chain.0)
        .update(&slot.0.to_le_bytes())
        .update(&entry.0);
    Point {
        slot,
        chain: hasher.finish(),
    }
}

/// A batch in a history.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) batch: Batch,
    pub(crate) digest: Digest,
    pub(crate) chain: Digest,
    /// The log position behind which it may be spoken of.
    pub(crate) lsn: Lsn,
    /// What the application made of it, once it has: the replies, each as it is remembered, and its state.
    pub(crate) outcome: Option<(Vec<Bytes>, Digest)>,
}

/// A local history (LH): what comes after a base that is final.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    base: Point,
    entries: VecDeque<Entry>,
}

impl History {
    pub(crate) const fn from_base(base: Point) -> Self {
        Self {
            base,
            entries: VecDeque::new(),
        }
    }

    pub(crate) const fn base(&self) -> Point {
        self.base
    }

    /// Where it ends.
    pub(crate) fn head(&self) -> Point {
        self.entries.back().map_or(self.base, |entry| Point {
            slot: entry.batch.slot,
            chain: entry.chain,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    fn index(&self, slot: Slot) -> Option<usize> {
        slot.0
            .checked_sub(self.base.slot.0)?
            .checked_sub(1)?
            .try_into()
            .ok()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(self.index(slot)?)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        let index = self.index(slot)?;
        self.entries.get_mut(index)
    }

    /// The point at `slot`, where it is known.
    pub(crate) fn point(&self, slot: Slot) -> Option<Point> {
        if slot == self.base.slot {
            return Some(self.base);
        }
        self.get(slot).map(|entry| Point {
            slot,
            chain: entry.chain,
        })
    }

    /// Whether this history goes through `point`.
    pub(crate) fn has(&self, point: Point) -> bool {
        self.point(point.slot) == Some(point)
    }

    /// Appends a batch, whose slot is the next.
    pub(crate) fn push(&mut self, batch: Batch, lsn: Lsn) -> Point {
        let digest = entry_digest(batch.time_ms, &batch.operations);
        self.push_known(batch, digest, lsn)
    }

    /// The same where the batch's [`entry_digest`] is known.
    pub(crate) fn push_known(&mut self, batch: Batch, digest: Digest, lsn: Lsn) -> Point {
        debug_assert_eq!(digest, entry_digest(batch.time_ms, &batch.operations));
        let point = chain(self.head(), digest);
        debug_assert_eq!(batch.slot, point.slot);
        self.entries.push_back(Entry {
            batch,
            digest,
            chain: point.chain,
            lsn,
            outcome: None,
        });
        point
    }

    /// Forgets what comes after `slot`.
    pub(crate) fn truncate(&mut self, slot: Slot) {
        let keep = slot.since(self.base.slot) as usize;
        self.entries.truncate(keep);
    }

    /// Makes `slot` the base: what comes before is gone, and given back.
    pub(crate) fn rebase(&mut self, slot: Slot) -> Vec<Entry> {
        let Some(base) = self.point(slot) else {
            return Vec::new();
        };
        let count = slot.since(self.base.slot) as usize;
        self.base = base;
        self.entries
            .drain(..count.min(self.entries.len()))
            .collect()
    }

    /// The digests of the entries, oldest first.
    pub(crate) fn digests(&self, after: Slot) -> Vec<Digest> {
        let entries = self.entries.iter();
        let entries = entries.filter(|entry| entry.batch.slot > after);
        entries.map(|entry| entry.digest).collect()
    }
}

use alloc::collections::{BTreeMap, VecDeque};

use hedgerow_base::Lsn;

/// Holds what may not leave before the log is durable up to some position; both drivers have one.
///
/// First in, first out for each position; what waits for nothing passes what waits.
#[derive(Debug)]
pub struct Gate<T> {
    held: BTreeMap<Lsn, VecDeque<T>>,
    durable: Lsn,
}

impl<T> Gate<T> {
    /// A gate in front of a log that is durable up to `durable`.
    #[must_use]
    pub const fn new(durable: Lsn) -> Self {
        Self {
            held: BTreeMap::new(),
            durable,
        }
    }

    /// Gives `item` back if it may leave now, and holds it otherwise.
    pub fn pass(&mut self, after: Lsn, item: T) -> Option<T> {
        if after <= self.durable {
            return Some(item);
        }
        self.held.entry(after).or_default().push_back(item);
        None
    }

    /// The log is durable up to `durable`: what may leave now, by position, then in the order it came.
    pub fn open(&mut self, durable: Lsn) -> impl Iterator<Item = T> + use<T> {
        self.durable = self.durable.max(durable);
        let still_held = self.held.split_off(&self.durable.next());
        core::mem::replace(&mut self.held, still_held)
            .into_values()
            .flatten()
    }

    /// Up to where the log is known to be durable.
    #[must_use]
    pub const fn durable(&self) -> Lsn {
        self.durable
    }

    /// How many items are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.values().map(VecDeque::len).sum()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

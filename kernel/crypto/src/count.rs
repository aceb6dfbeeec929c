use core::sync::atomic::{AtomicUsize, Ordering};

/// How many MACs a member has made and checked: the measure by which the papers compare protocols. An authenticator
/// counts as one for each of its entries; what claims to be a stranger's is refused without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MacCount {
    /// Computed to be sent.
    pub made: usize,
    /// Computed to be compared with what came.
    pub checked: usize,
}

impl MacCount {
    /// What was added since `earlier`, right also when a counter has wrapped around in between.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            made: self.made.wrapping_sub(earlier.made),
            checked: self.checked.wrapping_sub(earlier.checked),
        }
    }

    /// Both kinds together: they cost the same.
    #[must_use]
    pub const fn total(self) -> usize {
        self.made.wrapping_add(self.checked)
    }
}

/// Counts for whoever asks, without order between threads. On a cache line of its own: the thread that makes MACs and
/// those that check them do not slow each other, nor the reading of keys.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Counter(AtomicUsize);

impl Counter {
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

use hedgerow_crypto::MacCount;

/// What a node did while it was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// How long its processor was busy, in nanoseconds.
    pub busy_ns: u64,
    /// Bytes sent over links.
    pub sent: u64,
    /// Bytes that came over links.
    pub received: u64,
    /// MACs made and checked.
    pub macs: u64,
    /// What its keyring had counted when the measuring began.
    pub(crate) macs_before: MacCount,
}

impl Meter {
    /// A meter at zero, for a keyring that has counted so many.
    pub(crate) fn begin(macs_before: MacCount) -> Self {
        Self {
            macs_before,
            ..Self::default()
        }
    }

    /// The final reading.
    pub(crate) fn end(mut self, macs: MacCount) -> Self {
        self.macs = macs.since(self.macs_before).total() as u64;
        self
    }
}

use hedgerow_base::Slot;

/// Where the epochs of an order ended, for a protocol that changes while it runs: what the application knows of it.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    /// The last slot of each epoch that is over, and what orders in the next.
    ends: Vec<(Slot, &'static str)>,
    /// The epoch that what follows is ordered in; `None`: it is right in any case.
    told: Option<u64>,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            ends: Vec::new(),
            told: Some(0),
        }
    }
}

impl Ends {
    /// At a start: what is final of them, and the first epoch.
    pub(crate) fn at_start(&self, executed: Slot) -> Self {
        let mut ends = self.clone();
        ends.roll_back(executed);
        ends.told = Some(0);
        ends
    }

    pub(crate) const fn tell(&mut self, epoch: Option<u64>) {
        self.told = epoch;
    }

    /// The last slot of the epoch that it was told of.
    pub(crate) fn last(&self) -> Option<Slot> {
        let (slot, _) = self.ends.get(usize::try_from(self.told?).ok()?)?;
        Some(*slot)
    }

    /// Whether a slot was ordered after its epoch's end.
    pub(crate) fn is_void(&self, slot: Slot) -> bool {
        self.last().is_some_and(|last| slot > last)
    }

    /// A batch in `slot`, which is not void, has what ends an epoch.
    pub(crate) fn end(&mut self, slot: Slot, next: &'static str) {
        if self.ends.last().is_none_or(|(last, _)| *last < slot) {
            self.ends.push((slot, next));
        }
    }

    pub(crate) fn roll_back(&mut self, slot: Slot) {
        self.ends.retain(|(end, _)| *end <= slot);
    }

    /// What begins after `slot`: its number and its protocol.
    pub(crate) fn after(&self, slot: Slot) -> Option<(u64, &'static str)> {
        let at = self.ends.iter().position(|(end, _)| *end == slot)?;
        Some((at as u64 + 1, self.ends.get(at)?.1))
    }
}

use std::collections::VecDeque;

use hedgerow_base::Slot;
use hedgerow_ordering::Batch;

use crate::ends::Ends;

/// What a replica has given its application in this life and not called final yet.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    batches: VecDeque<Batch>,
    /// The last slot that the application was given, or had when the replica started.
    last: Slot,
    /// The last slot that the replica called final since it started.
    settled: Slot,
    ends: Ends,
}

impl Ahead {
    /// For a replica that starts beside an application which has everything up to `executed`.
    pub(crate) fn new(executed: Slot, ends: Ends) -> Self {
        Self {
            last: executed,
            ends,
            ..Self::default()
        }
    }

    /// The application is given a batch, which may end its epoch. Says whether it is void.
    pub(crate) fn give(&mut self, batch: Batch, ends: Option<&'static str>) -> bool {
        self.last = batch.slot.max(self.last);
        if self.ends.is_void(batch.slot) {
            return true;
        }
        if let Some(next) = ends {
            self.ends.end(batch.slot, next);
        }
        self.batches.push_back(batch);
        false
    }

    /// What follows is ordered in this epoch: what was ordered after the end of the last one is forgotten.
    pub(crate) fn tell_epoch(&mut self, epoch: Option<u64>) {
        if let Some(end) = self.ends.last() {
            self.last = self.last.min(end);
            self.settled = self.settled.min(end);
        }
        self.ends.tell(epoch);
    }

    /// Everything up to `slot` is called final: what of it was not before, in order. An error says why it can't be.
    pub(crate) fn settle(&mut self, slot: Slot) -> Result<Vec<Batch>, String> {
        if slot > self.last {
            let last = self.last;
            return Err(format!(
                "calls slot {slot} final, and has given its application only slots up to {last}"
            ));
        }
        if slot < self.settled {
            let settled = self.settled;
            return Err(format!("calls slot {slot} final after slot {settled}"));
        }
        self.settled = slot;
        let mut news = Vec::new();
        while let Some(batch) = self.batches.pop_front_if(|batch| batch.slot <= slot) {
            news.push(batch);
        }
        Ok(news)
    }

    /// What comes after `slot` is rolled back. An error says why it can't be.
    pub(crate) fn roll_back(&mut self, slot: Slot) -> Result<(), String> {
        if slot < self.settled {
            let settled = self.settled;
            return Err(format!(
                "rolls back to slot {slot}, and has called slot {settled} final"
            ));
        }
        self.last = slot.min(self.last);
        self.ends.roll_back(slot);
        self.batches.retain(|batch| batch.slot <= slot);
        Ok(())
    }
}

//! When the replica wants to be woken.

use hedgerow_base::Time;

use super::{Replica, Stage};

impl Replica {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        // Only who has stopped, and knows where the others are, begins the next instance.
        let stopped = self.stage == Stage::Stopped && !self.start.is_asking();
        let switching = self.switching.due().filter(|_| stopped);
        let all = [
            self.start.due(),
            self.checkpoint_due(),
            switching,
            self.fetch.due(),
            self.backup_due(),
            self.tell_at,
        ];
        all.into_iter().flatten().min()
    }
}

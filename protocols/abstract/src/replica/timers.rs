//! When the replica wants to be woken.

use hedgerow_base::Time;

use super::Replica;

impl Replica {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let all = [
            self.start.due(),
            self.checkpoint_due(),
            self.switching.due(),
            self.fetch.due(),
            self.backup_due(),
            self.tell_at,
        ];
        all.into_iter().flatten().min()
    }
}

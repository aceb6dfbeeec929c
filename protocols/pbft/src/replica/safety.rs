//! What this replica may vote for: the small part that must not be wrong.

use hedgerow_base::{Lsn, Slot, View};

/// Limits on votes that come from what was said before, perhaps by an earlier life of this replica whose log is lost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Safety {
    /// No vote in a view below this one: it was left.
    pub(crate) left: View,
    /// No vote on slots up to this one ...
    pub(crate) forgotten: Slot,
    /// ... in views up to this one; nor any proposal in those.
    pub(crate) forgotten_view: View,
    /// Whether anything was forgotten.
    pub(crate) amnesiac: bool,
    /// Where the present log begins in the replica's own count of positions.
    pub(crate) base: Lsn,
}

impl Safety {
    /// Whether a PREPARE or COMMIT for this slot in this view can't contradict what was said before.
    pub(crate) fn may_vote(&self, view: View, slot: Slot) -> bool {
        view >= self.left && !self.forgot(view, slot)
    }

    /// Whether this replica can't know what it said about this slot in this view.
    pub(crate) fn forgot(&self, view: View, slot: Slot) -> bool {
        self.amnesiac && view <= self.forgotten_view && slot <= self.forgotten
    }

    /// Whether a PRE-PREPARE in this view can't contradict an earlier one.
    pub(crate) fn may_propose(&self, view: View) -> bool {
        view >= self.left && !(self.amnesiac && view <= self.forgotten_view)
    }

    /// The position that a vote names.
    pub(crate) fn position(&self, lsn: Lsn) -> Lsn {
        self.base.plus(lsn.0)
    }
}

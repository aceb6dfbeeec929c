use std::collections::VecDeque;

use hedgerow_base::{Digest, Height};
use hedgerow_state::State;

/// How many blocks' states are kept at most.
pub const MAX_STATES: usize = 16_384;
/// How many accounts and slots the kept states have changed, together, at most. What they have in common they share: each
/// change costs 1 to 3 KiB.
pub const MAX_CHANGES: usize = 32_768;

/// The states after the newest stable blocks, as many as there is room for: for a certificate that may still come, and
/// for questions.
#[derive(Debug, Default)]
pub(crate) struct KeptStates {
    /// In order, without a gap.
    states: VecDeque<Kept>,
    changes: usize,
}

/// The state after a block.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) height: Height,
    pub(crate) hash: Digest,
    pub(crate) state: State,
    changes: usize,
}

impl KeptStates {
    /// Keeps the state after the next block, which changed so much; the oldest ones give way. The newest is always kept.
    pub(crate) fn push(&mut self, height: Height, hash: Digest, state: State, changes: usize) {
        self.changes += changes;
        self.states.push_back(Kept {
            height,
            hash,
            state,
            changes,
        });
        while self.states.len() > MAX_STATES
            || (self.changes > MAX_CHANGES && self.states.len() > 1)
        {
            let oldest = self.states.pop_front();
            self.changes -= oldest.map_or(0, |oldest| oldest.changes);
        }
    }

    /// The state after the block at a height, where that is kept.
    pub(crate) fn at(&self, height: Height) -> Option<&Kept> {
        let first = self.states.front()?.height;
        let place = usize::try_from(height.0.checked_sub(first.0)?).ok()?;
        self.states.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_give_way_to_what_changes_much() {
        let mut kept = KeptStates::default();
        let push = |kept: &mut KeptStates, height, changes| {
            kept.push(Height(height), Digest::ZERO, State::default(), changes);
        };
        let oldest = |kept: &KeptStates| kept.states[0].height;
        for height in 3..3 + MAX_STATES as u64 + 5 {
            push(&mut kept, height, 1);
        }
        assert_eq!(oldest(&kept), Height(8));
        assert!(kept.at(Height(7)).is_none() && kept.at(Height(u64::MAX)).is_none());
        assert_eq!(kept.at(Height(100)).unwrap().height, Height(100));
        let next = 3 + MAX_STATES as u64 + 5;
        push(&mut kept, next, MAX_CHANGES - 10);
        assert_eq!(oldest(&kept), Height(next - 10));
        push(&mut kept, next + 1, 10 * MAX_CHANGES);
        assert_eq!(oldest(&kept), Height(next + 1));
        assert!(kept.at(Height(next + 1)).is_some());
    }
}

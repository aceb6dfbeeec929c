use alloy_primitives::{B256, Keccak256};
use borsh::{BorshDeserialize, BorshSerialize};

/// How many gaps the numbers of a stream may have.
pub const MAX_GAPS: usize = 4096;

/// The sequence numbers that a stream has, as the intervals that they form.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Sequences {
    /// First and last of each interval, ascending, none touching the next.
    intervals: Vec<(u64, u64)>,
}

impl Sequences {
    /// Adds a number; says whether it was new.
    pub fn insert(&mut self, sequence: u64) -> bool {
        // The first interval that ends at the number or after it; devices mostly count up, so the end is tried first.
        let at = match self.intervals.last() {
            Some((_, last)) if sequence > *last => self.intervals.len(),
            _ => self.intervals.partition_point(|(_, last)| *last < sequence),
        };
        let next = self.intervals.get(at).copied();
        if next.is_some_and(|(first, _)| first <= sequence) {
            return false;
        }
        let joins_next = next.is_some_and(|(first, _)| first - 1 == sequence);
        let before = at
            .checked_sub(1)
            .and_then(|before| self.intervals.get_mut(before));
        match before {
            Some((_, last)) if *last + 1 == sequence => {
                *last = sequence;
                if let Some((_, end)) = next.filter(|_| joins_next) {
                    *last = end;
                    self.intervals.remove(at);
                }
            }
            _ => match self.intervals.get_mut(at) {
                Some((first, _)) if joins_next => *first = sequence,
                _ => self.intervals.insert(at, (sequence, sequence)),
            },
        }
        true
    }

    /// Whether the number is there.
    #[must_use]
    pub fn contains(&self, sequence: u64) -> bool {
        let at = self.intervals.partition_point(|(_, last)| *last < sequence);
        self.intervals
            .get(at)
            .is_some_and(|(first, _)| *first <= sequence)
    }

    /// How many gaps there are between the least and the greatest number.
    #[must_use]
    pub const fn gaps(&self) -> usize {
        self.intervals.len().saturating_sub(1)
    }

    /// The least and the greatest number.
    #[must_use]
    pub fn bounds(&self) -> Option<(u64, u64)> {
        Some((self.intervals.first()?.0, self.intervals.last()?.1))
    }

    /// How many numbers between the least and the greatest are missing.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let pairs = self.intervals.iter().zip(self.intervals.iter().skip(1));
        pairs.fold(0, |missing: u64, ((_, last), (first, _))| {
            missing.saturating_add(first - last - 1)
        })
    }

    /// keccak256 over the first and the last number of each interval, 8 bytes each, big-endian.
    #[must_use]
    pub fn digest(&self) -> B256 {
        let mut hasher = Keccak256::new();
        for (first, last) in &self.intervals {
            hasher.update(first.to_be_bytes());
            hasher.update(last.to_be_bytes());
        }
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn like_a_set(numbers in prop::collection::vec(prop_oneof![0..40_u64, (u64::MAX - 9)..], 0..80)) {
            let (mut sequences, mut model) = (Sequences::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(sequences.insert(number), model.insert(number));
                let touching = model.iter().filter(|n| n.checked_sub(1).is_some_and(|n| model.contains(&n))).count();
                prop_assert_eq!(sequences.intervals.len(), model.len() - touching);
                prop_assert_eq!(sequences.bounds().unwrap(), (*model.first().unwrap(), *model.last().unwrap()));
                let span = u128::from(*model.last().unwrap() - *model.first().unwrap()) + 1;
                prop_assert_eq!(u128::from(sequences.missing()), span - model.len() as u128);
            }
            for number in (0..40).chain([u64::MAX - 1, u64::MAX]) {
                prop_assert_eq!(sequences.contains(number), model.contains(&number));
            }
        }
    }
}

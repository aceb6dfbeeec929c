use alloc::vec::Vec;

use crate::{SignatureCheck, verify_each};

/// What must hold before a message may be seen: signatures, collected while it is decoded and verified together,
/// also with those of other messages and peers.
#[derive(Clone, Debug, Default)]
pub struct Checks(Vec<SignatureCheck>);

impl Checks {
    /// Demands one more.
    pub fn require(&mut self, check: SignatureCheck) {
        self.0.push(check);
    }

    /// How many are demanded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is demanded: true for messages under MACs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all hold.
    #[must_use]
    pub fn hold(&self) -> bool {
        verify_each(&self.0).into_iter().all(|valid| valid)
    }

    /// For each of several messages' checks whether all of its own hold; all are verified in one batch.
    #[must_use]
    pub fn hold_each(of_messages: &[Self]) -> Vec<bool> {
        let all: Vec<_> = of_messages
            .iter()
            .flat_map(|checks| checks.0.iter().cloned())
            .collect();
        let mut valid = verify_each(&all).into_iter();
        of_messages
            .iter()
            .map(|checks| {
                valid
                    .by_ref()
                    .take(checks.len())
                    .fold(true, |all, one| all & one)
            })
            .collect()
    }
}

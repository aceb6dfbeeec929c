//! Ways to misbehave at the end of an epoch, one per file. What orders within an epoch has liars of its own, where it is
//! simulated alone.

mod batches;
mod epoch;

use hedgerow_world::{Attack, Role};

use super::Changing;

/// All of them.
pub(super) fn all() -> Vec<Attack<Changing>> {
    vec![
        Attack {
            name: "epoch",
            role: Role::Replica,
            make: |rng| Box::new(epoch::FalseEpoch::new(rng)),
        },
        Attack {
            name: "batches",
            role: Role::Replica,
            make: |rng| Box::new(batches::FalseBatches::new(rng)),
        },
    ]
}

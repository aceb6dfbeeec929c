//! Properties of a run, one per file. They share no code with what they check.

mod agreement;
mod bounds;
mod contradiction;
mod durability;
mod linearizability;
mod progress;
mod silence;
mod validity;

pub use agreement::Agreement;
pub use bounds::Bounds;
pub use contradiction::Contradiction;
pub use durability::Durability;
pub use linearizability::Linearizability;
pub use progress::Progress;
pub use silence::Silence;
pub use validity::Validity;

use hedgerow_base::NodeSet;
use hedgerow_world::Checker;

/// A checker of each property, for a run in which these nodes lie.
#[must_use]
pub fn all(liars: NodeSet) -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(Agreement::default()),
        Box::new(Validity::new(liars)),
        Box::new(Linearizability::default()),
        Box::new(Durability::default()),
        Box::new(Contradiction::default()),
        Box::new(Bounds),
        Box::new(Progress::default()),
        Box::new(Silence::default()),
    ]
}

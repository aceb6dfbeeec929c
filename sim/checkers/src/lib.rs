//! Properties of a run, one per file. They share no code with what they check.
//!
//! A replica may execute a slot before it is final, and a client may be answered on the strength of that: what is final
//! is looked at by `agreement`, what a replica executes ahead of it by `order`, and whether answers came true by `claims`.

mod agreement;
mod bounds;
mod claims;
mod contradiction;
mod durability;
mod epochs;
mod linearizability;
mod order;
mod orders;
mod progress;
mod silence;
mod validity;

pub use agreement::Agreement;
pub use bounds::Bounds;
pub use claims::Claims;
pub use contradiction::Contradiction;
pub use durability::Durability;
pub use epochs::Epochs;
pub use linearizability::Linearizability;
pub use order::Order;
pub use progress::Progress;
pub use silence::Silence;
pub use validity::Validity;

use hedgerow_base::NodeSet;
use hedgerow_world::Checker;

/// A checker of each property, for a run in which these nodes lie.
#[must_use]
pub fn all(liars: NodeSet) -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(Order::default()),
        Box::new(Agreement::default()),
        Box::new(Validity::new(liars)),
        Box::new(Linearizability::default()),
        Box::new(Claims::default()),
        Box::new(Durability::default()),
        Box::new(Contradiction::default()),
        Box::new(Epochs::default()),
        Box::new(Bounds::default()),
        Box::new(Progress::default()),
        Box::new(Silence::default()),
    ]
}

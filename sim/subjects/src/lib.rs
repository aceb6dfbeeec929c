//! The protocols as the simulator sees them, one file per protocol and one line in the registry; and the runs.

pub mod sequencer;

mod changing;
mod compositions;
mod pbft;
mod registry;
mod report;
mod run;
mod sweep;

pub use changing::Changing;
pub use compositions::Composed;
pub use pbft::Pbft;
pub use registry::{PROTOCOLS, UnknownProtocol};
pub use report::{Failure, Report};
pub use run::{Request, attacks, run, run_one, run_subject, trace};
pub use sweep::{Payload, Point, Sweep, Swept, sweep};

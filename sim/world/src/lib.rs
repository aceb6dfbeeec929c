//! The other driver: a whole network in one thread, in virtual time.
//!
//! Nodes run the real machines behind the real codecs, gates and keys; links, disks, clocks and processors are models.
//! One seed decides everything: topology, options, faults, ties. This crate names no protocol: what it needs of one
//! is the [`Subject`] trait.
//!
//! ```text
//!   Plan (from a seed) ──▶ World ── Observation ──▶ Checker (hedgerow-checkers)
//!                            ▲  └─── frames ──────▶ Attacker (hedgerow-attackers, and the subject's own)
//!                         Subject (hedgerow-subjects)
//! ```

mod ahead;
mod application;
mod attacker;
mod clock;
mod cost;
mod disk;
mod ends;
mod keys;
mod latency;
mod links;
mod meter;
mod node;
mod observation;
mod plan;
mod queue;
mod rng;
mod subject;
mod trace;
mod workload;
mod world;

pub use application::{Application, is_query, position_in, reply_at};
pub use attacker::{Attack, Attacker, Liar, Plot, Role};
pub use cost::CostModel;
pub use disk::Disk;
pub use keys::keyrings;
pub use latency::Latencies;
pub use meter::Meter;
pub use observation::{Checker, Observation, Violation};
pub use plan::{
    CARD_BYTES_PER_S, Fault, LinkPlan, Load, Mode, Options, Plan, StoragePlan, Weather, Window,
    WorkloadPlan,
};
pub use rng::Rng;
pub use subject::{Place, Recovered, Showing, Shown, Start, Subject, Vote};
pub use trace::Transcript;
pub use world::{Outcome, World};

/// Nanoseconds in a millisecond: virtual time is counted in nanoseconds since the run began.
pub const MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000 * MS;

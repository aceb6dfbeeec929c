//! Hostile bytes for every decoder that a peer, a device or a file can reach.
//!
//! Each target is a plain function, so that libFuzzer (`cargo +nightly fuzz run NAME`) and the `smoke` program, which
//! any compiler builds, run the same ones. A target may not panic, hang or grow without bound, and what it accepts has
//! one encoding only: `encode(decode(x)) == x`.

mod members;
mod random;
mod target;
mod targets;

pub use random::Random;
pub use target::{TARGETS, Target, named};

//! Runs a machine on threads, sockets and a disk.
//!
//! ```text
//!  Mailbox ──┐                                        ┌─▶ Transport (one write per peer and burst)
//!  Handle  ──┤ burst   admit   step   settle   carry  │
//!  Durable ──┼──────▶ ─────▶ ─────▶ ─────▶ ─────▶ ────┼─▶ Gate ─▶ Transport, Application
//!  Deadline ─┘                                        └─▶ log thread (one sync for all that waits) ─▶ Durable
//! ```
//!
//! A machine has one thread, the *lane*. It sleeps on a doorbell; when it is rung it takes everything that has come as
//! one burst, admits it (signatures in one batch), steps the machine through it, settles it once, and carries the
//! effects out. What names a log position waits in the gate until the log thread has made it durable; what names none
//! leaves with the burst. The application has a thread of its own, so that executing never holds up voting. The lane
//! itself waits for nobody.
//!
//! Nothing polls: without traffic all threads sleep.

mod application;
mod clock;
mod commands;
mod counters;
mod driver;
mod lane;
mod links;
mod persistence;

pub use application::{Application, ApplicationError};
pub use clock::Clock;
pub use commands::{Busy, Handle, Stopped};
pub use counters::Stats;
pub use driver::{Driver, DriverError, Options, Parts, RecordEncoder};
pub use persistence::Persistence;

//! A durable log: records numbered by their position, appended, committed in groups, recovered after a crash.
//!
//! A journal is a folder of segment files. Records that were appended since the last [`Journal::sync`] are written
//! together as one *frame* and made durable with one `fdatasync`. A frame has a checksum, and says up to where the log
//! was durable when it was written. So recovery can tell two kinds of trouble apart:
//!
//! * a *torn tail*: the last frames were still on their way to the disk when the power went. Nobody was told that
//!   they are durable, and they are cut off;
//! * *damage*: the disk lost or changed what it had promised to keep, because a later frame says that the bad one was
//!   durable. That is an error that names the file and the place. Nothing is repaired behind the operator's back.
//!
//! One kind of damage can't be told from a torn tail by any log: to the very last frame. It is cut off, and
//! [`Recovery::torn_bytes`] says so.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod error;
mod format;
mod journal;
mod log;
mod recovery;
mod segment;

pub use error::JournalError;
pub use journal::{Durability, Journal, Options, Records};
pub use log::Log;
pub use recovery::Recovery;

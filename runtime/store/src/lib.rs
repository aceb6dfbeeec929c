//! The ledger's key-value store on disk: an LSM tree (the `fjall` crate) behind [`hedgerow_kv::KvStore`].
//!
//! All tables share one tree; a key is stored behind its table's name. So there is one write buffer to pay for however
//! many tables there are, and a batch over several tables goes to disk in one piece. The engine writes each batch to
//! its own journal, with a checksum, before it is visible, and syncs that journal before it flushes the write buffer:
//! what is found after a crash is the batches of a prefix of the commits.
//!
//! The engine cuts its journal off at the first thing that it can't read, or gives up there, whether that was durable
//! or not. So each batch carries a *mark* that says which commit was durable when it was written, and opening
//! looks through the journals first: a torn tail is cut off, damage to what was durable is an error.
//!
//! When nothing is committed nothing is written, once the compaction that the last commits caused is done.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod disk;
mod journals;
mod key;
mod mark;

pub use disk::{DiskSnapshot, DiskStore, StoreOptions};

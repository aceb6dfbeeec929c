//! The ledger's key-value store on disk: an LSM tree (the `fjall` crate) behind [`hedgerow_kv::KvStore`].
//!
//! All tables share one tree; a key is stored behind its table's name. So there is one write buffer to pay for however
//! many tables there are, and a batch over several tables goes to disk in one piece. The engine writes each batch to
//! its own journal, with a checksum, before it is visible, and syncs that journal before it flushes the write buffer:
//! what is found after a crash is the batches of a prefix of the commits.
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
mod key;

pub use disk::{DiskSnapshot, DiskStore, StoreOptions};

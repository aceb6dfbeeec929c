//! What a device needs to sign records and keep them while offline.
//!
//! No clock, no randomness, no allocation beyond `alloc`: the device gives the time, the seeds and the storage.
//!
//! ```
//! use hedgerow_records::Algorithm;
//! use hedgerow_signer::{DeviceKey, RecordBuilder, reading};
//!
//! let key = DeviceKey::generate(Algorithm::P256, |seed| seed.fill(7)).unwrap(); // real devices: 32 random bytes
//! let mut record = RecordBuilder::new(4711, key.device_id(), "temperature".parse().unwrap());
//! record.push(reading(0, 1_700_000_000_000, "application/json", br#"{"celsius":21.5}"#).unwrap()).unwrap();
//! let bytes = record.sign(&key).unwrap(); // publish these
//! # assert!(!bytes.is_empty());
//! ```
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc;

mod buffer;
mod key;
mod record;
mod registration;

pub use buffer::{BufferError, MemoryStorage, OfflineBuffer, Storage};
pub use key::{BadKey, DeviceKey};
pub use record::{RecordBuilder, SignError, reading};
pub use registration::register;

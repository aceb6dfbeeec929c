//! Whole networks of replicas and clients in one thread, joined through the codec.

mod chaos;
mod common_case;
mod harness;
mod macs;
mod memory;
mod view_change;

//! Whole networks of replicas and clients in one thread, joined through the codec.

mod harness;
mod macs;
mod memory;
mod switching;

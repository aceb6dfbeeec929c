//! Practical Byzantine fault tolerance: replica and client.
//!
//! M. Castro, B. Liskov: *Practical Byzantine Fault Tolerance*, OSDI '99 (cited as §), and *Practical Byzantine Fault
//! Tolerance and Proactive Recovery*, ACM TOCS 20(4), 2002 (cited as TOCS §). `docs/protocols/pbft.md` maps the papers
//! to the modules and lists the deviations with their reasons.
#![no_std]

extern crate alloc;

mod client;
mod codec;
mod config;
mod messages;
mod record;
mod replica;

pub use client::Client;
pub use codec::PbftCodec;
pub use config::{Config, ConfigError};
pub use messages::*;
pub use record::Record;
pub use replica::{
    Decision, RecoverError, Replica, batch_digest, decide, decode_batch, encode_batch, well_formed,
};

use hedgerow_machine::Protocol;
use hedgerow_ordering::{Command, Event, Snapshot};

/// The protocol.
#[derive(Clone, Copy, Debug)]
pub struct Pbft;

impl Protocol for Pbft {
    type Message = Message;
    type Command = Command;
    type Event = Event;
    type Record = Record;
    type Snapshot = Snapshot;
}

//! Abstract: ordering as a chain of instances that may abort.
//!
//! P.-L. Aublin, R. Guerraoui, N. Knežević, V. Quéma, M. Vukolić: *The Next 700 BFT Protocols*, ACM TOCS 32(4), 2015
//! (cited as §). An instance orders requests under conditions of its own, and aborts when they do not hold; what it
//! committed is a prefix of what the next one begins with. `docs/protocols/abstract.md` maps the paper to the modules
//! and lists the deviations with their reasons.
#![no_std]

extern crate alloc;

mod abort;
mod client;
mod codec;
mod composition;
mod config;
mod history;
mod messages;
mod record;
mod replica;

pub use abort::{InvalidInit, Origin, extract};
pub use client::Client;
pub use codec::AbstractCodec;
pub use composition::{Composition, Instance, Kind};
pub use config::{Config, ConfigError};
pub use history::{Point, chain, entry_digest, results_digest};
pub use messages::*;
pub use record::Record;
pub use replica::{RecoverError, Replica};

use hedgerow_machine::Protocol;
use hedgerow_ordering::{Command, Event, Snapshot};

/// The protocol: any composition of instances.
#[derive(Clone, Copy, Debug)]
pub struct Abstract;

impl Protocol for Abstract {
    type Message = Message;
    type Command = Command;
    type Event = Event;
    type Record = Record;
    type Snapshot = Snapshot;
}

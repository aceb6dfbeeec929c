//! Epochs: the order goes on under another protocol.
//!
//! The application's own rules (a members' vote) say in which slot an epoch ends, and what orders in the next one. The
//! protocol of the epoch is hosted here as it is; it knows nothing of epochs. What it orders after the last slot is void.
//! A replica for which that slot is final says so: it is the epoch's abort. With 2f + 1 such words it leaves, and begins
//! the next epoch with what they agree on, its init history: the last slot, and the table of what clients had executed.
//! Who is behind is shown those words, and fetches the slots between, for which f + 1 vouch. `docs/protocols/epochs.md`
//! has the argument.
#![no_std]

extern crate alloc;

mod client;
mod codec;
mod config;
mod consensus;
mod hosted;
mod messages;
mod record;
mod replica;

pub use client::Client;
pub use codec::EpochsCodec;
pub use config::{Config, ConfigError};
pub use consensus::{Consensus, UnknownConsensus};
pub use messages::{Epoch, Fetch, Fetched, Inner, MAX_FETCH, Message, Name, Proof};
pub use record::{InnerRecord, Record};
pub use replica::{RecoverError, Replica};

use hedgerow_crypto::Keyring;
use hedgerow_machine::Protocol;
use hedgerow_ordering::{Command, Event, Snapshot};

/// The protocol: any of the others, one in each epoch.
#[derive(Clone, Copy, Debug)]
pub struct Epochs;

impl Protocol for Epochs {
    type Message = Message;
    type Command = Command;
    type Event = Event;
    type Record = Record;
    type Snapshot = Snapshot;
}

/// The keys as they are used in an epoch: what is said in one is worth nothing in another.
fn keyring_of(keyring: &Keyring, epoch: u64) -> Keyring {
    /// Away from the numbers that protocols use themselves.
    const EPOCHS: u64 = 1 << 63;
    keyring.within(EPOCHS).within(epoch)
}

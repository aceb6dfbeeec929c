//! The ordering protocols that a node can run, behind one interface. A new protocol is a file in `ordering/` and a line
//! in [`Consensus`].

mod composed;
mod pbft;

use std::{path::PathBuf, str::FromStr, sync::Arc};

use hedgerow_abstract::Composition;
use hedgerow_base::{Lsn, NodeId, Slot};
use hedgerow_crypto::Keyring;
use hedgerow_driver::{
    Application, ApplicationError, Busy, Clock, Driver, DriverError, Handle, Options, Parts,
    Persistence, Stats, Stopped,
};
use hedgerow_journal::{Durability, Journal, JournalError};
use hedgerow_machine::{Codec, Machine};
use hedgerow_ordering::{Command, Event, Ordering, Snapshot};
use hedgerow_transport::{Channel, Doorbell, Mailbox, MailboxLimits, Routes, Transport};

use crate::config::OrderingConfig;

/// The transport's channel for the ordering protocol's messages.
pub const CHANNEL: Channel = Channel(0);

/// An ordering protocol, as the genesis names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consensus {
    /// Practical Byzantine fault tolerance.
    Pbft,
    /// Instances that may abort, one after the other.
    Abstract(Composition),
}

impl Consensus {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let composed = Composition::ALL.iter().copied().map(Self::Abstract);
        core::iter::once(Self::Pbft).chain(composed)
    }

    /// The name in the genesis and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pbft => "pbft",
            Self::Abstract(composition) => composition.name(),
        }
    }
}

/// No protocol has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an ordering protocol of this version; it has: {names}", names = names())]
pub struct UnknownConsensus(pub String);

fn names() -> String {
    let names: Vec<_> = Consensus::all().map(Consensus::name).collect();
    names.join(", ")
}

impl FromStr for Consensus {
    type Err = UnknownConsensus;

    fn from_str(name: &str) -> Result<Self, UnknownConsensus> {
        let known = Self::all().find(|known| known.name() == name);
        known.ok_or_else(|| UnknownConsensus(name.to_owned()))
    }
}

/// A running participant, whatever its protocol.
pub trait Participant: Send + Sync {
    /// As [`Handle::try_command`].
    ///
    /// # Errors
    /// As there.
    fn try_command(&self, command: Command) -> Result<(), Busy<Command>>;

    /// As [`Handle::commands_all`].
    ///
    /// # Errors
    /// As there.
    fn commands_all(&self, commands: Vec<Command>) -> Result<(), Stopped>;

    /// As [`Handle::snapshot`].
    fn snapshot(&self) -> Snapshot;

    /// As [`Handle::stats`].
    fn stats(&self) -> Stats;

    /// As [`Handle::stop`].
    fn stop(&self);
}

impl<P: Ordering> Participant for Handle<P> {
    fn try_command(&self, command: Command) -> Result<(), Busy<Command>> {
        Self::try_command(self, command)
    }

    fn commands_all(&self, commands: Vec<Command>) -> Result<(), Stopped> {
        Self::commands_all(self, commands)
    }

    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }

    fn stats(&self) -> Stats {
        Self::stats(self)
    }

    fn stop(&self) {
        Self::stop(self);
    }
}

/// An application of any protocol: hears its participant's events on a thread of its own.
pub trait Host: Send + 'static {
    /// As [`Application::on_events`].
    ///
    /// # Errors
    /// As there.
    fn on_events(
        &mut self,
        events: &mut Vec<Event>,
        participant: &dyn Participant,
    ) -> Result<(), ApplicationError>;
}

struct Hosted(Box<dyn Host>);

impl<P: Ordering> Application<P> for Hosted {
    fn on_events(
        &mut self,
        events: &mut Vec<Event>,
        handle: &Handle<P>,
    ) -> Result<(), ApplicationError> {
        self.0.on_events(events, handle)
    }
}

/// What a participant takes part as.
pub enum Role {
    /// A replica.
    Replica {
        /// The folder of its log. `None` keeps no log at all: for measurements.
        log: Option<PathBuf>,
        /// When its log counts as durable.
        durability: Durability,
        /// The last slot that its application has executed and kept.
        executed: Slot,
    },
    /// A client.
    Client,
}

/// What every member of the network must agree on, beside the roster.
#[derive(Clone, Copy, Debug)]
pub struct Agreed {
    /// Slots from one checkpoint to the next.
    pub checkpoint_interval: u64,
}

/// What a participant is made of, whatever its protocol.
pub struct Setup {
    /// Its secrets, and who it is.
    pub keyring: Arc<Keyring>,
    /// What it takes part as.
    pub role: Role,
    /// Who hears its events.
    pub host: Box<dyn Host>,
    /// Its sessions.
    pub transport: Transport,
    /// The messages on [`CHANNEL`].
    pub inbox: Inbox,
    /// The members' agreement.
    pub agreed: Agreed,
    /// This member's own time-outs.
    pub timeouts: OrderingConfig,
}

/// Where the protocol's messages come in: made before the transport, which needs the routes.
pub struct Inbox {
    mailbox: Mailbox,
    bell: Arc<Doorbell>,
}

impl Inbox {
    /// Opens it.
    #[must_use]
    pub fn open(routes: &mut Routes) -> Self {
        let bell = Arc::new(Doorbell::new());
        let mailbox = routes.open(&[CHANNEL], MailboxLimits::default(), bell.clone());
        Self { mailbox, bell }
    }
}

/// Why a participant does not start.
#[derive(Debug, thiserror::Error)]
pub enum OrderingError {
    /// The log can't be opened.
    #[error("the ordering protocol's log: {0}")]
    Log(#[from] JournalError),
    /// A record of the log is none that this version writes.
    #[error(
        "record {lsn} of the ordering protocol's log can't be read: {problem}; restore the folder, or wipe it and rejoin"
    )]
    Record {
        /// Its position.
        lsn: u64,
        /// What is wrong.
        problem: String,
    },
    /// The protocol can't go on from what the log has.
    #[error("the ordering protocol can't start: {0}")]
    Recover(String),
    /// The driver does not start.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// A running participant.
pub struct Running {
    /// How to talk to it.
    pub participant: Arc<dyn Participant>,
    join: Box<dyn FnOnce() -> Result<(), DriverError> + Send>,
}

impl Running {
    /// As [`Driver::join`].
    ///
    /// # Errors
    /// As there.
    pub fn join(self) -> Result<(), DriverError> {
        (self.join)()
    }
}

/// Starts a participant of `consensus`. `exited` is called once when it has stopped, for whatever reason.
///
/// # Errors
/// When its log can't be read, or it can't go on from it.
pub fn start(
    consensus: Consensus,
    setup: Setup,
    exited: impl FnOnce() + Send + 'static,
) -> Result<Running, OrderingError> {
    match consensus {
        Consensus::Pbft => pbft::start(setup, Box::new(exited)),
        Consensus::Abstract(composition) => composed::start(composition, setup, Box::new(exited)),
    }
}

/// What a protocol's file builds from a [`Setup`].
struct Built<P: Ordering> {
    machine: Box<dyn Machine<P>>,
    codec: Arc<dyn Codec<P>>,
    encode: fn(&P::Record) -> Vec<u8>,
}

/// A log's records with their positions, in order.
type Records<R> = Vec<(Lsn, R)>;

/// Opens a replica's log and decodes its records.
fn open_log<R>(
    role: &Role,
    decode: impl Fn(&[u8]) -> Result<R, String>,
) -> Result<(Option<Journal>, Records<R>), OrderingError> {
    let Role::Replica {
        log: Some(dir),
        durability,
        ..
    } = role
    else {
        return Ok((None, Vec::new()));
    };
    let options = hedgerow_journal::Options {
        durability: *durability,
        ..hedgerow_journal::Options::default()
    };
    let (mut records, mut bad) = (Vec::new(), None);
    let (journal, _) = Journal::open_with(dir, options, |lsn, bytes| match decode(bytes) {
        Ok(record) => records.push((lsn, record)),
        Err(problem) => {
            bad.get_or_insert(OrderingError::Record {
                lsn: lsn.0,
                problem,
            });
        }
    })?;
    bad.map_or(Ok((Some(journal), records)), Err)
}

/// Runs what a protocol's file has built.
fn drive<P: Ordering>(
    built: Built<P>,
    journal: Option<Journal>,
    setup: Setup,
    exited: Box<dyn FnOnce() + Send>,
) -> Result<Running, OrderingError> {
    let last = journal.as_ref().map_or(Lsn::ZERO, Journal::last);
    let me: NodeId = setup.keyring.me();
    let persistence = match (journal, &setup.role) {
        (
            Some(journal),
            Role::Replica {
                durability: Durability::Volatile,
                ..
            },
        ) => Persistence::Lane(Box::new(journal)),
        (Some(journal), _) => Persistence::Thread(Box::new(journal)),
        (None, _) => Persistence::None,
    };
    let parts = Parts {
        me,
        machine: built.machine,
        last,
        codec: built.codec,
        encode: built.encode,
        persistence,
        application: Box::new(Hosted(setup.host)),
        transport: setup.transport,
        mailbox: setup.inbox.mailbox,
        bell: setup.inbox.bell,
        clock: Clock::new(),
        options: Options::new(setup.keyring.roster(), CHANNEL),
    };
    let driver = Driver::start(parts, exited)?;
    Ok(Running {
        participant: Arc::new(driver.handle().clone()),
        join: Box::new(move || driver.join()),
    })
}

//! The participant that orders: any protocol, which the members can change while it runs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hedgerow_base::{Digest, Lsn, Slot};
use hedgerow_crypto::Keyring;
use hedgerow_driver::{
    Application, ApplicationError, Busy, Clock, Driver, DriverError, Handle, Options, Parts,
    Persistence, Stats, Stopped,
};
use hedgerow_epochs::{Client, Config, Epochs, EpochsCodec, Record, Replica};
pub use hedgerow_epochs::{Consensus, UnknownConsensus};
use hedgerow_journal::{Durability, Journal, JournalError};
use hedgerow_machine::Machine;
use hedgerow_ordering::{Command, Event, Snapshot};
use hedgerow_transport::{Channel, Doorbell, Mailbox, MailboxLimits, Routes, Transport};

use crate::config::OrderingConfig;

/// The transport's channel for the ordering protocol's messages.
pub const CHANNEL: Channel = Channel(0);

/// A running participant, as its host sees it.
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

impl Participant for Handle<Epochs> {
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

/// An application: hears its participant's events on a thread of its own.
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

impl Application<Epochs> for Hosted {
    fn on_events(
        &mut self,
        events: &mut Vec<Event>,
        handle: &Handle<Epochs>,
    ) -> Result<(), ApplicationError> {
        self.0.on_events(events, handle)
    }
}

/// What a participant takes part as.
pub enum Role {
    /// A replica.
    Replica {
        /// The last slot that its application has executed and kept.
        executed: Slot,
        /// Its state after that slot.
        state: Digest,
    },
    /// A client.
    Client,
}

/// What every member of the network must agree on, beside the roster.
#[derive(Clone, Copy, Debug)]
pub struct Agreed {
    /// What orders in epoch 0; later ones are voted for.
    pub first: Consensus,
    /// Slots from one checkpoint to the next.
    pub checkpoint_interval: u64,
}

/// What a participant is made of.
pub struct Setup {
    /// Its secrets, and who it is.
    pub keyring: Arc<Keyring>,
    /// What it takes part as.
    pub role: Role,
    /// The folder of its log. `None` keeps no log at all: for measurements.
    pub log: Option<PathBuf>,
    /// When its log counts as durable.
    pub durability: Durability,
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

/// Starts a participant. `exited` is called once when it has stopped, for whatever reason.
///
/// # Errors
/// When its log can't be read, or it can't go on from it.
pub fn start(
    setup: Setup,
    exited: impl FnOnce() + Send + 'static,
) -> Result<Running, OrderingError> {
    let config = config(&setup);
    let (journal, records) = open_log(setup.log.as_deref(), setup.durability)?;
    let last = journal.as_ref().map_or(Lsn::ZERO, Journal::last);
    let (keyring, clock) = (setup.keyring.clone(), Clock::new());
    let refused = |error: &dyn std::fmt::Display| OrderingError::Recover(error.to_string());
    let machine: Box<dyn Machine<Epochs>> = match &setup.role {
        Role::Replica { executed, state } => {
            let had = (*executed, *state);
            let replica = Replica::recover(config, keyring.clone(), records, last, had);
            Box::new(replica.map_err(|error| refused(&error))?)
        }
        Role::Client => {
            let client = Client::recover(config, keyring.clone(), records, clock.now());
            Box::new(client.map_err(|error| refused(&error))?)
        }
    };
    let persistence = match (journal, setup.durability) {
        (Some(journal), Durability::Volatile) => Persistence::Lane(Box::new(journal)),
        (Some(journal), _) => Persistence::Thread(Box::new(journal)),
        (None, _) => Persistence::None,
    };
    let parts = Parts {
        me: keyring.me(),
        machine,
        last,
        codec: Arc::new(EpochsCodec::new(keyring)),
        encode: |record: &Record| record.encode().into(),
        persistence,
        application: Box::new(Hosted(setup.host)),
        transport: setup.transport,
        mailbox: setup.inbox.mailbox,
        bell: setup.inbox.bell,
        clock,
        options: Options::new(setup.keyring.roster(), CHANNEL),
    };
    let driver = Driver::start(parts, Box::new(exited))?;
    Ok(Running {
        participant: Arc::new(driver.handle().clone()),
        join: Box::new(move || driver.join()),
    })
}

/// The time-outs of all protocols follow from the configured ones. In a composition they are the same share of them as in
/// the usual configuration: a request may take its time-out in a Chain of seven, and less in everything else.
fn config(setup: &Setup) -> Config {
    let usual = Config::beginning_with(setup.agreed.first);
    let request = setup.timeouts.request_timeout();
    let with_timeouts = |config: hedgerow_pbft::Config| hedgerow_pbft::Config {
        timeout: request,
        timeout_max: setup.timeouts.max_timeout(),
        client_retry: setup.timeouts.retransmit(),
        ..config
    };
    let composed = usual.composed.into_iter();
    Config {
        pbft: hedgerow_pbft::Config {
            checkpoint_interval: setup.agreed.checkpoint_interval,
            ..with_timeouts(usual.pbft)
        },
        composed: composed
            .map(|config| hedgerow_abstract::Config {
                checkpoint_interval: setup.agreed.checkpoint_interval.min(config.history / 2),
                delta: request / 10,
                checkpoint_timeout: request,
                backup: with_timeouts(config.backup),
                ..config
            })
            .collect(),
        ..usual
    }
}

/// A log's records with their positions, in order.
type Records = Vec<(Lsn, Record)>;

/// Opens a participant's log and reads its records.
fn open_log(
    dir: Option<&Path>,
    durability: Durability,
) -> Result<(Option<Journal>, Records), OrderingError> {
    let Some(dir) = dir else {
        return Ok((None, Vec::new()));
    };
    let options = hedgerow_journal::Options {
        durability,
        ..hedgerow_journal::Options::default()
    };
    let (mut records, mut bad) = (Vec::new(), None);
    let (journal, _) =
        Journal::open_with(dir, options, |lsn, bytes| match Record::decode(bytes) {
            Ok(record) => records.push((lsn, record)),
            Err(error) => {
                bad.get_or_insert(OrderingError::Record {
                    lsn: lsn.0,
                    problem: error.to_string(),
                });
            }
        })?;
    bad.map_or(Ok((Some(journal), records)), Err)
}

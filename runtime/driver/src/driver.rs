use std::{
    any::Any,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use hedgerow_base::{Lsn, NodeId, Roster};
use hedgerow_journal::JournalError;
use hedgerow_machine::{Codec, Gate, Machine, Outbox, Protocol};
use hedgerow_transport::{Channel, Doorbell, Mailbox, Transport};

use crate::{
    Application, ApplicationError, Clock, Handle, Persistence, application,
    application::Inbox,
    commands::Shared,
    lane::{Lane, Records, Work},
    links::Links,
    persistence,
    persistence::Writer,
};

/// How a record becomes bytes.
pub type RecordEncoder<P> = fn(&<P as Protocol>::Record) -> Vec<u8>;

/// Bounds, and where the machine's messages go.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The replicas: whom `Target::All` and `Target::Others` mean.
    pub roster: Roster,
    /// The transport's channel for the machine's messages.
    pub channel: Channel,
    /// How many messages, and how many commands, a burst has at most.
    pub burst: usize,
    /// How many commands may wait.
    pub commands: usize,
    /// With more events than these before the application, nothing is heard from others.
    pub events: usize,
    /// With more bytes than these before the log thread, nothing is heard from others.
    pub unwritten_bytes: usize,
    /// How long a connection may be away before the machine is told.
    pub link_grace: Duration,
}

impl Options {
    /// The usual bounds: bursts of 1,024, 4,096 commands, 16,384 events, 64 MiB of records. A connection that is away for
    /// 60 ms is broken: by then its other end was called again once.
    #[must_use]
    pub const fn new(roster: Roster, channel: Channel) -> Self {
        Self {
            roster,
            channel,
            burst: 1024,
            commands: 4096,
            events: 16_384,
            unwritten_bytes: 64 << 20,
            link_grace: Duration::from_millis(60),
        }
    }
}

/// What a driver is made of.
pub struct Parts<P: Protocol> {
    /// Who the participant is.
    pub me: NodeId,
    /// The participant, recovered from its log if it has one.
    pub machine: Box<dyn Machine<P>>,
    /// Where its log ends: [`Lsn::ZERO`] for an empty one.
    pub last: Lsn,
    /// Its codec.
    pub codec: Arc<dyn Codec<P>>,
    /// How its records become bytes.
    pub encode: RecordEncoder<P>,
    /// Where its records go.
    pub persistence: Persistence,
    /// Who hears its events.
    pub application: Box<dyn Application<P>>,
    /// Its sessions with the others.
    pub transport: Transport,
    /// Where the others' messages come in; opened with `bell`.
    pub mailbox: Mailbox,
    /// What the lane sleeps on.
    pub bell: Arc<Doorbell>,
    /// What time it is.
    pub clock: Clock,
    /// Bounds.
    pub options: Options,
}

/// Why a driver stopped without being told to.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The log failed. What it holds is not known; only a restart helps.
    #[error("the log failed: {0}")]
    Log(#[from] JournalError),
    /// The application gave up.
    #[error("the application failed: {0}")]
    Application(ApplicationError),
    /// A thread panicked: a fault of this program.
    #[error("the {thread} thread panicked: {message}")]
    Panicked {
        /// Which one.
        thread: &'static str,
        /// With what words.
        message: String,
    },
    /// The operating system gives no thread.
    #[error("can't start a thread: {0}")]
    Thread(#[from] io::Error),
}

/// The first failure, which is the cause of the others.
type Failure = Arc<Mutex<Option<DriverError>>>;

/// A running machine.
pub struct Driver<P: Protocol> {
    handle: Handle<P>,
    threads: Vec<JoinHandle<()>>,
    failure: Failure,
}

impl<P: Protocol> fmt::Debug for Driver<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

impl<P: Protocol> Driver<P> {
    /// Starts the lane, the application's thread and the log's. `exited` is called, once and on one of them, when the
    /// lane is over for whatever reason; [`Driver::join`] then says which.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(
        parts: Parts<P>,
        exited: impl FnOnce() + Send + 'static,
    ) -> Result<Self, DriverError> {
        let Parts {
            me,
            machine,
            last,
            codec,
            encode,
            persistence,
            application,
            transport,
            mailbox,
            bell,
            ..
        } = parts;
        let shared = Arc::new(Shared::<P>::new(
            bell,
            parts.options.commands,
            machine.snapshot(),
        ));
        let handle = Handle(shared.clone());
        let failure = Failure::default();
        let inbox = Arc::new(Inbox::default());
        let mut driver = Self {
            handle: handle.clone(),
            threads: Vec::new(),
            failure,
        };

        let (records, log) = match persistence {
            Persistence::Thread(log) => {
                let writer = Arc::new(Writer::default());
                (Records::Thread(writer.clone()), Some((log, writer)))
            }
            Persistence::Lane(log) => (Records::Lane(log), None),
            Persistence::None => (Records::Nowhere, None),
        };
        let writer = log.as_ref().map(|(_, writer)| writer.clone());
        // However the lane ends, or if it never begins, nothing more comes for the other two.
        let over = Over {
            inbox: inbox.clone(),
            writer,
        };

        driver.spawn("application", {
            let inbox = inbox.clone();
            move || application::run(application, &inbox, &handle).map_err(DriverError::Application)
        })?;
        if let Some((log, writer)) = log {
            let shared = shared.clone();
            driver.spawn("log", move || {
                Ok(persistence::run(log, &writer, &shared.counters, || {
                    shared.bell.ring()
                })?)
            })?;
        }
        let lane = Lane {
            me,
            machine,
            codec,
            encode,
            transport,
            mailbox,
            options: parts.options,
            clock: parts.clock,
            shared,
            inbox,
            outbox: Outbox::new(last),
            gate: Gate::new(last),
            work: Work::default(),
            links: Links::new(parts.options.link_grace),
            records,
        };
        driver.spawn("lane", move || {
            let ended = catch_unwind(AssertUnwindSafe(|| lane.run()));
            drop(over);
            exited();
            match ended {
                Ok(ended) => Ok(ended?),
                Err(panic) => Err(panicked("lane", &*panic)),
            }
        })?;
        Ok(driver)
    }

    /// Runs `body` on a thread; when it ends for a reason of its own, everything stops.
    fn spawn(
        &mut self,
        name: &'static str,
        body: impl FnOnce() -> Result<(), DriverError> + Send + 'static,
    ) -> Result<(), DriverError> {
        let (failure, shared) = (self.failure.clone(), self.handle.0.clone());
        let run = move || {
            let ended = catch_unwind(AssertUnwindSafe(body));
            if let Err(error) = ended.unwrap_or_else(|panic| Err(panicked(name, &*panic))) {
                tracing::error!("{error}");
                failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(error);
            }
            shared.stop();
        };
        match thread::Builder::new().name(name.to_owned()).spawn(run) {
            Ok(thread) => {
                self.threads.push(thread);
                Ok(())
            }
            Err(error) => {
                self.handle.stop();
                Err(error.into())
            }
        }
    }

    /// How to talk to it.
    #[must_use]
    pub const fn handle(&self) -> &Handle<P> {
        &self.handle
    }

    /// Waits until it has stopped: after [`Handle::stop`], with everything that was persisted made durable and every
    /// event that was out given to the application, or because something failed.
    ///
    /// # Errors
    /// What failed.
    pub fn join(self) -> Result<(), DriverError> {
        for thread in self.threads {
            // Panics were caught on the thread itself.
            let _ = thread.join();
        }
        let failure = self
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        failure.map_or(Ok(()), Err)
    }
}

/// Tells the application's and the log's thread, when it is dropped, that nothing more comes.
struct Over<E> {
    inbox: Arc<Inbox<E>>,
    writer: Option<Arc<Writer>>,
}

impl<E> Drop for Over<E> {
    fn drop(&mut self) {
        self.inbox.close();
        if let Some(writer) = &self.writer {
            writer.close();
        }
    }
}

fn panicked(thread: &'static str, panic: &(dyn Any + Send)) -> DriverError {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    DriverError::Panicked { thread, message }
}

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use hedgerow_base::{Lsn, NodeId, Slot, Time};
use hedgerow_crypto::Keyring;
use hedgerow_machine::{Codec, Gate, Machine, Outbox, Protocol, Target};
use hedgerow_ordering::{Command, Event};

use crate::{
    Application, Attacker, Disk, Meter, Rng, Start, Subject, ahead::Ahead, clock::Clock,
    workload::Workload,
};

/// What waits to be stepped.
#[derive(Debug)]
pub(crate) enum Inbound {
    Frame { from: NodeId, frame: Bytes },
    Command(Command),
    Durable(Lsn),
    Link { peer: NodeId, up: bool },
    Deadline,
}

/// What waits behind the gate.
pub(crate) enum Outgoing<P: Protocol> {
    Send { to: Target, message: P::Message },
    Emit(Event),
}

/// Who a node works for.
pub(crate) enum User {
    /// A replica's application; what it was given that is not final; up to where it was told to store, and where it
    /// said it had.
    Application {
        application: Application,
        ahead: Ahead,
        executing: bool,
        to_store: Slot,
        stored: Slot,
        storing: bool,
    },
    Client(Workload),
}

/// What an operator may have kept of a disk: the log, and the application's store.
pub(crate) type Backup = (Disk, Application);

pub(crate) struct Node<S: Subject> {
    pub(crate) id: NodeId,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) codec: Arc<dyn Codec<S::Protocol>>,
    /// How often it was started; what belongs to an earlier life is void.
    pub(crate) life: u32,
    /// `None` while it is down.
    pub(crate) machine: Option<Box<dyn Machine<S::Protocol>>>,
    pub(crate) out: Outbox<S::Protocol>,
    pub(crate) gate: Gate<Outgoing<S::Protocol>>,
    pub(crate) disk: Disk,
    pub(crate) clock: Clock,
    pub(crate) user: User,
    pub(crate) inbox: VecDeque<Inbound>,
    pub(crate) awake: bool,
    pub(crate) busy_until: u64,
    pub(crate) deadline_at: Option<u64>,
    pub(crate) attacker: Option<Box<dyn Attacker<S>>>,
    pub(crate) rng: Rng,
    /// Its disk forgot what it had promised, and it has not caught up since.
    pub(crate) amnesic: bool,
    pub(crate) backup: Option<Backup>,
    /// Dies in its next burst; restarts after so long.
    pub(crate) dies_inside: Option<u64>,
    pub(crate) dies_at_sync: Option<u64>,
    pub(crate) stall: u64,
    pub(crate) work_at: Option<u64>,
    /// What its machine says to its user and when, in this order: a burst says it when it has done the work.
    pub(crate) told: VecDeque<(u64, Event)>,
    pub(crate) meter: Meter,
}

impl<S: Subject> Node<S> {
    pub(crate) const fn is_up(&self) -> bool {
        self.machine.is_some()
    }

    pub(crate) const fn is_correct(&self) -> bool {
        self.attacker.is_none()
    }

    pub(crate) fn read_clock(&mut self, at: u64) -> Time {
        self.clock.read(at)
    }

    /// Starts it from what its disk holds. A liar whose lies came back to it and into its log stays down if its replica,
    /// which is a correct one inside, does not believe them.
    ///
    /// # Panics
    /// When a correct one can't be started.
    pub(crate) fn start(&mut self, subject: &S, now: Time, tuning: u64) {
        self.life += 1;
        let (executed, state) = match &mut self.user {
            User::Application {
                application, ahead, ..
            } => {
                *ahead = Ahead::new(application.executed(), application.ends());
                (application.executed(), application.state())
            }
            User::Client(_) => (Slot::ZERO, hedgerow_base::Digest::default()),
        };
        let start = Start {
            keyring: Arc::clone(&self.keyring),
            records: self
                .disk
                .contents()
                .map(|(lsn, record)| (*lsn, subject.decode_record(record)))
                .collect(),
            last: self.disk.last(),
            executed,
            state,
            now,
            life: self.life,
            nonce: self.rng.draw(),
            tuning,
        };
        self.out = Outbox::new(self.disk.last());
        self.gate = Gate::new(self.disk.last());
        self.machine = match self.user {
            User::Application { .. } => match subject.replica(start) {
                Ok(replica) => Some(replica),
                Err(error) => {
                    assert!(!self.is_correct(), "{error}");
                    None
                }
            },
            User::Client(_) => Some(subject.client(start)),
        };
    }

    /// Kills it; gives how many requests its user now waits for in vain.
    pub(crate) fn crash(&mut self) -> usize {
        self.machine = None;
        self.clock.end_life();
        self.inbox.clear();
        self.told.clear();
        self.awake = false;
        self.busy_until = 0;
        self.deadline_at = None;
        self.work_at = None;
        self.dies_inside = None;
        self.dies_at_sync = None;
        self.disk.crash(&mut self.rng);
        self.gate = Gate::new(self.disk.last());
        match &mut self.user {
            User::Application {
                application,
                executing,
                to_store,
                stored,
                storing,
                ..
            } => {
                application.crash(&mut self.rng);
                (*executing, *storing) = (false, false);
                (*to_store, *stored) = (Slot::ZERO, Slot::ZERO);
                0
            }
            User::Client(workload) => workload.crash(),
        }
    }
}

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use hedgerow_machine::Protocol;
use hedgerow_transport::Doorbell;

use crate::{Stats, counters::Counters};

/// Why a command was not taken; it comes back.
#[derive(Debug, thiserror::Error)]
pub enum Busy<C> {
    /// As many commands wait as may: push back to whoever asks.
    #[error("the participant takes no more commands now")]
    Full(C),
    /// The driver has stopped.
    #[error("the participant has stopped")]
    Stopped(C),
}

/// The driver has stopped: there is nobody to take a command any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the participant has stopped")]
pub struct Stopped;

/// What the driver's threads and its handles share.
pub(crate) struct Shared<P: Protocol> {
    pub(crate) bell: Arc<Doorbell>,
    pub(crate) counters: Counters,
    stop: AtomicBool,
    commands: Mutex<Commands<P::Command>>,
    room: Condvar,
    snapshot: Mutex<P::Snapshot>,
}

struct Commands<C> {
    waiting: VecDeque<C>,
    capacity: usize,
    /// Threads that wait for room.
    blocked: usize,
}

impl<P: Protocol> Shared<P> {
    pub(crate) fn new(bell: Arc<Doorbell>, capacity: usize, snapshot: P::Snapshot) -> Self {
        let commands = Commands {
            waiting: VecDeque::new(),
            capacity,
            blocked: 0,
        };
        Self {
            bell,
            counters: Counters::default(),
            stop: AtomicBool::new(false),
            commands: Mutex::new(commands),
            room: Condvar::new(),
            snapshot: Mutex::new(snapshot),
        }
    }

    fn commands(&self) -> MutexGuard<'_, Commands<P::Command>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Nothing is taken any more, and nobody waits for it.
    pub(crate) fn stop(&self) {
        let commands = self.commands();
        self.stop.store(true, Ordering::Release);
        drop(commands);
        self.room.notify_all();
        self.bell.ring();
    }

    /// Moves up to `credit` commands to the end of `into`.
    pub(crate) fn take(&self, credit: usize, into: &mut Vec<P::Command>) {
        let mut commands = self.commands();
        let count = commands.waiting.len().min(credit);
        into.extend(commands.waiting.drain(..count));
        let blocked = commands.blocked > 0;
        drop(commands);
        if count > 0 && blocked {
            self.room.notify_all();
        }
    }

    /// Whether someone waits for room.
    pub(crate) fn someone_waits(&self) -> bool {
        self.commands().blocked > 0
    }

    pub(crate) fn publish(&self, snapshot: P::Snapshot) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

/// How the application and the operator's tools talk to a running machine. Cheap to clone, for any thread.
pub struct Handle<P: Protocol>(pub(crate) Arc<Shared<P>>);

impl<P: Protocol> Clone for Handle<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: Protocol> fmt::Debug for Handle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl<P: Protocol> Handle<P> {
    /// Gives the machine a command, if there is room.
    ///
    /// # Errors
    /// Gives it back when as many wait as may, or when the driver has stopped.
    pub fn try_command(&self, command: P::Command) -> Result<(), Busy<P::Command>> {
        let mut commands = self.0.commands();
        if self.0.stopping() {
            return Err(Busy::Stopped(command));
        }
        if commands.waiting.len() >= commands.capacity {
            return Err(Busy::Full(command));
        }
        commands.waiting.push_back(command);
        drop(commands);
        self.0.bell.ring();
        Ok(())
    }

    /// Gives the machine a command; waits until there is room.
    ///
    /// # Errors
    /// When the driver has stopped.
    pub fn command(&self, command: P::Command) -> Result<(), Stopped> {
        self.commands_all([command])
    }

    /// Gives the machine several commands in order; waits until there is room for each.
    ///
    /// # Errors
    /// When the driver has stopped; some of them may have been taken.
    pub fn commands_all(&self, all: impl IntoIterator<Item = P::Command>) -> Result<(), Stopped> {
        let mut commands = self.0.commands();
        for command in all {
            while commands.waiting.len() >= commands.capacity && !self.0.stopping() {
                commands.blocked += 1;
                self.0.bell.ring();
                commands = self
                    .0
                    .room
                    .wait(commands)
                    .unwrap_or_else(PoisonError::into_inner);
                commands.blocked -= 1;
            }
            if self.0.stopping() {
                return Err(Stopped);
            }
            commands.waiting.push_back(command);
        }
        drop(commands);
        self.0.bell.ring();
        Ok(())
    }

    /// What the driver has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.stats()
    }

    /// What the machine shows of itself, as it was when the lane last went to sleep, or a few bursts ago when it does
    /// not.
    #[must_use]
    pub fn snapshot(&self) -> P::Snapshot {
        self.0
            .snapshot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Has the driver stop; [`crate::Driver::join`] tells when it has.
    pub fn stop(&self) {
        self.0.stop();
    }
}

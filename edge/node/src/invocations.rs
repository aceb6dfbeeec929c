use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use hedgerow_driver::{ApplicationError, Busy};
use hedgerow_ordering::{Command, Event};
use tokio::sync::oneshot;

use crate::ordering::{Host, Participant};

/// Why an invocation was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many are under way as may be.
    #[error("too many requests are on their way already")]
    Busy,
    /// The client has stopped.
    #[error("the node is shutting down")]
    Stopped,
}

/// The client's invocations under way, and who waits for them.
#[derive(Clone, Default)]
pub struct Invocations(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    tickets: AtomicU64,
    waiters: Mutex<BTreeMap<u64, oneshot::Sender<Vec<u8>>>>,
}

impl Invocations {
    fn waiters(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Vec<u8>>>> {
        self.0
            .waiters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Has an operation ordered and executed; the receiver gets the reply when the protocol's rule makes it final.
    ///
    /// # Errors
    /// When the client takes no more now, or has stopped.
    pub fn invoke(
        &self,
        participant: &dyn Participant,
        operation: Bytes,
    ) -> Result<oneshot::Receiver<Vec<u8>>, Refused> {
        let ticket = self.0.tickets.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiters().insert(ticket, sender);
        let taken = participant.try_command(Command::Invoke { ticket, operation });
        taken.map_err(|refused| {
            self.waiters().remove(&ticket);
            match refused {
                Busy::Full(_) => Refused::Busy,
                Busy::Stopped(_) => Refused::Stopped,
            }
        })?;
        Ok(receiver)
    }

    /// Nobody gets an answer any more.
    pub(crate) fn close(&self) {
        self.waiters().clear();
    }
}

impl Host for Invocations {
    fn on_events(
        &mut self,
        events: &mut Vec<Event>,
        _: &dyn Participant,
    ) -> Result<(), ApplicationError> {
        let mut waiters = self.waiters();
        for event in events.drain(..) {
            if let Event::Completed { ticket, reply } = event
                && let Some(waiter) = waiters.remove(&ticket)
            {
                // Whoever asked may have gone.
                let _ = waiter.send(reply);
            }
        }
        Ok(())
    }
}

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use hedgerow_machine::Protocol;
use hedgerow_transport::Doorbell;

use crate::{Handle, Stopped};

/// The application can't go on; its own words say why.
pub type ApplicationError = Box<dyn std::error::Error + Send + Sync>;

/// Who hears the machine's events, on a thread of its own.
pub trait Application<P: Protocol>: Send + 'static {
    /// Takes all events that have come, in order; leaves the vector empty. Commands go back by `handle`, which may
    /// wait when too many of them wait already; the machine goes on meanwhile.
    ///
    /// # Errors
    /// When it can't go on, because its disk failed for example: that stops the driver. [`Stopped`] is no failure.
    fn on_events(
        &mut self,
        events: &mut Vec<P::Event>,
        handle: &Handle<P>,
    ) -> Result<(), ApplicationError>;
}

/// Where events wait for the application.
pub(crate) struct Inbox<E> {
    events: Mutex<Vec<E>>,
    /// Those that wait and those that are being worked on.
    unfinished: AtomicUsize,
    closed: AtomicBool,
    bell: Doorbell,
}

impl<E> Default for Inbox<E> {
    fn default() -> Self {
        Self {
            events: Mutex::default(),
            unfinished: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            bell: Doorbell::new(),
        }
    }
}

impl<E> Inbox<E> {
    pub(crate) fn put(&self, events: &mut Vec<E>) {
        if !events.is_empty() {
            self.unfinished.fetch_add(events.len(), Ordering::Relaxed);
            self.events
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .append(events);
            self.bell.ring();
        }
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished.load(Ordering::Relaxed)
    }

    /// Nothing more comes.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.bell.ring();
    }
}

/// The application's thread.
pub(crate) fn run<P: Protocol>(
    mut application: Box<dyn Application<P>>,
    inbox: &Arc<Inbox<P::Event>>,
    handle: &Handle<P>,
) -> Result<(), ApplicationError> {
    let mut burst = Vec::new();
    loop {
        mem::swap(
            &mut burst,
            &mut *inbox.events.lock().unwrap_or_else(PoisonError::into_inner),
        );
        if !burst.is_empty() {
            let count = burst.len();
            if let Err(error) = application.on_events(&mut burst, handle) {
                // Having been stopped is no failure.
                return if error.is::<Stopped>() {
                    Ok(())
                } else {
                    Err(error)
                };
            }
            burst.clear();
            inbox.unfinished.fetch_sub(count, Ordering::Relaxed);
            // The lane may wait for this.
            handle.0.bell.ring();
        } else if inbox.closed.load(Ordering::Acquire) {
            return Ok(());
        } else {
            inbox.bell.wait(None);
        }
    }
}

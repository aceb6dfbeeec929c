use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::Instant,
};

/// How many sources wake one thread.
///
/// A source makes something available and then rings; the thread waits, then looks at all its sources until none has
/// anything. A ring is never lost: one that comes while the thread is busy makes its next wait return at once. Ringing
/// a bell that has been rung costs one atomic operation.
#[derive(Debug, Default)]
pub struct Doorbell {
    rung: AtomicBool,
    waiter: OnceLock<Thread>,
}

impl Doorbell {
    /// A bell that nobody has rung.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rung: AtomicBool::new(false),
            waiter: OnceLock::new(),
        }
    }

    /// Wakes the thread that waits, or that will wait next.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel)
            && let Some(thread) = self.waiter.get()
        {
            thread.unpark();
        }
    }

    /// Sleeps until the bell is rung, or until `deadline`; says whether it was rung.
    ///
    /// # Panics
    /// When two threads wait on one bell.
    pub fn wait(&self, deadline: Option<Instant>) -> bool {
        let waiter = self.waiter.get_or_init(thread::current);
        assert_eq!(
            waiter.id(),
            thread::current().id(),
            "a doorbell wakes one thread only"
        );
        loop {
            if self.rung.swap(false, Ordering::AcqRel) {
                return true;
            }
            match deadline {
                None => thread::park(),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    thread::park_timeout(left);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, atomic::AtomicU32},
        time::Duration,
    };

    use super::*;

    #[test]
    fn no_ring_is_lost() {
        let (bell, posted) = (Arc::new(Doorbell::new()), Arc::new(AtomicU32::new(0)));
        let ringers: Vec<_> = (0..4)
            .map(|_| {
                let (bell, posted) = (bell.clone(), posted.clone());
                thread::spawn(move || {
                    for _ in 0..5_000 {
                        posted.fetch_add(1, Ordering::Relaxed);
                        bell.ring();
                    }
                })
            })
            .collect();
        while posted.load(Ordering::Relaxed) < 20_000 {
            assert!(
                bell.wait(Some(Instant::now() + Duration::from_secs(20))),
                "a ring was lost"
            );
        }
        ringers
            .into_iter()
            .for_each(|ringer| ringer.join().unwrap());
        bell.wait(Some(Instant::now()));
        assert!(!bell.wait(Some(Instant::now() + Duration::from_millis(1))));
    }
}

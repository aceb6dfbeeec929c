use std::time::{Duration, Instant, SystemTime};

use hedgerow_base::Time;

/// A participant's clock: the system's time when it was made, and from then on the monotonic clock's steps. It never
/// runs backwards, whatever is done to the system's time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
    began: Time,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that shows the system's time now.
    #[must_use]
    pub fn new() -> Self {
        // A system whose time is before 1970 has no idea of the time at all; the epoch is as good as any other.
        let unix = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            epoch: Instant::now(),
            began: Time::ZERO.plus(unix),
        }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.began.plus(self.epoch.elapsed())
    }

    /// The first moment at which this clock shows `time` or later; `None` when that is too far away to be waited for.
    #[must_use]
    pub fn instant(&self, time: Time) -> Option<Instant> {
        let wait = time.since(self.began);
        if wait > FAR {
            None
        } else {
            self.epoch.checked_add(wait)
        }
    }
}

/// Thirty years: what a machine sets so late it does not set at all.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early() {
        let clock = Clock::new();
        let deadline = clock.now().plus(Duration::from_millis(3));
        let instant = clock.instant(deadline).unwrap();
        std::thread::sleep(instant.saturating_duration_since(Instant::now()));
        assert!(clock.now() >= deadline);
        assert_eq!(clock.instant(Time::NEVER), None);
    }
}

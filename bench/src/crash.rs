//! How long nobody is served when a replica stops.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;

/// What a crash did to the clients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Crash {
    /// Milliseconds from the crash until a request completed that was invoked after it; absent when none did.
    pub recovered_ms: Option<f64>,
    /// The longest time without any completion, in milliseconds, from the last one before the crash to the end: later
    /// attempts to do without the replica count, too.
    pub longest_gap_ms: f64,
    /// Requests completed per second from the crash on.
    pub throughput_after_per_s: f64,
}

/// Watches completions from a moment on.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    crashed: Option<Instant>,
    recovered: Option<Duration>,
    longest: Duration,
    completed: u64,
}

impl Watch {
    fn with<T>(&self, then: impl FnOnce(&mut State) -> T) -> T {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Requests have completed, of which the last was invoked at `began`.
    pub(crate) fn completed(&self, count: u64, began: Option<Instant>, now: Instant) {
        self.with(|state| {
            if let Some(crashed) = state.crashed {
                let last = state.last.unwrap_or(crashed);
                state.longest = state.longest.max(now.saturating_duration_since(last));
                state.completed += count;
                if began.is_some_and(|began| began > crashed) {
                    state.recovered.get_or_insert(now - crashed);
                }
            }
            state.last = Some(now);
        });
    }

    /// The replica stops now.
    pub(crate) fn crash(&self) {
        self.with(|state| state.crashed = Some(Instant::now()));
    }

    /// What was seen up to `now`; nothing without a crash.
    pub(crate) fn seen(&self, now: Instant) -> Option<Crash> {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        self.with(|state| {
            let crashed = state.crashed?;
            let open = now.saturating_duration_since(state.last.unwrap_or(crashed));
            Some(Crash {
                recovered_ms: state.recovered.map(ms),
                longest_gap_ms: ms(state.longest.max(open)),
                throughput_after_per_s: state.completed as f64 / (now - crashed).as_secs_f64(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted_from_the_last_completion_before_the_crash_to_the_end() {
        let watch = Watch::default();
        let before = Instant::now();
        watch.completed(1, Some(before), before);
        assert_eq!(watch.seen(before), None);
        watch.crash();
        let crashed = Instant::now();
        let at = |ms| crashed + Duration::from_millis(ms);
        // It was under way.
        watch.completed(1, Some(before), at(10));
        assert_eq!(watch.seen(at(10)).unwrap().recovered_ms, None);
        watch.completed(2, Some(at(10)), at(200));
        let seen = watch.seen(at(250)).unwrap();
        assert!((seen.longest_gap_ms - 190.0).abs() < 0.001);
        assert!(seen.recovered_ms.unwrap() >= 200.0);
        assert!((seen.throughput_after_per_s - 12.0).abs() < 0.5);
        assert!(watch.seen(at(1000)).unwrap().longest_gap_ms >= 800.0);
    }
}

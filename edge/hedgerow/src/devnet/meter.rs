use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hedgerow_bench::Latencies;
use serde::Serialize;

/// Counts what becomes of the readings, for all devices.
pub(crate) struct Meter {
    inner: Mutex<Inner>,
}

struct Inner {
    started: Instant,
    counts: Counts,
    total: Latencies,
    /// Since the last look.
    lately: Latencies,
    looked: Instant,
    refusal: Option<String>,
}

/// What became of readings since the start.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Counts {
    /// Published for the first time in this run.
    pub(crate) published: u64,
    /// Final.
    pub(crate) finals: u64,
    /// Of these, how many were in the ledger already: sent again after a restart.
    pub(crate) repeated: u64,
    /// Rejected by the ledger.
    pub(crate) rejected: u64,
    /// Sent again because no receipt came.
    pub(crate) retried: u64,
}

/// What a look at the meter shows.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reading {
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// Final readings per second, lately.
    pub(crate) per_s: f64,
    /// Milliseconds from publishing to final, lately.
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Meter {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let inner = Inner {
            started: now,
            counts: Counts::default(),
            total: Latencies::default(),
            lately: Latencies::default(),
            looked: now,
            refusal: None,
        };
        Self {
            inner: Mutex::new(inner),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn published(&self) {
        self.inner().counts.published += 1;
    }

    pub(crate) fn retried(&self) {
        self.inner().counts.retried += 1;
    }

    pub(crate) fn is_final(&self, latency: Duration, repeated: bool) {
        let mut inner = self.inner();
        inner.counts.finals += 1;
        inner.counts.repeated += u64::from(repeated);
        inner.lately.add(latency);
    }

    pub(crate) fn rejected(&self, why: String) {
        let mut inner = self.inner();
        inner.counts.rejected += 1;
        inner.refusal.get_or_insert(why);
    }

    /// Why the first rejected reading was.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.inner().refusal.clone()
    }

    /// What happened since the last look.
    pub(crate) fn look(&self) -> Reading {
        let mut inner = self.inner();
        let lately = std::mem::take(&mut inner.lately);
        inner.total.merge(&lately);
        let period = std::mem::replace(&mut inner.looked, Instant::now()).elapsed();
        reading(inner.counts, &lately, period)
    }

    /// What happened since the start.
    pub(crate) fn whole(&self) -> Reading {
        let mut inner = self.inner();
        let lately = std::mem::take(&mut inner.lately);
        inner.total.merge(&lately);
        reading(inner.counts, &inner.total, inner.started.elapsed())
    }
}

fn reading(counts: Counts, latencies: &Latencies, period: Duration) -> Reading {
    Reading {
        counts,
        per_s: latencies.count() as f64 / period.as_secs_f64().max(1e-3),
        p50_ms: latencies.quantile_ms(0.5),
        p99_ms: latencies.quantile_ms(0.99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_about_the_time_since_the_last_one() {
        let meter = Meter::new();
        for ms in [10, 20, 30] {
            meter.published();
            meter.is_final(Duration::from_millis(ms), ms == 30);
        }
        meter.rejected("first".into());
        meter.rejected("second".into());
        let look = meter.look();
        assert_eq!(
            (
                look.counts.finals,
                look.counts.repeated,
                look.counts.rejected
            ),
            (3, 1, 2)
        );
        assert!((look.p50_ms - 20.0).abs() < 1.0, "{look:?}");
        assert_eq!(meter.look().p50_ms, 0.0);
        assert!((meter.whole().p99_ms - 30.0).abs() < 1.0);
        assert_eq!(meter.refusal().unwrap(), "first");
    }
}

use hedgerow_base::Time;

/// A node's own clock: off by some amount, too fast or too slow, and sometimes set anew; but as the driver shows it
/// to the machine it never runs backwards within a life.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    offset_ns: i64,
    drift_ppm: i64,
    shown: u64,
}

/// What all clocks would show at the beginning of the run if they were right: 2026-01-01.
const EPOCH_NS: i64 = 1_767_225_600_000_000_000;

impl Clock {
    pub(crate) const fn new(offset_ns: i64, drift_ppm: i64) -> Self {
        Self {
            offset_ns,
            drift_ppm,
            shown: 0,
        }
    }

    const fn raw(&self, at: u64) -> u64 {
        let at = at as i64;
        (EPOCH_NS + self.offset_ns + at + at / 1_000_000 * self.drift_ppm) as u64
    }

    /// What it shows at virtual time `at`.
    pub(crate) fn read(&mut self, at: u64) -> Time {
        self.shown = self.shown.max(self.raw(at));
        Time(self.shown)
    }

    /// In the node's next life it may show less than in this one.
    pub(crate) const fn end_life(&mut self) {
        self.shown = 0;
    }

    /// Someone sets it forward or back.
    pub(crate) const fn jump(&mut self, by_ns: i64) {
        self.offset_ns += by_ns;
    }

    /// The virtual time, not before `now`, at which it will show `local`, or a little earlier.
    pub(crate) const fn when(&self, local: Time, now: u64) -> u64 {
        let ahead = local.0 as i128 - self.raw(now) as i128;
        if ahead <= 0 {
            return now;
        }
        let ahead = ahead * 1_000_000 / (1_000_000 + self.drift_ppm as i128);
        now.saturating_add(if ahead > u64::MAX as i128 / 4 {
            u64::MAX / 4
        } else {
            ahead as u64
        })
    }
}

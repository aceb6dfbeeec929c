use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::Network;

/// How long after a quorum is back the first new block may take.
pub(crate) const BOUND: Duration = Duration::from_secs(10);

/// After this long without a block, waiting is given up.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// How long the network took to go on after each blow.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    times: Vec<Duration>,
}

impl Recovery {
    /// Waits for the first new block since `since`, when the last process was started that a quorum needed. A block is
    /// new when it is above the first height seen from then on: one too many is asked for rather than one too few.
    ///
    /// # Errors
    /// When none comes, or a process ends by itself.
    pub fn wait(&mut self, network: &mut Network, since: Instant) -> Result<Duration> {
        let mut old = None;
        loop {
            network.check_running()?;
            let height = network.height();
            if height > *old.get_or_insert(height) {
                break;
            }
            if height == 0 {
                old = None;
            }
            if since.elapsed() > GIVEN_UP {
                bail!("no new block {GIVEN_UP:?} after a quorum was back: height {height}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        let time = since.elapsed();
        self.times.push(time);
        Ok(time)
    }

    /// How often it was measured.
    #[must_use]
    pub fn count(&self) -> usize {
        self.times.len()
    }

    /// The longest.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.times.iter().copied().max().unwrap_or_default()
    }

    /// The middle one.
    #[must_use]
    pub fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    /// How many took longer than they may.
    #[must_use]
    pub fn late(&self) -> usize {
        self.times.iter().filter(|time| **time > BOUND).count()
    }
}

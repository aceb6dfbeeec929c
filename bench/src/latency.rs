use std::time::Duration;

/// Latencies counted in buckets of equal relative width (about 1.6 %), so that millions of them take no memory.
#[derive(Clone, Debug)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
}

/// Each power of two of nanoseconds is divided into this many buckets.
const STEPS: u64 = 64;

impl Default for Latencies {
    fn default() -> Self {
        Self {
            buckets: vec![0; (64 * STEPS) as usize],
            count: 0,
        }
    }
}

impl Latencies {
    /// Counts one.
    pub fn add(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
    }

    /// Takes another's counts in.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
    }

    /// How many were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The latency in milliseconds that the share `quantile` (0 to 1) of all does not exceed; 0 when there is none.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let rank = (self.count as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(index as u64) / 1e6;
            }
        }
        0.0
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let power = u64::from(nanos.ilog2());
    let step = (nanos >> (power - 6)) - STEPS;
    ((power - 5) * STEPS + step) as usize
}

/// The greatest latency in the bucket, in nanoseconds.
fn upper(index: u64) -> f64 {
    if index < STEPS {
        return index as f64;
    }
    let (power, step) = (index / STEPS + 5, index % STEPS);
    (STEPS + step + 1) as f64 * 2_f64.powi(power as i32 - 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_bucket() {
        let mut latencies = Latencies::default();
        for micros in 1..=10_000_u64 {
            latencies.add(Duration::from_micros(micros));
        }
        for (quantile, expected) in [(0.5, 5.0), (0.99, 9.9), (1.0, 10.0)] {
            let found = latencies.quantile_ms(quantile);
            assert!(
                (found / expected - 1.0).abs() < 0.02,
                "{quantile}: {found} instead of {expected}"
            );
        }
        assert_eq!(Latencies::default().quantile_ms(0.5), 0.0);
        let mut both = latencies.clone();
        both.merge(&latencies);
        assert_eq!(both.count(), 20_000);
    }
}

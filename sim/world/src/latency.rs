/// Latencies of completed requests, in nanoseconds, each of them kept.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<u64>);

impl Latencies {
    /// Takes one.
    pub fn add(&mut self, nanos: u64) {
        self.0.push(nanos);
    }

    /// Takes all of another's.
    pub fn merge(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// How many were taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their mean in milliseconds; 0 when there is none.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        let sum: u128 = self.0.iter().map(|nanos| u128::from(*nanos)).sum();
        sum as f64 / self.0.len().max(1) as f64 / 1e6
    }

    /// The latency that `percent` of them do not exceed, in milliseconds; 0 when there is none.
    #[must_use]
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
        sorted
            .get(rank.max(1) - 1)
            .map_or(0.0, |nanos| *nanos as f64 / 1e6)
    }
}

use core::time::Duration;

use hedgerow_ordering::{MAX_BATCH, MAX_BATCH_BYTES};

use crate::messages::MAX_WINDOW;

/// Bounds and time-outs. Those marked *shared* must be the same at every replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// K: how many slots from one checkpoint to the next (§4.3). Shared; 1 to 512. The window is twice as long.
    pub checkpoint_interval: u64,
    /// Of how many of each client's latest numbers it is remembered which were executed, and with what reply.
    /// Shared; 2 to 4096.
    pub client_window: u64,
    /// How many bytes of replies to one client are remembered (its latest reply always is). A client has only so many
    /// requests under way that it can expect the replies to fit. Shared by replicas and clients.
    pub client_reply_bytes: usize,
    /// How many batches the primary has under way at once; while they are, requests gather for larger batches.
    pub in_flight: u64,
    /// How many requests a batch may have.
    pub batch_requests: usize,
    /// How many bytes of operations a batch may have, unless it is a single request.
    pub batch_bytes: usize,
    /// How many requests of one client wait at a replica.
    pub client_requests: usize,
    /// How many bytes of requests of one client wait at a replica.
    pub client_request_bytes: usize,
    /// How many queries wait at a replica.
    pub queries: usize,
    /// How many old batches a replica loads for others at once.
    pub loads: usize,
    /// How long a view may go without progress at first.
    pub timeout: Duration,
    /// How long a view may go without progress at most.
    pub timeout_max: Duration,
    /// How often a replica tells what it has while it makes no progress.
    pub status_interval: Duration,
    /// How long a question to peers (batches, what one said before) waits for its answer before it goes out again.
    pub fetch_retry: Duration,
    /// How far a proposed batch's time may be ahead of one's own clock before others have to vouch for it.
    pub clock_ahead: Duration,
    /// How long a replica remembers that a client's MACs convinced some replicas only.
    pub doubt_memory: Duration,
    /// A client's first wait for replies before it signs its request and sends it to every replica.
    pub client_retry: Duration,
    /// A client's longest wait between two such retransmissions.
    pub client_retry_max: Duration,
    /// How many invocations and queries a client has under way at once.
    pub client_outstanding: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            checkpoint_interval: 128,
            client_window: 1024,
            client_reply_bytes: 4 << 20,
            in_flight: 8,
            batch_requests: MAX_BATCH,
            batch_bytes: MAX_BATCH_BYTES,
            client_requests: 1024,
            client_request_bytes: 8 << 20,
            queries: 1024,
            loads: 256,
            timeout: Duration::from_millis(500),
            timeout_max: Duration::from_secs(3),
            status_interval: Duration::from_millis(100),
            fetch_retry: Duration::from_millis(200),
            clock_ahead: Duration::from_secs(600),
            doubt_memory: Duration::from_secs(60),
            client_retry: Duration::from_millis(500),
            client_retry_max: Duration::from_secs(2),
            client_outstanding: 512,
        }
    }
}

/// A bound that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} must be {rule}")]
pub struct ConfigError {
    /// Which value.
    pub key: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

impl Config {
    /// L: how many slots after the stable checkpoint may be under way (§4.2).
    #[must_use]
    pub const fn window(&self) -> u64 {
        2 * self.checkpoint_interval
    }

    /// Checks what other parts rely on.
    ///
    /// # Errors
    /// Names the first value that is out of its bounds.
    pub fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (
                (1..=MAX_WINDOW as u64 / 2).contains(&self.checkpoint_interval),
                "checkpoint_interval",
                "1 to 512",
            ),
            (
                (2..=4096).contains(&self.client_window),
                "client_window",
                "2 to 4096",
            ),
            (self.in_flight >= 1, "in_flight", "at least 1"),
            (
                (1..=MAX_BATCH).contains(&self.batch_requests),
                "batch_requests",
                "1 to 4096",
            ),
            (
                self.batch_bytes <= MAX_BATCH_BYTES,
                "batch_bytes",
                "at most 1 MiB",
            ),
            (
                self.client_outstanding >= 1
                    && (self.client_outstanding as u64) < self.client_window
                    && self.client_outstanding <= self.client_requests,
                "client_outstanding",
                "at least 1, less than client_window and at most client_requests",
            ),
            (
                !self.timeout.is_zero() && self.timeout <= self.timeout_max,
                "timeout",
                "above zero and at most timeout_max",
            ),
            (
                !self.status_interval.is_zero() && !self.fetch_retry.is_zero(),
                "status_interval and fetch_retry",
                "above zero",
            ),
            (
                !self.client_retry.is_zero() && self.client_retry <= self.client_retry_max,
                "client_retry",
                "above zero and at most client_retry_max",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, key, rule)) => Err(ConfigError { key, rule }),
            None => Ok(()),
        }
    }
}

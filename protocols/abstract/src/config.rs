use core::time::Duration;

use hedgerow_ordering::{MAX_BATCH, MAX_BATCH_BYTES};

use crate::{composition::Composition, messages::MAX_HISTORY};

/// Bounds and time-outs. Those marked *shared* must be the same at every replica and client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which instances follow one another. Shared.
    pub composition: Composition,
    /// After how many slots a checkpoint is taken (§4.2: CHK). At most half of `history`.
    pub checkpoint_interval: u64,
    /// How many slots may be without a checkpoint: beyond that, requests wait for it (§6.3 has 384). At most 512.
    pub history: u64,
    /// Of how many of each client's latest numbers it is remembered which were executed, and with what reply. Shared.
    pub client_window: u64,
    /// How many bytes of replies to one client are remembered. Shared.
    pub client_reply_bytes: usize,
    /// How many requests a batch may have.
    pub batch_requests: usize,
    /// How many bytes of operations a batch may have, unless it is a single request.
    pub batch_bytes: usize,
    /// Δ: how long a message and what it causes at its receiver take while all is well (§4.2).
    pub delta: Duration,
    /// How long a single client has a Chain to itself before it ends, where a Quorum would follow (§5.4).
    pub chain_alone: Duration,
    /// How long a slot waits for a checkpoint at most: what it holds is final only then.
    pub checkpoint_delay: Duration,
    /// How long a checkpoint waits for the last replica before the instance is stopped.
    pub checkpoint_timeout: Duration,
    /// How long a question, a panic or a vote waits before it is said again.
    pub retry: Duration,
    /// How many requests the first Backup commits; the others more (§4.4). In a robust composition a Backup must last long
    /// enough to be measured, and to outweigh the attack that led to it. Shared.
    pub backup_least: u64,
    /// How many commits a robust composition judges together at least (§6.3).
    pub computation: u64,
    /// And for how long: what waited for the instance to begin shall not decide.
    pub computation_time: Duration,
    /// How far a proposed time may be ahead of one's own clock.
    pub clock_ahead: Duration,
    /// How many old batches a replica loads for others at once.
    pub loads: usize,
    /// How many invocations a client has under way at once.
    pub client_outstanding: usize,
    /// What runs inside Backup. Its `client_window` and `client_reply_bytes` are shared, too.
    pub backup: hedgerow_pbft::Config,
}

impl Config {
    /// The usual bounds and time-outs.
    #[must_use]
    pub fn of(composition: Composition) -> Self {
        Self {
            composition,
            checkpoint_interval: 128,
            history: 384,
            client_window: 1024,
            client_reply_bytes: 4 << 20,
            batch_requests: MAX_BATCH,
            batch_bytes: MAX_BATCH_BYTES,
            delta: Duration::from_millis(100),
            chain_alone: Duration::from_secs(2),
            checkpoint_delay: Duration::from_millis(20),
            checkpoint_timeout: Duration::from_millis(800),
            retry: Duration::from_millis(200),
            backup_least: if composition.is_robust() { 16_384 } else { 1 },
            computation: 128,
            computation_time: Duration::from_millis(100),
            clock_ahead: Duration::from_secs(600),
            loads: 256,
            client_outstanding: 512,
            backup: hedgerow_pbft::Config::default(),
        }
    }

    /// Checks what other parts rely on.
    ///
    /// # Errors
    /// Names the first value that is out of its bounds.
    pub fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (
                (2..=MAX_HISTORY as u64).contains(&self.history),
                "history",
                "2 to 512",
            ),
            (
                (1..=self.history / 2).contains(&self.checkpoint_interval),
                "checkpoint_interval",
                "1 to half of history",
            ),
            (
                (2..=4096).contains(&self.client_window),
                "client_window",
                "2 to 4096",
            ),
            (
                (1..=MAX_BATCH).contains(&self.batch_requests),
                "batch_requests",
                "1 to 4096",
            ),
            (
                self.client_outstanding > 0
                    && (self.client_outstanding as u64) < self.client_window,
                "client_outstanding",
                "above zero and below client_window",
            ),
            (
                (1..=1 << 20).contains(&self.backup_least),
                "backup_least",
                "1 to 1048576",
            ),
            (self.computation > 0, "computation", "above zero"),
            (!self.delta.is_zero(), "delta", "above zero"),
            (!self.retry.is_zero(), "retry", "above zero"),
            (
                !self.checkpoint_delay.is_zero(),
                "checkpoint_delay",
                "above zero",
            ),
            (self.loads > 0, "loads", "above zero"),
        ];
        if let Some((_, key, rule)) = rules.into_iter().find(|(holds, ..)| !holds) {
            return Err(ConfigError { key, rule });
        }
        self.backup.check().map_err(|error| ConfigError {
            key: error.key,
            rule: error.rule,
        })
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

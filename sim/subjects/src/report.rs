use std::fmt;

use hedgerow_world::{Latencies, Mode, Outcome, Violation};
use serde::Serialize;

/// A seed in which a property did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What did not hold, when and how.
    #[serde(flatten)]
    pub violation: Violation,
    /// The command that replays it.
    pub replay: String,
}

/// What came of many runs.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The protocol.
    pub protocol: String,
    /// What the runs were for.
    pub mode: Mode,
    /// How many seeds were run.
    pub seeds: u64,
    /// How many requests of correct clients were answered in all of them.
    pub requests: u64,
    /// How many were still without an answer when their run ended: none in a passed liveness run.
    pub unanswered: u64,
    /// The seeds in which something was wrong.
    pub violations: Vec<Failure>,
    /// The longest time from a healing to the first new batch, in milliseconds of virtual time.
    pub longest_recovery_ms: u64,
    /// How many times nodes were started again.
    pub restarts: u64,
    /// The sum over the runs of the greatest number of views that a correct replica gave up.
    pub view_changes: u64,
    /// How many slots were decided.
    pub slots: u64,
    /// Frames sent.
    pub frames: u64,
    /// Bytes sent per answered request.
    pub bytes_per_request: f64,
    /// Answered requests per second of virtual time, in performance mode.
    pub throughput_per_s: f64,
    /// The median latency in milliseconds of virtual time.
    pub latency_p50_ms: f64,
    /// The latency that 99 % do not exceed, in milliseconds of virtual time.
    pub latency_p99_ms: f64,
    /// Virtual seconds simulated.
    pub virtual_s: f64,
    #[serde(skip)]
    virtual_ns: u64,
    #[serde(skip)]
    bytes: u64,
    #[serde(skip)]
    answering_ns: u64,
    #[serde(skip)]
    latencies: Latencies,
}

impl Report {
    pub(crate) fn new(protocol: &str, mode: Mode) -> Self {
        Self {
            protocol: protocol.to_owned(),
            mode,
            seeds: 0,
            requests: 0,
            unanswered: 0,
            violations: Vec::new(),
            longest_recovery_ms: 0,
            restarts: 0,
            view_changes: 0,
            slots: 0,
            frames: 0,
            bytes_per_request: 0.0,
            throughput_per_s: 0.0,
            latency_p50_ms: 0.0,
            latency_p99_ms: 0.0,
            virtual_s: 0.0,
            virtual_ns: 0,
            bytes: 0,
            answering_ns: 0,
            latencies: Latencies::default(),
        }
    }

    pub(crate) fn add(&mut self, seed: u64, outcome: &Outcome, replay: String) {
        self.seeds += 1;
        self.requests += outcome.completed;
        self.unanswered += outcome.unanswered;
        self.restarts += outcome.restarts;
        self.view_changes += outcome.view_changes;
        self.slots += outcome.slots;
        self.frames += outcome.frames;
        self.bytes += outcome.bytes;
        self.answering_ns += outcome.measured_ns;
        self.virtual_ns += outcome.ended_ns;
        if self.mode == Mode::Liveness {
            let recovery = outcome.recovery_ns.unwrap_or(0).div_ceil(1_000_000);
            self.longest_recovery_ms = self.longest_recovery_ms.max(recovery);
        }
        self.latencies.merge(&outcome.latencies);
        if let Some(violation) = &outcome.violation {
            self.violations.push(Failure {
                seed,
                violation: violation.clone(),
                replay,
            });
        }
    }

    pub(crate) fn finish(&mut self) {
        self.violations.sort_by_key(|failure| failure.seed);
        self.bytes_per_request = self.bytes as f64 / self.requests.max(1) as f64;
        self.virtual_s = self.virtual_ns as f64 / 1e9;
        self.latency_p50_ms = self.latencies.percentile_ms(50.0);
        self.latency_p99_ms = self.latencies.percentile_ms(99.0);
        if self.mode == Mode::Performance && self.answering_ns > 0 {
            self.throughput_per_s = self.latencies.len() as f64 / (self.answering_ns as f64 / 1e9);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} {}: {} seeds, {} requests answered, {} violations",
            self.protocol,
            self.mode.as_str(),
            self.seeds,
            self.requests,
            self.violations.len()
        )?;
        writeln!(
            f,
            "  {} slots, {} view changes, {} restarts, {} frames, {:.0} virtual seconds",
            self.slots, self.view_changes, self.restarts, self.frames, self.virtual_s
        )?;
        match self.mode {
            Mode::Liveness => writeln!(
                f,
                "  longest recovery {} ms (bound 10000 ms)",
                self.longest_recovery_ms
            )?,
            Mode::Safety => writeln!(f, "  {} requests without an answer", self.unanswered)?,
            Mode::Performance => writeln!(
                f,
                "  {:.0} requests/s, p50 {:.3} ms, p99 {:.3} ms, {:.0} bytes per request (cost model)",
                self.throughput_per_s,
                self.latency_p50_ms,
                self.latency_p99_ms,
                self.bytes_per_request
            )?,
        }
        for failure in &self.violations {
            writeln!(f, "  seed {}: {}", failure.seed, failure.violation)?;
            writeln!(f, "    replay: {}", failure.replay)?;
        }
        Ok(())
    }
}

use std::time::Duration;

use serde::Serialize;

/// What the clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Workload {
    /// Operations that do nothing, of so many bytes, with replies of so many bytes.
    Null {
        /// Bytes of an operation.
        request: usize,
        /// Bytes of a reply.
        reply: usize,
    },
    /// Signed records with one reading each, executed by a whole ledger; several to a bundle, as a gateway does it.
    Records {
        /// Bytes of a reading's payload.
        payload: usize,
        /// Records in a bundle, at most.
        bundle: usize,
    },
}

impl Workload {
    /// How many closed-loop clients it takes to keep two processors busy.
    #[must_use]
    pub const fn usual_clients(&self) -> u32 {
        match self {
            Self::Null {
                request: 0,
                reply: 0,
            } => 1024,
            Self::Null { .. } => 256,
            Self::Records { .. } => 8,
        }
    }

    /// Its name in the table: request/reply in KiB, as the papers write it.
    #[must_use]
    pub fn name(&self) -> String {
        let size = |bytes: usize| {
            if bytes.is_multiple_of(1024) {
                (bytes / 1024).to_string()
            } else {
                format!("{bytes} B")
            }
        };
        match self {
            Self::Null { request, reply } => format!("{}/{}", size(*request), size(*reply)),
            Self::Records { payload, .. } => format!("records, {payload} B"),
        }
    }
}

/// Whether a replica's vote waits for its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// It does: `fdatasync` before a vote leaves.
    Fsync,
    /// It does not, and nothing is written.
    None,
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Options {
    /// The ordering protocol, by its name in the genesis.
    pub protocol: String,
    /// Replicas.
    pub replicas: u32,
    /// Closed-loop clients: each has one operation (or one bundle) under way.
    pub clients: u32,
    /// What they ask for.
    pub workload: Workload,
    /// Whether votes wait for the disk.
    pub durability: Durability,
    /// How long a request may take before validators ask for another primary, or clients panic, in milliseconds: a node's
    /// `request_timeout_ms`. Other time-outs are shares of it. For null requests.
    pub request_timeout_ms: u64,
    /// Whether replica 0, the first primary and head, is stopped in the middle. For null requests.
    pub crash: bool,
    /// How long is measured, after a warm-up of a fifth of it.
    #[serde(skip)]
    pub duration: Duration,
}

use hedgerow_base::{NodeId, NodeSet, Slot, Time, View};

/// What a replica is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Ordering, or idle and ready to.
    Normal,
    /// Waiting for a new primary's first word.
    ViewChange,
    /// Just started: asking the others what it said before, and saying nothing until it knows.
    Starting,
    /// Its log was lost, or is an older copy: learning what was decided before it takes full part again. Until then it
    /// is one of the replicas that may fail.
    Rejoining,
    /// Fetching decided batches that it missed.
    Transfer,
    /// A client: it has no phases.
    Client,
}

impl Phase {
    /// The phase in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::ViewChange => "view change",
            Self::Starting => "starting",
            Self::Rejoining => "rejoining",
            Self::Transfer => "state transfer",
            Self::Client => "client",
        }
    }
}

/// What a participant shows of itself to operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What it is doing.
    pub phase: Phase,
    /// The view it is in, or is changing to.
    pub view: View,
    /// The primary of that view.
    pub primary: NodeId,
    /// The last slot whose batch the application was given.
    pub decided: Slot,
    /// The last slot that the application has executed.
    pub executed: Slot,
    /// The last slot that a quorum has executed with the same state.
    pub stable: Slot,
    /// Requests that wait to be ordered; for a client, those not completed.
    pub pending: usize,
    /// How many views were given up since the start.
    pub view_changes: u64,
    /// The protocol, by the name that the members have for it.
    pub consensus: &'static str,
    /// What orders now: the protocol, or, where it is composed of several, the one whose turn it is.
    pub protocol: &'static str,
    /// Where a protocol is composed of several: when this participant last went from one to the next, and why, as far as
    /// it knows.
    pub switched: Option<(Time, &'static str)>,
    /// For a replica that waits for others: from whom it has what it waits for, itself included.
    pub heard: NodeSet,
}

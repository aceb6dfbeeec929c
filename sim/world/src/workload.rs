use std::collections::BTreeMap;

use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_ordering::Command;

use crate::{Rng, WorkloadPlan, application::query};

/// Who uses a client: invokes operations and asks queries, several at a time, until its share is done.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    client: NodeId,
    plan: WorkloadPlan,
    rng: Rng,
    left: u32,
    last_ticket: u64,
    /// Per ticket without an answer: when it was asked.
    waiting: BTreeMap<u64, u64>,
    next_at: u64,
    /// The next request is an invocation, not a query.
    hurried: bool,
}

impl Workload {
    pub(crate) fn new(client: NodeId, plan: &WorkloadPlan, share: u32, rng: Rng) -> Self {
        Self {
            client,
            plan: plan.clone(),
            rng,
            left: share,
            last_ticket: 0,
            waiting: BTreeMap::new(),
            next_at: plan.begin_ns,
            hurried: false,
        }
    }

    /// What to ask now; nothing when it is not time, or enough is under way.
    pub(crate) fn next(&mut self, at: u64) -> Option<Command> {
        if self.left == 0 || self.waiting.len() >= self.plan.outstanding || at < self.next_at {
            return None;
        }
        self.left -= 1;
        // Bursts: most requests come at once after the one before, the rest after a longer pause.
        if self.plan.pause_ns > 0 && self.rng.chance(1_000_000 / self.plan.burst.max(1)) {
            let mean = self.plan.pause_ns * u64::from(self.plan.burst);
            self.next_at = at + self.rng.between(mean / 2, mean * 3 / 2);
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.waiting.insert(ticket, at);
        if self.rng.chance(self.plan.reads_ppm) && !std::mem::take(&mut self.hurried) {
            return Some(Command::Read {
                ticket,
                query: query(self.client.0, ticket),
            });
        }
        Some(Command::Invoke {
            ticket,
            operation: self.operation(ticket),
        })
    }

    fn operation(&mut self, ticket: u64) -> Bytes {
        let mut bytes = self.client.0.to_le_bytes().to_vec();
        bytes.extend_from_slice(&ticket.to_le_bytes());
        let (mean, least) = (self.plan.operation_bytes, self.plan.operation_least);
        let spread = 2 * mean.saturating_sub(least) as u64;
        let size = least + self.rng.below(spread + 1) as usize;
        bytes.resize(bytes.len().max(size), ticket as u8);
        bytes.into()
    }

    /// When to call [`Workload::next`] again; `None` when an answer must come first or nothing is left.
    pub(crate) fn wake_at(&self) -> Option<u64> {
        (self.left > 0 && self.waiting.len() < self.plan.outstanding).then_some(self.next_at)
    }

    /// One is done: how long it took, or `None` for an answer to nothing.
    pub(crate) fn complete(&mut self, ticket: u64, at: u64) -> Option<u64> {
        self.waiting.remove(&ticket).map(|asked| at - asked)
    }

    /// How many answers it waits for.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Since when it has waited for the oldest of them.
    pub(crate) fn waiting_since(&self) -> Option<u64> {
        self.waiting.values().copied().min()
    }

    /// It forgets what it waits for.
    pub(crate) fn crash(&mut self) -> usize {
        std::mem::take(&mut self.waiting).len()
    }

    /// At least one more request, at once: for the first block after a recovery.
    pub(crate) fn hurry(&mut self) {
        self.left = self.left.max(1);
        self.next_at = 0;
        self.hurried = true;
    }

    pub(crate) fn is_done(&self) -> bool {
        self.left == 0 && self.waiting.is_empty()
    }
}

use std::collections::BTreeMap;

use bytes::Bytes;
use hedgerow_base::{NodeId, Slot};
use hedgerow_ordering::Batch;
use hedgerow_world::{Observation, is_query};

/// An operation of a correct client, which invokes each once.
pub(crate) type Key = (NodeId, Bytes);

/// What each correct replica has executed at present, as seen from outside: a part of the final order, which is one for
/// all, and on top of that what the replica executed ahead.
///
/// What a replica had executed ahead before it crashed counts until it executes something else in its place: it may be
/// in its log, and then it comes back.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// The final order.
    operations: Vec<Key>,
    positions: BTreeMap<Key, u64>,
    /// How long the final order is after each slot.
    lengths: BTreeMap<Slot, u64>,
    highest: Slot,
    replicas: BTreeMap<NodeId, Branch>,
}

/// A replica's own order.
#[derive(Debug, Default)]
pub(crate) struct Branch {
    /// Up to here it has the final order.
    pub(crate) settled: Slot,
    /// What it executed after that, in slot order without gaps.
    pub(crate) ahead: Vec<Batch>,
    /// Its disk was replaced: what it has shows when it starts.
    replaced: bool,
}

impl Branch {
    fn execute(&mut self, batch: &Batch) {
        let Some(at) = batch.slot.0.checked_sub(self.settled.0 + 1) else {
            return;
        };
        match self.ahead.get(at as usize) {
            Some(same) if same == batch => {}
            _ => {
                self.ahead.truncate(at as usize);
                self.ahead.push(batch.clone());
            }
        }
    }

    fn operations(&self) -> impl Iterator<Item = (NodeId, &Bytes)> {
        self.ahead.iter().flat_map(keys)
    }
}

/// A batch's operations, but for queries that were ordered: they are no part of the list.
fn keys(batch: &Batch) -> impl Iterator<Item = (NodeId, &Bytes)> {
    let operations = batch.operations.iter();
    let kept = operations.filter(|operation| !is_query(&operation.operation));
    kept.map(|operation| (operation.client, &operation.operation))
}

impl Orders {
    /// Takes in what was seen; gives the positions of the operations that became final anywhere for the first time.
    pub(crate) fn observe(&mut self, observation: &Observation<'_>) -> std::ops::Range<u64> {
        let known = self.operations.len() as u64;
        match observation {
            Observation::LostMemory { node } => {
                let branch = self.replicas.entry(*node).or_default();
                branch.ahead.clear();
                branch.replaced = true;
            }
            // An old disk may have a branch that was final nowhere, and begins with it again.
            Observation::Started { node, executed } => {
                let branch = self.replicas.entry(*node).or_default();
                if core::mem::take(&mut branch.replaced) {
                    branch.settled = branch.settled.min(*executed);
                }
            }
            Observation::Speculated { node, batch } => {
                self.replicas.entry(*node).or_default().execute(batch);
            }
            Observation::RolledBack { node, slot } => {
                let branch = self.replicas.entry(*node).or_default();
                branch.ahead.retain(|batch| batch.slot <= *slot);
            }
            Observation::Decided { node, batch } => {
                let branch = self.replicas.entry(*node).or_default();
                branch.settled = branch.settled.max(batch.slot);
                branch.ahead.retain(|one| one.slot > batch.slot);
                if batch.slot > self.highest {
                    self.highest = batch.slot;
                    for (client, operation) in keys(batch) {
                        let key = (client, operation.clone());
                        self.operations.push(key.clone());
                        self.positions.insert(key, self.operations.len() as u64);
                    }
                    self.lengths
                        .insert(batch.slot, self.operations.len() as u64);
                }
            }
            _ => {}
        }
        known + 1..self.operations.len() as u64 + 1
    }

    /// What that replica has executed.
    pub(crate) fn branch(&self, node: NodeId) -> Option<&Branch> {
        self.replicas.get(&node)
    }

    /// The last slot that is final anywhere.
    pub(crate) const fn highest(&self) -> Slot {
        self.highest
    }

    /// The final order's operation at a position, from 1.
    pub(crate) fn settled(&self, position: u64) -> Option<&Key> {
        self.operations.get(position.checked_sub(1)? as usize)
    }

    /// Where an operation is in the final order.
    pub(crate) fn settled_at(&self, key: &Key) -> Option<u64> {
        self.positions.get(key).copied()
    }

    /// How many operations the longest order has.
    pub(crate) fn length(&self) -> u64 {
        let branches = self.replicas.values();
        let lengths = branches.map(|one| self.base(one) + one.operations().count() as u64);
        lengths.fold(self.operations.len() as u64, u64::max)
    }

    /// At which positions the correct replicas have executed an operation.
    pub(crate) fn positions(&self, key: &Key) -> Vec<u64> {
        let mut found: Vec<_> = self.settled_at(key).into_iter().collect();
        for branch in self.replicas.values() {
            let at = branch.operations().position(|one| one == (key.0, &key.1));
            found.extend(at.map(|at| self.base(branch) + at as u64 + 1));
        }
        found
    }

    /// How many operations come before what a replica executed ahead.
    fn base(&self, branch: &Branch) -> u64 {
        self.lengths.get(&branch.settled).copied().unwrap_or(0)
    }
}

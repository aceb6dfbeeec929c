use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hedgerow_base::{NodeId, NodeSet, Slot};
use hedgerow_ordering::Batch;
use hedgerow_world::{Checker, Observation};

use crate::orders::Orders;

/// What is executed was invoked: operations of correct clients, byte for byte and each at most once; nothing of a
/// stranger; and no number of any client twice. That holds for what is final, and for what a replica executes ahead of it
/// together with what it has executed before.
#[derive(Debug)]
pub struct Validity {
    liars: NodeSet,
    invoked: BTreeSet<(NodeId, Bytes)>,
    /// The final slots of operations and of numbers.
    operations: BTreeMap<(NodeId, Bytes), Slot>,
    numbers: BTreeMap<(NodeId, u64), Slot>,
    orders: Orders,
}

impl Validity {
    /// For a run in which these nodes lie.
    #[must_use]
    pub fn new(liars: NodeSet) -> Self {
        Self {
            liars,
            invoked: BTreeSet::new(),
            operations: BTreeMap::new(),
            numbers: BTreeMap::new(),
            orders: Orders::default(),
        }
    }

    /// A replica executes a batch on top of what it has executed.
    fn executes(&self, node: NodeId, batch: &Batch) -> Result<(), String> {
        let branch = self.orders.branch(node);
        let settled = branch.map_or(Slot::ZERO, |branch| branch.settled);
        if batch.slot <= settled {
            return Ok(());
        }
        let ahead = branch.map_or(&[][..], |branch| &branch.ahead[..]);
        let ahead = ahead.iter().filter(|one| one.slot < batch.slot);
        let (mut numbers, mut operations) = (BTreeMap::new(), BTreeSet::new());
        for one in ahead {
            for operation in one.operations.iter() {
                numbers.insert((operation.client, operation.number), one.slot);
                operations.insert((operation.client, &operation.operation));
            }
        }
        for operation in batch.operations.iter() {
            let client = operation.client;
            let key = (client, operation.number);
            let settled_at = self.numbers.get(&key).filter(|slot| **slot <= settled);
            let earlier = numbers.insert(key, batch.slot);
            if let Some(earlier) = settled_at.copied().or(earlier) {
                return Err(format!(
                    "{node} executes number {} of client {client} in slot {}, and in slot {earlier} before",
                    operation.number, batch.slot
                ));
            }
            if self.liars.contains(client) {
                continue;
            }
            let key = (client, operation.operation.clone());
            if !self.invoked.contains(&key) {
                return Err(format!(
                    "{node} executes in slot {} what client {client} never invoked: {operation:?}",
                    batch.slot
                ));
            }
            let settled_at = self.operations.get(&key).filter(|slot| **slot <= settled);
            if settled_at.is_some() || !operations.insert((client, &operation.operation)) {
                return Err(format!(
                    "{node} executes an operation of client {client} a second time, in slot {}",
                    batch.slot
                ));
            }
        }
        Ok(())
    }

    /// A batch is final. Each slot is looked at once; that all replicas have the same in it is another checker's business.
    fn settles(&mut self, node: NodeId, batch: &Batch) -> Result<(), String> {
        for operation in &*batch.operations {
            let client = operation.client;
            let number = (client, operation.number);
            if let Some(before) = self.numbers.insert(number, batch.slot) {
                return Err(format!(
                    "{node} calls number {} of client {client} final in slot {}, and it was in slot {before} before",
                    operation.number, batch.slot
                ));
            }
            if self.liars.contains(client) {
                continue;
            }
            let key = (client, operation.operation.clone());
            if !self.invoked.contains(&key) {
                return Err(format!(
                    "{node} calls final in slot {} what client {client} never invoked: {operation:?}",
                    batch.slot
                ));
            }
            if let Some(before) = self.operations.insert(key, batch.slot) {
                return Err(format!(
                    "{node} calls an operation of client {client} final a second time, in slots {before} and {}",
                    batch.slot
                ));
            }
        }
        Ok(())
    }
}

impl Checker for Validity {
    fn name(&self) -> &'static str {
        "validity"
    }

    fn observe(&mut self, _: u64, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Invoked {
                client, operation, ..
            } => {
                self.invoked.insert((*client, (*operation).clone()));
            }
            // A query may be ordered, too, when the replicas can't be brought to agree on its answer otherwise.
            Observation::Asked { client, query, .. } => {
                self.invoked.insert((*client, (*query).clone()));
            }
            Observation::Speculated { node, batch } => self.executes(*node, batch)?,
            Observation::Decided { node, batch } if batch.slot > self.orders.highest() => {
                self.settles(*node, batch)?;
            }
            _ => {}
        }
        self.orders.observe(observation);
        Ok(())
    }
}

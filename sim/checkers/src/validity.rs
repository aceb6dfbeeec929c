use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hedgerow_base::{NodeId, NodeSet, Slot};
use hedgerow_world::{Checker, Observation};

/// What is executed was invoked: operations of correct clients, byte for byte and each at most once; nothing of a
/// stranger; and no number of any client twice.
#[derive(Debug)]
pub struct Validity {
    liars: NodeSet,
    invoked: BTreeSet<(NodeId, Bytes)>,
    executed: BTreeSet<(NodeId, Bytes)>,
    numbers: BTreeMap<(NodeId, u64), Slot>,
    highest: Slot,
}

impl Validity {
    /// For a run in which these nodes lie.
    #[must_use]
    pub const fn new(liars: NodeSet) -> Self {
        Self {
            liars,
            invoked: BTreeSet::new(),
            executed: BTreeSet::new(),
            numbers: BTreeMap::new(),
            highest: Slot::ZERO,
        }
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
            // Each slot is looked at once; that all replicas have the same in it is another checker's business.
            Observation::Decided { node, batch } if batch.slot > self.highest => {
                self.highest = batch.slot;
                for operation in &*batch.operations {
                    let client = operation.client;
                    let number = (client, operation.number);
                    if let Some(before) = self.numbers.insert(number, batch.slot) {
                        return Err(format!(
                            "{node} executes number {} of client {client} in slot {}, and in slot {before} before",
                            operation.number, batch.slot
                        ));
                    }
                    if self.liars.contains(client) {
                        continue;
                    }
                    let invoked = (client, operation.operation.clone());
                    if !self.invoked.contains(&invoked) {
                        return Err(format!(
                            "{node} executes in slot {} what client {client} never invoked: {operation:?}",
                            batch.slot
                        ));
                    }
                    if !self.executed.insert(invoked) {
                        return Err(format!(
                            "{node} executes an operation of client {client} a second time, in slot {}",
                            batch.slot
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

use std::collections::BTreeMap;

use bytes::Bytes;
use hedgerow_base::{NodeId, Slot};
use hedgerow_world::{Checker, Observation};

/// What was acknowledged stays: an operation is decided by a correct replica before its client hears of it, and
/// when the run ends with a healed core, every replica of the core has it, whoever crashed in between.
#[derive(Debug, Default)]
pub struct Durability {
    operations: BTreeMap<(NodeId, u64), Bytes>,
    slots: BTreeMap<(NodeId, Bytes), Slot>,
    decided: BTreeMap<NodeId, Slot>,
    highest: Slot,
    acknowledged: Slot,
}

impl Checker for Durability {
    fn name(&self) -> &'static str {
        "durability"
    }

    fn observe(&mut self, _: u64, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Invoked {
                client,
                ticket,
                operation,
            } => {
                self.operations
                    .insert((*client, *ticket), (*operation).clone());
            }
            Observation::Started { node, executed } => {
                self.decided.insert(*node, *executed);
            }
            Observation::Decided { node, batch } => {
                let decided = self.decided.entry(*node).or_default();
                *decided = batch.slot.max(*decided);
                if batch.slot > self.highest {
                    self.highest = batch.slot;
                    for operation in &*batch.operations {
                        let key = (operation.client, operation.operation.clone());
                        self.slots.insert(key, batch.slot);
                    }
                }
            }
            Observation::Completed { client, ticket, .. } => {
                let Some(operation) = self.operations.remove(&(*client, *ticket)) else {
                    return Ok(());
                };
                let Some(slot) = self.slots.get(&(*client, operation)) else {
                    return Err(format!(
                        "ticket {ticket} of client {client} was acknowledged, but no correct replica decided it"
                    ));
                };
                self.acknowledged = self.acknowledged.max(*slot);
            }
            Observation::Ended { core, .. } => {
                for node in core.iter() {
                    let decided = self.decided.get(&node).copied().unwrap_or_default();
                    if decided < self.acknowledged {
                        return Err(format!(
                            "slot {} holds what was acknowledged, and {node} ends at slot {decided}",
                            self.acknowledged
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

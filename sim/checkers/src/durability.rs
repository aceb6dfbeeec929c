use std::collections::BTreeMap;

use bytes::Bytes;
use hedgerow_base::{NodeId, Slot};
use hedgerow_world::{Checker, Observation, SECOND};

use crate::orders::{Key, Orders};

/// How long what is acknowledged may take to reach every replica of a healed core, in virtual nanoseconds.
const SPREAD_NS: u64 = 10 * SECOND;

/// What was acknowledged stays: an operation has been executed by a correct replica, and is not rolled back there, before
/// its client hears of it; and ten seconds later, when the run ends with a healed core, it is final at every replica of
/// the core, whoever crashed in between.
#[derive(Debug, Default)]
pub struct Durability {
    invoked: BTreeMap<(NodeId, u64), Bytes>,
    /// When each operation was acknowledged.
    acknowledged: BTreeMap<Key, u64>,
    orders: Orders,
    /// The final slot of each operation.
    slots: BTreeMap<Key, Slot>,
    /// The last final slot of each replica.
    decided: BTreeMap<NodeId, Slot>,
}

impl Checker for Durability {
    fn name(&self) -> &'static str {
        "durability"
    }

    fn observe(&mut self, at: u64, observation: &Observation<'_>) -> Result<(), String> {
        for position in self.orders.observe(observation) {
            if let Some(key) = self.orders.settled(position) {
                self.slots.insert(key.clone(), self.orders.highest());
            }
        }
        match observation {
            Observation::Invoked {
                client,
                ticket,
                operation,
            } => {
                self.invoked
                    .insert((*client, *ticket), (*operation).clone());
            }
            Observation::Started { node, executed } => {
                self.decided.insert(*node, *executed);
            }
            Observation::Decided { node, batch } => {
                let decided = self.decided.entry(*node).or_default();
                *decided = batch.slot.max(*decided);
            }
            Observation::Completed { client, ticket, .. } => {
                let Some(operation) = self.invoked.remove(&(*client, *ticket)) else {
                    return Ok(());
                };
                let key = (*client, operation);
                if self.orders.positions(&key).is_empty() {
                    return Err(format!(
                        "ticket {ticket} of client {client} was acknowledged, but no correct replica has executed it"
                    ));
                }
                self.acknowledged.insert(key, at);
            }
            Observation::Ended { core, .. } if !core.is_empty() => {
                // A run that is cut at its time limit leaves the latest under way.
                let old = |(_, when): &(&Key, &u64)| at - **when >= SPREAD_NS;
                for (key, _) in self.acknowledged.iter().filter(old) {
                    let Some(slot) = self.slots.get(key) else {
                        return Err(format!("{key:?} was acknowledged, and never became final"));
                    };
                    for node in core.iter() {
                        let decided = self.decided.get(&node).copied().unwrap_or_default();
                        if decided < *slot {
                            return Err(format!(
                                "slot {slot} holds what was acknowledged, and {node} ends at slot {decided}"
                            ));
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

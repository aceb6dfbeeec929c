use std::collections::BTreeMap;

use bytes::Bytes;
use hedgerow_base::{NodeId, Slot};
use hedgerow_world::{Checker, Observation, is_query, position_in};

/// Completed operations and queries look as if each had happened at one instant between question and answer.
///
/// The application's reply to an operation is its position in the order, and its answer to a query is how many
/// operations there were; so it is enough to compare numbers: the reply is the operation's true position, and whoever
/// asks sees everything that was answered to anyone before, and nothing that was invoked after the answer.
#[derive(Debug, Default)]
pub struct Linearizability {
    /// Per invocation or query without an answer: what was asked, and the highest position answered before.
    asked: BTreeMap<(NodeId, u64), (Option<Bytes>, u64)>,
    answered: u64,
    positions: BTreeMap<(NodeId, Bytes), u64>,
    length: u64,
    highest: Slot,
}

impl Checker for Linearizability {
    fn name(&self) -> &'static str {
        "linearizability"
    }

    fn observe(&mut self, _: u64, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Invoked {
                client,
                ticket,
                operation,
            } => {
                let asked = (Some((*operation).clone()), self.answered);
                self.asked.insert((*client, *ticket), asked);
            }
            Observation::Asked { client, ticket, .. } => {
                self.asked.insert((*client, *ticket), (None, self.answered));
            }
            Observation::Decided { batch, .. } if batch.slot > self.highest => {
                self.highest = batch.slot;
                for operation in &*batch.operations {
                    if is_query(&operation.operation) {
                        continue;
                    }
                    self.length += 1;
                    let key = (operation.client, operation.operation.clone());
                    self.positions.insert(key, self.length);
                }
            }
            Observation::Completed {
                client,
                ticket,
                reply,
            } => {
                let Some((operation, before)) = self.asked.remove(&(*client, *ticket)) else {
                    return Err(format!(
                        "client {client} has an answer to ticket {ticket}, which it did not wait for"
                    ));
                };
                let Some(position) = position_in(reply) else {
                    return Err(format!("client {client} takes {reply:?} for an answer"));
                };
                if let Some(operation) = operation {
                    let actual = self.positions.get(&(*client, operation));
                    if actual != Some(&position) {
                        return Err(format!(
                            "client {client} was told position {position} for ticket {ticket}, which is at {actual:?}"
                        ));
                    }
                    if position <= before {
                        return Err(format!(
                            "ticket {ticket} of client {client} is at {position}; {before} was answered before it was asked"
                        ));
                    }
                } else if position < before {
                    return Err(format!(
                        "client {client} reads a list of {position}; position {before} was answered before it asked"
                    ));
                } else if position > self.length {
                    // What is invoked later comes later in the order, so it can't be among what was decided by now.
                    return Err(format!(
                        "client {client} reads a list of {position}; only {} were ever decided",
                        self.length
                    ));
                }
                self.answered = self.answered.max(position);
            }
            _ => {}
        }
        Ok(())
    }
}

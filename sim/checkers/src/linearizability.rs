use std::collections::BTreeMap;

use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_world::{Checker, Observation, position_in};

use crate::orders::Orders;

/// Completed operations and queries look as if each had happened at one instant between question and answer.
///
/// The application's reply to an operation is its position in the order, and its answer to a query is how many
/// operations there were; so it is enough to compare numbers: the reply is a position that the operation has at a correct
/// replica at that moment, and whoever asks sees everything that was answered to anyone before, and nothing that was
/// invoked after the answer. That a position is told to one operation only, for ever, is another checker's business.
#[derive(Debug, Default)]
pub struct Linearizability {
    /// Per invocation or query without an answer: what was asked, and the highest position answered before.
    asked: BTreeMap<(NodeId, u64), (Option<Bytes>, u64)>,
    answered: u64,
    orders: Orders,
}

impl Checker for Linearizability {
    fn name(&self) -> &'static str {
        "linearizability"
    }

    fn observe(&mut self, _: u64, observation: &Observation<'_>) -> Result<(), String> {
        self.orders.observe(observation);
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
                    let actual = self.orders.positions(&(*client, operation));
                    if !actual.contains(&position) {
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
                } else if position > self.orders.length() {
                    // What is invoked later comes later in the order, so it can't be among what was executed by now.
                    return Err(format!(
                        "client {client} reads a list of {position}; only {} were ever executed",
                        self.orders.length()
                    ));
                }
                self.answered = self.answered.max(position);
            }
            _ => {}
        }
        Ok(())
    }
}

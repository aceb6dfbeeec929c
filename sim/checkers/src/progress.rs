use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hedgerow_base::{NodeId, NodeSet, Slot};
use hedgerow_world::{Checker, Observation, SECOND};

/// Once a core is healed, it does something new within ten seconds, and from then on every request of a correct client is
/// answered within thirty. New is a batch that becomes final; or the answer to an operation that was not final anywhere
/// when the core was healed, because with some protocols clients know that they are served before replicas do.
#[derive(Debug, Default)]
pub struct Progress {
    core: NodeSet,
    healed_at: Option<u64>,
    highest: Slot,
    recovered: bool,
    /// Invocations without an answer.
    invoked: BTreeMap<(NodeId, u64), Bytes>,
    /// What was final when the core was healed.
    settled: BTreeSet<(NodeId, Bytes)>,
}

/// How long after the healing the first new thing may take, in virtual nanoseconds.
const BOUND_NS: u64 = 10 * SECOND;
/// How long an answer may take at most once the core is healed. A run that is cut at its time limit leaves younger
/// requests under way.
const ANSWER_NS: u64 = 30 * SECOND;

impl Progress {
    /// The core has done something new.
    fn recover(&mut self, at: u64) -> Result<(), String> {
        let Some(healed) = self.healed_at else {
            return Ok(());
        };
        let took = at - healed;
        if !std::mem::replace(&mut self.recovered, true) && took > BOUND_NS {
            return Err(format!(
                "the first new batch after the healing took {} ms",
                took / 1_000_000
            ));
        }
        Ok(())
    }
}

impl Checker for Progress {
    fn name(&self) -> &'static str {
        "progress"
    }

    fn observe(&mut self, at: u64, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Healed { core } => {
                self.core = *core;
                self.healed_at = Some(at);
            }
            Observation::Invoked {
                client,
                ticket,
                operation,
            } => {
                self.invoked
                    .insert((*client, *ticket), (*operation).clone());
            }
            Observation::Decided { node, batch } if batch.slot > self.highest => {
                self.highest = batch.slot;
                if self.healed_at.is_none() {
                    let operations = batch.operations.iter();
                    self.settled
                        .extend(operations.map(|one| (one.client, one.operation.clone())));
                } else if self.core.contains(*node) {
                    self.recover(at)?;
                }
            }
            Observation::Completed { client, ticket, .. } => {
                if let Some(operation) = self.invoked.remove(&(*client, *ticket))
                    && !self.settled.contains(&(*client, operation))
                {
                    self.recover(at)?;
                }
            }
            Observation::Ended {
                core,
                waiting_since,
            } if !core.is_empty() => {
                if !self.recovered {
                    return Err("nothing new happened after the healing".into());
                }
                let since = waiting_since.map(|since| since.max(self.healed_at.unwrap_or(0)));
                if let Some(waited) = since.map(|since| at - since)
                    && waited > ANSWER_NS
                {
                    return Err(format!(
                        "a request was not answered for {} ms, and the run is over",
                        waited / 1_000_000
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

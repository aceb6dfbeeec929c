use std::collections::BTreeMap;

use hedgerow_base::{Digest, NodeId, Slot};
use hedgerow_ordering::Batch;
use hedgerow_world::{Checker, Observation};

/// All correct replicas call the same batch final in each slot, in slot order, without gaps; and after it they have the
/// same state. After a start a replica may repeat slots that its application has from before, and go on after them at any
/// time. For ever: a batch once final anywhere is the slot's batch, whoever crashes.
#[derive(Debug, Default)]
pub struct Agreement {
    batches: BTreeMap<Slot, (NodeId, Batch)>,
    states: BTreeMap<Slot, Digest>,
    decided: BTreeMap<NodeId, Life>,
}

/// A replica since it started.
#[derive(Debug, Default)]
struct Life {
    /// The last slot that it called final; at first what its application had.
    last: Slot,
    /// What its application had.
    had: Slot,
    /// It has called nothing final yet.
    begins: bool,
}

impl Checker for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn observe(&mut self, _: u64, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Started { node, executed } => {
                let life = Life {
                    last: *executed,
                    had: *executed,
                    begins: true,
                };
                self.decided.insert(*node, life);
            }
            Observation::Decided { node, batch } => {
                let Life { last, had, begins } = self.decided.entry(*node).or_default();
                let repeats = *begins && batch.slot > Slot::ZERO && batch.slot <= *last;
                let goes_on = batch.slot == (*last).max(*had).next();
                if batch.slot != last.next() && !repeats && !goes_on {
                    return Err(format!(
                        "{node} calls slot {} final after slot {last}",
                        batch.slot
                    ));
                }
                (*last, *begins) = (batch.slot, false);
                let (first, known) = self
                    .batches
                    .entry(batch.slot)
                    .or_insert_with(|| (*node, (*batch).clone()));
                if known != *batch {
                    return Err(format!(
                        "slot {}: {first} called {known:?} final, {node} calls {batch:?} final",
                        batch.slot
                    ));
                }
            }
            Observation::Executed { node, slot, state } => {
                let known = self.states.entry(*slot).or_insert(*state);
                if known != state {
                    return Err(format!(
                        "after slot {slot} {node} has state {state:?}, another {known:?}"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

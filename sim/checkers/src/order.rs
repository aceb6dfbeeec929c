use std::collections::BTreeMap;

use hedgerow_base::{NodeId, Slot};
use hedgerow_ordering::Batch;
use hedgerow_world::{Checker, Observation};

/// A replica executes slot after slot without gaps. It goes back only by a rollback, never behind what it called final;
/// and what it calls final is what it executed. After a start it may repeat slots that its application has from before,
/// and go on after them at any time.
#[derive(Debug, Default)]
pub struct Order {
    replicas: BTreeMap<NodeId, Life>,
}

/// One replica since it started.
#[derive(Debug, Default)]
struct Life {
    last: Slot,
    /// What the application had from before, as far as it was not rolled back.
    had: Slot,
    /// Nothing was executed yet: `last` is what the application had.
    begins: bool,
    settled: Slot,
    ahead: BTreeMap<Slot, Batch>,
}

impl Life {
    fn execute(&mut self, batch: &Batch) -> Result<(), String> {
        let (slot, last) = (batch.slot, self.last);
        let repeats = self.begins && slot > Slot::ZERO && slot <= last;
        let goes_on = slot == last.max(self.had).next();
        if slot != last.next() && !repeats && !goes_on {
            return Err(format!("executes slot {slot} after slot {last}"));
        }
        (self.last, self.begins) = (slot, false);
        self.ahead.insert(slot, batch.clone());
        Ok(())
    }

    fn roll_back(&mut self, slot: Slot) -> Result<(), String> {
        if slot < self.settled {
            return Err(format!(
                "rolls back to slot {slot} behind slot {}, which it called final",
                self.settled
            ));
        }
        self.ahead.retain(|executed, _| *executed <= slot);
        self.had = self.had.min(slot);
        if !self.begins {
            self.last = self.last.min(slot);
        }
        Ok(())
    }

    fn settle(&mut self, batch: &Batch) -> Result<(), String> {
        let slot = batch.slot;
        let executed = self.ahead.remove(&slot);
        if executed.as_ref() != Some(batch) {
            return Err(format!(
                "calls {batch:?} final, but has executed {executed:?} in its slot"
            ));
        }
        self.settled = slot;
        Ok(())
    }
}

impl Checker for Order {
    fn name(&self) -> &'static str {
        "order"
    }

    fn observe(&mut self, _: u64, observation: &Observation<'_>) -> Result<(), String> {
        let (node, result) = match observation {
            Observation::Started { node, executed } => {
                let life = Life {
                    last: *executed,
                    had: *executed,
                    begins: true,
                    ..Life::default()
                };
                self.replicas.insert(*node, life);
                return Ok(());
            }
            Observation::Speculated { node, batch } => {
                (node, self.replicas.entry(*node).or_default().execute(batch))
            }
            Observation::RolledBack { node, slot } => (
                node,
                self.replicas.entry(*node).or_default().roll_back(*slot),
            ),
            Observation::Decided { node, batch } => {
                (node, self.replicas.entry(*node).or_default().settle(batch))
            }
            _ => return Ok(()),
        };
        result.map_err(|what| format!("{node} {what}"))
    }
}

use std::collections::BTreeMap;

use hedgerow_base::{NodeId, Slot};
use hedgerow_world::{Checker, Observation};

/// Nothing grows without a bound: what one burst causes, what waits for the disk or the application, the log, what
/// is executed ahead of the final order; and nobody runs in circles, woken again and again for what has passed.
#[derive(Debug, Default)]
pub struct Bounds {
    /// The last final slot of each replica.
    settled: BTreeMap<NodeId, Slot>,
    /// How many bursts of each node in a row left a deadline that had passed.
    overdue: BTreeMap<NodeId, usize>,
}

/// Effects that a burst may have on top of those per input: a view change, or a window's worth of batches.
const EFFECTS: usize = 10_000;
/// Effects per input.
const EFFECTS_PER_INPUT: usize = 600;
/// What may wait for the disk.
const HELD: usize = 20_000;
/// Records that a log may hold.
const LOG: usize = 40_000;
/// Batches that may wait for the application.
const BACKLOG: usize = 2_048;
/// Bursts in a row after which a deadline had passed.
const OVERDUE: usize = 200;
/// Slots that a replica may execute ahead of the last final one.
const AHEAD: u64 = 2_048;

impl Checker for Bounds {
    fn name(&self) -> &'static str {
        "bounds"
    }

    fn observe(&mut self, _: u64, observation: &Observation<'_>) -> Result<(), String> {
        let (node, inputs, effects, held, log, backlog, overdue) = match *observation {
            Observation::Burst {
                node,
                inputs,
                effects,
                held,
                log,
                backlog,
                overdue,
            } => (node, inputs, effects, held, log, backlog, overdue),
            Observation::Started { node, executed } => {
                self.settled.insert(node, executed);
                return Ok(());
            }
            Observation::Decided { node, batch } => {
                self.settled.insert(node, batch.slot);
                return Ok(());
            }
            Observation::Speculated { node, batch } => {
                let settled = self.settled.get(&node).copied().unwrap_or_default();
                let ahead = batch.slot.0.saturating_sub(settled.0);
                return if ahead > AHEAD {
                    Err(format!(
                        "{node} executes slot {} while only slot {settled} is final, more than {AHEAD} ahead",
                        batch.slot
                    ))
                } else {
                    Ok(())
                };
            }
            _ => return Ok(()),
        };
        let circles = self.overdue.entry(node).or_default();
        *circles = if overdue { *circles + 1 } else { 0 };
        let limits = [
            (
                "bursts in a row that leave a passed deadline",
                *circles,
                OVERDUE,
            ),
            (
                "effects of one burst",
                effects,
                EFFECTS + EFFECTS_PER_INPUT * inputs,
            ),
            ("effects that wait for the disk", held, HELD),
            ("records in the log", log, LOG),
            ("batches that wait for the application", backlog, BACKLOG),
        ];
        match limits.iter().find(|(_, is, most)| is > most) {
            Some((what, is, most)) => Err(format!("{node} has {is} {what}, more than {most}")),
            None => Ok(()),
        }
    }
}

use hedgerow_base::{NodeSet, Slot};
use hedgerow_world::{Checker, Observation, SECOND};

/// Once a core is healed, the first new batch is decided within ten seconds, and in the end every request of a
/// correct client is answered.
#[derive(Debug, Default)]
pub struct Progress {
    core: NodeSet,
    healed_at: Option<u64>,
    highest: Slot,
    recovered: bool,
}

/// How long after the healing the first new batch may take, in virtual nanoseconds.
const BOUND_NS: u64 = 10 * SECOND;

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
            Observation::Decided { node, batch } if batch.slot > self.highest => {
                self.highest = batch.slot;
                if let (Some(healed), false) = (self.healed_at, self.recovered)
                    && self.core.contains(*node)
                {
                    self.recovered = true;
                    let took = at - healed;
                    if took > BOUND_NS {
                        return Err(format!(
                            "the first new batch after the healing took {} ms",
                            took / 1_000_000
                        ));
                    }
                }
            }
            Observation::Ended { core, unanswered } if !core.is_empty() => {
                if !self.recovered {
                    return Err("no new batch was decided after the healing".into());
                }
                if *unanswered > 0 {
                    return Err(format!("{unanswered} requests were never answered"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

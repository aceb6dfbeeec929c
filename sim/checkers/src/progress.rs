use hedgerow_base::{NodeSet, Slot};
use hedgerow_world::{Checker, Observation, SECOND};

/// Once a core is healed, the first new batch is decided within ten seconds, and from then on every request of
/// a correct client is answered within thirty.
#[derive(Debug, Default)]
pub struct Progress {
    core: NodeSet,
    healed_at: Option<u64>,
    highest: Slot,
    recovered: bool,
}

/// How long after the healing the first new batch may take, in virtual nanoseconds.
const BOUND_NS: u64 = 10 * SECOND;
/// How long an answer may take at most once the core is healed. A run that is cut at its time limit leaves younger
/// requests under way.
const ANSWER_NS: u64 = 30 * SECOND;

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
            Observation::Ended {
                core,
                waiting_since,
            } if !core.is_empty() => {
                if !self.recovered {
                    return Err("no new batch was decided after the healing".into());
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

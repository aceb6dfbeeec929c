use std::collections::BTreeMap;

use hedgerow_base::{Digest, NodeId};
use hedgerow_world::{Checker, Observation, Vote};

/// A correct replica never says two different things where the protocol allows it one, also not before and after a
/// crash: it leaves the network nothing that it may have forgotten.
#[derive(Debug, Default)]
pub struct Contradiction {
    said: BTreeMap<(NodeId, &'static str, u64, u64), Digest>,
}

impl Checker for Contradiction {
    fn name(&self) -> &'static str {
        "contradiction"
    }

    fn observe(&mut self, _: u64, observation: &Observation<'_>) -> Result<(), String> {
        if let Observation::Voted { node, vote } = observation {
            let Vote {
                kind,
                view,
                slot,
                value,
            } = *vote;
            let said = *self.said.entry((*node, kind, view, slot)).or_insert(value);
            if said != value {
                return Err(format!(
                    "{node} said {kind} ({view}, {slot}) for {said:?} and then for {value:?}"
                ));
            }
        }
        Ok(())
    }
}

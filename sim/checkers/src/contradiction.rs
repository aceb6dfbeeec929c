use std::collections::BTreeMap;

use hedgerow_base::{Digest, NodeId};
use hedgerow_world::{Checker, Observation, Vote};

/// What ends a view or an instance.
const ENDINGS: &[&str] = &["view-change", "abort"];

/// A correct replica never says two different things where the protocol allows it one, also not before and after a
/// crash or the loss of its disk.
///
/// One exception: what ends a view or an instance and was said before the disk was lost is not held against a replica. It
/// may have reached nobody who still knows of it, so nobody can remind the replica; and whoever lost its disk counts
/// among the f faulty ones until it has caught up.
#[derive(Debug, Default)]
pub struct Contradiction {
    said: BTreeMap<(NodeId, &'static str, u64, u64), Digest>,
}

impl Checker for Contradiction {
    fn name(&self) -> &'static str {
        "contradiction"
    }

    fn observe(&mut self, _: u64, observation: &Observation<'_>) -> Result<(), String> {
        if let Observation::LostMemory { node } = observation {
            self.said
                .retain(|(who, kind, ..), _| who != node || !ENDINGS.contains(kind));
        }
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

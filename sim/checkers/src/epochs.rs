use std::collections::{BTreeMap, BTreeSet};

use hedgerow_base::{Digest, NodeId, NodeSet, Slot};
use hedgerow_world::{Checker, Observation, Place, Showing};

/// The properties of *The Next 700 BFT Protocols* (§3), as far as they are about order, for protocols that build a
/// history anew in each epoch:
///
/// - *Commit Order*: what may be committed in an epoch lies in one history.
/// - *Abort Order*: it is part of whatever the next epoch may begin with; and a replica that ends an epoch has what it
///   answered there.
/// - *Init Order*: a history goes through what it began with.
///
/// What clients have seen committed nobody can tell but they. A place that every correct replica answered at may be
/// committed: the liars can say the same to a client at any time. That is what is held against the protocol, whether a
/// client was there or not. That no request comes twice and none is invented is `validity`'s business.
///
/// What the ends in a proof agree on is computed here, place by place.
#[derive(Debug, Default)]
pub struct Epochs {
    replicas: NodeSet,
    epochs: BTreeMap<u64, Epoch>,
}

#[derive(Debug, Default)]
struct Epoch {
    /// Who answered at a place.
    answered: BTreeMap<Place, NodeSet>,
    /// The places at which something may be committed.
    committed: BTreeMap<Slot, Digest>,
    /// What each replica's history is known to go through. It only grows.
    histories: BTreeMap<NodeId, BTreeMap<Slot, Digest>>,
    /// Where it ended.
    ended: BTreeMap<NodeId, Place>,
    /// Where all that agree ended.
    agreed: Option<Place>,
    /// What the epoch may begin with.
    origins: BTreeSet<Origin>,
    /// What it began with, at these replicas.
    adopted: BTreeMap<NodeId, Place>,
}

/// An init history: its end, and what it goes through as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Origin {
    end: Place,
    through: Vec<Place>,
}

/// The history that enough of these ends share.
fn origin(ends: &[(NodeId, Vec<Place>)], agree: usize) -> Option<Origin> {
    let mut votes = BTreeMap::<Place, BTreeSet<NodeId>>::new();
    for (node, through) in ends {
        for place in through {
            votes.entry(*place).or_default().insert(*node);
        }
    }
    let shared: Vec<_> = votes
        .into_iter()
        .filter(|(_, who)| who.len() >= agree.max(1))
        .map(|(place, _)| place)
        .collect();
    let end = *shared.last()?;
    let all: BTreeSet<Place> = ends
        .iter()
        .filter(|(_, through)| through.contains(&end))
        .flat_map(|(_, through)| through.iter().copied())
        .filter(|(slot, _)| *slot <= end.0)
        .collect();
    Some(Origin {
        end,
        through: all.into_iter().collect(),
    })
}

/// Whether what is known of a history contradicts that it goes through `place`. Where it begins later, it may.
fn excludes(through: &BTreeMap<Slot, Digest>, place: Place) -> bool {
    let last = through.last_key_value().map(|(slot, _)| *slot);
    let other = through
        .get(&place.0)
        .is_some_and(|digest| *digest != place.1);
    other || last.is_none_or(|last| last < place.0)
}

impl Epoch {
    fn answer(&mut self, node: NodeId, place: Place, replicas: NodeSet) -> Result<bool, String> {
        self.extend(node, &[place])?;
        if let Some((slot, _)) = self.ended.get(&node)
            && *slot < place.0
        {
            return Err(format!(
                "{node} answered at {place:?} after it ended at {slot}"
            ));
        }
        let who = self.answered.entry(place).or_default();
        who.insert(node);
        if !replicas.iter().all(|replica| who.contains(replica)) {
            return Ok(false);
        }
        let known = *self.committed.entry(place.0).or_insert(place.1);
        if known != place.1 {
            return Err(format!(
                "both {known:?} and {:?} may be committed in slot {}",
                place.1, place.0
            ));
        }
        Ok(true)
    }

    /// A replica's history goes through these places, too.
    fn extend(&mut self, node: NodeId, through: &[Place]) -> Result<(), String> {
        let history = self.histories.entry(node).or_default();
        for (slot, digest) in through {
            let known = *history.entry(*slot).or_insert(*digest);
            if known != *digest {
                return Err(format!(
                    "{node}'s history has {known:?} in slot {slot}, and then {digest:?}"
                ));
            }
        }
        Ok(())
    }

    fn end(&mut self, node: NodeId, through: &[Place], agreed: bool) -> Result<(), String> {
        let Some(&end) = through.last() else {
            return Ok(());
        };
        self.extend(node, through)?;
        let history = &self.histories[&node];
        if let Some((last, _)) = history.last_key_value()
            && *last > end.0
        {
            return Err(format!(
                "{node} ended at {}, and its history had slot {last}",
                end.0
            ));
        }
        self.ended.insert(node, end);
        if let Some(origin) = self.adopted.get(&node)
            && excludes(history, *origin)
        {
            return Err(format!(
                "{node}'s history began with {origin:?}, and ended without it"
            ));
        }
        if agreed && *self.agreed.get_or_insert(end) != end {
            return Err(format!(
                "{node} ended at {end:?}, another replica at {:?}",
                self.agreed
            ));
        }
        Ok(())
    }
}

impl Epochs {
    /// What may be committed in an epoch is part of what the next one may begin with.
    fn abort_order(&self, epoch: u64) -> Result<(), String> {
        let (Some(before), Some(after)) = (self.epochs.get(&epoch), self.epochs.get(&(epoch + 1)))
        else {
            return Ok(());
        };
        for origin in &after.origins {
            let through = origin.through.iter().copied().collect();
            for (slot, digest) in &before.committed {
                if excludes(&through, (*slot, *digest)) {
                    return Err(format!(
                        "{digest:?} in slot {slot} may be committed in {epoch}, and is not part of {:?}, with which {} may \
                         begin",
                        origin.end,
                        epoch + 1
                    ));
                }
            }
        }
        Ok(())
    }

    fn show(&mut self, node: NodeId, number: u64, what: &Showing) -> Result<(), String> {
        let replicas = self.replicas;
        let epoch = self.epochs.entry(number).or_default();
        match what {
            Showing::Answered(place) => {
                if epoch.answer(node, *place, replicas)? {
                    self.abort_order(number)?;
                }
            }
            Showing::Ended { through, agreed } => epoch.end(node, through, *agreed)?,
            Showing::Began {
                ends,
                agree,
                adopted,
            } => {
                let origin = origin(ends, *agree).ok_or_else(|| {
                    format!("{node} takes ends for a beginning that share nothing")
                })?;
                if *adopted {
                    epoch.adopted.insert(node, origin.end);
                }
                if epoch.origins.insert(origin)
                    && let Some(before) = number.checked_sub(1)
                {
                    self.abort_order(before)?;
                }
            }
        }
        Ok(())
    }
}

impl Checker for Epochs {
    fn name(&self) -> &'static str {
        "epochs"
    }

    fn observe(&mut self, _: u64, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Started { node, .. } => {
                self.replicas.insert(*node);
            }
            // It counts among the faulty ones until it has caught up: what it said, others said, too.
            Observation::LostMemory { node } => {
                for epoch in self.epochs.values_mut() {
                    epoch.histories.remove(node);
                    epoch.ended.remove(node);
                    epoch.adopted.remove(node);
                }
            }
            Observation::Showed { node, shown } => {
                self.show(*node, shown.epoch, &shown.what)
                    .map_err(|what| format!("epoch {}: {what}", shown.epoch))?;
            }
            _ => {}
        }
        Ok(())
    }
}

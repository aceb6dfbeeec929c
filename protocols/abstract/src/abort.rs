//! Abort histories and init histories (§4.2, P3 and Z1+): pure functions of signed ABORTs. Whoever shows the ABORTs is not
//! trusted with their result.

use alloc::{collections::BTreeMap, vec::Vec};

use hedgerow_base::{NodeSet, Roster};
use hedgerow_crypto::Sealed;

use crate::{
    composition::{Composition, Instance, Kind},
    history::{Point, chain},
    messages::{Abort, Init},
};

/// What an instance begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The end of the init history.
    pub target: Point,
    /// Points that it is known to go through, ascending, the target last.
    pub through: Vec<Point>,
    /// A Chain ended because a single client had it to itself: the next Backup is short (§5.4).
    pub low_load: bool,
}

/// ABORTs that do not make an init history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInit {
    /// No instance is before the first.
    #[error("an instance that nothing aborts to")]
    First,
    /// One is of another instance.
    #[error("an ABORT of another instance")]
    OtherInstance,
    /// One signer twice.
    #[error("two ABORTs of one replica")]
    Twice,
    /// Not as many as it takes.
    #[error("{0} ABORTs, where {1} are needed")]
    Count(usize, usize),
    /// They differ more than correct replicas' do.
    #[error("no history that f + 1 of the ABORTs share")]
    NoAgreement,
}

/// How many ABORTs it takes: 2f + 1 where replicas may differ (§4.2), f + 1 equal ones of a Backup, whose replicas agree
/// on everything (§4.3).
#[must_use]
pub(crate) const fn needed(kind: Kind, roster: Roster) -> usize {
    match kind {
        Kind::Backup => roster.weak(),
        Kind::Quorum | Kind::ZLight | Kind::Chain => 2 * roster.f() + 1,
    }
}

/// The init history that these ABORTs prove.
///
/// The paper votes position by position on requests. Here the votes are on chained digests: f + 1 equal ones come from a
/// correct replica's own history, so that what is extracted is a prefix of one, without repetitions and without holes. A
/// committed history is a prefix of every correct replica's, and of 2f + 1 signers f + 1 are correct: it is never cut.
///
/// # Errors
/// When they do not make one.
pub fn extract(
    composition: Composition,
    roster: Roster,
    init: &Init,
) -> Result<Origin, InvalidInit> {
    let Some(aborted) = init.instance.0.checked_sub(1).filter(|&before| before > 0) else {
        return Err(InvalidInit::First);
    };
    let aborted = Instance(aborted);
    let needed = needed(composition.kind(aborted), roster);
    if init.aborts.len() != needed {
        return Err(InvalidInit::Count(init.aborts.len(), needed));
    }
    let mut signers = NodeSet::EMPTY;
    let mut votes = BTreeMap::<Point, usize>::new();
    for abort in &init.aborts {
        if abort.value().instance != aborted {
            return Err(InvalidInit::OtherInstance);
        }
        if !signers.insert(abort.origin()) {
            return Err(InvalidInit::Twice);
        }
        for point in points(abort.value()) {
            *votes.entry(point).or_default() += 1;
        }
    }
    let target = votes
        .into_iter()
        .rev()
        .find(|(_, count)| *count >= roster.weak())
        .map(|(point, _)| point)
        .ok_or(InvalidInit::NoAgreement)?;
    // Of those that go through the target, the one that reaches back furthest knows most of the way.
    let through = init
        .aborts
        .iter()
        .map(|abort| points(abort.value()))
        .filter(|points| points.contains(&target))
        .max_by_key(Vec::len)
        .unwrap_or_default();
    let through = through
        .into_iter()
        .take_while(|point| point.slot <= target.slot)
        .collect();
    let low_load = init.aborts.iter().filter(|abort| abort.value().low_load);
    Ok(Origin {
        target,
        through,
        low_load: low_load.count() >= roster.weak(),
    })
}

/// The points that an ABORT's history goes through, as far as it tells.
fn points(abort: &Abort) -> Vec<Point> {
    let mut points = Vec::with_capacity(abort.suffix.len() + 1);
    points.push(abort.base);
    let mut point = abort.base;
    for &entry in abort.suffix.iter() {
        point = chain(point, entry);
        points.push(point);
    }
    points
}

/// ABORTs of one instance on their way to an init history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aborts {
    instance: Instance,
    heard: BTreeMap<hedgerow_base::NodeId, Sealed<Abort>>,
}

impl Aborts {
    pub(crate) const fn of(instance: Instance) -> Self {
        Self {
            instance,
            heard: BTreeMap::new(),
        }
    }

    /// Takes one; gives the proof that begins the next instance once there are enough. A replica's latest ABORT counts:
    /// Backup's replicas may be heard before they are done.
    pub(crate) fn add(
        &mut self,
        abort: Sealed<Abort>,
        composition: Composition,
        roster: Roster,
    ) -> Option<Init> {
        if abort.value().instance != self.instance {
            return None;
        }
        self.heard.insert(abort.origin(), abort);
        let next = self.instance.next();
        if composition.kind(self.instance) != Kind::Backup {
            let needed = needed(composition.kind(self.instance), roster);
            let aborts: Vec<_> = self.heard.values().take(needed).cloned().collect();
            let init = Init {
                instance: next,
                aborts,
            };
            return extract(composition, roster, &init).is_ok().then_some(init);
        }
        // Any f + 1 equal ones.
        let mut equal = BTreeMap::<Point, Vec<Sealed<Abort>>>::new();
        for abort in self.heard.values() {
            equal
                .entry(abort.value().base)
                .or_default()
                .push(abort.clone());
        }
        equal.into_values().find_map(|mut aborts| {
            aborts.truncate(needed(Kind::Backup, roster));
            let init = Init {
                instance: next,
                aborts,
            };
            extract(composition, roster, &init).is_ok().then_some(init)
        })
    }
}

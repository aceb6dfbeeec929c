//! What a new view begins with (TOCS §4.4): a pure function of the view changes that the new primary shows. Backups
//! run it again; nothing that the primary says about its result is needed.

use alloc::{collections::BTreeMap, vec::Vec};

use hedgerow_base::{Digest, Roster, Slot, View};

use crate::messages::{MAX_PRE_PREPARED, NULL, ViewChange, Vouched};

/// What a view begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The checkpoint that it builds on.
    pub start: Slot,
    /// That checkpoint's digest.
    pub start_digest: Digest,
    /// The batch of each slot after `start`, without gaps, up to the last one that holds a batch. The slots after
    /// that are free.
    pub batches: BTreeMap<Slot, Digest>,
}

impl Decision {
    /// The last slot that is not free.
    #[must_use]
    pub fn last(&self) -> Slot {
        self.batches
            .last_key_value()
            .map_or(self.start, |(&slot, _)| slot)
    }
}

/// Whether a view change could be a correct replica's: slots within its window, views before its own, each at most once.
#[must_use]
pub fn well_formed(change: &ViewChange, interval: u64) -> bool {
    let (low, high) = (change.stable, change.stable.plus(2 * interval));
    let within = |slot: Slot| low < slot && slot <= high;
    let earlier = |vouched: &Vouched| within(vouched.slot) && vouched.view < change.view;
    let ascending = |list: &[Vouched]| list.windows(2).all(|pair| pair[0] < pair[1]);
    let mut of_slot = BTreeMap::<Slot, Vec<Digest>>::new();
    for vouched in change.pre_prepared.iter() {
        of_slot
            .entry(vouched.slot)
            .or_default()
            .push(vouched.digest);
    }
    change.view > View::ZERO
        && low.0.is_multiple_of(interval)
        && change
            .checkpoints
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0)
        && change
            .checkpoints
            .iter()
            .all(|(slot, _)| low <= *slot && *slot <= high && slot.0.is_multiple_of(interval))
        && change.prepared.iter().all(earlier)
        && change
            .prepared
            .windows(2)
            .all(|pair| pair[0].slot < pair[1].slot)
        && change.pre_prepared.iter().all(earlier)
        && ascending(&change.pre_prepared)
        && of_slot
            .values()
            .all(|digests| digests.len() <= MAX_PRE_PREPARED)
}

/// The decision procedure over the view changes of distinct replicas, each well formed. `None` when these do not
/// suffice: more of them will, once those of all correct replicas are there.
#[must_use]
pub fn decide(roster: Roster, interval: u64, changes: &[&ViewChange]) -> Option<Decision> {
    let (start, start_digest) = starting_checkpoint(roster, changes)?;
    let claims = claims(changes);
    let mut chosen = BTreeMap::new();
    for slot in (1..=2 * interval).map(|ahead| start.plus(ahead)) {
        chosen.insert(slot, choose(roster, changes, claims.get(&slot), slot)?);
    }
    let last = chosen
        .iter()
        .rev()
        .find(|(_, digest)| **digest != NULL)
        .map_or(start, |(&slot, _)| slot);
    chosen.retain(|&slot, _| slot <= last);
    Some(Decision {
        start,
        start_digest,
        batches: chosen,
    })
}

/// The highest checkpoint that a correct replica vouches for and from which a quorum can go on.
fn starting_checkpoint(roster: Roster, changes: &[&ViewChange]) -> Option<(Slot, Digest)> {
    let mut vouchers = BTreeMap::<(Slot, Digest), usize>::new();
    for change in changes {
        for &checkpoint in change.checkpoints.iter() {
            *vouchers.entry(checkpoint).or_default() += 1;
        }
    }
    let reaches = |slot: Slot| changes.iter().filter(|m| m.stable <= slot).count();
    vouchers
        .into_iter()
        .rev()
        .find(|&((slot, _), count)| count >= roster.weak() && reaches(slot) >= roster.quorum())
        .map(|(checkpoint, _)| checkpoint)
}

/// What is said of one slot: by the index of who says it.
#[derive(Default)]
struct Claims {
    prepared: Vec<(usize, View, Digest)>,
    pre_prepared: Vec<(usize, View, Digest)>,
}

fn claims(changes: &[&ViewChange]) -> BTreeMap<Slot, Claims> {
    let mut claims = BTreeMap::<Slot, Claims>::new();
    for (who, change) in changes.iter().enumerate() {
        for p in change.prepared.iter() {
            let of_slot = claims.entry(p.slot).or_default();
            of_slot.prepared.push((who, p.view, p.digest));
        }
        for q in change.pre_prepared.iter() {
            let of_slot = claims.entry(q.slot).or_default();
            of_slot.pre_prepared.push((who, q.view, q.digest));
        }
    }
    claims
}

fn choose(
    roster: Roster,
    changes: &[&ViewChange],
    claims: Option<&Claims>,
    slot: Slot,
) -> Option<Digest> {
    let none = Claims::default();
    let claims = claims.unwrap_or(&none);
    // Messages with h < n for which no claim in P contradicts.
    let agree = |fits: &dyn Fn(View, Digest) -> bool| {
        let open = changes.iter().enumerate().filter(|(_, m)| m.stable < slot);
        open.filter(|(who, _)| {
            let mut theirs = claims.prepared.iter().filter(|(w, ..)| w == who);
            theirs.all(|&(_, view, digest)| fits(view, digest))
        })
        .count()
            >= roster.quorum()
    };
    let mut candidates: Vec<_> = claims.prepared.iter().map(|&(_, v, d)| (v, d)).collect();
    candidates.sort_unstable_by(|a, b| b.cmp(a));
    candidates.dedup();
    for (view, digest) in candidates {
        // A1: nothing else can have been prepared since by a quorum. (The same batch in a later view does not
        // contradict; the paper's condition asks for that view's claim, which gives the same batch.)
        let a1 = agree(&|v, d| v < view || d == digest);
        // A2: a correct replica pre-prepared it, so it is authentic and the claim is no invention.
        let vouch = claims.pre_prepared.iter();
        let mut vouchers: Vec<_> = vouch
            .filter(|&&(_, v, d)| v >= view && d == digest)
            .map(|&(who, ..)| who)
            .collect();
        vouchers.dedup();
        if a1 && vouchers.len() >= roster.weak() {
            return Some(digest);
        }
    }
    // B: a quorum prepared nothing here, so nothing was committed.
    agree(&|_, _| false).then_some(NULL)
}

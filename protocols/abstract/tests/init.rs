//! Init histories: what 2f + 1 ABORTs prove, whoever signed them and whatever f of the signers say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hedgerow_abstract::{
    Abort, Composition, Init, Instance, InvalidInit, Origin, Point, chain, extract,
};
use hedgerow_base::{Digest, NodeId, Roster, Slot};
use hedgerow_crypto::{Keyring, MacSecret, MemberKeys, Sealed, Sealing, SigningKey};
use hedgerow_wire::List;
use proptest::prelude::*;
use proptest::sample::Index;

type Members = Arc<Vec<Keyring>>;

/// The keyrings of a network of n; they are the same each time.
fn members(n: usize) -> Members {
    static KNOWN: Mutex<BTreeMap<usize, Members>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    let made = known.entry(n).or_insert_with(|| {
        let secrets: Vec<_> = (0..n as u8)
            .map(|id| {
                (
                    SigningKey::from_seed([id; 32]),
                    MacSecret::from_seed([id; 32]),
                )
            })
            .collect();
        let keys: Vec<_> = secrets
            .iter()
            .map(|(signing, mac)| MemberKeys {
                verifying: signing.verifying_key(),
                mac: mac.public(),
            })
            .collect();
        let roster = Roster::new(n as u32).unwrap();
        let keyring = |(id, (signing, mac)): (u32, &(SigningKey, MacSecret))| {
            Keyring::new(NodeId(id), roster, signing.clone(), mac, &keys).unwrap()
        };
        Arc::new((0..).zip(&secrets).map(keyring).collect())
    });
    Arc::clone(made)
}

fn entry(name: u8) -> Digest {
    Digest([name; 32])
}

/// The points of a history of these entries, the empty one first.
fn walk(entries: &[u8]) -> Vec<Point> {
    let mut points = vec![Point::default()];
    for &name in entries {
        points.push(chain(points[points.len() - 1], entry(name)));
    }
    points
}

/// An ABORT of `instance` by `signer` with the history of these entries, of which the first `base` are behind a checkpoint.
fn abort(
    members: &Members,
    signer: usize,
    instance: Instance,
    entries: &[u8],
    base: usize,
) -> Sealed<Abort> {
    abort_from(
        members,
        signer,
        instance,
        walk(entries)[base],
        &entries[base..],
    )
}

fn abort_from(
    members: &Members,
    signer: usize,
    instance: Instance,
    base: Point,
    suffix: &[u8],
) -> Sealed<Abort> {
    let suffix = List::new(suffix.iter().map(|&name| entry(name)).collect()).unwrap();
    let abort = Abort {
        low_load: false,
        instance,
        base,
        suffix,
    };
    Sealed::new(abort, Sealing::Signature, &members[signer])
}

const ZLIGHT: Instance = Instance(3);
const BACKUP: Instance = Instance(2);

fn proof(aborted: Instance, aborts: Vec<Sealed<Abort>>) -> Init {
    Init {
        instance: aborted.next(),
        aborts,
    }
}

fn judge(members: &Members, init: &Init) -> Result<Origin, InvalidInit> {
    extract(Composition::AZYZZYVA, members[0].roster(), init)
}

/// What the replicas of a network say when an instance ends.
#[derive(Clone, Debug)]
struct Scene {
    f: usize,
    /// What all correct replicas have logged, in this order.
    shared: Vec<u8>,
    /// What each has logged after it.
    own: Vec<Vec<u8>>,
    /// Where each one's last stable checkpoint is: all correct replicas go through it.
    bases: Vec<Index>,
    /// What the faulty ones say: whose history they pretend to have, cut where, continued with what.
    lies: Vec<(Index, Index, Vec<u8>, Option<u64>)>,
    /// Which are chosen for the proof.
    order: Vec<usize>,
}

fn scene() -> impl Strategy<Value = Scene> {
    (1_usize..=3).prop_flat_map(|f| {
        let n = 3 * f + 1;
        let names = || prop::collection::vec(0_u8..4, 0..6);
        let lie = (
            any::<Index>(),
            any::<Index>(),
            names(),
            prop::option::of(any::<u64>()),
        );
        (
            names(),
            prop::collection::vec(names(), n),
            prop::collection::vec(any::<Index>(), n),
            prop::collection::vec(lie, f),
            Just((0..n).collect::<Vec<_>>()).prop_shuffle(),
        )
            .prop_map(move |(shared, own, bases, lies, order)| Scene {
                f,
                shared,
                own,
                bases,
                lies,
                order,
            })
    })
}

impl Scene {
    fn history(&self, replica: usize) -> Vec<u8> {
        [&self.shared[..], &self.own[replica]].concat()
    }

    /// The last f replicas lie.
    fn aborts(&self, members: &Members) -> Vec<Sealed<Abort>> {
        let correct = 2 * self.f + 1;
        let said = |&replica: &usize| {
            let Some(liar) = replica.checked_sub(correct) else {
                let history = self.history(replica);
                let base = self.bases[replica].index(self.shared.len() + 1);
                return abort(members, replica, ZLIGHT, &history, base);
            };
            let (whose, cut, more, jump) = &self.lies[liar];
            let pretended = self.history(whose.index(correct));
            let mut base = walk(&pretended)[cut.index(pretended.len() + 1)];
            if let Some(slot) = jump {
                base.slot = Slot(*slot);
            }
            abort_from(members, replica, ZLIGHT, base, more)
        };
        self.order.iter().map(said).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_all_correct_replicas_have_is_never_cut_and_nothing_is_made_up(scene in scene()) {
        let members = members(3 * scene.f + 1);
        let mut aborts = scene.aborts(&members);
        aborts.truncate(2 * scene.f + 1);
        let origin = judge(&members, &proof(ZLIGHT, aborts)).unwrap();
        let honest = (0..=2 * scene.f).map(|replica| walk(&scene.history(replica)));
        let from = honest.filter(|points| points.contains(&origin.target)).collect::<Vec<_>>();
        prop_assert!(!from.is_empty(), "no correct replica's history");
        prop_assert!(origin.target.slot.0 >= scene.shared.len() as u64, "the committed prefix is cut");
        // The way there is that history's, without holes.
        prop_assert_eq!(origin.through.last(), Some(&origin.target));
        let first = origin.through[0].slot.0 as usize;
        prop_assert_eq!(&from[0][first..=origin.target.slot.0 as usize], &origin.through[..]);
    }

    #[test]
    fn whoever_computes_it_gets_the_same_in_any_order(scene in scene(), turn in any::<Index>()) {
        let members = members(3 * scene.f + 1);
        let mut aborts = scene.aborts(&members);
        aborts.truncate(2 * scene.f + 1);
        let one = judge(&members, &proof(ZLIGHT, aborts.clone())).unwrap();
        let by = turn.index(aborts.len());
        aborts.rotate_left(by);
        prop_assert_eq!(judge(&members, &proof(ZLIGHT, aborts)).unwrap().target, one.target);
    }

    /// The partial-checkpoint race: some replicas have truncated at a checkpoint, others hold what is before it.
    #[test]
    fn checkpoints_at_different_places_compare_equal(
        f in 1_usize..=3,
        entries in prop::collection::vec(any::<u8>(), 1..20),
        bases in prop::collection::vec(any::<Index>(), 10),
    ) {
        let members = members(3 * f + 1);
        let aborts = (0..=2 * f).map(|signer| {
            abort(&members, signer, ZLIGHT, &entries, bases[signer].index(entries.len() + 1))
        });
        let origin = judge(&members, &proof(ZLIGHT, aborts.collect())).unwrap();
        let points = walk(&entries);
        prop_assert_eq!(origin.target, points[entries.len()]);
        let furthest = (0..=2 * f).map(|signer| bases[signer].index(entries.len() + 1)).min().unwrap();
        prop_assert_eq!(&origin.through[..], &points[furthest..]);
    }

    #[test]
    fn of_a_backup_f_plus_one_equal_ones_count_and_nothing_else(f in 1_usize..=3, entries in prop::collection::vec(any::<u8>(), 0..9), odd in any::<Index>()) {
        let members = members(3 * f + 1);
        let end = entries.len();
        let equal: Vec<_> = (0..=f).map(|signer| abort(&members, signer, BACKUP, &entries, end)).collect();
        let origin = judge(&members, &proof(BACKUP, equal.clone())).unwrap();
        prop_assert_eq!(origin.target, walk(&entries)[end]);
        let mut unequal = equal.clone();
        let odd = odd.index(f + 1);
        let longer = [&entries[..], &[1]].concat();
        unequal[odd] = abort(&members, odd, BACKUP, &longer, end + 1);
        prop_assert_eq!(judge(&members, &proof(BACKUP, unequal)), Err(InvalidInit::NoAgreement));
        let fewer = proof(BACKUP, equal[1..].to_vec());
        prop_assert_eq!(judge(&members, &fewer), Err(InvalidInit::Count(f, f + 1)));
    }
}

#[test]
fn wrong_counts_repeated_signers_and_other_instances_are_refused() {
    let members = members(4);
    let said = |signer, instance| abort(&members, signer, instance, b"ab", 0);
    let of = |signers: &[usize]| -> Vec<_> { signers.iter().map(|&s| said(s, ZLIGHT)).collect() };
    let judged = |init: &Init| judge(&members, init);
    assert!(judged(&proof(ZLIGHT, of(&[0, 1, 2]))).is_ok());
    for (signers, count) in [(&[][..], 0), (&[0, 1], 2), (&[0, 1, 2, 3], 4)] {
        let refused = judged(&proof(ZLIGHT, of(signers)));
        assert_eq!(refused, Err(InvalidInit::Count(count, 3)));
    }
    assert_eq!(
        judged(&proof(ZLIGHT, of(&[0, 1, 1]))),
        Err(InvalidInit::Twice)
    );
    for other in [Instance(1), BACKUP, ZLIGHT.next()] {
        let mixed = vec![said(0, ZLIGHT), said(1, ZLIGHT), said(2, other)];
        assert_eq!(
            judged(&proof(ZLIGHT, mixed)),
            Err(InvalidInit::OtherInstance)
        );
    }
    for nothing_before in [0, 1] {
        let init = Init {
            instance: Instance(nothing_before),
            aborts: of(&[0, 1, 2]),
        };
        assert_eq!(judged(&init), Err(InvalidInit::First));
    }
}

#[test]
fn histories_of_which_no_two_share_anything_make_none() {
    let members = members(4);
    let apart = |signer: usize| {
        let base = Point {
            slot: Slot(7),
            chain: entry(signer as u8 + 1),
        };
        abort_from(&members, signer, ZLIGHT, base, b"xy")
    };
    let init = proof(ZLIGHT, (0..3).map(apart).collect());
    assert_eq!(judge(&members, &init), Err(InvalidInit::NoAgreement));
}

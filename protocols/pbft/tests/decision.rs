//! The decision procedure of a new view (TOCS §4.4), against a model that knows what may have been committed.

use hedgerow_base::{Digest, Lsn, Roster, Slot, View};
use hedgerow_pbft::{NULL, ViewChange, Vouched, decide, well_formed};
use hedgerow_wire::List;
use proptest::prelude::*;

const INTERVAL: u64 = 2;

fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

fn change(view: u64, p: &[(u64, u64, u8)], q: &[(u64, u64, u8)]) -> ViewChange {
    let vouched = |list: &[(u64, u64, u8)]| {
        let mut list: Vec<_> = list
            .iter()
            .map(|&(slot, view, byte)| Vouched {
                slot: Slot(slot),
                view: View(view),
                digest: digest(byte),
            })
            .collect();
        list.sort();
        list
    };
    ViewChange {
        view: View(view),
        stable: Slot(0),
        checkpoints: List::new(vec![(Slot(0), Digest::ZERO)]).unwrap(),
        prepared: List::new(vouched(p)).unwrap(),
        pre_prepared: List::new(vouched(q)).unwrap(),
        lsn: Lsn(1),
    }
}

fn run(changes: &[ViewChange]) -> Option<Vec<(u64, Digest)>> {
    let changes: Vec<_> = changes.iter().collect();
    let decision = decide(Roster::new(4).unwrap(), INTERVAL, &changes)?;
    Some(decision.batches.iter().map(|(s, d)| (s.0, *d)).collect())
}

#[test]
fn what_a_quorum_prepared_is_chosen_and_gaps_are_null() {
    let p = [(2, 0, 7)];
    let q = [(1, 0, 6), (2, 0, 7)];
    let changes = [change(1, &p, &q), change(1, &p, &q), change(1, &[], &[])];
    assert_eq!(run(&changes), Some(vec![(1, NULL), (2, digest(7))]));
}

#[test]
fn an_invented_claim_is_not_chosen_and_does_not_block_a_full_house() {
    // Three correct replicas prepared nothing; the liar claims a certificate in a high view.
    let honest = || change(9, &[], &[]);
    let liar = change(9, &[(1, 8, 66)], &[(1, 8, 66)]);
    let some = [honest(), honest(), liar.clone()];
    assert_eq!(run(&some), None, "two do not refute it");
    let all = [honest(), honest(), honest(), liar];
    assert_eq!(run(&all), Some(vec![]));
}

#[test]
fn too_few_decide_nothing() {
    assert_eq!(run(&[change(1, &[], &[]), change(1, &[], &[])]), None);
}

#[test]
fn a_checkpoint_needs_a_correct_voucher() {
    let mut liar = change(1, &[], &[]);
    liar.checkpoints = List::new(vec![(Slot(0), Digest::ZERO), (Slot(2), digest(9))]).unwrap();
    let changes = [change(1, &[], &[]), change(1, &[], &[]), liar];
    let changes: Vec<_> = changes.iter().collect();
    let decision = decide(Roster::new(4).unwrap(), INTERVAL, &changes).unwrap();
    assert_eq!(decision.start, Slot(0));
}

#[test]
fn ill_formed_view_changes_are_told_apart() {
    assert!(well_formed(
        &change(1, &[(1, 0, 1)], &[(1, 0, 1)]),
        INTERVAL
    ));
    assert!(!well_formed(&change(0, &[], &[]), INTERVAL));
    assert!(
        !well_formed(&change(1, &[(5, 0, 1)], &[]), INTERVAL),
        "beyond the window"
    );
    assert!(
        !well_formed(&change(1, &[(1, 1, 1)], &[]), INTERVAL),
        "not an earlier view"
    );
    assert!(
        !well_formed(&change(2, &[(1, 0, 1), (1, 1, 2)], &[]), INTERVAL),
        "twice"
    );
    let many: Vec<_> = (0..5).map(|byte| (1, u64::from(byte), byte)).collect();
    assert!(
        !well_formed(&change(9, &[], &many), INTERVAL),
        "more than the bound of Q"
    );
}

/// What the three correct replicas did in one slot over some views, by the protocol's rules as far as they bind single
/// replicas: in each view the primary proposes one batch to each (a liar may propose two), some prepare, some commit.
#[derive(Clone, Debug)]
struct History {
    p: [Option<(u64, u8)>; 3],
    q: [Vec<(u64, u8)>; 3],
    committed: Option<u8>,
}

fn history() -> impl Strategy<Value = History> {
    // Per view: a batch for each correct replica (0: none), who of them prepares, whether the liar helps.
    let view = (prop::array::uniform3(0_u8..3), 0_u8..8, any::<bool>());
    prop::collection::vec(view, 1..4).prop_map(|views| {
        let mut history = History {
            p: [None; 3],
            q: [Vec::new(), Vec::new(), Vec::new()],
            committed: None,
        };
        for (view, (proposals, reach, helps)) in views.into_iter().enumerate() {
            let view = view as u64;
            for batch in 1..3_u8 {
                // Once something is committed, no new view proposes anything else.
                if history
                    .committed
                    .is_some_and(|committed| committed != batch)
                {
                    continue;
                }
                let accepts: Vec<_> = (0..3).filter(|&i| proposals[i] == batch).collect();
                for &i in &accepts {
                    history.q[i].retain(|&(_, known)| known != batch);
                    history.q[i].push((view, batch));
                }
                if accepts.len() + usize::from(helps) < 3 {
                    continue;
                }
                let prepared: Vec<_> = accepts.iter().filter(|&&i| reach >> i & 1 == 1).collect();
                for &&i in &prepared {
                    history.p[i] = Some((view, batch));
                }
                if prepared.len() + usize::from(helps) >= 3 {
                    history.committed = Some(batch);
                }
            }
        }
        history
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Whatever the liar claims and whoever's view changes are shown: what may have been committed is chosen, or
    /// nothing is decided yet. With those of all correct replicas something always is.
    #[test]
    fn never_another_batch_than_the_committed_one(
        history in history(),
        lie_p in prop::option::of((0_u64..6, 1_u8..4)),
        lie_q in prop::collection::vec((0_u64..6, 1_u8..4), 0..3),
        leave_out in 0_usize..4,
    ) {
        let mut changes = Vec::new();
        for i in 0..3 {
            let p: Vec<_> = history.p[i].iter().map(|&(v, d)| (1, v, d)).collect();
            let q: Vec<_> = history.q[i].iter().map(|&(v, d)| (1, v, d)).collect();
            changes.push(change(9, &p, &q));
        }
        let p: Vec<_> = lie_p.iter().map(|&(v, d)| (1, v, d)).collect();
        let q: Vec<_> = lie_q.iter().map(|&(v, d)| (1, v, d)).collect();
        changes.push(change(9, &p, &q));
        let liar_shown = leave_out != 3;
        changes.remove(leave_out);
        let chosen = run(&changes);
        if let (Some(chosen), Some(committed)) = (&chosen, history.committed) {
            prop_assert_eq!(&chosen[..], &[(1, digest(committed))][..]);
        }
        if !liar_shown {
            prop_assert!(chosen.is_some(), "all correct replicas' view changes suffice");
        }
    }
}

#[test]
fn the_members_order_does_not_matter() {
    let p = [(1, 3, 5)];
    let mut changes = vec![
        change(9, &p, &p),
        change(9, &[(1, 2, 4)], &[(1, 3, 5)]),
        change(9, &[], &p),
        change(9, &[(1, 5, 9)], &[]),
    ];
    let first = run(&changes);
    changes.reverse();
    assert_eq!(first, run(&changes));
    assert_eq!(first, Some(vec![(1, digest(5))]));
}

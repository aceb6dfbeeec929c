use super::*;
use hedgerow_base::NodeId;
use std::sync::Arc;

fn batch(slot: u64, operation: &'static str) -> Batch {
    Batch {
        slot: Slot(slot),
        time_ms: slot,
        operations: Arc::new([Operation {
            client: NodeId(4),
            number: slot,
            operation: Bytes::from_static(operation.as_bytes()),
        }]),
    }
}

/// Does all that it was told, and gives what it did, in short.
fn work(application: &mut Application) -> Vec<(&'static str, u64)> {
    let mut done = Vec::new();
    loop {
        done.extend(application.catch_up());
        let Some(executed) = application.execute() else {
            break;
        };
        done.push(executed);
    }
    let word = |done: &Done| match done {
        Done::Executed { slot, .. } => ("executed", slot.0),
        Done::Settled { slot, .. } => ("settled", slot.0),
        Done::RolledBack(slot) => ("rolled back", slot.0),
        Done::Epoch(epoch) => ("epoch", epoch.unwrap_or(u64::MAX)),
    };
    done.iter().map(word).collect()
}

#[test]
fn everything_is_done_in_the_order_it_was_told() {
    for leave_out in [false, true] {
        let mut application = Application::new(8);
        application.decide(batch(1, "a"), None);
        application.settle(Slot(1));
        application.decide(batch(2, "b"), None);
        application.decide(batch(3, "c"), None);
        application.roll_back(Slot(1), leave_out);
        application.decide(batch(2, "d"), None);
        application.settle(Slot(2));
        assert_eq!(application.backlog(), if leave_out { 2 } else { 4 });
        let mut expected = vec![
            ("executed", 1),
            ("settled", 1),
            ("executed", 2),
            ("executed", 3),
            ("rolled back", 1),
            ("executed", 2),
            ("settled", 2),
        ];
        if leave_out {
            expected.drain(2..4);
        }
        assert_eq!(work(&mut application), expected);
        assert_eq!(
            (application.executed(), application.settled()),
            (Slot(2), Slot(2))
        );
        assert_eq!(application.batch(Slot(2)), Some(batch(2, "d")));

        let mut straight = Application::new(8);
        straight.decide(batch(1, "a"), None);
        straight.decide(batch(2, "d"), None);
        work(&mut straight);
        assert_eq!(application.state(), straight.state());
    }
}

#[test]
fn what_is_not_final_is_neither_answered_nor_given_away_nor_stored() {
    let mut application = Application::new(8);
    application.decide(batch(1, "a"), None);
    application.settle(Slot(1));
    application.decide(batch(2, "b"), None);
    work(&mut application);
    assert_eq!(position_in(&application.answer()), Some(1));
    assert_eq!(application.batch(Slot(2)), None);
    assert_eq!(application.sync(Slot(2)), Slot(1));
    application.crash(&mut Rng::new(1));
    assert_eq!(
        (application.executed(), application.settled()),
        (Slot(1), Slot(1))
    );
}

#[test]
fn a_crash_keeps_what_was_stored_and_perhaps_more_of_what_is_final() {
    let mut kept = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let mut application = Application::new(8);
        for slot in 1..=6 {
            application.decide(batch(slot, "a"), None);
        }
        application.settle(Slot(4));
        work(&mut application);
        application.sync(Slot(2));
        application.crash(&mut Rng::new(seed));
        kept.insert(application.executed().0);
    }
    assert_eq!(kept.into_iter().collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn what_was_final_before_a_restart_survives_a_rollback_behind_it() {
    let mut application = Application::new(8);
    application.decide(batch(1, "a"), None);
    application.decide(batch(2, "b"), None);
    application.settle(Slot(2));
    work(&mut application);
    let state = application.state();
    application.sync(Slot(2));
    application.crash(&mut Rng::new(1));
    application.decide(batch(1, "a"), None);
    application.roll_back(Slot(0), false);
    application.decide(batch(1, "a"), None);
    application.decide(batch(2, "b"), None);
    work(&mut application);
    assert_eq!(
        (application.state(), application.settled()),
        (state, Slot(2))
    );
}

#[test]
fn what_comes_after_the_end_of_its_epoch_is_void_until_the_next_one_begins() {
    let next = |done: Option<Done>| match done {
        Some(Done::Executed {
            slot,
            replies,
            next,
            ..
        }) => (slot.0, replies.iter().any(|reply| reply == VOID), next),
        other => panic!("{other:?}"),
    };
    let mut application = Application::new(8);
    application.decide(batch(1, "a"), Some("next"));
    application.decide(batch(2, "b"), None);
    assert_eq!(next(application.execute()), (1, false, Some((1, "next"))));
    assert_eq!(next(application.execute()), (2, true, None));
    assert_eq!(application.executed(), Slot(1));
    // The next epoch fills the slot again, and ends in it.
    application.tell_epoch(Some(1));
    assert_eq!(application.catch_up(), [Done::Epoch(Some(1))]);
    application.decide(batch(2, "c"), Some("other"));
    assert_eq!(next(application.execute()), (2, false, Some((2, "other"))));
    application.decide(batch(3, "d"), None);
    assert_eq!(next(application.execute()), (3, true, None));
    // Undone, it has not ended.
    application.roll_back(Slot(1), false);
    application.catch_up();
    application.decide(batch(2, "e"), None);
    application.decide(batch(3, "f"), None);
    assert_eq!(next(application.execute()), (2, false, None));
    assert_eq!(next(application.execute()), (3, false, None));
    // Whoever catches up is told what is right, whichever epoch it is of.
    application.tell_epoch(None);
    application.catch_up();
    application.decide(batch(4, "g"), Some("third"));
    application.decide(batch(5, "h"), None);
    assert_eq!(next(application.execute()), (4, false, Some((2, "third"))));
    assert_eq!(next(application.execute()), (5, false, None));
}

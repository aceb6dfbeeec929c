use hedgerow_checkers::{Bounds, Order};

use crate::script::*;

#[test]
fn slot_after_slot_and_back_by_rollbacks() {
    passes(
        Order::default(),
        &[
            Start(0, 0),
            Give(0, 1, "a"),
            Final(0, 1),
            Give(0, 2, "b"),
            Give(0, 3, "c"),
            Back(0, 1),
            Give(0, 2, "c"),
            Final(0, 2),
            Give(0, 3, "b"),
            Back(0, 2),
            Give(0, 3, ""),
            Back(0, 3),
            Give(0, 4, "b"),
            Final(0, 3),
            Final(0, 4),
        ],
    );
}

#[test]
fn a_start_may_repeat_slots() {
    passes(
        Order::default(),
        &[
            Start(0, 7),
            Back(0, 7),
            Give(0, 5, "e"),
            Give(0, 6, "f"),
            Final(0, 6),
            Give(0, 7, "g"),
            Back(0, 6),
            Give(0, 7, "g"),
            Give(0, 8, "h"),
            Final(0, 7),
        ],
    );
    fails(
        Order::default(),
        &[Start(0, 7), Give(0, 9, "i")],
        "slot 9 after slot 7",
    );
    let twice = [Start(0, 7), Give(0, 6, "f"), Give(0, 6, "f")];
    fails(Order::default(), &twice, "slot 6 after slot 6");
}

#[test]
fn gaps_and_silent_rollbacks_are_found() {
    fails(
        Order::default(),
        &[Start(0, 0), Give(0, 1, "a"), Give(0, 3, "c")],
        "slot 3 after slot 1",
    );
    fails(
        Order::default(),
        &[Start(0, 0), Give(0, 1, "a"), Give(0, 1, "b")],
        "slot 1 after slot 1",
    );
}

#[test]
fn what_is_final_is_not_rolled_back() {
    fails(
        Order::default(),
        &[
            Start(0, 0),
            Give(0, 1, "a"),
            Give(0, 2, "b"),
            Final(0, 1),
            Final(0, 2),
            Back(0, 1),
        ],
        "behind slot 2",
    );
}

#[test]
fn what_is_final_is_what_was_executed() {
    fails(
        Order::default(),
        &[Start(0, 0), Give(0, 1, "a"), Call(0, 1, "b")],
        "has executed Some",
    );
    fails(
        Order::default(),
        &[Start(0, 0), Give(0, 1, "a"), Back(0, 0), Final(0, 1)],
        "has executed None",
    );
}

#[test]
fn nobody_runs_ahead_without_end() {
    let mut run = vec![Start(0, 0)];
    run.extend((1..=2_048).map(|slot| Give(0, slot, "")));
    passes(Bounds::default(), &run);
    let mut settled = run.clone();
    settled.extend([Final(0, 1), Give(0, 2_049, "")]);
    passes(Bounds::default(), &settled);
    run.push(Give(0, 2_049, ""));
    fails(Bounds::default(), &run, "more than 2048 ahead");
}

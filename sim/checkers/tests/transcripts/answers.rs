use hedgerow_checkers::{Claims, Durability, Linearizability};

use crate::script::*;

/// Two operations are executed everywhere and answered, then rolled back and brought back in their order, then final.
const BACK_IN_PLACE: &[Line] = &[
    Start(0, 0),
    Start(1, 0),
    Start(2, 0),
    Heal,
    Invoke('a'),
    Invoke('b'),
    Give(0, 1, "a"),
    Give(0, 2, "b"),
    Give(1, 1, "a"),
    Give(1, 2, "b"),
    Answer('a', 1),
    Answer('b', 2),
    Back(0, 0),
    Back(1, 0),
    Give(0, 1, "ab"),
    Give(1, 1, "ab"),
    Give(2, 1, "ab"),
    Final(0, 1),
    Final(1, 1),
    Final(2, 1),
    End,
];

#[test]
fn an_answer_may_come_before_anything_is_final() {
    passes(Durability::default(), BACK_IN_PLACE);
    passes(Claims::default(), BACK_IN_PLACE);
    passes(Linearizability::default(), BACK_IN_PLACE);
}

#[test]
fn what_is_final_first_is_answered_as_well() {
    let run = [
        Start(0, 0),
        Invoke('a'),
        Give(0, 1, "a"),
        Final(0, 1),
        Answer('a', 1),
        Start(1, 0),
        Start(2, 0),
        Give(1, 1, "a"),
        Final(1, 1),
        Give(2, 1, "a"),
        Final(2, 1),
        End,
    ];
    passes(Durability::default(), &run);
    passes(Claims::default(), &run);
    passes(Linearizability::default(), &run);
}

#[test]
fn an_answer_for_what_nobody_executed_is_found() {
    let run = [Start(0, 0), Invoke('a'), Answer('a', 1)];
    fails(Durability::default(), &run, "no correct replica");
    fails(Linearizability::default(), &run, "is at []");
}

#[test]
fn an_answer_for_what_was_rolled_back_everywhere_is_found() {
    let run = [
        Start(0, 0),
        Invoke('a'),
        Give(0, 1, "a"),
        Back(0, 0),
        Answer('a', 1),
    ];
    fails(Durability::default(), &run, "no correct replica");
    fails(Linearizability::default(), &run, "is at []");
}

#[test]
fn what_was_executed_before_a_crash_counts_until_something_else_takes_its_place() {
    let begin = [Start(0, 0), Invoke('a'), Give(0, 1, "a"), Start(0, 0)];
    passes(
        Durability::default(),
        &[&begin[..], &[Answer('a', 1)]].concat(),
    );
    let other = [&begin[..], &[Give(0, 1, ""), Answer('a', 1)]].concat();
    fails(Durability::default(), &other, "no correct replica");
    let lost = [&begin[..3], &[Lose(0), Start(0, 0), Answer('a', 1)]].concat();
    fails(Durability::default(), &lost, "no correct replica");
}

#[test]
fn another_position_than_any_replica_has_is_found() {
    let run = [
        Start(0, 0),
        Invoke('a'),
        Invoke('b'),
        Give(0, 1, "a"),
        Final(0, 1),
        Give(0, 2, "b"),
        Answer('b', 1),
    ];
    fails(Linearizability::default(), &run, "is at [2]");
}

#[test]
fn a_position_told_twice_is_found() {
    let run = [
        Start(0, 0),
        Start(1, 0),
        Invoke('a'),
        Invoke('b'),
        Give(0, 1, "a"),
        Answer('a', 1),
        Give(1, 1, "b"),
        Answer('b', 1),
    ];
    fails(Claims::default(), &run, "had been told");
}

#[test]
fn an_answer_that_the_final_order_contradicts_is_found() {
    let begin = [
        Start(0, 0),
        Invoke('a'),
        Invoke('b'),
        Give(0, 1, "a"),
        Answer('a', 1),
        Back(0, 0),
    ];
    let replaced = [&begin[..], &[Give(0, 1, "b"), Final(0, 1)]].concat();
    fails(Claims::default(), &replaced, "is final");
    // One slot of two operations: at its own position there is another.
    let moved = [&begin[..], &[Give(0, 1, "ba"), Final(0, 1)]].concat();
    fails(Claims::default(), &moved, "is final");
    // Told after it was final, and wrongly.
    let late = [&begin[..4], &[Final(0, 1), Answer('a', 2)]].concat();
    fails(Claims::default(), &late, "is final at 1");
}

#[test]
fn an_answer_that_never_becomes_final_is_found() {
    let run = [
        Start(0, 0),
        Start(1, 0),
        Start(2, 0),
        Invoke('a'),
        Give(0, 1, "a"),
        Answer('a', 1),
        End,
    ];
    fails(Claims::default(), &run, "nothing is final at the end");
    fails(Durability::default(), &run, "never became final");
}

#[test]
fn a_replica_of_the_core_that_lacks_an_answered_operation_is_found() {
    let run = [
        Start(0, 0),
        Start(1, 0),
        Start(2, 0),
        Invoke('a'),
        Give(0, 1, "a"),
        Final(0, 1),
        Answer('a', 1),
        Give(1, 1, "a"),
        Final(1, 1),
        Give(2, 1, "a"),
        End,
    ];
    fails(Durability::default(), &run, "2 ends at slot 0");
}

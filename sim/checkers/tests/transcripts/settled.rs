use hedgerow_base::NodeSet;
use hedgerow_checkers::{Agreement, Validity};

use crate::script::*;

#[test]
fn replicas_may_differ_in_what_is_not_final() {
    passes(
        Agreement::default(),
        &[
            Start(0, 0),
            Start(1, 0),
            Give(0, 1, "a"),
            Give(1, 1, "b"),
            Back(1, 0),
            Give(1, 1, "a"),
            Final(0, 1),
            Final(1, 1),
            State(0, 1, 9),
            State(1, 1, 9),
        ],
    );
}

#[test]
fn two_final_batches_in_a_slot_are_found() {
    fails(
        Agreement::default(),
        &[
            Start(0, 0),
            Start(1, 0),
            Give(0, 1, "a"),
            Give(1, 1, "b"),
            Final(0, 1),
            Final(1, 1),
        ],
        "slot 1",
    );
    fails(
        Agreement::default(),
        &[Start(0, 0), Give(0, 1, "a"), Give(0, 2, "b"), Final(0, 2)],
        "slot 2 final after slot 0",
    );
}

#[test]
fn two_states_after_a_slot_are_found() {
    fails(
        Agreement::default(),
        &[State(0, 1, 9), State(1, 1, 8)],
        "after slot 1",
    );
}

fn validity() -> Validity {
    Validity::new(NodeSet::EMPTY)
}

#[test]
fn what_was_rolled_back_may_be_executed_again_elsewhere() {
    passes(
        validity(),
        &[
            Start(0, 0),
            Start(1, 0),
            Invoke('a'),
            Invoke('b'),
            Give(0, 1, "a"),
            Give(0, 2, "b"),
            Back(0, 0),
            Give(0, 1, "b"),
            Give(0, 2, "a"),
            Final(0, 1),
            Final(0, 2),
            // Another one is still in error.
            Give(1, 1, "a"),
            Give(1, 2, "b"),
            Back(1, 0),
            Give(1, 1, "ba"),
        ],
    );
}

#[test]
fn a_restarted_replica_executes_again_what_it_had() {
    passes(
        validity(),
        &[
            Start(0, 0),
            Invoke('a'),
            Invoke('b'),
            Give(0, 1, "a"),
            Final(0, 1),
            Give(0, 2, "b"),
            Start(0, 1),
            Give(0, 1, "a"),
            Final(0, 1),
            Give(0, 2, "b"),
            Final(0, 2),
        ],
    );
}

#[test]
fn what_nobody_invoked_is_found_before_it_is_final() {
    fails(
        validity(),
        &[Start(0, 0), Invoke('a'), Give(0, 1, "a"), Give(0, 2, "b")],
        "never invoked",
    );
    fails(validity(), &[Start(0, 0), Call(0, 1, "a")], "never invoked");
}

#[test]
fn an_operation_executed_twice_is_found_before_it_is_final() {
    let begin = [Start(0, 0), Invoke('a'), Invoke('b')];
    for end in [
        &[Give(0, 1, "aa")][..],
        &[Give(0, 1, "ab"), Give(0, 2, "a")],
        &[Give(0, 1, "a"), Final(0, 1), Give(0, 2, "ba")],
        // Final elsewhere, and had here.
        &[
            Give(0, 1, "a"),
            Final(0, 1),
            Start(1, 1),
            Final(0, 1),
            Give(0, 2, "a"),
        ],
    ] {
        fails(validity(), &[&begin[..], end].concat(), "number 97");
    }
}

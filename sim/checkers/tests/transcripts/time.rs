use hedgerow_checkers::{Linearizability, Progress};

use crate::script::*;

#[test]
fn real_time_is_kept_over_what_is_not_final() {
    // 'b' is asked after 'a' was answered at 2, and gets the first position at a replica that never heard of it.
    let run = [
        Start(0, 0),
        Start(1, 0),
        Invoke('c'),
        Invoke('a'),
        Give(0, 1, "ca"),
        Answer('a', 2),
        Invoke('b'),
        Give(1, 1, "b"),
        Answer('b', 1),
    ];
    fails(Linearizability::default(), &run, "2 was answered before");
}

#[test]
fn a_query_sees_what_was_answered_and_nothing_that_nobody_executed() {
    let begin = [
        Start(0, 0),
        Invoke('a'),
        Invoke('b'),
        Give(0, 1, "a"),
        Final(0, 1),
        Give(0, 2, "b"),
        Answer('b', 2),
        Ask('q'),
    ];
    let answered = |length| [&begin[..], &[Answer('q', length)]].concat();
    passes(Linearizability::default(), &answered(2));
    fails(
        Linearizability::default(),
        &answered(1),
        "position 2 was answered",
    );
    fails(
        Linearizability::default(),
        &answered(3),
        "only 2 were ever executed",
    );
}

#[test]
fn a_batch_that_becomes_final_is_progress() {
    let run = [Start(0, 0), Heal, Pass(9), Give(0, 1, ""), Final(0, 1), End];
    passes(Progress::default(), &run);
    let late = [Start(0, 0), Heal, Give(0, 1, ""), Pass(11), Final(0, 1)];
    fails(Progress::default(), &late, "took 11000 ms");
}

#[test]
fn an_answer_is_progress_unless_it_was_due_before() {
    let run = [
        Start(0, 0),
        Invoke('a'),
        Heal,
        Give(0, 1, "a"),
        Pass(9),
        Answer('a', 1),
        Pass(20),
        End,
    ];
    passes(Progress::default(), &run);
    let due = [
        Start(0, 0),
        Invoke('a'),
        Give(0, 1, "a"),
        Final(0, 1),
        Heal,
        Answer('a', 1),
        End,
    ];
    fails(Progress::default(), &due, "nothing new");
}

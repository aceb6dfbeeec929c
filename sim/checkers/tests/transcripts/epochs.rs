//! Order across epochs: a network of four, in which replica 3 lies and nobody observes it.

use hedgerow_base::{Digest, NodeId, Slot};
use hedgerow_checkers::Epochs;
use hedgerow_world::{Checker, Observation, Place, Showing, Shown};

/// A place: its slot, and which history it is in.
const fn at(slot: u64, history: u8) -> Place {
    (Slot(slot), Digest([history; 32]))
}

/// A history from a slot on: one place for each of these.
fn from(slot: u64, histories: &[u8]) -> Vec<Place> {
    let histories = histories.iter().zip(slot..);
    histories
        .map(|(history, slot)| at(slot, *history))
        .collect()
}

fn answered(place: Place) -> Showing {
    Showing::Answered(place)
}

fn ended(through: &[Place]) -> Showing {
    Showing::Ended {
        through: through.to_vec(),
        agreed: false,
    }
}

fn agreed(place: Place) -> Showing {
    Showing::Ended {
        through: vec![place],
        agreed: true,
    }
}

/// What these ends prove, where two must agree.
fn began(ends: &[(u32, &[Place])], adopted: bool) -> Showing {
    let ends = ends.iter();
    Showing::Began {
        ends: ends
            .map(|(node, through)| (NodeId(*node), through.to_vec()))
            .collect(),
        agree: 2,
        adopted,
    }
}

/// What the checker says of a run.
fn judge(run: &[(u32, u64, Showing)]) -> Result<(), String> {
    let mut checker = Epochs::default();
    for node in 0..3 {
        let node = NodeId(node);
        let executed = Slot::ZERO;
        checker.observe(0, &Observation::Started { node, executed })?;
    }
    for (node, epoch, what) in run {
        let shown = Shown {
            epoch: *epoch,
            what: what.clone(),
        };
        let node = NodeId(*node);
        checker.observe(0, &Observation::Showed { node, shown })?;
    }
    Ok(())
}

fn everyone_answered(epoch: u64, place: Place) -> Vec<(u32, u64, Showing)> {
    (0..3).map(|node| (node, epoch, answered(place))).collect()
}

#[test]
fn what_is_committed_goes_on() {
    let long = from(0, &[0, 1, 1, 2]);
    let short = from(0, &[0, 1, 1]);
    let mut run = everyone_answered(1, at(1, 1));
    run.extend(everyone_answered(1, at(2, 1)));
    run.extend([
        (0, 1, ended(&long)),
        (1, 1, ended(&short)),
        (2, 1, ended(&short)),
        (
            0,
            2,
            began(&[(0, &long), (1, &short), (3, &from(0, &[0]))], true),
        ),
        (0, 2, answered(at(3, 5))),
        (0, 2, ended(&from(0, &[0, 1, 1, 5]))),
    ]);
    assert_eq!(judge(&run), Ok(()));
}

#[test]
fn two_histories_cannot_both_be_committed() {
    // A replica that answers in two histories is found before anything is committed.
    let run = [(0, 1, answered(at(1, 1))), (0, 1, answered(at(1, 2)))];
    assert!(judge(&run).is_err());
}

#[test]
fn the_next_epoch_begins_with_what_is_committed() {
    // Two that agree left the second slot out, of which one is correct: it cannot have answered.
    let long = from(0, &[0, 1, 1]);
    let short = from(0, &[0, 1]);
    let proof = began(&[(0, &long), (1, &short), (3, &short)], false);
    let mut run = everyone_answered(1, at(1, 1));
    run.push((0, 2, proof.clone()));
    assert_eq!(judge(&run), Ok(()));
    run.extend(everyone_answered(1, at(2, 1)));
    assert!(judge(&run).is_err(), "the commitment came after the proof");
    let mut run = everyone_answered(1, at(2, 1));
    run.push((0, 2, proof));
    assert!(judge(&run).is_err(), "the proof came after the commitment");
}

#[test]
fn a_place_that_no_two_ends_share_begins_nothing() {
    let ends: [(u32, &[Place]); 2] = [(0, &from(1, &[1])), (3, &from(1, &[2]))];
    assert!(judge(&[(0, 2, began(&ends, false))]).is_err());
    // One replica counts once, however often it is there.
    let ends: [(u32, &[Place]); 2] = [(3, &from(1, &[1])), (3, &from(1, &[1]))];
    assert!(judge(&[(0, 2, began(&ends, false))]).is_err());
}

/// With a rule of f where f + 1 are needed, the liar's longer end alone decides; and an instance that begins so is found.
#[test]
fn a_rule_of_f_is_found() {
    let honest = from(0, &[0, 1, 1]);
    let liars = from(0, &[0, 1, 9, 9]);
    let proof = began(&[(0, &honest), (1, &honest), (3, &liars)], true);
    let run = |through: &[Place]| {
        let mut run = everyone_answered(1, at(2, 1));
        run.push((0, 2, proof.clone()));
        run.push((0, 2, ended(through)));
        judge(&run)
    };
    assert_eq!(run(&honest), Ok(()));
    assert!(run(&liars).is_err());
}

#[test]
fn a_replica_ends_with_all_that_it_answered_and_answers_nothing_after() {
    let run = [
        (0, 1, answered(at(3, 1))),
        (0, 1, ended(&from(0, &[0, 1, 1]))),
    ];
    assert!(judge(&run).is_err());
    let run = [
        (0, 1, ended(&from(0, &[0, 1, 1]))),
        (0, 1, answered(at(3, 1))),
    ];
    assert!(judge(&run).is_err());
}

#[test]
fn where_all_agree_they_end_at_one_place() {
    assert_eq!(
        judge(&[(0, 2, agreed(at(4, 1))), (1, 2, agreed(at(4, 1)))]),
        Ok(())
    );
    assert!(judge(&[(0, 2, agreed(at(4, 1))), (1, 2, agreed(at(5, 1)))]).is_err());
}

#[test]
fn whoever_loses_its_memory_may_end_with_less() {
    let mut checker = Epochs::default();
    let node = NodeId(0);
    let show = |what| Observation::Showed {
        node,
        shown: Shown { epoch: 1, what },
    };
    checker.observe(0, &show(answered(at(3, 1)))).unwrap();
    checker
        .observe(0, &Observation::LostMemory { node })
        .unwrap();
    checker.observe(0, &show(ended(&from(0, &[0, 1])))).unwrap();
}

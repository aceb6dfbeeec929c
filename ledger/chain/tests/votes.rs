//! How the validators vote for another ordering protocol, and what the ledger then says of the order.

mod common;

use common::*;
use hedgerow_base::{Height, NodeId, Slot, Time};
use hedgerow_chain::{Answer, Epoch, Ledger, MAX_OPEN_VOTES, ProtocolSummary, Query};
use hedgerow_kv::{KvStore, MemoryStore};
use hedgerow_records::{Algorithm, Receipt, Rejection, SignedVote, Transaction, Vote, proposal_id};

fn ledger() -> Ledger<MemoryStore> {
    Ledger::open(MemoryStore::new(), genesis()).unwrap()
}

/// How many votes there are, and the epoch that began.
fn counted(receipt: &Receipt) -> (u32, Option<u64>) {
    match receipt {
        Receipt::Voted {
            votes,
            needed: 3,
            began,
            ..
        } => (*votes, *began),
        other => panic!("{other:?}"),
    }
}

fn rejected(receipt: &Receipt) -> &Rejection {
    match receipt {
        Receipt::Rejected { reason } => reason,
        other => panic!("{other:?}"),
    }
}

fn summary<S: KvStore>(ledger: &Ledger<S>) -> ProtocolSummary {
    match ledger.query(&Query::Protocol).unwrap() {
        Answer::Protocol(summary) => summary,
        other => panic!("{other:?}"),
    }
}

/// Name and voters of each open proposal of the stable state.
fn open<S: KvStore>(ledger: &Ledger<S>) -> Vec<(String, Vec<u32>)> {
    let summary = summary(ledger);
    let newest = summary.epochs.last().unwrap().number;
    let proposals = summary.proposals.iter().map(|open| {
        let id = proposal_id(&genesis().digest(), newest, &open.protocol);
        assert_eq!(open.id, id);
        let voters = open.voters.iter().map(|voter| voter.0).collect();
        (open.protocol.to_string(), voters)
    });
    proposals.collect()
}

fn epoch(number: u64, protocol: &str, slot: u64, height: u64, millis: u64) -> Epoch {
    Epoch {
        number,
        protocol: protocol.into(),
        base: Slot(slot),
        height: Height(height),
        time: Time::from_millis(millis),
    }
}

#[test]
fn a_quorum_of_validators_begins_the_next_epoch_in_the_slot_of_the_last_vote() {
    let mut ledger = ledger();
    let first = epoch(0, "pbft", 0, 0, 1_700_000_000_000);
    assert_eq!(ledger.epoch().unwrap(), first);
    assert_eq!(ledger.epoch_after(0).unwrap(), None);

    let receipts = run(&mut ledger, [vote(2, 0, "aliph")]);
    let id = proposal_id(&genesis().digest(), 0, "aliph");
    assert_eq!(
        receipts,
        [Receipt::Voted {
            proposal: id,
            height: Height(1),
            votes: 1,
            needed: 3,
            began: None,
        }]
    );
    run(&mut ledger, [vote(0, 0, "aliph"), vote(0, 0, "chain")]);
    assert_eq!(
        open(&ledger),
        [("aliph".into(), vec![0, 2]), ("chain".into(), vec![0])]
    );
    assert_eq!(ledger.epoch().unwrap(), first);

    // Slots without a block count too: the base is a slot, not a height.
    ledger.execute(Slot(3), Time::ZERO, &[]).unwrap();
    let receipts = run(&mut ledger, [vote(3, 0, "aliph")]);
    assert_eq!(counted(&receipts[0]), (3, Some(1)));
    let second = epoch(1, "aliph", 4, 3, 1_700_000_000_200);
    assert_eq!(ledger.epoch().unwrap(), second);
    assert_eq!(ledger.epoch_after(0).unwrap(), Some(second.clone()));
    assert_eq!(ledger.epoch_after(1).unwrap(), None);
    assert_eq!(ledger.epoch_after(u64::MAX).unwrap(), None);

    // Long past epochs are still known.
    for validator in [1, 2, 3] {
        run(&mut ledger, [vote(validator, 1, "pbft")]);
    }
    let third = epoch(2, "pbft", 7, 6, 1_700_000_000_350);
    assert_eq!(ledger.epoch().unwrap(), third);
    assert_eq!(ledger.epoch_after(0).unwrap(), Some(second));
    assert_eq!(ledger.epoch_after(1).unwrap(), Some(third));
    let summary = summary(&ledger);
    let epochs: Vec<_> = summary
        .epochs
        .iter()
        .map(|epoch| (epoch.number, &*epoch.protocol, epoch.base.0, epoch.height.0))
        .collect();
    assert_eq!(
        epochs,
        [(0, "pbft", 0, 0), (1, "aliph", 4, 3), (2, "pbft", 7, 6)]
    );
    assert_eq!((summary.needed, summary.proposals.len()), (3, 0));
}

#[test]
fn a_vote_counts_once_however_often_it_comes() {
    let mut ledger = ledger();
    let once = vote(1, 0, "aliph");
    let receipts = run(&mut ledger, [once.clone(), once.clone()]);
    assert_eq!([&receipts[0], &receipts[1]].map(counted), [(1, None); 2]);
    let root = ledger.head().header.state_root;
    let receipts = run(&mut ledger, [once]);
    assert_eq!(counted(&receipts[0]), (1, None));
    assert_eq!(
        ledger.head().header.state_root,
        root,
        "it changed the state"
    );
    assert_eq!(open(&ledger), [("aliph".into(), vec![1])]);
}

#[test]
fn votes_lapse_with_their_epoch_and_leave_nothing_in_the_state() {
    let decide = [
        vote(0, 0, "aliph"),
        vote(1, 0, "aliph"),
        vote(2, 0, "aliph"),
    ];
    let mut plain = ledger();
    run(&mut plain, decide.clone());
    let mut ledger = ledger();
    let with_more = [vote(3, 0, "chain"), vote(2, 0, "backup")];
    run(&mut ledger, with_more.into_iter().chain(decide));
    assert_eq!(open(&ledger), []);
    assert_eq!(
        ledger.head().header.state_root,
        plain.head().header.state_root
    );

    // Neither a late vote nor an early one counts, and the same names can be voted for anew.
    let receipts = run(
        &mut ledger,
        [
            vote(1, 0, "chain"),
            vote(1, 2, "chain"),
            vote(1, 1, "aliph"),
            vote(1, 1, "chain"),
        ],
    );
    let wrong = |found| Rejection::WrongEpoch { found, current: 1 };
    assert_eq!(*rejected(&receipts[0]), wrong(0));
    assert_eq!(*rejected(&receipts[1]), wrong(2));
    let protocol = "aliph".parse().unwrap();
    assert_eq!(
        *rejected(&receipts[2]),
        Rejection::OrdersAlready { protocol }
    );
    assert_eq!(counted(&receipts[3]), (1, None));
    assert_eq!(open(&ledger), [("chain".into(), vec![1])]);
}

#[test]
fn one_epoch_at_most_begins_in_a_slot_and_the_rest_of_the_slot_is_executed() {
    let mut ledger = ledger();
    let key = device(Algorithm::Ed25519, 9);
    let operations = [
        bundle([
            vote(0, 0, "aliph"),
            vote(1, 0, "aliph"),
            vote(2, 0, "aliph"),
            vote(3, 0, "aliph"),
            vote(3, 1, "chain"),
            registration(&key, "d"),
        ]),
        bundle([vote(0, 1, "chain"), record(&key, "t", &[(0, "a")])]),
    ];
    let executed = execute(&mut ledger, &operations);
    let [first, second] = &executed.receipts[..] else {
        panic!()
    };
    assert_eq!(counted(&first.0[2]), (3, Some(1)));
    let late = Rejection::WrongEpoch {
        found: 0,
        current: 1,
    };
    assert_eq!(*rejected(&first.0[3]), late);
    let early = Rejection::EpochJustBegan { epoch: 1 };
    assert_eq!(*rejected(&first.0[4]), early);
    assert!(matches!(first.0[5], Receipt::Registered { .. }));
    assert_eq!(*rejected(&second.0[0]), early);
    assert!(matches!(second.0[1], Receipt::Recorded { appended: 1, .. }));
    assert_eq!(ledger.epoch().unwrap().base, Slot(1));
    // From the next slot on.
    let receipts = run(&mut ledger, [vote(3, 1, "chain")]);
    assert_eq!(counted(&receipts[0]), (1, None));
}

#[test]
fn a_vote_that_is_not_a_validators_own_is_refused() {
    let mut ledger = ledger();
    let elsewhere = Vote {
        genesis: hedgerow_base::Digest([9; 32]),
        ..ballot(1, 0, "aliph")
    };
    let later = Vote {
        version: 2,
        ..ballot(1, 0, "aliph")
    };
    let mut uncut = vote(1, 0, "aliph");
    uncut.push(0);
    // A name with a character that names don't have.
    let odd = {
        let mut body = hedgerow_wire::encode(&ballot(1, 0, "aliph"));
        let at = body.windows(5).position(|part| part == b"aliph").unwrap();
        body[at] = b'A';
        let signature = member(1).sign(&SignedVote::message(&body)).0;
        let body = hedgerow_wire::Blob::new(body).unwrap();
        Transaction::Vote(SignedVote { body, signature }).to_bytes()
    };
    let cases = [
        (
            vote(4, 0, "aliph"),
            Rejection::NotAValidator { member: NodeId(4) },
        ),
        (
            vote(200, 0, "aliph"),
            Rejection::NotAValidator {
                member: NodeId(200),
            },
        ),
        (signed(&ballot(1, 0, "aliph"), 4), Rejection::BadSignature),
        (signed(&ballot(1, 0, "aliph"), 2), Rejection::BadSignature),
        (
            signed(&elsewhere, 1),
            Rejection::WrongGenesis {
                found: elsewhere.genesis,
            },
        ),
        (
            signed(&later, 1),
            Rejection::UnknownVersion { found: 2, known: 1 },
        ),
        (uncut, Rejection::Malformed),
        (odd, Rejection::Malformed),
        (
            vote(1, 0, "pbft"),
            Rejection::OrdersAlready {
                protocol: "pbft".parse().unwrap(),
            },
        ),
    ];
    let root = ledger.head().header.state_root;
    let (votes, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let receipts = run(&mut ledger, votes);
    let reasons: Vec<_> = receipts.iter().map(rejected).cloned().collect();
    assert_eq!(reasons, expected);
    assert_eq!(ledger.head().header.state_root, root);
    assert_eq!(open(&ledger), []);
}

#[test]
fn a_validator_has_a_bounded_number_of_open_votes() {
    let mut ledger = ledger();
    let names: Vec<_> = (0..=MAX_OPEN_VOTES).map(|n| format!("p{n}")).collect();
    let receipts = run(&mut ledger, names.iter().map(|name| vote(0, 0, name)));
    let (refused, taken) = receipts.split_last().unwrap();
    assert!(taken.iter().all(|receipt| counted(receipt) == (1, None)));
    let max = MAX_OPEN_VOTES as u32;
    assert_eq!(*rejected(refused), Rejection::TooManyVotes { max });
    // What it voted for it may vote for again; others may vote for anything.
    let receipts = run(
        &mut ledger,
        [vote(0, 0, "p0"), vote(1, 0, "p8"), vote(1, 0, "p0")],
    );
    let counts: Vec<_> = receipts.iter().map(counted).collect();
    assert_eq!(counts, [(1, None), (1, None), (2, None)]);
    assert_eq!(open(&ledger).len(), MAX_OPEN_VOTES + 1);
    // The next epoch gives them all back.
    run(&mut ledger, [vote(2, 0, "p0")]);
    let receipts = run(&mut ledger, [vote(0, 1, "p8")]);
    assert_eq!(counted(&receipts[0]), (1, None));
}

#[test]
fn a_rollback_undoes_votes_and_epochs_and_nobody_is_told_before_it_is_stable() {
    let mut ledger = ledger();
    run(&mut ledger, [vote(0, 0, "aliph")]);
    let stable = ledger.head();
    execute(&mut ledger, &[bundle([vote(1, 0, "aliph")])]);
    execute(
        &mut ledger,
        &[bundle([vote(2, 0, "aliph"), vote(2, 0, "chain")])],
    );
    // The newest executed slot says so, the stable state does not.
    assert_eq!(ledger.epoch().unwrap().number, 1);
    assert_eq!(ledger.epoch_after(0).unwrap().unwrap().base, Slot(3));
    assert_eq!(open(&ledger), [("aliph".into(), vec![0])]);
    assert_eq!(summary(&ledger).epochs.len(), 1);

    ledger.rollback_to(Slot(2));
    assert_eq!(ledger.epoch().unwrap().number, 0);
    assert_eq!(ledger.epoch_after(0).unwrap(), None);
    ledger.rollback_to(stable.slot);
    assert_eq!(ledger.head(), stable);

    // In another order it is another vote that decides.
    execute(&mut ledger, &[bundle([vote(3, 0, "aliph")])]);
    let executed = execute(&mut ledger, &[bundle([vote(1, 0, "aliph")])]);
    assert_eq!(counted(&executed.receipts[0].0[0]), (3, Some(1)));
    let blocks = ledger.stable_to(Slot(3)).unwrap();
    assert_eq!(blocks.len(), 2);
    assert_eq!(summary(&ledger).epochs.len(), 2);
}

#[test]
fn votes_and_epochs_are_there_after_a_restart() {
    let mut ledger = ledger();
    for validator in 0..3 {
        run(&mut ledger, [vote(validator, 0, "r-aliph")]);
    }
    let name = "n".repeat(32);
    run(&mut ledger, [vote(0, 1, &name), vote(3, 1, &name)]);
    run(&mut ledger, [vote(1, 1, "pbft")]);
    let (epoch, proposals, head) = (ledger.epoch().unwrap(), open(&ledger), ledger.head());
    assert_eq!((epoch.number, &*epoch.protocol), (1, "r-aliph"));
    assert_eq!(
        proposals,
        [(name.clone(), vec![0, 3]), ("pbft".into(), vec![1])]
    );

    let mut again = Ledger::open(ledger.into_store(), genesis()).unwrap();
    assert_eq!(again.head(), head);
    assert_eq!(again.epoch().unwrap(), epoch);
    assert_eq!(open(&again), proposals);
    let receipts = run(&mut again, [vote(1, 1, &name)]);
    assert_eq!(counted(&receipts[0]), (3, Some(2)));
    assert_eq!(again.epoch().unwrap().protocol, name);
    let reopened = Ledger::open(again.into_store(), genesis()).unwrap();
    assert_eq!(reopened.epoch_after(1).unwrap().unwrap().protocol, name);
    assert_eq!(open(&reopened), []);
}

#[test]
fn whoever_replays_the_batches_gets_the_same_epochs() {
    let mut ledger = ledger();
    run(&mut ledger, [vote(0, 0, "aliph"), vote(1, 0, "chain")]);
    run(&mut ledger, [vote(1, 0, "aliph"), vote(3, 0, "aliph")]);
    run(&mut ledger, [vote(3, 1, "pbft")]);
    let mut other = self::ledger();
    for batch in ledger.batches(Slot(1), 10).unwrap() {
        other
            .execute(batch.slot, batch.time, &batch.requests)
            .unwrap();
    }
    assert_eq!(other.head().hash, ledger.head().hash);
    assert_eq!(other.epoch().unwrap(), ledger.epoch().unwrap());
}

/// What a network was before there were votes, it is still: the account of the order comes with the first vote.
#[test]
fn without_votes_the_state_is_as_it_was() {
    let mut ledger = ledger();
    let root = ledger.head().header.state_root;
    run(&mut ledger, [vote(4, 0, "aliph")]);
    assert_eq!(ledger.head().header.state_root, root);
    run(&mut ledger, [vote(1, 0, "aliph")]);
    assert_ne!(ledger.head().header.state_root, root);
}

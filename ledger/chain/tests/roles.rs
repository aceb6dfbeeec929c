//! Who may do what, in blocks.

#[path = "../../evm/tests/chain/accounts.rs"]
mod accounts;
mod common;

use accounts::{Signer, counter, deploying};
use alloy_primitives::TxKind;
use common::*;
use hedgerow_base::{Height, NodeId};
use hedgerow_chain::{
    Answer, ContractAnswer, ContractQuery, Genesis, Ledger, Query, Request, RoleList, RolesSummary,
    Tracer,
};
use hedgerow_kv::MemoryStore;
use hedgerow_records::{
    Algorithm, Motion, Receipt, Rejection, RoleVote, Roles, Subject, Transaction, VERSION,
};

type Chain = Ledger<MemoryStore>;

/// A network in which nobody has roles but the members, and account 0, which may call.
fn closed() -> Genesis {
    let mut genesis = genesis();
    genesis.roles.everyone = RoleList(Roles::NONE);
    let ann = hedgerow_chain::AccountAddress(Signer::new(0).address().0.0);
    genesis.roles.accounts.insert(ann, RoleList(Roles::CALL));
    genesis
}

fn open(genesis: Genesis) -> Chain {
    Ledger::open(MemoryStore::new(), genesis).unwrap()
}

fn account(number: u8) -> Subject {
    Subject(Signer::new(number).address().0.0)
}

fn a_member(node: u32) -> Subject {
    Subject::of_member(&member(node).verifying_key())
}

fn ballot_on(ledger: &Chain, validator: u32, motion: Motion, approves: bool) -> RoleVote {
    RoleVote {
        version: VERSION,
        genesis: ledger.genesis().digest(),
        motion,
        approves,
        validator: NodeId(validator),
    }
}

fn role_vote(ledger: &Chain, validator: u32, motion: Motion) -> Vec<u8> {
    let vote = ballot_on(ledger, validator, motion, true);
    Transaction::RoleVote(vote.sign(&member(validator))).to_bytes()
}

fn motion(subject: Subject, round: u64, roles: Roles) -> Motion {
    Motion {
        subject,
        round,
        roles,
    }
}

/// Three validators' votes for it.
fn votes(ledger: &Chain, motion: Motion) -> Vec<Vec<u8>> {
    (0..3).map(|node| role_vote(ledger, node, motion)).collect()
}

fn decided(receipt: &Receipt) -> bool {
    matches!(receipt, Receipt::RoleVoted { decided: true, .. })
}

fn summary(ledger: &Chain) -> RolesSummary {
    let query = Query::Roles {
        after: None,
        limit: 1000,
    };
    match ledger.query(&query).unwrap() {
        Answer::Roles(summary) => summary,
        other => panic!("{other:?}"),
    }
}

fn roles_of(ledger: &Chain, subject: Subject) -> Roles {
    let summary = summary(ledger);
    let mut all = summary.subjects.iter();
    let found = all.find(|one| one.subject == subject);
    found.map_or(Roles::NONE, |one| one.roles)
}

fn refusal(receipt: &Receipt) -> String {
    match receipt {
        Receipt::Rejected { reason } => reason.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_outsider_is_refused_and_who_may_call_may_not_deploy() {
    let mut ledger = open(closed());
    let (ann, bob) = (Signer::new(0), Signer::new(1));
    let to = TxKind::Call(bob.address());
    let receipts = run(
        &mut ledger,
        [
            ann.send(0, to, 0, &[]),
            ann.send(1, TxKind::Create, 0, &deploying(&counter())),
            bob.send(0, to, 0, &[]),
        ],
    );
    assert!(matches!(
        receipts[0],
        Receipt::Executed { success: true, .. }
    ));
    assert!(refusal(&receipts[1]).contains("lacks the role `deploy`"));
    assert!(refusal(&receipts[2]).contains("lacks the role `call`"));
    // Nothing of it happened: the same may be sent when it is allowed.
    assert_eq!(ledger.contract_receipts(Height(1)).unwrap().len(), 1);
}

#[test]
fn a_decision_holds_from_the_next_block_on() {
    let mut ledger = open(closed());
    let bob = Signer::new(1);
    let to = TxKind::Call(bob.address());
    let grant = motion(account(1), 0, Roles::CALL);
    let mut transactions = votes(&ledger, grant);
    transactions.push(bob.send(0, to, 0, &[]));
    let receipts = run(&mut ledger, transactions);
    assert!(decided(&receipts[2]), "{receipts:?}");
    assert!(refusal(&receipts[3]).contains("lacks the role"));
    assert_eq!(roles_of(&ledger, account(1)), Roles::CALL);
    let receipts = run(&mut ledger, [bob.send(0, to, 0, &[])]);
    assert!(matches!(
        receipts[0],
        Receipt::Executed { success: true, .. }
    ));

    // What is taken is gone with the next block, too.
    let revoke = motion(account(1), 1, Roles::NONE);
    let mut transactions = votes(&ledger, revoke);
    transactions.push(bob.send(1, to, 0, &[]));
    let receipts = run(&mut ledger, transactions);
    assert!(matches!(
        receipts[3],
        Receipt::Executed { success: true, .. }
    ));
    let receipts = run(&mut ledger, [bob.send(2, to, 0, &[])]);
    assert!(refusal(&receipts[0]).contains("lacks the role"));
    assert_eq!(roles_of(&ledger, account(1)), Roles::NONE);
    assert!(summary(&ledger).motions.is_empty());
}

#[test]
fn only_validators_vote_each_with_its_own_key_for_this_network() {
    let mut ledger = open(closed());
    let grant = motion(account(1), 0, Roles::CALL);
    let good = ballot_on(&ledger, 0, grant, true);
    let by =
        |vote: &RoleVote, signer: u32| Transaction::RoleVote(vote.sign(&member(signer))).to_bytes();
    let gateways = RoleVote {
        validator: NodeId(4),
        ..good.clone()
    };
    let elsewhere = RoleVote {
        genesis: hedgerow_base::Digest([1; 32]),
        ..good.clone()
    };
    let later = RoleVote {
        version: 2,
        ..good.clone()
    };
    let receipts = run(
        &mut ledger,
        [
            by(&gateways, 4),
            by(&good, 1),
            by(&elsewhere, 0),
            by(&later, 0),
            by(&good, 0),
        ],
    );
    let reasons: Vec<_> = receipts[..4].iter().map(refusal).collect();
    for (reason, expected) in reasons.iter().zip([
        "not a validator",
        "signature is not valid",
        "network of genesis",
        "version 2",
    ]) {
        assert!(reason.contains(expected), "{reason}");
    }
    let Receipt::RoleVoted {
        motion: id,
        votes,
        needed,
        decided,
        ..
    } = &receipts[4]
    else {
        panic!("{receipts:?}")
    };
    assert_eq!((*votes, *needed, *decided), (1, 3, false));
    let open = &summary(&ledger).motions;
    assert_eq!((open[0].id, open[0].motion), (*id, grant));
    assert_eq!(open[0].voters.iter().collect::<Vec<_>>(), [NodeId(0)]);
}

#[test]
fn the_genesis_may_want_fewer_votes() {
    let mut genesis = closed();
    genesis.roles.threshold = Some(1);
    genesis.validate().unwrap();
    let mut ledger = open(genesis.clone());
    let vote = role_vote(&ledger, 2, motion(account(1), 0, Roles::DEPLOY));
    assert!(decided(&run(&mut ledger, [vote])[0]));
    for bad in [0, 5] {
        genesis.roles.threshold = Some(bad);
        let error = genesis.validate().unwrap_err().to_string();
        assert!(error.contains("roles.threshold"), "{error}");
    }
}

#[test]
fn a_member_without_the_role_registers_no_device() {
    let mut ledger = open(closed());
    let (one, two) = (device(Algorithm::Ed25519, 1), device(Algorithm::Ed25519, 2));
    let receipts = run(&mut ledger, [registration(&one, "one")]);
    assert!(matches!(receipts[0], Receipt::Registered { .. }));
    let revoke = motion(a_member(4), 0, Roles::GATEWAY);
    let transactions = votes(&ledger, revoke);
    assert!(decided(&run(&mut ledger, transactions)[2]));
    let receipts = run(&mut ledger, [registration(&two, "two")]);
    let expected = Rejection::NotAllowed {
        subject: a_member(4),
        role: Roles::REGISTER,
    };
    assert_eq!(receipts, [Receipt::Rejected { reason: expected }]);
    let receipts = run(&mut ledger, [record(&one, "t", &[(0, "20")])]);
    assert!(matches!(receipts[0], Receipt::Recorded { .. }));
}

#[test]
fn a_gateway_without_the_role_carries_votes_alone() {
    let mut ledger = open(closed());
    let key = device(Algorithm::Ed25519, 1);
    run(&mut ledger, [registration(&key, "d")]);
    let transactions = votes(&ledger, motion(a_member(4), 0, Roles::REGISTER));
    run(&mut ledger, transactions);
    let ann = Signer::new(0);
    let call = ann.send(0, TxKind::Call(ann.address()), 0, &[]);
    let receipts = run(&mut ledger, [record(&key, "t", &[(0, "20")]), call.clone()]);
    assert!(
        receipts
            .iter()
            .all(|one| refusal(one).contains("`gateway`"))
    );

    // Another member's request, a validator's, is as good as ever; and the gateway may carry the votes that let it in again.
    let operation = bundle([record(&key, "t", &[(0, "20")]), call]);
    let slot = ledger.head().slot.next();
    let request = |client, operation| Request {
        client: NodeId(client),
        number: 1,
        operation,
    };
    let time = hedgerow_base::Time::from_millis(1_800_000_000_000);
    let strangers = request(99, operation.clone());
    let done = ledger.execute(slot, time, &[request(0, operation), strangers]);
    let done = done.unwrap().unwrap();
    assert!(matches!(done.receipts[0].0[0], Receipt::Recorded { .. }));
    assert!(matches!(done.receipts[0].0[1], Receipt::Executed { .. }));
    assert!(refusal(&done.receipts[1].0[0]).contains("not a member"));
    ledger.stable(done.header.height).unwrap();
    let back = motion(a_member(4), 1, Roles::GATEWAY);
    let transactions = votes(&ledger, back);
    assert!(decided(&run(&mut ledger, transactions)[2]));
    let receipts = run(&mut ledger, [record(&key, "t", &[(1, "20")])]);
    assert!(matches!(receipts[0], Receipt::Recorded { .. }));
}

#[test]
fn a_decision_that_is_rolled_back_has_not_been() {
    let mut ledger = open(closed());
    let stable = ledger.head().header.height;
    let grant = motion(account(1), 0, Roles::CALL);
    let operation = bundle(votes(&ledger, grant));
    let first = execute(&mut ledger, std::slice::from_ref(&operation));
    ledger.rollback(stable);
    assert!(summary(&ledger).motions.is_empty());
    let again = execute(&mut ledger, &[operation]);
    assert_eq!(again, first);
    ledger.stable(again.header.height).unwrap();
    assert_eq!(roles_of(&ledger, account(1)), Roles::CALL);
    let genesis = ledger.genesis().clone();
    let reopened = Ledger::open(ledger.into_store(), genesis).unwrap();
    assert_eq!(roles_of(&reopened, account(1)), Roles::CALL);
}

#[test]
fn the_validators_stay_and_the_members_begin_with_the_roles_of_their_seats() {
    let mut ledger = open(closed());
    let seats = Roles::GATEWAY.with(Roles::REGISTER);
    assert_eq!(roles_of(&ledger, a_member(4)), seats);
    let all = seats.with(Roles::VALIDATE);
    assert_eq!(roles_of(&ledger, a_member(3)), all);
    let transactions = [
        role_vote(&ledger, 0, motion(a_member(3), 0, seats)),
        role_vote(&ledger, 0, motion(a_member(4), 0, all)),
    ];
    let stay = Receipt::Rejected {
        reason: Rejection::ValidatorsStay,
    };
    assert_eq!(run(&mut ledger, transactions), [stay.clone(), stay]);
}

#[test]
fn traces_are_of_what_was_allowed_then() {
    let mut ledger = open(closed());
    let (ann, bob) = (Signer::new(0), Signer::new(1));
    let to = TxKind::Call(bob.address());
    let grant = motion(account(1), 0, Roles::CALL);
    let first = bundle([bob.send(0, to, 0, &[]), ann.send(0, to, 0, &[])]);
    let second = bundle(votes(&ledger, grant).into_iter().chain([
        bob.send(0, to, 0, &[]),
        ann.send(1, to, 0, &[]),
        ann.send(2, TxKind::Create, 0, &deploying(&counter())),
    ]));
    // Carried by nobody who may, though by the bundle alone it would be executed.
    let third = [
        bundle([ann.send(2, to, 0, &[])]),
        bundle([bob.send(0, to, 0, &[])]),
    ];
    let blocks = [vec![first], vec![second], third.to_vec()];
    for operations in blocks {
        let slot = ledger.head().slot.next();
        let mut all = requests(&operations);
        if operations.len() > 1 {
            all[0].client = NodeId(77);
        }
        let time = hedgerow_base::Time::from_millis(1_700_000_000_000 + slot.0);
        let done = ledger.execute(slot, time, &all).unwrap().unwrap();
        ledger.stable(done.header.height).unwrap();
    }
    let counts = [1, 2, 3].map(|height| {
        let height = Height(height);
        let kept = ledger.contract_receipts(height).unwrap().len() as u32;
        for position in 0..kept {
            let query = ContractQuery::TraceTransaction {
                height,
                position,
                tracer: Tracer::Noop,
            };
            let mut moment = ledger.moment(&query).unwrap();
            let answer = moment.answer(&query, ledger.store()).unwrap();
            assert!(matches!(answer, ContractAnswer::Trace(_)), "{answer:?}");
        }
        kept
    });
    assert_eq!(counts, [1, 1, 1]);
}

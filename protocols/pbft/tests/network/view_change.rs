//! View changes (TOCS §4.4): who leaves, what is kept, what lies are refused.

use bytes::Bytes;
use hedgerow_base::{NodeId, View};
use hedgerow_crypto::{Seal, Sealed};
use hedgerow_machine::{Codec, Target};
use hedgerow_pbft::{Config, Message, NewViewProof, PbftCodec};

use crate::harness::{Fate, Net, config};

#[test]
fn a_dead_primary_is_replaced_and_the_request_is_executed() {
    let mut net = Net::new(4, 1, config());
    net.ms(20);
    net.kill(0);
    net.invoke(4, 1, "a");
    net.ms(5000);
    assert_eq!(net.done(), 1);
    for id in 1..4 {
        assert_eq!(net.snapshot(id).view, View(1));
        assert_eq!(net.executed(id), 1);
    }
    // The client has learnt the new primary: no more retransmissions.
    net.transcript.clear();
    net.invoke(4, 2, "b");
    net.ms(50);
    assert_eq!(net.transcript[0], "4→1 request ×1");
    assert_eq!(net.done(), 2);
    net.assert_agreement();
}

#[test]
fn two_dead_primaries_of_seven_are_passed_over() {
    let mut net = Net::new(7, 1, config());
    net.ms(20);
    net.kill(0);
    net.kill(1);
    net.invoke(7, 1, "a");
    net.ms(8000);
    assert_eq!(net.done(), 1);
    assert_eq!(net.snapshot(3).view, View(2));
    net.assert_agreement();
}

#[test]
fn what_was_prepared_is_kept_and_what_was_not_is_ordered_again() {
    let config = Config {
        batch_requests: 1,
        ..config()
    };
    let mut net = Net::new(4, 1, config);
    net.ms(20);
    // Slot 1 is prepared but no COMMIT arrives; slot 2 reaches only replica 1.
    net.filter = Some(Box::new(|from, to, message, _| match message {
        Message::Commit(_) => Fate::Drop,
        Message::PrePrepare(s, _) if s.value().slot.0 == 2 && to.0 != 1 => Fate::Drop,
        Message::Status(_) if from.0 == 0 => Fate::Drop,
        _ => Fate::Deliver,
    }));
    net.invoke(4, 1, "a");
    net.ms(10);
    net.invoke(4, 2, "b");
    net.ms(10);
    assert_eq!(net.executed(1), 0);
    net.kill(0);
    net.filter = None;
    net.ms(8000);
    assert_eq!(net.done(), 2);
    assert_eq!(net.snapshot(2).view, View(1));
    let ops = &net.nodes[2].app.operations;
    assert_eq!(ops[0], "a", "what was prepared keeps its slot");
    net.assert_agreement();
}

#[test]
fn a_starved_client_has_the_primary_removed() {
    let mut net = Net::new(4, 2, config());
    net.ms(20);
    net.filter = Some(Box::new(|_, to, message, _| match message {
        Message::Requests(list) if to.0 == 0 && list[0].origin() == NodeId(4) => Fate::Drop,
        _ => Fate::Deliver,
    }));
    net.invoke(4, 1, "starved");
    for ticket in 0..40 {
        net.invoke(5, ticket, "fed");
        net.ms(100);
    }
    net.ms(1000);
    assert_eq!(net.done(), 41);
    assert!(net.snapshot(1).view >= View(1));
    net.assert_agreement();
}

#[test]
fn macs_that_convince_only_the_primary_cost_one_bounded_stall() {
    let mut net = Net::new(4, 2, config());
    net.ms(20);
    // Client 4 spoils its entries for the replicas 1, 2, 3 in everything that is not signed.
    let keys = net.keys.clone();
    net.filter = Some(Box::new(move |from, _, message, _| {
        let Message::Requests(list) = message else {
            return Fate::Deliver;
        };
        if from.0 != 4 {
            return Fate::Deliver;
        }
        let spoil = |request: &Sealed<_>| match request.seal() {
            Seal::Authenticator(tags) => request
                .clone()
                .resealed(Seal::Authenticator(tags.spoilt(|at| at != 0))),
            _ => request.clone(),
        };
        let spoilt: Vec<_> = list.iter().map(spoil).collect();
        let message = Message::Requests(spoilt.into());
        let frame = PbftCodec::new(keys[4].clone()).seal(&message, Target::All);
        Fate::Replace(vec![frame])
    }));
    net.invoke(4, 1, "poison");
    net.ms(30);
    net.invoke(5, 2, "honest");
    net.ms(6000);
    assert_eq!(net.done(), 2);
    let view = net.snapshot(1).view;
    // From now on its requests wait until they are signed; the others do not wait.
    for ticket in 10..20 {
        net.invoke(4, ticket, "poison");
        net.invoke(5, 100 + ticket, "honest");
        net.ms(30);
    }
    net.ms(3000);
    assert_eq!(net.done(), 22);
    assert_eq!(net.snapshot(1).view, view);
    net.assert_agreement();
}

#[test]
fn macs_that_convince_all_but_one_cost_nothing() {
    let mut net = Net::new(4, 1, config());
    net.ms(20);
    let keys = net.keys.clone();
    net.filter = Some(Box::new(move |from, _, message, _| {
        let Message::Requests(list) = message else {
            return Fate::Deliver;
        };
        if from.0 != 4 {
            return Fate::Deliver;
        }
        let spoil = |request: &Sealed<_>| match request.seal() {
            Seal::Authenticator(tags) => request
                .clone()
                .resealed(Seal::Authenticator(tags.spoilt(|at| at == 3))),
            _ => request.clone(),
        };
        let spoilt: Vec<_> = list.iter().map(spoil).collect();
        let message = Message::Requests(spoilt.into());
        Fate::Replace(vec![
            PbftCodec::new(keys[4].clone()).seal(&message, Target::All),
        ])
    }));
    net.invoke(4, 1, "a");
    net.ms(100);
    assert_eq!(net.done(), 1);
    assert_eq!(net.executed(3), 1);
    assert_eq!(net.snapshot(3).view, View(0));
}

#[test]
fn a_new_view_that_lies_is_refused() {
    let mut net = Net::new(4, 1, config());
    net.ms(20);
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let proofs = seen.clone();
    net.filter = Some(Box::new(move |_, _, message, _| {
        if let Message::NewView(proof) = message {
            proofs.borrow_mut().push(proof.clone());
            return Fate::Drop;
        }
        Fate::Deliver
    }));
    net.kill(0);
    net.invoke(4, 1, "a");
    net.ms(1300);
    let proof = seen.borrow()[0].clone();
    let codec = PbftCodec::new(net.keys[1].clone());
    let send = |net: &mut Net, proof: NewViewProof| {
        let frame: Bytes = codec.seal(&Message::NewView(proof.into()), Target::All);
        net.inject(1, 2, frame);
        net.ms(5);
        net.snapshot(2).phase
    };
    // Too few view changes; the same one twice; another one than the primary named.
    let mut few = (*proof).clone();
    few.view_changes.pop();
    assert_ne!(send(&mut net, few), hedgerow_ordering::Phase::Normal);
    let mut twice = (*proof).clone();
    twice.view_changes[2] = twice.view_changes[1].clone();
    assert_ne!(send(&mut net, twice), hedgerow_ordering::Phase::Normal);
    let mut swapped = (*proof).clone();
    swapped.view_changes.swap(0, 1);
    assert_ne!(send(&mut net, swapped), hedgerow_ordering::Phase::Normal);
}

#[test]
fn a_partition_heals_within_the_bound() {
    let mut net = Net::new(4, 1, config());
    net.ms(20);
    net.filter = Some(Box::new(|from, to, _, _| {
        let side = |node: NodeId| node.0 % 2;
        if side(from) == side(to) {
            Fate::Deliver
        } else {
            Fate::Drop
        }
    }));
    net.invoke(4, 1, "a");
    net.ms(60_000);
    assert_eq!(net.done(), 0);
    net.filter = None;
    let healed = net.now;
    while net.done() == 0 {
        net.ms(50);
        assert!(net.now.since(healed).as_secs() < 10, "no progress in 10 s");
    }
    net.assert_agreement();
}

#[test]
fn a_slow_honest_network_makes_progress() {
    let mut net = Net::new(4, 1, config());
    net.latency = std::time::Duration::from_millis(400);
    net.ms(3000);
    for ticket in 0..10 {
        net.invoke(4, ticket, "x");
        net.ms(5000);
    }
    net.ms(10_000);
    assert_eq!(net.done(), 10);
    assert!(net.snapshot(1).view_changes <= 4);
    net.assert_agreement();
}

#[test]
fn nobody_waits_for_a_primary_whose_connections_broke() {
    let mut net = Net::new(4, 1, config());
    net.ms(2_000);
    net.invoke(4, 0, "a");
    net.ms(500);
    net.kill(0);
    net.link(0, false);
    net.invoke(4, 1, "b");
    // Less than any time-out.
    net.ms(50);
    assert_eq!(net.done(), 2, "{}", net.describe());
    net.assert_agreement();
}

/// A replica that reaches nobody leaves no views: it would only be behind when it is back.
#[test]
fn a_replica_that_reaches_nobody_does_not_blame_the_primary() {
    let mut net = Net::new(4, 1, config());
    net.ms(2_000);
    let view = net.snapshot(3).view;
    for peer in 0..3 {
        net.tell(3, peer, false);
    }
    net.invoke(4, 0, "a");
    net.ms(50);
    assert_eq!((net.done(), net.snapshot(3).view), (1, view));
}

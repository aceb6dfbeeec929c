//! From one instance to the next: contention, dead replicas, missing batches, speculation that was wrong.

use std::time::Duration;

use hedgerow_abstract::{Composition, Instance, Kind, Message};
use hedgerow_base::NodeId;

use crate::harness::{Fate, Net, config};

fn net(composition: Composition, clients: u32) -> Net {
    let mut net = Net::new(4, clients, config(composition));
    net.ms(2000);
    net
}

#[test]
fn clients_that_contend_under_quorum_end_in_backup_with_nothing_lost_and_nothing_twice() {
    let mut net = net(Composition::QUORUM, 2);
    // Each client is near to two of the replicas, so that the two see the requests in different order.
    net.latency = |from, to| {
        let client = from.max(to);
        let near = client < NodeId(4) || (client == NodeId(4)) == (from.min(to) < NodeId(2));
        Duration::from_millis(if near { 1 } else { 3 })
    };
    for ticket in 0..10 {
        net.invoke(4, ticket, "a");
        net.invoke(5, ticket, "b");
        net.ms(50);
    }
    net.ms(20_000);
    net.assert_all_done(20);
    assert!(net.instance(0) >= 2);
    let rolled_back = net.nodes.iter().map(|node| node.app.rollbacks);
    assert!(rolled_back.sum::<usize>() > 0, "no histories differed");
}

/// §4.4: k = 1, 2, 4, …: with one replica dead each ZLight only aborts, and each Backup commits its quota. The request
/// that makes a ZLight abort is in the next Backup's init history, not one of its k.
#[test]
fn with_a_dead_replica_azyzzyva_goes_on_in_backups_of_one_two_and_four() {
    let mut net = net(Composition::AZYZZYVA, 1);
    net.kill(3);
    let mut instances = Vec::new();
    for ticket in 0..8 {
        net.invoke(4, ticket, "x");
        net.ms(10_000);
        assert_eq!(net.done() as u64, ticket + 1, "{}", net.describe());
        instances.push(net.instance(0));
    }
    assert_eq!(instances, [2, 3, 4, 4, 5, 6, 6, 6]);
    net.assert_agreement();
}

#[test]
fn when_the_dead_replica_is_back_zlight_resumes() {
    let mut net = net(Composition::AZYZZYVA, 1);
    net.kill(3);
    for ticket in 0..4 {
        net.invoke(4, ticket, "x");
        net.ms(10_000);
    }
    net.restart(3);
    net.ms(10_000);
    let (mut ticket, mut instances) = (4, Vec::new());
    for _ in 0..60 {
        net.invoke(4, ticket, "x");
        net.ms(5_000);
        ticket += 1;
        instances.push(net.instance(0));
    }
    net.assert_all_done(ticket as usize);
    let last = Instance(*instances.last().unwrap());
    let settled = instances
        .iter()
        .rev()
        .take_while(|&&at| at == last.0)
        .count();
    assert!(last.0 % 2 == 1 && settled >= 20, "{instances:?}");
}

#[test]
fn a_replica_that_lacks_batches_of_the_init_history_fetches_them() {
    let mut net = net(Composition::AZYZZYVA, 1);
    net.filter = Some(Box::new(|_, to, message, _| match message {
        Message::Order(..) if to == NodeId(3) => Fate::Drop,
        _ => Fate::Deliver,
    }));
    for ticket in 0..3 {
        net.invoke(4, ticket, "x");
    }
    net.ms(5000);
    assert!(
        net.transcript.iter().any(|line| line == "3→0 fetch"),
        "{}",
        net.describe()
    );
    assert!(net.transcript.iter().any(|line| line == "0→3 fetched"));
    net.filter = None;
    net.ms(10_000);
    net.assert_all_done(3);
}

#[test]
fn a_replica_whose_speculation_is_not_the_init_history_rolls_back() {
    let mut net = net(Composition::QUORUM, 1);
    net.filter = Some(Box::new(|_, to, message, _| match message {
        Message::Requests(Instance::FIRST, _) if to != NodeId(3) => Fate::Drop,
        _ => Fate::Deliver,
    }));
    net.invoke(4, 0, "x");
    net.ms(10);
    assert_eq!([0, 1, 2, 3].map(|id| net.executed(id)), [0, 0, 0, 1]);
    net.ms(10_000);
    let rolled_back: Vec<_> = net.nodes[..4]
        .iter()
        .map(|node| node.app.rollbacks)
        .collect();
    assert_eq!(rolled_back[3], 1, "{}", net.describe());
    net.assert_all_done(1);
}

/// Responses of one replica are lost: clients panic though nothing is wrong. That stops an instance, and does nothing worse.
#[test]
fn panics_without_need_cost_an_instance_and_no_request() {
    let mut net = net(Composition::AZYZZYVA, 2);
    net.filter = Some(Box::new(|from, _, message, _| match message {
        Message::Responses(_) if from == NodeId(2) => Fate::Drop,
        _ => Fate::Deliver,
    }));
    for ticket in 0..8 {
        net.invoke(4, ticket, "a");
        net.invoke(5, ticket, "b");
        net.ms(100);
    }
    net.filter = None;
    net.ms(20_000);
    net.assert_all_done(16);
    assert!(net.instance(0) > 1);
}

/// §5.1, §5.4: clients that contend move Aliph to Chain, where it stays; one that is alone moves it on to Quorum, by a
/// Backup of a single request.
#[test]
fn aliph_is_in_chain_under_contention_and_in_quorum_for_a_single_client() {
    let mut net = net(Composition::ALIPH, 2);
    net.latency = |from, to| {
        let client = from.max(to);
        let near = client < NodeId(4) || (client == NodeId(4)) == (from.min(to) < NodeId(2));
        Duration::from_millis(if near { 1 } else { 3 })
    };
    let kind = |net: &crate::harness::Net| Composition::ALIPH.kind(Instance(net.instance(0)));
    net.invoke(4, 0, "a");
    net.ms(100);
    assert_eq!((net.done(), kind(&net)), (1, Kind::Quorum));
    for ticket in 1..100 {
        net.invoke(4, ticket, "a");
        net.invoke(5, ticket, "b");
        net.ms(60);
    }
    net.ms(2_000);
    net.assert_all_done(199);
    assert_eq!(
        (net.instance(0), kind(&net)),
        (2, Kind::Chain),
        "{}",
        net.describe()
    );
    for ticket in 100..150 {
        net.invoke(4, ticket, "a");
        net.ms(100);
    }
    net.ms(2_000);
    net.assert_all_done(249);
    assert_eq!(
        (net.instance(0), kind(&net)),
        (4, Kind::Quorum),
        "{}",
        net.describe()
    );
}

#[test]
fn a_backup_answers_as_soon_as_it_has_executed() {
    let mut net = net(Composition::BACKUP, 1);
    net.invoke(4, 0, "a");
    // Less than any time-out.
    net.ms(20);
    assert_eq!(net.done(), 1, "{}", net.describe());
}

#[test]
fn nobody_waits_for_a_replica_whose_connections_broke() {
    for composition in [Composition::ALIPH, Composition::CHAIN, Composition::ZLIGHT] {
        let mut net = net(composition, 1);
        net.invoke(4, 0, "a");
        net.ms(500);
        assert_eq!(net.done(), 1);
        net.kill(0);
        net.link(0, false);
        net.invoke(4, 1, "b");
        // Less than any time-out.
        net.ms(80);
        assert_eq!(net.done(), 2, "{}", net.describe());
        net.restart(0);
        net.link(0, true);
        net.ms(20_000);
        net.assert_all_done(2);
    }
}

/// What is said of connections may be wrong: then it costs an instance.
#[test]
fn a_connection_that_did_not_break_costs_no_request() {
    let mut net = net(Composition::ALIPH, 1);
    for ticket in 0..40 {
        net.invoke(4, ticket, "a");
        net.link((ticket % 4) as u32, ticket % 3 > 0);
        net.ms(30);
    }
    for peer in 0..4 {
        net.link(peer, true);
    }
    net.ms(20_000);
    net.assert_all_done(40);
}

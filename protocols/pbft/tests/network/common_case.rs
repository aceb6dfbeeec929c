//! The common case as transcripts (§4.2), checkpoints (§4.3), at most once, replies, queries, silence.

use std::time::Duration;

use crate::harness::{Fate, Net, config};
use hedgerow_base::Slot;
use hedgerow_pbft::{Config, Message};

#[test]
fn one_request_takes_the_papers_messages() {
    let mut net = Net::new(4, 1, config());
    net.ms(20);
    net.transcript.clear();
    net.sent.clear();
    net.invoke(4, 1, "a");
    net.ms(20);
    let lines: Vec<_> = net.transcript.iter().map(String::as_str).collect();
    assert_eq!(
        lines,
        [
            "4→0 request ×1",
            "0→1 pre-prepare v0 n1 ×1",
            "0→2 pre-prepare v0 n1 ×1",
            "0→3 pre-prepare v0 n1 ×1",
            "1→0 prepare v0 n1",
            "1→2 prepare v0 n1",
            "1→3 prepare v0 n1",
            "2→0 prepare v0 n1",
            "2→1 prepare v0 n1",
            "2→3 prepare v0 n1",
            "3→0 prepare v0 n1",
            "3→1 prepare v0 n1",
            "3→2 prepare v0 n1",
            "0→1 commit v0 n1",
            "0→2 commit v0 n1",
            "0→3 commit v0 n1",
            "1→0 commit v0 n1",
            "1→2 commit v0 n1",
            "1→3 commit v0 n1",
            "2→0 commit v0 n1",
            "2→1 commit v0 n1",
            "2→3 commit v0 n1",
            "3→0 commit v0 n1",
            "3→1 commit v0 n1",
            "3→2 commit v0 n1",
            "0→4 reply ×1",
            "1→4 reply ×1",
            "2→4 reply ×1",
            "3→4 reply ×1",
        ]
    );
    assert_eq!(
        net.completed,
        [(hedgerow_base::NodeId(4), 1, b"done: a".to_vec())]
    );
    net.assert_agreement();
}

#[test]
fn a_burst_is_one_batch_and_an_idle_network_is_silent() {
    let mut net = Net::new(4, 2, config());
    net.ms(2000);
    for ticket in 0..20 {
        net.invoke(4, ticket, "a");
        net.invoke(5, ticket, "b");
    }
    net.ms(100);
    assert_eq!(net.done(), 40);
    assert!(net.executed(0) <= 2, "{} batches", net.executed(0));
    net.ms(5000);
    let (sent, persisted) = (net.transcript.len(), net.persisted);
    assert!(
        net.nodes
            .iter()
            .all(|node| node.machine.deadline().is_none())
    );
    net.run(Duration::from_secs(3600));
    assert_eq!((sent, persisted), (net.transcript.len(), net.persisted));
    net.assert_agreement();
}

#[test]
fn batches_are_pipelined_up_to_the_limit_and_the_window() {
    let config = Config {
        batch_requests: 1,
        in_flight: 3,
        ..config()
    };
    let mut net = Net::new(4, 1, config);
    net.ms(20);
    // Prepares are lost for a while: the primary stops at three batches.
    net.filter = Some(Box::new(|_, _, message, _| match message {
        Message::Prepare(_) => Fate::Drop,
        _ => Fate::Deliver,
    }));
    for ticket in 0..10 {
        net.invoke(4, ticket, "x");
    }
    net.ms(50);
    assert_eq!(net.sent.get("pre-prepare"), Some(&3));
    net.filter = None;
    net.ms(1000);
    assert_eq!(net.done(), 10);
    assert_eq!(net.executed(3), 10);
    assert_eq!(net.snapshot(0).view_changes, 0);
    net.assert_agreement();
}

#[test]
fn checkpoints_become_stable_and_the_log_is_released() {
    let config = Config {
        batch_requests: 1,
        ..config()
    };
    let mut net = Net::new(4, 1, config);
    net.ms(20);
    for round in 0..50 {
        net.invoke(4, round, "x");
        net.ms(20);
    }
    assert_eq!(net.done(), 50);
    for id in 0..4 {
        assert_eq!(net.snapshot(id).stable, Slot(48));
        let records = net.nodes[id as usize].disk.records.len();
        assert!(records < 20, "{records} records are kept");
    }
    net.assert_agreement();
}

#[test]
fn a_retransmitted_request_is_answered_from_the_cache_and_not_executed_again() {
    let mut net = Net::new(4, 1, config());
    net.ms(20);
    let mut lose = true;
    net.filter = Some(Box::new(move |_, to, message, _| {
        let first = matches!(message, Message::Replies(_)) && to.0 == 4 && lose;
        if matches!(message, Message::Requests(list) if matches!(list[0].seal(), hedgerow_crypto::Seal::Signature(_)))
        {
            lose = false;
        }
        if first { Fate::Drop } else { Fate::Deliver }
    }));
    net.invoke(4, 1, "a");
    net.ms(3000);
    assert_eq!(net.done(), 1);
    assert_eq!(net.nodes[0].app.operations.len(), 1);
    assert_eq!(net.snapshot(0).view_changes, 0);
    net.assert_agreement();
}

/// Replicas remember few bytes of replies, and the first reply is lost: the client must not go on for so long that they
/// forget it before it asks again.
#[test]
fn a_lost_reply_is_not_forgotten_while_its_client_goes_on() {
    let mut net = Net::new(
        4,
        1,
        Config {
            client_reply_bytes: 8192,
            ..config()
        },
    );
    net.ms(20);
    let mut told = std::collections::BTreeSet::new();
    net.filter = Some(Box::new(move |from, _, message, _| {
        if matches!(message, Message::Replies(_)) && told.insert(from) {
            return Fate::Drop;
        }
        Fate::Deliver
    }));
    let operation = "x".repeat(300);
    net.invoke(4, 1, &operation);
    let mut last = 1;
    // As long as the client's first retransmission takes, and more.
    for _ in 0..250 {
        net.ms(4);
        for _ in 0..net.nodes[4].machine.credit() {
            last += 1;
            net.invoke(4, last, &operation);
        }
    }
    net.ms(3000);
    assert_eq!(net.done() as u64, last);
    assert!(
        last > 100,
        "only {last} requests: it goes on when the reply is there"
    );
    net.assert_agreement();
}

#[test]
fn large_results_come_once_in_full() {
    let mut net = Net::new(4, 1, config());
    net.ms(20);
    let big = "x".repeat(100_000);
    let full = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = full.clone();
    net.filter = Some(Box::new(move |_, _, message, frame| {
        if matches!(message, Message::Replies(_)) && frame.len() > 100_000 {
            count.set(count.get() + 1);
        }
        Fate::Deliver
    }));
    net.invoke(4, 1, &big);
    net.ms(50);
    assert_eq!(net.done(), 1);
    assert_eq!(full.get(), 1);
}

#[test]
fn queries_are_answered_without_being_ordered_and_ordered_when_they_must() {
    let mut net = Net::new(4, 1, config());
    net.ms(20);
    net.invoke(4, 1, "a");
    net.ms(20);
    net.read(4, 2, "q");
    net.ms(20);
    assert_eq!(net.done(), 2);
    assert_eq!(net.executed(0), 1);
    // Two replicas do not answer: no quorum, so the query is ordered.
    net.filter = Some(Box::new(|from, _, message, _| match message {
        Message::Answer(_) if from.0 >= 2 => Fate::Drop,
        _ => Fate::Deliver,
    }));
    net.read(4, 3, "q");
    net.ms(2000);
    assert_eq!(net.done(), 3);
    assert_eq!(net.executed(0), 2);
    net.assert_agreement();
}

#[test]
fn message_counts_per_batch_are_the_papers() {
    // 1 pre-prepare, n − 1 prepares, n commits; each under one authenticator: the bottleneck replica handles
    // 2 + 8f/b MACs per request.
    for (n, f) in [(4_u32, 1_usize), (7, 2), (10, 3)] {
        let mut net = Net::new(n, 1, config());
        net.ms(50);
        net.sent.clear();
        for ticket in 0..10 {
            net.invoke(n, ticket, "x");
        }
        net.ms(50);
        assert_eq!(net.done(), 10);
        let batches = net.executed(0) as usize;
        let n = n as usize;
        assert_eq!(net.sent["pre-prepare"], batches);
        assert_eq!(net.sent["prepare"], (n - 1) * batches);
        assert_eq!(net.sent["commit"], n * batches);
        assert_eq!(net.sent["reply"], n * batches);
        // A primary makes an entry for each backup in its pre-prepare and commit, and checks each backup's prepare
        // and commit: 4 × 3f = 12f; 2f + 1 of 3f + 1 suffice, so it can stop at 2 × 3f + 2f = 8f.
        let (made, needed) = (2 * (n - 1), 2 * f);
        assert_eq!(made + needed, 8 * f);
    }
}

//! What a replica remembers: recovery from every prefix of its log, wiped and old disks, state transfer.

use std::collections::BTreeMap;

use hedgerow_base::{Digest, NodeId, Slot, View};
use hedgerow_ordering::Phase;
use hedgerow_pbft::{Config, Message};

use crate::harness::{Disk, Fate, Net, config};

fn small() -> Config {
    Config {
        batch_requests: 1,
        ..config()
    }
}

/// Runs some requests, with a view change among them.
fn history(net: &mut Net, from: u64) {
    for ticket in from..from + 5 {
        net.invoke(4, ticket, "x");
        net.ms(30);
    }
    net.kill(0);
    for ticket in from + 5..from + 8 {
        net.invoke(4, ticket, "y");
        net.ms(1500);
    }
    net.restart(0);
    net.ms(1000);
}

#[test]
fn recovery_from_every_prefix_of_the_log_contradicts_nothing() {
    let mut net = Net::new(4, 1, small());
    net.keep_logs = true;
    net.ms(20);
    history(&mut net, 0);
    assert_eq!(net.done(), 8);
    let records = net.nodes[2].disk.records.clone();
    let said = net.said.clone();
    for cut in 0..=records.len() {
        // A crash right after the record at `cut` was written: what was gated behind later ones was never said.
        let mut again = Net::new(4, 1, small());
        again.keep_logs = true;
        let last = records[..cut].last().map_or(0, |(lsn, _)| lsn.0);
        again.said = said_before(&said, last, &records);
        let disk = Disk {
            records: records[..cut].to_vec(),
            ..Disk::default()
        };
        again.restart_from(2, disk);
        again.ms(2000);
        again.invoke(4, 1, "z");
        again.ms(6000);
        assert_eq!(again.contradictions, Vec::<String>::new(), "cut at {cut}");
        again.assert_agreement();
    }
}

type Said = BTreeMap<(NodeId, &'static str, u64, u64), Digest>;

/// What replica 2 may have said by the time its log ended at `last`: its votes are in the log themselves.
fn said_before(said: &Said, last: u64, records: &[(hedgerow_base::Lsn, bytes::Bytes)]) -> Said {
    use hedgerow_pbft::Record;
    let mut promised = Said::new();
    for (lsn, bytes) in records.iter().filter(|(lsn, _)| lsn.0 <= last) {
        let _ = lsn;
        let (kind, view, slot) = match Record::decode(bytes).unwrap() {
            Record::Accepted { view, slot, .. } => ("p", view.0, slot.0),
            Record::Prepared { view, slot, .. } => ("c", view.0, slot.0),
            Record::ViewChange(change) => ("vc", change.value().view.0, 0),
            _ => continue,
        };
        let key = (NodeId(2), kind, view, slot);
        if let Some(digest) = said.get(&key) {
            promised.insert(key, *digest);
        }
    }
    promised
}

#[test]
fn all_restart_at_once_and_go_on() {
    let mut net = Net::new(4, 1, small());
    net.ms(20);
    for round in 0..5 {
        for ticket in 0..7 {
            net.invoke(4, round * 7 + ticket, "x");
            net.ms(7);
        }
        for id in 0..4 {
            net.kill(id);
        }
        for id in 0..4 {
            net.restart(id);
        }
    }
    net.ms(5000);
    assert_eq!(net.done(), 35);
    net.assert_agreement();
}

#[test]
fn a_wiped_replica_rejoins_by_state_transfer() {
    let mut net = Net::new(4, 1, small());
    net.ms(20);
    for ticket in 0..150 {
        net.invoke(4, ticket, "x");
        net.ms(10);
    }
    net.kill(2);
    net.restart_from(2, Disk::default());
    net.ms(2000);
    assert_eq!(net.executed(2), 150);
    assert_eq!(net.snapshot(2).phase, Phase::Normal);
    // It counts again: without another replica the network goes on.
    net.kill(3);
    net.invoke(4, 500, "after");
    net.ms(3000);
    assert_eq!(net.done(), 151);
    assert_eq!(net.snapshot(2).view, View(0));
    net.assert_agreement();
}

#[test]
fn a_wiped_replica_rejoins_while_the_others_go_on() {
    let mut net = Net::new(4, 1, small());
    net.ms(20);
    for ticket in 0..200 {
        net.invoke(4, ticket, "x");
        net.ms(5);
        if ticket == 100 {
            net.kill(1);
            net.restart_from(1, Disk::default());
        }
    }
    net.ms(3000);
    assert_eq!(net.done(), 200);
    assert_eq!(net.executed(1), net.executed(0));
    net.assert_agreement();
}

#[test]
fn a_replica_on_an_old_copy_of_its_disk_notices_and_contradicts_nothing() {
    let mut net = Net::new(4, 1, small());
    net.ms(20);
    for ticket in 0..10 {
        net.invoke(4, ticket, "x");
        net.ms(20);
    }
    let old = net.nodes[2].disk.clone();
    // Slots under way when it dies: their batches were voted on, but are not committed anywhere.
    net.filter = Some(Box::new(|_, _, message, _| match message {
        Message::Commit(_) => Fate::Drop,
        _ => Fate::Deliver,
    }));
    for ticket in 10..13 {
        net.invoke(4, ticket, "x");
        net.ms(20);
    }
    net.kill(2);
    net.filter = None;
    let votes_before = net.transcript.len();
    net.restart_from(2, old);
    net.ms(3);
    assert_eq!(net.snapshot(2).phase, Phase::Rejoining);
    net.ms(5000);
    assert_eq!(net.done(), 13);
    let said_again = net.transcript[votes_before..]
        .iter()
        .any(|line| line.starts_with("2→") && line.contains("v0 n11") && line.contains("prepare"));
    assert!(!said_again, "it voted on a slot that it had forgotten");
    assert_eq!(net.snapshot(2).phase, Phase::Normal);
    assert_eq!(net.executed(2), net.executed(1));
    net.assert_agreement();
}

#[test]
fn an_old_copy_of_the_primarys_disk_does_not_assign_a_slot_twice() {
    let mut net = Net::new(4, 1, small());
    net.ms(20);
    for ticket in 0..6 {
        net.invoke(4, ticket, "x");
        net.ms(20);
    }
    let old = net.nodes[0].disk.clone();
    for ticket in 6..9 {
        net.invoke(4, ticket, "y");
        net.ms(20);
    }
    net.kill(0);
    net.restart_from(0, old);
    for ticket in 9..15 {
        net.invoke(4, ticket, "z");
        net.ms(20);
    }
    net.ms(8000);
    assert_eq!(net.done(), 15);
    net.assert_agreement();
}

#[test]
fn a_liar_in_state_transfer_only_delays() {
    let mut net = Net::new(4, 1, small());
    net.ms(20);
    for ticket in 0..40 {
        net.invoke(4, ticket, "x");
        net.ms(10);
    }
    net.kill(2);
    net.restart_from(2, Disk::default());
    let keys = net.keys.clone();
    net.filter = Some(Box::new(move |from, _, message, _| {
        use hedgerow_machine::Codec;
        let Message::Decided(list) = message else {
            return Fate::Deliver;
        };
        if from.0 != 3 {
            return Fate::Deliver;
        }
        let mut lies = list.clone();
        for decided in &mut lies {
            decided.digest.0[0] ^= 1;
            decided.batch = decided
                .batch
                .as_ref()
                .map(|_| bytes::Bytes::from_static(b"lie"));
        }
        let codec = hedgerow_pbft::PbftCodec::new(keys[3].clone());
        Fate::Replace(vec![
            codec.seal(&Message::Decided(lies), hedgerow_machine::Target::All),
        ])
    }));
    net.ms(5000);
    assert_eq!(net.executed(2), 40);
    net.assert_agreement();
}

#[test]
fn a_replica_that_was_cut_off_catches_up() {
    let mut net = Net::new(4, 1, small());
    net.ms(20);
    net.filter = Some(Box::new(|from, to, _, _| {
        if from.0 == 3 || to.0 == 3 {
            Fate::Drop
        } else {
            Fate::Deliver
        }
    }));
    for ticket in 0..40 {
        net.invoke(4, ticket, "x");
        net.ms(10);
    }
    net.filter = None;
    net.invoke(4, 99, "wake");
    net.ms(3000);
    assert_eq!(net.executed(3), 41);
    assert_eq!(net.snapshot(3).stable, Slot(40));
    net.assert_agreement();
}

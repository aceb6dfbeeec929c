//! What is kept when processes end and disks are lost.

use hedgerow_abstract::Composition;

use crate::harness::{Disk, Net, config};

const COMPOSITIONS: [Composition; 3] = [
    Composition::AZYZZYVA,
    Composition::QUORUM,
    Composition::BACKUP,
];

/// Every composition with a client, after `before` requests.
fn after(before: u64, mut then: impl FnMut(&mut Net)) {
    for composition in COMPOSITIONS {
        let mut net = Net::new(4, 1, config(composition));
        net.ms(2000);
        for ticket in 0..before {
            net.invoke(4, ticket, "before");
            net.ms(100);
        }
        then(&mut net);
        net.ms(10_000);
        for ticket in before..before + 20 {
            net.invoke(4, ticket, "after");
            net.ms(200);
        }
        net.ms(30_000);
        let since = net.completed.iter().filter(|(_, ticket, _)| *ticket >= 100);
        net.assert_all_done(before as usize + 20 + since.count());
    }
}

#[test]
fn one_replica_is_restarted() {
    for victim in 0..4 {
        after(10, |net| {
            net.kill(victim);
            net.restart(victim);
        });
    }
}

#[test]
fn one_replica_is_restarted_while_requests_are_under_way() {
    for victim in 0..4 {
        after(3, |net| {
            net.kill(victim);
            net.ms(500);
            net.restart(victim);
            net.ms(3);
            net.kill(victim);
            net.restart(victim);
        });
    }
}

#[test]
fn all_replicas_are_restarted_at_once() {
    after(10, |net| {
        (0..4).for_each(|id| net.kill(id));
        (0..4).for_each(|id| net.restart(id));
    });
}

#[test]
fn all_replicas_are_restarted_before_anything_is_stable() {
    for composition in COMPOSITIONS {
        let mut net = Net::new(4, 1, config(composition));
        net.ms(2000);
        net.invoke(4, 0, "x");
        net.ms(4);
        (0..4).for_each(|id| net.kill(id));
        (0..4).for_each(|id| net.restart(id));
        net.ms(30_000);
        net.assert_all_done(1);
    }
}

#[test]
fn a_replica_loses_its_disk() {
    for victim in 0..4 {
        after(30, |net| {
            net.kill(victim);
            net.restart_from(victim, Disk::default());
        });
    }
}

#[test]
fn a_replica_comes_back_with_an_old_disk() {
    for victim in 0..4 {
        after(10, |net| {
            let old = net.nodes[victim as usize].disk.clone();
            for ticket in 100..110 {
                net.invoke(4, ticket, "since");
                net.ms(100);
            }
            net.kill(victim);
            net.restart_from(victim, old);
        });
    }
}

//! What the common case costs: messages, one-way delays, MACs counted where they are computed.
//!
//! The paper (§4.2, §5.2, Table I) has, per request, with `b` requests of different clients in a batch:
//!
//! | | ZLight | Quorum | Chain |
//! | --- | --- | --- | --- |
//! | messages | 6f + 2 | 2(3f + 1) | 3f + 2 |
//! | one-way delays | 3 | 2 | 3f + 2 |
//! | MACs of a client | 2(3f + 1) | 2(3f + 1) | 2(f + 1) |
//! | MACs of the busiest replica | 2 + 3f/b | 2 | 1 + (2f + 1)/b |
//!
//! Chain's are the paper's exactly, at every replica, but for a client's: it makes 3f + 1 MACs where f + 1 would do,
//! because its request is good in any instance, so that it need not be sealed again after a switch.
//!
//! Messages, delays, a client's MACs and Quorum's are the paper's exactly. ZLight's primary makes 3f + 1 for an ORDER: an
//! authenticator has an entry for its author, too, by which it knows its own word when others show it. So it is
//! 2 + (3f + 1)/b. In the other direction, one MAC covers all replies to one client of a burst: where all `b` requests
//! are one client's, it is 1 + (3f + 2)/b.
//!
//! Not in these counts, as in the paper's: checkpoints. Each costs a replica 3f + 1 MACs made and 3f checked. Here that
//! is not only every `checkpoint_interval` slots but also `checkpoint_delay` after the first slot without one, because
//! what is executed is final only then.

use hedgerow_abstract::{Composition, Config};
use hedgerow_crypto::MacCount;

use crate::harness::{Net, config};

/// So many requests by each of so many clients at once, in a network of n = 3f + 1.
#[derive(Clone, Copy, Debug)]
struct Load {
    composition: Composition,
    f: usize,
    clients: usize,
    each: usize,
}

/// What it took.
struct Cost {
    macs: Vec<MacCount>,
    /// Frames, by the name of what they carry.
    req: usize,
    order: usize,
    chain: usize,
    resp: usize,
}

const fn macs(made: usize, checked: usize) -> MacCount {
    MacCount { made, checked }
}

impl Load {
    const fn n(self) -> usize {
        3 * self.f + 1
    }

    const fn batch(self) -> usize {
        self.clients * self.each
    }

    /// Runs it: complete after `delays` one-way delays, and not before.
    fn run(self, delays: u64) -> Cost {
        let (n, members) = (self.n(), self.n() + self.clients);
        let config = Config {
            checkpoint_interval: 128,
            ..config(self.composition)
        };
        let mut net = Net::new(n as u32, self.clients as u32, config);
        net.ms(2000);
        net.sent.clear();
        let before: Vec<_> = net.keys.iter().map(|keys| keys.mac_count()).collect();
        for client in n..members {
            for ticket in 0..self.each {
                net.invoke(client as u32, ticket as u64, "x");
            }
        }
        net.ms(delays - 1);
        assert_eq!(net.done(), 0, "{self:?}");
        net.ms(1);
        assert_eq!(net.done(), self.batch(), "{self:?}");
        let now = net.keys.iter().map(|keys| keys.mac_count());
        let macs = now.zip(before).map(|(now, then)| now.since(then)).collect();
        let sent = |name| net.sent.get(name).copied().unwrap_or_default();
        let cost = Cost {
            macs,
            req: sent("req"),
            order: sent("order"),
            chain: sent("chain"),
            resp: sent("resp") + sent("chain reply"),
        };
        assert_eq!(
            net.sent.values().sum::<usize>(),
            cost.req + cost.order + cost.chain + cost.resp
        );
        net.ms(2000);
        assert_eq!(net.instance(0), 1, "nothing was aborted");
        net.assert_all_done(self.batch());
        cost
    }
}

#[test]
fn quorum_takes_the_papers_messages_delays_and_macs() {
    for f in 1..=3 {
        for each in [1, 10] {
            let load = Load {
                composition: Composition::QUORUM,
                f,
                clients: 1,
                each,
            };
            let (n, cost) = (load.n(), load.run(2));
            assert_eq!((cost.req, cost.order, cost.resp), (n, 0, n));
            for replica in &cost.macs[..n] {
                assert_eq!(*replica, macs(1, each), "{load:?}");
            }
            assert_eq!(cost.macs[n], macs(each * n, n), "{load:?}");
        }
    }
}

#[test]
fn zlight_takes_the_papers_messages_and_delays_and_one_mac_more_per_batch() {
    for f in 1..=3 {
        for (clients, each) in [(1, 1), (10, 1), (1, 10), (5, 2)] {
            let load = Load {
                composition: Composition::AZYZZYVA,
                f,
                clients,
                each,
            };
            let (n, b, cost) = (load.n(), load.batch(), load.run(3));
            assert_eq!(
                (cost.req, cost.order, cost.resp),
                (clients, 3 * f, clients * n)
            );
            if clients == 1 {
                assert_eq!(cost.req + cost.order + cost.resp, 6 * f + 2);
            }
            assert_eq!(cost.macs[0], macs(n + clients, b), "{load:?}");
            for replica in &cost.macs[1..n] {
                assert_eq!(*replica, macs(clients, 1 + b), "{load:?}");
            }
            for client in &cost.macs[n..] {
                assert_eq!(*client, macs(each * n, n), "{load:?}");
            }
            let (papers, own_entry) = (2 * b + 3 * f, 1);
            if each == 1 {
                let busiest = cost.macs[..n].iter().map(|count| count.total()).max();
                assert_eq!(busiest, Some(papers + own_entry), "{load:?}");
            }
        }
    }
}

#[test]
fn chain_takes_the_papers_messages_delays_and_macs_at_every_replica() {
    for f in 1..=3 {
        for (clients, each) in [(1, 1), (10, 1), (1, 10)] {
            let load = Load {
                composition: Composition::CHAIN,
                f,
                clients,
                each,
            };
            let (n, b, cost) = (load.n(), load.batch(), load.run(3 * f as u64 + 2));
            assert_eq!((cost.req, cost.chain, cost.resp), (clients, 3 * f, clients));
            for (position, replica) in cost.macs[..n].iter().enumerate() {
                let clients_seals = if position <= f { b } else { 0 };
                let checked = clients_seals + position.min(f + 1);
                let to_clients = if position >= 2 * f { clients } else { 0 };
                let made = (n - 1 - position).min(f + 1) + to_clients;
                assert_eq!(
                    *replica,
                    macs(made, checked),
                    "{load:?}, position {position}"
                );
            }
            for client in &cost.macs[n..] {
                assert_eq!(*client, macs(each * n, f + 1), "{load:?}");
            }
            let busiest = cost.macs[..n].iter().map(|count| count.total()).max();
            let papers = (b + 2 * f + 1).max(f + 1 + clients + f + 1);
            assert!(busiest <= Some(papers), "{load:?}: {busiest:?}, {papers}");
        }
    }
}

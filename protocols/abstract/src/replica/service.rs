//! How a robust composition's clients are served (§6.3): replicas can't see it by themselves, since one that lies may
//! delay nothing but the answers. So clients say it, and the instance is left when it serves them worse than a Backup
//! does (P2), or passes one of them over (P3).
//!
//! The paper compares throughputs. Here the time that a request takes is compared: with as many requests under way it
//! says the same (Little's law), and it does not take a quiet hour for an attack.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use hedgerow_base::{NodeId, Time};
use hedgerow_ordering::Batch;

use super::{Out, Replica, switching::Cause};
use crate::{
    composition::Kind,
    messages::{Feedback, is_member},
};

/// What clients have said in the present instance, and how Backups have served them.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// The time of a commit in each of the last n Backups that could be measured, in microseconds.
    backups: VecDeque<u64>,
    /// The commits of the present computation, and when the first of them was heard of.
    counted: u64,
    since: Option<Time>,
    /// Whether the last computation was of a slow service: chance makes one, and seldom two.
    slow: bool,
    clients: BTreeMap<NodeId, Client>,
    /// Counts what is heard of.
    clock: u64,
    /// What clients say that they have issued and is not logged here, by when it was heard of.
    open: BTreeMap<u64, (NodeId, u64)>,
}

#[derive(Debug, Default)]
struct Client {
    /// Commits of the present computation, and their microseconds.
    commits: u64,
    micros: u64,
    /// When its requests were heard of that it has not said to be committed.
    heard: BTreeMap<u64, u64>,
    /// A commit: when its request was heard of, and when it was said to be committed.
    round: Option<(u64, u64)>,
}

impl Service {
    /// The instance, of that kind, is over. A Backup is measured as a whole, if it committed `enough`.
    pub(super) fn leave(&mut self, kind: Kind, enough: u64, replicas: usize) {
        let measured = (kind == Kind::Backup && self.counted >= enough)
            .then(|| self.compute())
            .flatten();
        let mut backups = core::mem::take(&mut self.backups);
        if let Some(micros) = measured {
            backups.push_back(micros);
            if backups.len() > replicas {
                backups.pop_front();
            }
        }
        *self = Self {
            backups,
            ..Self::default()
        };
    }

    fn hear(&mut self, client: NodeId, number: u64, open: bool, bound: u64) {
        let heard = &mut self.clients.entry(client).or_default().heard;
        if heard.contains_key(&number) {
            return;
        }
        self.clock += 1;
        heard.insert(number, self.clock);
        if open {
            self.open.insert(self.clock, (client, number));
        }
        if heard.len() as u64 > bound
            && let Some((_, at)) = heard.pop_first()
        {
            self.open.remove(&at);
        }
    }

    /// What is logged needs not be waited for.
    fn logged(&mut self, client: NodeId, number: u64, bound: u64) {
        self.hear(client, number, false, bound);
        let heard = self.clients.get(&client).map(|client| &client.heard);
        if let Some(at) = heard.and_then(|heard| heard.get(&number)) {
            self.open.remove(at);
        }
    }

    /// A commit of a request that was heard of. Says whether it shows that another client is passed over: twice, one
    /// after the other, what this one issued later was committed before what that one issued (P3).
    fn commit(&mut self, client: NodeId, number: u64, micros: u32) -> bool {
        let Some(entry) = self.clients.get_mut(&client) else {
            return false;
        };
        let Some(heard) = entry.heard.remove(&number) else {
            return false;
        };
        entry.commits += 1;
        entry.micros += u64::from(micros);
        self.counted += 1;
        self.open.remove(&heard);
        self.clock += 1;
        match entry.round {
            Some((_, said)) if heard <= said => false,
            before => {
                entry.round = Some((heard, self.clock));
                let since = before.map_or(0, |(heard, _)| heard);
                let mut earlier = self.open.range(..since);
                earlier.any(|(_, (other, _))| *other != client)
            }
        }
    }

    /// What a commit takes at the client in the middle: no minority of liars moves it. The next computation begins.
    fn compute(&mut self) -> Option<u64> {
        self.counted = 0;
        self.since = None;
        let clients = self.clients.values_mut();
        let mut means: Vec<_> = clients
            .filter_map(|client| {
                let mean = client.micros.checked_div(client.commits);
                (client.commits, client.micros) = (0, 0);
                mean
            })
            .collect();
        means.sort_unstable();
        means.get(means.len() / 2).copied()
    }

    /// Aardvark's rule, as §6.3 uses it: nine tenths of what the best of the last Backups has shown.
    fn is_slow(&self, micros: u64) -> bool {
        let best = self.backups.iter().min();
        best.is_some_and(|best| micros.saturating_mul(9) > best.saturating_mul(10))
    }
}

impl Replica {
    /// A batch is logged: nobody in it is passed over, and its commits will be said.
    pub(super) fn note_logged(&mut self, batch: &Batch) {
        if self.config.composition.is_robust() {
            for op in &*batch.operations {
                let bound = self.config.client_window;
                self.service.logged(op.client, op.number, bound);
            }
        }
    }

    /// A client says how it is served.
    pub(super) fn on_feedback(&mut self, from: NodeId, feedback: &Feedback, out: &mut Out) {
        if feedback.instance < self.instance {
            self.show_init(from, out);
            return;
        }
        // What a Backup's last commits took is heard of after its end.
        let known = feedback.instance == self.instance
            && (self.takes_part() || self.kind() == Kind::Backup);
        if !known
            || !self.config.composition.is_robust()
            || !is_member(from, self.keyring.members())
        {
            return;
        }
        if self.kind() == Kind::Chain {
            for &number in feedback.issued.iter() {
                if self.is_fresh(from, number) {
                    let bound = self.config.client_window;
                    self.service.hear(from, number, true, bound);
                }
            }
        }
        let mut unfair = false;
        for &(number, micros) in feedback.committed.iter() {
            // Only of what is logged here.
            if !self.is_fresh(from, number) {
                unfair |= self.service.commit(from, number, micros);
            }
        }
        if unfair {
            self.give_up(Cause::Unfair, out);
        }
        let since = *self.service.since.get_or_insert(self.now);
        if self.kind() != Kind::Backup
            && self.service.counted >= self.config.computation
            && since.plus(self.config.computation_time) <= self.now
            && let Some(micros) = self.service.compute()
        {
            let slow = self.service.is_slow(micros);
            if core::mem::replace(&mut self.service.slow, slow) && slow {
                self.give_up(Cause::Slow, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: NodeId = NodeId(4);
    const SLOW: NodeId = NodeId(5);

    fn issue(service: &mut Service, client: NodeId, number: u64) {
        service.hear(client, number, true, 64);
    }

    #[test]
    fn a_client_that_is_passed_over_twice_is_noticed() {
        let mut service = Service::default();
        issue(&mut service, SLOW, 1);
        issue(&mut service, FAST, 1);
        assert!(!service.commit(FAST, 1, 10), "once may be chance");
        issue(&mut service, FAST, 2);
        assert!(service.commit(FAST, 2, 10), "a second time, issued later");
    }

    #[test]
    fn what_was_under_way_together_may_come_in_any_order() {
        let mut service = Service::default();
        issue(&mut service, SLOW, 1);
        for number in 1..=9 {
            issue(&mut service, FAST, number);
        }
        assert!((1..=9).all(|number| !service.commit(FAST, number, 10)));
    }

    #[test]
    fn nobody_is_passed_over_by_what_came_after_its_own_commit() {
        let mut service = Service::default();
        for number in 1..=9 {
            issue(&mut service, SLOW, number);
            issue(&mut service, FAST, number);
            assert!(!service.commit(SLOW, number, 10));
            assert!(!service.commit(FAST, number, 10));
        }
    }

    #[test]
    fn a_commit_counts_once_and_only_if_it_was_heard_of() {
        let mut service = Service::default();
        issue(&mut service, FAST, 1);
        service.commit(FAST, 1, 10);
        service.commit(FAST, 1, 10);
        service.commit(FAST, 7, 10);
        assert_eq!(service.counted, 1);
    }

    #[test]
    fn a_minority_of_clients_does_not_move_what_is_expected() {
        let mut service = Service::default();
        for (client, micros) in [(4, 100), (5, 110), (6, u32::MAX), (7, 105), (8, 0)] {
            issue(&mut service, NodeId(client), 1);
            service.commit(NodeId(client), 1, micros);
        }
        service.leave(Kind::Backup, 1, 4);
        assert_eq!(service.backups, [105]);
        assert!(!service.is_slow(116), "within nine tenths");
        assert!(service.is_slow(117));
    }

    #[test]
    fn the_best_of_the_last_backups_counts_and_short_ones_do_not() {
        let mut service = Service::default();
        for micros in [100, 900, 900, 900, 900] {
            issue(&mut service, FAST, 1);
            service.commit(FAST, 1, micros);
            service.leave(Kind::Backup, 1, 4);
        }
        assert!(!service.is_slow(999), "the first is forgotten");
        issue(&mut service, FAST, 1);
        service.commit(FAST, 1, 1);
        service.leave(Kind::Backup, 2, 4);
        assert!(!service.is_slow(999), "a single commit shows nothing");
        assert!(service.is_slow(1_001));
    }

    #[test]
    fn what_is_remembered_of_a_client_is_bounded() {
        let mut service = Service::default();
        for number in 1..1_000 {
            service.hear(FAST, number, true, 64);
        }
        assert_eq!(
            (service.clients[&FAST].heard.len(), service.open.len()),
            (64, 64)
        );
    }
}

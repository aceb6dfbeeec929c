//! A replica's application at work: what it is given, what becomes final, what is rolled back, what it stores.

use hedgerow_base::{NodeId, Slot};
use hedgerow_ordering::{Batch, Command};

use super::{Happening, World};
use crate::{MS, Observation, Subject, application::Done, node::User};

impl<S: Subject> World<'_, S> {
    /// A replica gives its application a batch.
    pub(super) fn give(&mut self, id: NodeId, batch: Batch) {
        let ops = batch.operations.iter();
        let ends = ops.filter_map(|op| self.subject.ends(&op.operation)).next();
        let node = &mut self.nodes[id.index()];
        let correct = node.is_correct();
        let User::Application {
            application, ahead, ..
        } = &mut node.user
        else {
            return self.misspoken(id, "is a client and has something executed");
        };
        let void = ahead.give(batch.clone(), ends);
        if correct && !void {
            let observation = Observation::Speculated {
                node: id,
                batch: &batch,
            };
            self.court.hear(self.now, &observation);
        }
        application.decide(batch, ends);
        self.execute_next(id);
    }

    /// A replica calls everything up to `slot` final.
    pub(super) fn settle(&mut self, id: NodeId, slot: Slot) {
        let node = &mut self.nodes[id.index()];
        let User::Application {
            application, ahead, ..
        } = &mut node.user
        else {
            return self.misspoken(id, "is a client and calls something final");
        };
        let news = match ahead.settle(slot) {
            Ok(news) => news,
            Err(what) => return self.misspoken(id, &what),
        };
        application.settle(slot);
        if node.is_correct() {
            for batch in &news {
                let observation = Observation::Decided { node: id, batch };
                self.court.hear(self.now, &observation);
                if batch.slot > self.highest {
                    self.highest = batch.slot;
                    if self.healed_at.is_some() && self.core.contains(id) {
                        self.recovered_at.get_or_insert(self.now);
                    }
                }
            }
        }
        self.execute_next(id);
    }

    /// A replica wants forgotten what comes after `slot`.
    pub(super) fn roll_back(&mut self, id: NodeId, slot: Slot) {
        let node = &mut self.nodes[id.index()];
        let correct = node.is_correct();
        // Both are allowed: to execute what is rolled back anyway, and to leave it out.
        let leave_out = node.rng.chance(500_000);
        let User::Application {
            application, ahead, ..
        } = &mut node.user
        else {
            return self.misspoken(id, "is a client and rolls back");
        };
        if let Err(what) = ahead.roll_back(slot) {
            return self.misspoken(id, &what);
        }
        application.roll_back(slot, leave_out);
        if correct {
            let observation = Observation::RolledBack { node: id, slot };
            self.court.hear(self.now, &observation);
        }
        self.execute_next(id);
    }

    /// A replica says in which epoch what follows is ordered.
    pub(super) fn tell_epoch(&mut self, id: NodeId, epoch: Option<u64>) {
        let User::Application {
            application, ahead, ..
        } = &mut self.nodes[id.index()].user
        else {
            return self.misspoken(id, "is a client and speaks of epochs");
        };
        ahead.tell_epoch(epoch);
        application.tell_epoch(epoch);
        self.execute_next(id);
    }

    /// Unless the application is executing: it does what takes no time, and begins to execute the next batch.
    fn execute_next(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.index()];
        let correct = node.is_correct();
        let User::Application {
            application,
            executing,
            ..
        } = &mut node.user
        else {
            return;
        };
        if *executing {
            return;
        }
        let done = application.catch_up();
        if let Some(operations) = application.next_size() {
            *executing = true;
            let takes = node.rng.below(self.plan.storage.execute_ns + 1)
                + operations as u64 * self.plan.cost.execute_ns;
            let life = node.life;
            self.schedule(self.now + takes, Happening::Execute { node: id, life });
        }
        for done in done {
            match done {
                Done::Settled { slot, state } if correct => {
                    let observation = Observation::Executed {
                        node: id,
                        slot,
                        state,
                    };
                    self.court.hear(self.now, &observation);
                }
                Done::RolledBack(slot) => self.command(id, Command::RolledBack(slot)),
                Done::Epoch(epoch) => self.command(id, Command::Epoch(epoch)),
                _ => {}
            }
        }
    }

    pub(super) fn execute(&mut self, id: NodeId) {
        let User::Application {
            application,
            executing,
            ..
        } = &mut self.nodes[id.index()].user
        else {
            return;
        };
        *executing = false;
        // A rollback may have taken the batch away: then the next one takes its time, too.
        if let Some(Done::Executed {
            slot,
            replies,
            state,
            next,
        }) = application.execute()
        {
            self.command(
                id,
                Command::Executed {
                    slot,
                    replies,
                    state,
                },
            );
            if let Some((next, protocol)) = next {
                let protocol = protocol.into();
                let end = Command::EndEpoch {
                    slot,
                    next,
                    protocol,
                };
                self.command(id, end);
            }
        }
        self.execute_next(id);
        self.store_soon(id);
    }

    pub(super) fn store_soon(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.index()];
        if let User::Application {
            to_store,
            stored,
            storing,
            application,
            ..
        } = &mut node.user
            && stored < to_store
            && application.settled() > *stored
            && !*storing
        {
            *storing = true;
            let life = node.life;
            let takes = node.rng.below(self.plan.storage.store_ns + 1) + MS / 100;
            self.schedule(self.now + takes, Happening::Store { node: id, life });
        }
    }

    pub(super) fn store(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.index()];
        if let User::Application {
            application,
            to_store,
            stored,
            storing,
            ..
        } = &mut node.user
        {
            *storing = false;
            let now: Slot = application.sync(*to_store);
            if now > *stored {
                *stored = now;
                self.command(id, Command::Stored(now));
            }
        }
    }
}

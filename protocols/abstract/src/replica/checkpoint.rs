//! Lightweight checkpoints (§4.2): stable when all 3f + 1 replicas say the same. Only then is what they hold final: a
//! replica alone can't know what clients have seen committed.

use alloc::{collections::BTreeMap, vec::Vec};

use hedgerow_base::{Lsn, NodeId, Slot, Time};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_ordering::Event;

use super::{Out, Replica, log::remember, switching::Cause};
use crate::{
    composition::Kind,
    history::Point,
    messages::{Checkpoint, Message},
    record::Record,
};

#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    /// Since when something is logged that no checkpoint covers.
    since: Option<Time>,
    /// Each replica's highest vote in this instance.
    votes: BTreeMap<NodeId, Checkpoint>,
    /// When to say one's own vote again, and when to give up.
    again: Option<Time>,
    given_up: Option<Time>,
    /// Stable checkpoints whose tables are in the log and that the application may not have on disk, each with where the
    /// log of what follows it begins. Not all are written: a table is large, and the slots after the last one are logged.
    tables: Vec<(Slot, Lsn)>,
    /// The last of them.
    tabled: Slot,
    /// Where the record of the instance is.
    pub(super) entered: Lsn,
}

impl Checkpoints {
    /// A new instance: earlier votes are void.
    pub(super) fn restart(&mut self) {
        self.since = None;
        self.votes.clear();
        self.again = None;
        self.given_up = None;
    }

    pub(super) fn note_table(&mut self, slot: Slot, lsn: Lsn) {
        self.tables.push((slot, lsn));
        self.tabled = slot;
    }
}

impl Replica {
    pub(super) fn checkpoint_due(&self) -> Option<Time> {
        let all = [
            self.vote_due(),
            self.checkpoint.again,
            self.checkpoint.given_up,
        ];
        all.into_iter().flatten().min()
    }

    /// When a checkpoint is due by time. The leader goes first; the others when it does not. Once somebody has voted, what
    /// is due is that slot, as soon as it is executed.
    fn vote_due(&self) -> Option<Time> {
        let open = self.wanted().is_none() && self.executed > self.history.base().slot;
        let delay = self.config.checkpoint_delay * if self.leads() { 1 } else { 3 };
        self.checkpoint
            .since
            .filter(|_| open)
            .map(|since| since.plus(delay))
    }

    /// All must vote for the same slot: the highest that anybody has voted for.
    fn wanted(&self) -> Option<Slot> {
        let slots = self.checkpoint.votes.values().map(|vote| vote.at.slot);
        slots.max().filter(|slot| *slot > self.history.base().slot)
    }

    /// One's own vote that is not stable yet.
    fn mine(&self) -> Option<&Checkpoint> {
        let vote = self.checkpoint.votes.get(&self.me)?;
        (vote.at.slot > self.history.base().slot).then_some(vote)
    }

    pub(super) fn drive_checkpoint(&mut self, out: &mut Out) {
        let concerned = self.takes_part() && self.kind() != Kind::Backup;
        // What an instance before has made final needs nobody's vote.
        if concerned
            && self.finished > self.history.base().slot
            && self.finished <= self.executed
            && let Some(at) = self.history.point(self.finished)
        {
            self.stabilize(at, out);
        }
        let base = self.history.base().slot;
        if !concerned || self.history.head().slot == base {
            self.checkpoint.since = None;
            self.checkpoint.again = None;
            self.checkpoint.given_up = None;
            return;
        }
        self.checkpoint.since.get_or_insert(self.now);
        let patience = self.config.checkpoint_timeout;
        let now = self.now;
        let given_up = *self
            .checkpoint
            .given_up
            .get_or_insert_with(|| now.plus(patience));
        let due = self.executed.since(base) >= self.config.checkpoint_interval
            || self.vote_due().is_some_and(|due| due <= now);
        let slot = match self.wanted() {
            Some(slot) => (slot <= self.executed).then_some(slot),
            None => due.then_some(self.executed),
        };
        let said = self.mine().map(|vote| vote.at.slot);
        if let Some(slot) = slot.filter(|slot| said.is_none_or(|said| said < *slot)) {
            self.vote(slot, out);
        } else if self.checkpoint.again.is_some_and(|again| again <= now)
            && let Some(vote) = self.mine().copied()
        {
            self.say_vote(vote, out);
        }
        if given_up <= now {
            // A replica is missing: in this instance nothing commits without it.
            self.give_up(Cause::Missing, out);
        }
    }

    fn vote(&mut self, slot: Slot, out: &mut Out) {
        let state = self
            .history
            .get(slot)
            .and_then(|entry| entry.outcome.as_ref());
        let (Some(at), Some((_, state))) = (self.history.point(slot), state) else {
            return;
        };
        let vote = Checkpoint {
            instance: self.instance,
            at,
            state: *state,
            asks: true,
        };
        self.checkpoint.votes.insert(self.me, vote);
        self.say_vote(vote, out);
        self.try_stable(out);
    }

    fn say_vote(&mut self, vote: Checkpoint, out: &mut Out) {
        self.checkpoint.again = Some(self.now.plus(self.config.retry));
        let sealed = Sealed::new(vote, Sealing::Authenticator, &self.keyring);
        out.send_after(out.last(), Target::Others, Message::Checkpoint(sealed));
    }

    pub(super) fn on_checkpoint(&mut self, sealed: &Sealed<Checkpoint>, out: &mut Out) {
        let (origin, vote) = (sealed.origin(), *sealed.value());
        if vote.instance < self.instance {
            self.show_init(origin, out);
        }
        self.note_instance(origin, vote.instance, out);
        if vote.instance != self.instance || self.kind() == Kind::Backup || origin == self.me {
            return;
        }
        let base = self.history.base();
        if vote.at.slot <= base.slot {
            // It lacks this replica's vote, which is stable here: the others' it has or gets in the same way.
            if vote.asks
                && vote.at == base
                && let Some(mine) = self.checkpoint.votes.get(&self.me).copied()
                && mine.at == base
                && self.takes_part()
            {
                let answer = Checkpoint {
                    asks: false,
                    ..mine
                };
                let sealed = Sealed::new(answer, Sealing::Authenticator, &self.keyring);
                out.send_after(
                    out.last(),
                    Target::Node(origin),
                    Message::Checkpoint(sealed),
                );
            }
            return;
        }
        let known = self.checkpoint.votes.get(&origin);
        if known.is_none_or(|known| known.at.slot < vote.at.slot) {
            self.checkpoint.votes.insert(origin, vote);
            self.try_stable(out);
        }
    }

    fn try_stable(&mut self, out: &mut Out) {
        let Some(mine) = self.mine().copied() else {
            return;
        };
        let same_slot = self
            .checkpoint
            .votes
            .values()
            .filter(|vote| vote.at.slot == mine.at.slot);
        let (mut count, mut equal) = (0, true);
        for vote in same_slot {
            count += 1;
            equal = equal && (vote.at, vote.state) == (mine.at, mine.state);
        }
        if !equal {
            self.give_up(Cause::Differ, out);
        } else if count == self.roster.n() {
            self.stabilize(mine.at, out);
        }
    }

    /// Everything up to `at`, which is executed, is final, and the history begins there.
    pub(super) fn stabilize(&mut self, at: Point, out: &mut Out) {
        for entry in self.history.rebase(at.slot) {
            let Some((replies, _)) = entry.outcome else {
                continue;
            };
            remember(&mut self.base_clients, &entry.batch, &replies);
        }
        if at.slot.since(self.checkpoint.tabled) >= self.config.checkpoint_interval {
            let lsn = out.persist(Record::Stable {
                at,
                clients: self.base_clients.encode(),
            });
            let open = self.history.iter().next();
            let keep = open.map_or(lsn, |entry| entry.lsn.min(lsn));
            self.checkpoint.note_table(at.slot, keep);
        }
        self.checkpoint.since = None;
        self.checkpoint.again = None;
        self.checkpoint.given_up = None;
        self.finish(at.slot, out);
        out.emit_after(out.last(), Event::Stable(at.slot));
        if self.kind() == Kind::Quorum {
            self.quorum_room(out);
        }
        self.zlight_room(out);
        self.chain_room(out);
    }

    /// The application has everything up to `slot` on disk: the log before the last table up to there can go, but for what
    /// is logged after it. What concerns the instance is written again when it alone would hold the log.
    pub(super) fn on_stored(&mut self, slot: Slot, out: &mut Out) {
        let tables = self.checkpoint.tables.iter();
        let covered = tables.filter(|(stable, _)| *stable <= slot).count();
        if covered == 0 || self.kind() == Kind::Backup {
            return; // A Backup's records are its instance's whole log.
        }
        self.checkpoint.tables.drain(..covered - 1);
        let Some(&(_, keep)) = self.checkpoint.tables.first() else {
            return;
        };
        if self.checkpoint.entered < keep {
            self.write_instance(out);
        }
        out.release(keep);
    }
}

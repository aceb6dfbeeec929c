//! Time-outs (§4.4, §4.5.2): as data. They start at a base, double while views fail, and have a cap.

use core::time::Duration;

use hedgerow_base::{NodeId, NodeSet, Time};
use hedgerow_machine::Target;

use super::{Out, Replica, status::Mark};
use crate::{config::Config, messages::Message};

/// After how many decisions in a view the next time-out is shorter again.
const CALM: u64 = 64;

#[derive(Debug)]
pub(super) struct Timers {
    timeout: Duration,
    /// Decisions since the view was entered.
    decisions: u64,
    /// The request that has been watched longest, and since when it is the first.
    head: Option<(NodeId, u64, Time)>,
    /// Since when slots have been under way without a decision.
    stalled: Option<Time>,
    /// When the new primary's time began.
    awaiting: Option<Time>,
    status: Option<Time>,
    /// How much longer than usual the next status waits.
    patience: u32,
    mark: Mark,
    /// Whether something happened since the last status that the others may have missed.
    active: bool,
    /// Replicas whose connections broke.
    unreachable: NodeSet,
    /// When any timer is due.
    due: Option<Time>,
}

impl Timers {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            decisions: 0,
            head: None,
            stalled: None,
            awaiting: None,
            status: None,
            patience: 1,
            mark: Mark::default(),
            active: false,
            unreachable: NodeSet::EMPTY,
            due: None,
        }
    }

    pub(super) const fn next(&self) -> Option<Time> {
        self.due
    }

    pub(super) fn note_decision(&mut self, now: Time) {
        self.decisions += 1;
        self.active = true;
        if self.stalled.is_some() {
            self.stalled = Some(now);
        }
    }

    /// A view failed: wait longer in the next. One that worked for a while keeps its time-out or shortens it, so that
    /// a slow network is given time once and for all, and a fast one does not stay slow.
    pub(super) fn give_up(&mut self, config: &Config) {
        self.timeout = match self.decisions {
            0 => (self.timeout * 2).min(config.timeout_max),
            CALM.. => (self.timeout / 2).max(config.timeout),
            _ => self.timeout,
        };
        self.decisions = 0;
        self.awaiting = None;
        self.stalled = None;
        self.status = None;
        self.patience = 1;
    }

    pub(super) fn await_new_view(&mut self, now: Time) {
        self.awaiting.get_or_insert(now);
    }

    pub(super) fn enter_view(&mut self, now: Time) {
        self.decisions = 0;
        self.awaiting = None;
        self.stalled = None;
        self.active = true;
        if let Some((_, _, since)) = &mut self.head {
            *since = now;
        }
    }

    pub(super) const fn was_active(&self) -> bool {
        self.active
    }
}

impl Replica {
    /// Something happened after which the others should hear where this replica is.
    pub(super) const fn status_soon(&mut self) {
        self.timers.active = true;
    }

    pub(super) fn on_link(&mut self, peer: NodeId, up: bool) {
        self.timers.unreachable.set(peer, !up);
        if up {
            self.presence.on_link(peer, self.now);
        }
    }

    /// How long the primary of the present view is waited for. Not at all when its connection broke: unless those of more
    /// than f did, which says more about this replica.
    fn patience(&self) -> Duration {
        let unreachable = self.timers.unreachable;
        if unreachable.contains(self.primary()) && unreachable.len() <= self.roster.f() {
            Duration::ZERO
        } else {
            self.timers.timeout
        }
    }

    /// When progress must have been made: the first watched request is decided, or the next slot is. A primary whose
    /// slot stays undecided leaves its own view, too, after its backups had time to: where one backup has decided the
    /// slot and another one has left the view alone, nobody else would.
    fn progress_due(&self) -> Option<Time> {
        if self.changing || !self.presence.is_ready() {
            return None;
        }
        let head = self.timers.head.map(|(_, _, since)| since);
        let head = head.filter(|_| !self.is_primary());
        let since = match (head, self.timers.stalled) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let timeout = if self.is_primary() {
            (self.timers.timeout * 2).min(self.config.timeout_max)
        } else {
            self.patience()
        };
        since.map(|since| since.plus(timeout))
    }

    fn new_view_due(&self) -> Option<Time> {
        let waits = self.changing && self.presence.is_ready();
        let since = self.timers.awaiting.filter(|_| waits)?;
        Some(since.plus(self.patience()))
    }

    /// Brings the timers up to date with the state; after each burst.
    pub(super) fn set_timers(&mut self) {
        let now = self.now;
        while let Some((client, number)) = self.requests.watched() {
            let used = self.numbers.get(&client);
            if used.is_none_or(|used| used.is_fresh(number)) {
                break;
            }
            self.requests.unwatch();
        }
        self.timers.head = self.requests.watched().map(|(client, number)| {
            let same = self
                .timers
                .head
                .filter(|&(c, n, _)| (c, n) == (client, number));
            same.unwrap_or((client, number, now))
        });
        if self.has_undecided() && !self.changing {
            self.timers.stalled.get_or_insert(now);
        } else {
            self.timers.stalled = None;
        }
        let outstanding = self.is_outstanding();
        if outstanding {
            self.timers.active = true;
        }
        if outstanding || (self.timers.active && !self.presence.is_starting()) {
            let interval = self.config.status_interval * self.timers.patience;
            self.timers.status.get_or_insert_with(|| now.plus(interval));
        } else {
            self.timers.status = None;
        }
        let due = [
            self.progress_due(),
            self.new_view_due(),
            self.timers.status,
            self.greeting_due(),
            self.transfer.due(),
        ];
        self.timers.due = due.into_iter().flatten().min();
    }

    pub(super) fn on_deadline(&mut self, out: &mut Out) {
        let now = self.now;
        let over = |due: Option<Time>| due.is_some_and(|due| due <= now);
        if over(self.progress_due()) || over(self.new_view_due()) {
            self.start_view_change(self.view.next(), out);
        }
        if over(self.timers.status) {
            self.timers.status = None;
            self.tell_status(out);
        }
    }

    /// While nothing moves, say what is here; when all is done, say so once.
    fn tell_status(&mut self, out: &mut Out) {
        let moved = self.timers.mark != self.mark();
        self.timers.mark = self.mark();
        if !self.is_outstanding() {
            if self.timers.was_active() {
                self.timers.active = false;
                self.send_status(false, out);
            }
            return;
        }
        if moved {
            self.timers.patience = 1;
            return;
        }
        self.timers.patience = (self.timers.patience * 2).min(4);
        self.send_status(true, out);
        if self.changing
            && let Some(mine) = self.view_changes.get(&self.me)
        {
            let after = out.last();
            out.send_after(after, Target::Others, Message::ViewChange(mine.clone()));
            // Perhaps nobody else waits for what made this replica leave.
            if let Some(request) = self.requests.first_watched() {
                let alone = Message::Requests([request.clone()].into());
                out.send(Target::Others, alone);
            }
        }
        self.want_again(out);
        self.transfer.start_if(self.goal() > self.decided);
    }
}

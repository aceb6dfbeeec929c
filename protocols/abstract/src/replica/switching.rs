//! From one instance to the next (§4.2, §6.3): panic, ABORT, init history. Clients can do it; replicas do it, too, when
//! they see that an instance is over, so that it needs no client.

use alloc::sync::Arc;

use hedgerow_base::{NodeId, Time};
use hedgerow_crypto::{Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_wire::List;

use super::{Out, Replica, Stage, zlight::ZLight};
use crate::{
    abort::{Aborts, Origin, extract},
    composition::{Instance, Kind},
    messages::{Abort, Init, Message, Panic, is_member},
    record::Record,
};

#[derive(Debug, Default)]
pub(super) struct Switching {
    aborts: Aborts,
    mine: Option<Sealed<Abort>>,
    /// When to say again that it has stopped.
    again: Option<Time>,
    /// The proof of the next instance, and when to show it though it is the leader's to do so.
    ready: Option<Init>,
    ready_due: Option<Time>,
    /// It is to stop as soon as it has its init history.
    stop_wanted: Option<Cause>,
}

impl Switching {
    pub(super) const fn of(instance: Instance) -> Self {
        Self {
            aborts: Aborts::of(instance),
            mine: None,
            again: None,
            ready: None,
            ready_due: None,
            stop_wanted: None,
        }
    }

    pub(super) fn due(&self) -> Option<Time> {
        [self.again, self.ready_due].into_iter().flatten().min()
    }
}

/// Why an instance was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Panic,
    Missing,
    Differ,
    Stopped,
    Alone,
    Restart,
    Quota,
    Unreachable,
    Slow,
    Unfair,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "a member saw no progress",
            Self::Missing => "a validator is missing: not all confirmed a checkpoint in time",
            Self::Differ => "validators had different histories or states",
            Self::Stopped => "another validator had stopped",
            Self::Alone => "a single client had the chain to itself",
            Self::Restart => "this validator was started in it",
            Self::Quota => "a backup had committed as many requests as it was to",
            Self::Unreachable => "a validator can't be reached",
            Self::Slow => "clients were served more slowly than a backup would serve them",
            Self::Unfair => "a client's request was passed over",
        }
    }
}

impl Replica {
    /// A client or replica sees no progress.
    pub(super) fn on_panic(&mut self, origin: NodeId, instance: Instance, out: &mut Out) {
        if instance < self.instance {
            self.show_init(origin, out);
        } else if instance == self.instance {
            self.give_up(Cause::Panic, out);
            self.show_abort(origin, out);
        }
    }

    /// All but a Backup need everybody: they end with the connection to one, instead of after a time-out.
    pub(super) fn on_link(&mut self, peer: NodeId, up: bool, out: &mut Out) {
        self.unreachable.set(peer, !up);
        if up {
            self.start.on_link(peer, self.now);
        } else {
            self.give_up(Cause::Unreachable, out);
        }
        if let Some(backup) = &mut self.backup {
            backup.on_link(self.now, peer, up);
        }
    }

    /// The instance is over for this replica.
    pub(super) fn give_up(&mut self, cause: Cause, out: &mut Out) {
        if self.kind() != Kind::Backup {
            self.stop(cause, out);
        }
    }

    /// Stops the instance: from here on its history does not change (P2).
    pub(super) fn stop(&mut self, cause: Cause, out: &mut Out) {
        match self.stage {
            Stage::Stopped => return,
            Stage::Adopting => {
                self.switching.stop_wanted = Some(cause);
                return;
            }
            Stage::Active => {}
        }
        self.stage = Stage::Stopped;
        self.note_switch(cause);
        out.persist(Record::Stopped(self.instance));
        self.say_stopped(out);
    }

    pub(super) fn note_switch(&mut self, cause: Cause) {
        self.switches += 1;
        self.switched = Some((self.now, cause.as_str()));
    }

    /// Tells the other replicas that it has stopped, with its ABORT, and asks for theirs.
    pub(super) fn say_stopped(&mut self, out: &mut Out) {
        self.switching.again = Some(self.now.plus(self.config.retry));
        let abort = self.abort();
        if let Some(abort) = abort.clone() {
            out.send_after(out.last(), Target::Others, Message::Abort(abort));
        }
        let panic = Panic {
            instance: self.instance,
        };
        let sealed = Sealed::new(panic, Sealing::Authenticator, &self.keyring);
        out.send(Target::Others, Message::Panic(sealed));
        if let Some(abort) = abort {
            self.on_abort(abort, out);
        }
    }

    /// Whether an ABORT of the present instance would be of a history that this replica does not know any more.
    fn is_mute(&self) -> bool {
        self.instance <= self.mute && self.kind() != Kind::Backup
    }

    /// This replica's ABORT of the present instance, which it has stopped; nothing where it knows less than it said.
    fn abort(&mut self) -> Option<Sealed<Abort>> {
        if self.is_mute() || self.switching.mine.is_some() {
            return self.switching.mine.clone();
        }
        // What is final may be ahead of the base, which waits for the application.
        let base = match self.kind() {
            Kind::Backup => self.history.head(),
            Kind::Quorum | Kind::ZLight | Kind::Chain => self.history.point(self.finished)?,
        };
        // More than fits would be none, and a lie; the history is bounded so that it does not happen.
        let suffix = List::new(self.history.digests(base.slot)).ok()?;
        let abort = Abort {
            instance: self.instance,
            // Less than the head's measure, so that others with other clocks agree.
            low_load: self.is_chain_idle(self.config.chain_alone / 2),
            base,
            suffix,
        };
        let sealed = Sealed::new(abort, Sealing::Signature, &self.keyring);
        self.switching.mine = Some(sealed.clone());
        Some(sealed)
    }

    /// Shows the ABORT to one that wants it, not too often.
    pub(super) fn show_abort(&mut self, to: NodeId, out: &mut Out) {
        if self.stage == Stage::Stopped
            && self.may_show(to)
            && let Some(abort) = self.abort()
        {
            out.send_after(out.last(), Target::Node(to), Message::Abort(abort));
        }
    }

    /// Shows what the present instance began with to one that is behind, not too often.
    pub(super) fn show_init(&mut self, to: NodeId, out: &mut Out) {
        if let Some(init) = self.init.clone()
            && self.may_show(to)
        {
            out.send_after(out.last(), Target::Node(to), Message::Init(init));
        }
    }

    fn may_show(&mut self, to: NodeId) -> bool {
        let (now, spacing) = (self.now, self.config.retry / 4);
        let may = to != self.me
            && is_member(to, self.keyring.members())
            && self
                .shown
                .get(&to)
                .is_none_or(|last| last.plus(spacing) <= now);
        if may {
            self.shown.insert(to, now);
        }
        may
    }

    pub(super) fn on_abort(&mut self, abort: Sealed<Abort>, out: &mut Out) {
        let (origin, instance) = (abort.origin(), abort.value().instance);
        if instance < self.instance {
            self.show_init(origin, out);
            return;
        }
        if instance > self.instance {
            return;
        }
        let composition = self.config.composition;
        if let Some(init) = self.switching.aborts.add(abort, composition, self.roster)
            && self.switching.ready.is_none()
        {
            self.switching.ready = Some(init);
            self.switching.ready_due = Some(self.now.plus(self.config.delta * 2));
        }
        // Without that replica nothing commits in this instance any more.
        self.give_up(Cause::Stopped, out);
    }

    /// Begins the next instance once its proof is complete: its leader at once, the others when the leader does not.
    pub(super) fn drive_switching(&mut self, out: &mut Out) {
        if self.start.is_asking() {
            return;
        }
        let now = self.now;
        let next = self.instance.next();
        let leader = self.config.composition.leader(next, self.roster);
        let leads = leader == self.me || self.unreachable.contains(leader);
        let due = self.switching.ready_due.is_some_and(|due| due <= now);
        if (leads || due)
            && self.stage == Stage::Stopped
            && let Some(init) = self.switching.ready.clone()
        {
            let init = Arc::new(init);
            out.send(Target::Others, Message::Init(init.clone()));
            // Replicas may have switched by themselves: clients that wait would learn of it by their panic. A short
            // Backup answers whoever still waits.
            if self.kind() != Kind::Backup || self.config.composition.is_robust() {
                let members = self.numbers.keys();
                for &client in members.filter(|id| !self.roster.contains(**id)) {
                    out.send(Target::Node(client), Message::Init(init.clone()));
                }
            }
            self.on_init(&init, out);
            return;
        }
        if self.stage == Stage::Stopped && self.switching.again.is_none_or(|again| again <= now) {
            self.say_stopped(out);
        }
    }

    /// Tells the others where it is, once, when that has not changed for a while.
    pub(super) fn tell(&mut self, out: &mut Out) {
        let here = (self.instance, self.finished);
        let settled = self.stage == Stage::Active && !self.start.is_asking();
        if self.told == here || !settled {
            self.tell_at = None;
        } else if self.tell_at.is_some_and(|at| at <= self.now) {
            self.tell_at = None;
            self.told = here;
            out.send(Target::Others, Message::Status(self.instance));
        } else {
            let at = self.now.plus(self.config.retry);
            self.tell_at.get_or_insert(at);
        }
    }

    pub(super) fn on_status(&mut self, from: NodeId, instance: Instance, out: &mut Out) {
        if instance < self.instance {
            self.show_init(from, out);
        } else {
            self.note_instance(from, instance, out);
        }
    }

    /// Tells one that is in a later instance where this replica is: it shows what that instance began with.
    pub(super) fn note_instance(&mut self, from: NodeId, instance: Instance, out: &mut Out) {
        if instance > self.instance && !self.start.is_asking() && self.may_show(from) {
            out.send(Target::Node(from), Message::Status(self.instance));
        }
    }

    /// A later instance begins.
    pub(super) fn on_init(&mut self, init: &Arc<Init>, out: &mut Out) {
        // Before it knows where the others are it can't tell what it took part in.
        let wanted =
            init.instance > self.instance || (init.instance == self.instance && self.is_stuck());
        if !wanted || self.start.is_asking() {
            return;
        }
        let Ok(origin) = extract(self.config.composition, self.roster, init) else {
            return;
        };
        // What is final here is part of every init history.
        if origin.target.slot < self.finished {
            return;
        }
        if init.instance == self.instance {
            self.adopt_instead(init, origin, out);
            return;
        }
        self.log_kept(out);
        self.enter(init.clone());
        // Before anything is rolled back: what the log has left then is not the history of the instance before.
        self.write_entered(false, out);
        if self.kind() == Kind::Backup {
            // Its order says with which history it begins.
            self.stage = Stage::Active;
            self.begin_backup();
        } else {
            self.fetch_towards(origin, out);
        }
    }

    /// The state of an instance that begins.
    pub(super) fn enter(&mut self, init: Arc<Init>) {
        self.service
            .leave(self.kind(), self.config.computation, self.roster.n());
        self.instance = init.instance;
        self.init = Some(init);
        self.stage = Stage::Adopting;
        self.zlight = ZLight::default();
        self.chain.restart(self.instance);
        self.pending.clear();
        self.backup = None;
        self.waiting.clear();
        self.responses.clear();
        self.shown.clear();
        self.checkpoint.restart();
        self.switching = Switching::of(self.instance);
        self.fetch.stop();
    }

    /// The history is the init history.
    pub(super) fn adopted(&mut self, origin: &Origin, out: &mut Out) {
        debug_assert_eq!(self.history.head(), origin.target);
        if self.kind() == Kind::Backup {
            self.backup_adopted(origin, out);
            return;
        }
        // What a Backup has committed is final, executed here or not.
        let before = Instance(self.instance.0.saturating_sub(1));
        if before >= Instance::FIRST && self.config.composition.kind(before) == Kind::Backup {
            self.finish(origin.target.slot, out);
        }
        self.stage = Stage::Active;
        self.write_instance(out);
        self.chain_room(out);
        if self.instance <= self.silent {
            self.stop(Cause::Restart, out);
        } else if let Some(cause) = self.switching.stop_wanted {
            self.stop(cause, out);
        } else if !self.unreachable.is_empty() {
            self.stop(Cause::Unreachable, out);
        }
    }

    /// Writes down what the instance began with, and whether the history is that.
    pub(super) fn write_entered(&mut self, adopted: bool, out: &mut Out) {
        if let Some(init) = self.init.clone() {
            self.checkpoint.entered = out.persist(Record::Entered { init, adopted });
        }
    }

    /// Writes down which instance this is, and what part is taken in it.
    pub(super) fn write_instance(&mut self, out: &mut Out) {
        let adopted = self.kind() != Kind::Backup && self.stage != Stage::Adopting;
        self.write_entered(adopted, out);
        if self.stage == Stage::Stopped && self.kind() != Kind::Backup {
            out.persist(Record::Stopped(self.instance));
        }
        if self.silent > Instance::default() {
            out.persist(Record::Silent {
                below: self.silent,
                mute: self.mute,
            });
        }
        if self.init.is_none() {
            self.checkpoint.entered = out.last();
        }
    }
}

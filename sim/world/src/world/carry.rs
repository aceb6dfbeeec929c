//! What a machine wants done: sending, storing, telling its user.

use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_machine::{Effect, Protocol, Target};
use hedgerow_ordering::{Command, Event};

use super::{Happening, World};
use crate::{
    Observation, Subject,
    attacker::receivers,
    node::{Inbound, Outgoing, User},
};

impl<S: Subject> World<'_, S> {
    /// Carries out the effects of a burst that cost so much time.
    pub(super) fn carry_out(&mut self, id: NodeId, mut cost: u64) {
        let node = &mut self.nodes[id.index()];
        let mut effects: Vec<_> = node.out.drain().collect();
        let mut dies = None;
        if !effects.is_empty()
            && let Some(delay) = node.dies_inside.take()
        {
            effects.truncate(node.rng.below(effects.len() as u64 + 1) as usize);
            dies = Some(delay);
        }
        for effect in effects {
            match effect {
                Effect::Persist { lsn, record } => {
                    self.transcript
                        .say(self.now, || format!("{id} stores {lsn} {record:?}"));
                    let mut shown = Vec::new();
                    self.subject.notes(&record, &mut shown);
                    self.show(id, shown);
                    let record = self.subject.encode_record(&record);
                    let node = &mut self.nodes[id.index()];
                    node.disk.append(lsn, record);
                    self.active(id, "stored a record");
                }
                Effect::Send { to, message, after } => {
                    let gate = &mut self.nodes[id.index()].gate;
                    if let Some(Outgoing::Send { to, message }) =
                        gate.pass(after, Outgoing::Send { to, message })
                    {
                        cost += self.transmit(id, cost, to, message);
                    }
                }
                Effect::Emit { event, after } => {
                    let gate = &mut self.nodes[id.index()].gate;
                    if let Some(Outgoing::Emit(event)) = gate.pass(after, Outgoing::Emit(event)) {
                        self.tell_after(id, cost, event);
                    }
                }
                Effect::Release(below) => self.nodes[id.index()].disk.release(below),
            }
            if !self.nodes[id.index()].is_up() {
                return;
            }
        }
        if dies.is_some() {
            self.crash(id, dies);
            return;
        }
        self.busy(id, cost, 0);
        self.sync(id);
    }

    fn show(&mut self, node: NodeId, shown: Vec<crate::Shown>) {
        if self.nodes[node.index()].is_correct() {
            for shown in shown {
                self.court
                    .hear(self.now, &Observation::Showed { node, shown });
            }
        }
    }

    fn active(&mut self, node: NodeId, what: &'static str) {
        if self.nodes[node.index()].is_correct() {
            self.court
                .hear(self.now, &Observation::Active { node, what });
        }
    }

    /// Begins a sync if there is something to sync: whatever was written meanwhile goes into the next one.
    fn sync(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.index()];
        if node.disk.begin_sync().is_none() {
            return;
        }
        let storage = &self.plan.storage;
        let takes = node.rng.between(storage.sync_min_ns, storage.sync_max_ns)
            + std::mem::take(&mut node.stall);
        let life = node.life;
        self.schedule(self.now + takes, Happening::Synced { node: id, life });
    }

    pub(super) fn synced(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.index()];
        let durable = node.disk.end_sync();
        if let Some(delay) = node.dies_at_sync.take() {
            self.crash(id, Some(delay));
            return;
        }
        let free: Vec<_> = node.gate.open(durable).collect();
        let mut cost = node.busy_until.saturating_sub(self.now);
        let before = cost;
        for outgoing in free {
            match outgoing {
                Outgoing::Send { to, message } => cost += self.transmit(id, cost, to, message),
                Outgoing::Emit(event) => self.tell_after(id, cost, event),
            }
            if !self.nodes[id.index()].is_up() {
                return;
            }
        }
        self.busy(id, cost, before);
        self.push(id, Inbound::Durable(durable));
        self.sync(id);
    }

    /// Seals a message and gives it to the links, `after` ns from now; gives what that costs.
    fn transmit(
        &mut self,
        id: NodeId,
        after: u64,
        to: Target,
        message: <S::Protocol as Protocol>::Message,
    ) -> u64 {
        self.transcript
            .say(self.now, || format!("{id} -> {to:?} {message:?}"));
        if !self.nodes[id.index()].is_correct() {
            self.with_attacker(id, |attacker, me, plot| attacker.say(me, to, message, plot));
            return 0;
        }
        let mut votes = Vec::new();
        self.subject.votes(id, &message, &mut votes);
        for vote in votes {
            self.court
                .hear(self.now, &Observation::Voted { node: id, vote });
        }
        let mut shown = Vec::new();
        self.subject.shows(id, &message, &mut shown);
        self.show(id, shown);
        let frame = self.nodes[id.index()].codec.seal(&message, to);
        let receivers = receivers(to, id, self.plan.roster);
        let cost = self.plan.cost.sending(frame.len(), receivers.len());
        let at = if self.is_free() {
            self.now
        } else {
            self.now + after + cost
        };
        for receiver in receivers {
            self.leave(at, id, receiver, frame.clone());
        }
        self.active(id, "sent a message");
        cost
    }

    /// A frame leaves at `at`.
    pub(super) fn leave(&mut self, at: u64, from: NodeId, to: NodeId, frame: Bytes) {
        if to.index() >= self.nodes.len() {
            return;
        }
        self.nodes[from.index()].meter.sent += frame.len() as u64;
        let arrivals = self.links.route(at, from, to, frame.len(), &mut self.rng);
        for arrival in arrivals.into_iter().flatten() {
            let frame = frame.clone();
            self.schedule(arrival, Happening::Arrive { to, from, frame });
        }
    }

    fn is_free(&self) -> bool {
        self.plan.cost.eq(&crate::CostModel::FREE)
    }

    /// The node's processor is busy for `cost` ns from now; of `before` of them that was known.
    fn busy(&mut self, id: NodeId, cost: u64, before: u64) {
        if !self.is_free() {
            let node = &mut self.nodes[id.index()];
            node.busy_until = self.now + cost;
            node.meter.busy_ns += cost - before;
        }
    }

    /// Tells a node's user what its machine says once that has worked for `cost` ns more.
    fn tell_after(&mut self, id: NodeId, cost: u64, event: Event) {
        if self.is_free() {
            return self.tell(id, event);
        }
        let (now, node) = (self.now, &mut self.nodes[id.index()]);
        let life = node.life;
        node.told.push_back((now + cost, event));
        self.schedule(now + cost, Happening::Hear { node: id, life });
    }

    pub(super) fn hear_told(&mut self, id: NodeId) {
        let now = self.now;
        let due = |told: &mut (u64, Event)| told.0 <= now;
        while let Some((_, event)) = self.nodes[id.index()].told.pop_front_if(due) {
            self.tell(id, event);
        }
    }

    /// Tells a node's user what its machine says.
    fn tell(&mut self, id: NodeId, event: Event) {
        self.transcript
            .say(self.now, || format!("{id} says {event:?}"));
        let node = &mut self.nodes[id.index()];
        let (life, correct) = (node.life, node.is_correct());
        match event {
            Event::Final(slot) => return self.settle(id, slot),
            Event::Rollback(slot) => return self.roll_back(id, slot),
            Event::Epoch(epoch) => return self.tell_epoch(id, epoch),
            _ => {}
        }
        let soon = self.now + node.rng.below(self.plan.storage.execute_ns + 1);
        match (&mut node.user, event) {
            (_, Event::Execute(batch)) => self.give(id, batch),
            (User::Application { to_store, .. }, Event::Stable(slot)) => {
                *to_store = (*to_store).max(slot);
                self.store_soon(id);
            }
            (User::Application { application, .. }, Event::Answer { token, .. }) => {
                let reply = application.answer();
                let command = Command::Answered { token, reply };
                self.schedule(
                    soon,
                    Happening::Command {
                        node: id,
                        life,
                        command,
                    },
                );
            }
            (User::Application { application, .. }, Event::Load { token, slot }) => {
                let batch = application.batch(slot);
                let command = Command::Loaded { token, slot, batch };
                self.schedule(
                    soon,
                    Happening::Command {
                        node: id,
                        life,
                        command,
                    },
                );
            }
            (User::Client(workload), Event::Completed { ticket, reply }) => {
                if correct {
                    let observation = Observation::Completed {
                        client: id,
                        ticket,
                        reply: &reply,
                    };
                    self.court.hear(self.now, &observation);
                    if let Some(latency) = workload.complete(ticket, self.now) {
                        self.completed += 1;
                        self.last_answer = self.now;
                        self.measured(self.now, latency);
                    }
                    self.work_at(id, self.now);
                    self.answered();
                } else {
                    workload.complete(ticket, self.now);
                    self.work_at(id, self.now);
                }
            }
            _ => self.misspoken(id, "told its user what is not for it"),
        }
    }

    /// A participant broke the rules between it and its user. Liars may.
    pub(super) fn misspoken(&mut self, id: NodeId, what: &str) {
        if self.nodes[id.index()].is_correct() {
            let what = format!("{id} {what}");
            self.court.accuse(self.now, "interface".into(), what);
        }
    }
}

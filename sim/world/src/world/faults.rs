//! What goes wrong, and how it is put right.

use hedgerow_base::{NodeId, NodeSet};
use hedgerow_ordering::Phase;

use super::{Happening, World};
use crate::{
    Application, Disk, Fault, Mode, Observation, Subject, Weather,
    node::{Node, User},
};

impl<S: Subject> World<'_, S> {
    /// Starts a node that is down.
    pub(super) fn start(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.index()];
        if node.is_up() {
            return;
        }
        let local = node.read_clock(self.now);
        node.start(self.subject, local, self.plan.tuning);
        if !node.is_up() {
            self.transcript
                .say(self.now, || format!("{id} can't start from its own lies"));
            return;
        }
        self.forget_hints(id);
        self.hint_first(id);
        self.hint_mended();
        let node = &self.nodes[id.index()];
        let (life, executed) = (
            node.life,
            match &node.user {
                User::Application { application, .. } => Some(application.executed()),
                User::Client(_) => None,
            },
        );
        if life > 1 {
            self.restarts += 1;
            self.transcript.say(self.now, || format!("{id} restarts"));
        }
        if let (Some(executed), true) = (executed, self.nodes[id.index()].is_correct()) {
            let observation = Observation::Started { node: id, executed };
            self.court.hear(self.now, &observation);
        }
        if executed.is_none() {
            self.work_at(id, self.now);
        }
        self.with_attacker(id, |attacker, me, plot| attacker.start(me, plot));
        self.wake(id);
        if self.nodes[id.index()].is_up() {
            self.arm(id);
        }
    }

    /// Kills a node; it restarts after `again` ns if that is given.
    pub(super) fn crash(&mut self, id: NodeId, again: Option<u64>) {
        let node = &mut self.nodes[id.index()];
        if !node.is_up() {
            return;
        }
        if let Some(machine) = &node.machine
            && node.is_correct()
        {
            self.view_changes = self.view_changes.max(machine.snapshot().view_changes);
        }
        let forgotten = node.crash();
        let life = node.life;
        self.transcript.say(self.now, || format!("{id} dies"));
        if !self.plan.roster.contains(id) && self.nodes[id.index()].is_correct() {
            self.court
                .hear(self.now, &Observation::Forgot { client: id });
            if forgotten > 0 {
                self.answered();
            }
        }
        if self.plan.roster.contains(id) {
            self.hint_broken(id);
        }
        if let Some(delay) = again {
            self.schedule(self.now + delay, Happening::Restart { node: id, life });
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        if self.healed_at.is_some() && self.touches_core(&fault) {
            return;
        }
        self.transcript
            .say(self.now, || format!("fault: {fault:?}"));
        self.hint_at_random();
        match fault {
            Fault::Crash(node) => self.crash(node, None),
            Fault::CrashInside(node, delay) => {
                self.nodes[node.index()].dies_inside = Some(delay);
            }
            Fault::CrashAtSync(node, delay) => {
                self.nodes[node.index()].dies_at_sync = Some(delay);
            }
            // What has stopped for the silence at the end stays so.
            Fault::Restart(_) if self.rested => {}
            Fault::Restart(node) => self.start(node),
            Fault::PowerCut => {
                for node in self.plan.roster.iter() {
                    self.crash(node, None);
                }
            }
            Fault::Wipe(node) => {
                if self.may_forget(node) {
                    self.replace_disk(node, Disk::default(), None);
                }
            }
            Fault::Copy(node) => self.copy_disk(node),
            Fault::PutBack(node) => {
                if self.may_forget(node)
                    && let Some((disk, application)) = self.nodes[node.index()].backup.take()
                {
                    self.replace_disk(node, disk, Some(application));
                }
            }
            Fault::Separate(some, both_ways) => {
                self.links.separate(some, both_ways);
                self.hint_separated();
            }
            Fault::Join => {
                self.links.join_all();
                self.hint_mended();
            }
            Fault::Weather(weather) => self.links.set_weather(weather),
            Fault::Slow(node, extra) => self.links.set_slow(node, extra),
            Fault::Jump(node, by) => {
                self.nodes[node.index()].clock.jump(by);
                if self.nodes[node.index()].is_up() {
                    self.arm(node);
                }
            }
            Fault::Stall(node, by) => self.nodes[node.index()].stall = by,
        }
    }

    /// After the healing only the broken rest is still in trouble.
    fn touches_core(&self, fault: &Fault) -> bool {
        match fault {
            Fault::Crash(node)
            | Fault::CrashInside(node, _)
            | Fault::CrashAtSync(node, _)
            | Fault::Wipe(node)
            | Fault::PutBack(node)
            | Fault::Jump(node, _)
            | Fault::Stall(node, _) => {
                self.core.contains(*node) || !self.plan.roster.contains(*node)
            }
            Fault::Restart(node) => !self.core.contains(*node) && self.plan.bare_quorum,
            Fault::PowerCut => true,
            _ => false,
        }
    }

    /// Whether one more replica may lose what it promised: liars and those that forgot are at most f together.
    fn may_forget(&mut self, id: NodeId) -> bool {
        for node in &mut self.nodes {
            if node.amnesic && remembers(node) {
                node.amnesic = false;
            }
        }
        if !self.nodes[id.index()].is_correct() {
            return true;
        }
        let faulty = |node: &&Node<S>| {
            self.plan.roster.contains(node.id)
                && node.id != id
                && (!node.is_correct() || node.amnesic)
        };
        self.nodes.iter().filter(faulty).count() < self.plan.roster.f()
    }

    fn copy_disk(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.index()];
        if let User::Application { application, .. } = &node.user {
            // As after a crash: what a copy made while the system runs is sure to hold.
            let (mut disk, mut application) = (node.disk.clone(), application.clone());
            disk.crash(&mut node.rng);
            application.crash(&mut node.rng);
            node.backup = Some((disk, application));
        }
    }

    fn replace_disk(&mut self, id: NodeId, disk: Disk, application: Option<Application>) {
        self.crash(id, None);
        self.transcript.say(self.now, || {
            format!("{id} now has a disk with {} records", disk.len())
        });
        if self.nodes[id.index()].is_correct() {
            self.court
                .hear(self.now, &Observation::LostMemory { node: id });
        }
        let reply_bytes = self.plan.workload.reply_bytes;
        let node = &mut self.nodes[id.index()];
        node.disk = disk;
        node.amnesic = true;
        if let User::Application {
            application: old, ..
        } = &mut node.user
        {
            *old = application.unwrap_or_else(|| Application::new(reply_bytes));
        }
    }

    /// Chooses a quorum of correct replicas, starts it, and gives it and the correct clients good links. The rest
    /// stays as it is, or is taken down for good.
    pub(super) fn heal(&mut self) {
        let roster = self.plan.roster;
        let mut correct: Vec<_> = roster
            .iter()
            .filter(|id| self.nodes[id.index()].is_correct())
            .collect();
        for node in &mut self.nodes {
            if node.amnesic && remembers(node) {
                node.amnesic = false;
            }
        }
        if self.plan.bare_quorum {
            // Those that forgot count among the faulty, so they are not part of a bare quorum.
            while correct.len() > roster.quorum() {
                let spare = correct
                    .iter()
                    .position(|id| self.nodes[id.index()].amnesic)
                    .unwrap_or_else(|| self.rng.below(correct.len() as u64) as usize);
                let gone = correct.remove(spare);
                self.crash(gone, None);
                self.nodes[gone.index()].life += 1;
            }
        }
        self.core = correct.into_iter().collect();
        let clients: NodeSet = self
            .nodes
            .iter()
            .filter(|node| !roster.contains(node.id) && node.is_correct())
            .map(|node| node.id)
            .collect();
        let core = self.core;
        self.transcript.say(self.now, || {
            format!("healed: {core:?}, clients {clients:?}")
        });
        self.links.join_all();
        self.links.set_weather(Weather::default());
        self.links.heal(core.iter().chain(clients.iter()).collect());
        for id in core.iter().chain(clients.iter()) {
            let node = &mut self.nodes[id.index()];
            (node.dies_inside, node.dies_at_sync) = (None, None);
            self.start(id);
        }
        self.hint_mended();
        self.healed_at = Some(self.now);
        if self.plan.mode == Mode::Liveness {
            self.court.hear(self.now, &Observation::Healed { core });
            for id in clients.iter() {
                let node = &mut self.nodes[id.index()];
                if let User::Client(workload) = &mut node.user {
                    workload.hurry();
                }
                self.work_at(id, self.now);
            }
        }
        self.answered();
    }
}

/// Whether a replica that forgot has since learned from the others what it needs not to contradict itself.
fn remembers<S: Subject>(node: &Node<S>) -> bool {
    node.machine.as_ref().is_some_and(|machine| {
        let phase = machine.snapshot().phase;
        phase == Phase::Normal || phase == Phase::ViewChange
    })
}

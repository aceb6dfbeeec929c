mod burst;
mod carry;
mod execute;
mod faults;
mod hints;

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::{NodeId, NodeSet, Slot};
use hedgerow_machine::{Gate, Outbox};
use hedgerow_ordering::{Command, Snapshot};

use crate::{
    Application, Attack, Checker, Disk, Latencies, MS, Meter, Mode, Observation, Plan, Rng, SECOND,
    Subject, Transcript, Violation,
    ahead::Ahead,
    clock::Clock,
    keyrings,
    links::Links,
    node::{Inbound, Node, User},
    queue::Queue,
    workload::Workload,
};

/// How long after the last answer a healed network may still be busy with itself.
const SETTLING_NS: u64 = 40 * SECOND;
/// How long it is watched after that.
const WATCHED_NS: u64 = 20 * SECOND;
/// Happenings in one run beyond which it is going in circles.
const MOST_HAPPENINGS: u64 = 50_000_000;

#[derive(Debug)]
enum Happening {
    Arrive {
        to: NodeId,
        from: NodeId,
        frame: Bytes,
    },
    /// A frame that arrived behind others is in.
    Land {
        to: NodeId,
        from: NodeId,
        frame: Bytes,
    },
    /// A liar's frame leaves later than its machine wanted.
    Leave {
        from: NodeId,
        to: NodeId,
        frame: Bytes,
    },
    Wake {
        node: NodeId,
        life: u32,
    },
    Synced {
        node: NodeId,
        life: u32,
    },
    Deadline {
        node: NodeId,
        life: u32,
        at: u64,
    },
    Execute {
        node: NodeId,
        life: u32,
    },
    Store {
        node: NodeId,
        life: u32,
    },
    Command {
        node: NodeId,
        life: u32,
        command: Command,
    },
    Work {
        node: NodeId,
        life: u32,
        at: u64,
    },
    /// A node's user hears what its machine has said.
    Hear {
        node: NodeId,
        life: u32,
    },
    /// From here on all is measured.
    Measure,
    Tick {
        node: NodeId,
        life: u32,
    },
    /// A node is told of a connection, if it is so or is to be told wrongly.
    Link {
        node: NodeId,
        life: u32,
        peer: NodeId,
        up: bool,
        false_alarm: bool,
    },
    Restart {
        node: NodeId,
        life: u32,
    },
    Fault(usize),
    Heal,
    /// All is answered: the end in performance and safety mode, the beginning of the silence in liveness mode.
    Rest,
    Watch,
    End,
}

/// The checkers, and the first thing that was wrong.
struct Court {
    checkers: Vec<Box<dyn Checker>>,
    violation: Option<Violation>,
}

impl Court {
    fn hear(&mut self, at: u64, observation: &Observation<'_>) {
        if self.violation.is_some() {
            return;
        }
        let found = self.checkers.iter_mut().find_map(|checker| {
            let what = checker.observe(at, observation).err()?;
            Some((checker.name().to_owned(), what))
        });
        if let Some((checker, what)) = found {
            self.accuse(at, checker, what);
        }
    }

    fn accuse(&mut self, at: u64, checker: String, what: String) {
        self.violation.get_or_insert(Violation {
            checker,
            at_ms: at / MS,
            what,
        });
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first property that did not hold.
    pub violation: Option<Violation>,
    /// Invocations and queries of correct clients that were answered.
    pub completed: u64,
    /// Those without an answer at the end.
    pub unanswered: u64,
    /// From the healing to the first batch that became final after it, in nanoseconds of virtual time.
    pub recovery_ns: Option<u64>,
    /// The hash of everything that happened: equal for equal seeds.
    pub trace: u64,
    /// Virtual time at the end.
    pub ended_ns: u64,
    /// Virtual time of the last answer.
    pub last_answer_ns: u64,
    /// Latencies of what was answered and is measured.
    pub latencies: Latencies,
    /// How much virtual time it took to answer that, in nanoseconds.
    pub measured_ns: u64,
    /// What each replica did meanwhile.
    pub meters: Vec<Meter>,
    /// Bytes sent over links.
    pub bytes: u64,
    /// Frames sent over links.
    pub frames: u64,
    /// How many times a node was started after the beginning.
    pub restarts: u64,
    /// The greatest number of views that a correct replica gave up.
    pub view_changes: u64,
    /// How many slots were decided.
    pub slots: u64,
    /// What each node shows of itself at the end; `None` for one that is down.
    pub snapshots: Vec<Option<Snapshot>>,
}

/// A network with its nodes, and its time.
pub struct World<'s, S: Subject> {
    subject: &'s S,
    plan: Plan,
    nodes: Vec<Node<S>>,
    links: Links,
    hints: hints::Hints,
    queue: Queue<Happening>,
    rng: Rng,
    now: u64,
    court: Court,
    transcript: Transcript,
    core: NodeSet,
    healed_at: Option<u64>,
    recovered_at: Option<u64>,
    highest: Slot,
    completed: u64,
    last_answer: u64,
    latencies: Latencies,
    /// Whether as much was answered as was to be measured.
    measured: bool,
    restarts: u64,
    view_changes: u64,
    /// Whether liars and what is broken have stopped.
    rested: bool,
    resting: bool,
    over: bool,
}

impl<S: Subject> std::fmt::Debug for World<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "world of seed {} at {} ns", self.plan.seed, self.now)
    }
}

impl<'s, S: Subject> World<'s, S> {
    /// The world of `plan`, before its first instant.
    ///
    /// # Panics
    /// When the plan names a way to misbehave that is not among `attacks`.
    #[must_use]
    pub fn new(
        subject: &'s S,
        plan: Plan,
        attacks: &[Attack<S>],
        checkers: Vec<Box<dyn Checker>>,
        transcript: Transcript,
    ) -> Self {
        let mut rng = Rng::new(plan.seed);
        let members = plan.roster.n() + plan.clients as usize;
        let rings = keyrings(plan.roster, plan.clients);
        let honest = (0..plan.clients)
            .filter(|client| {
                !plan
                    .liar_set()
                    .contains(NodeId(plan.roster.n() as u32 + client))
            })
            .count()
            .max(1) as u32;
        let mut extra = plan.requests % honest;
        let nodes = rings
            .iter()
            .map(|keyring| {
                let keyring = Arc::new(keyring.counted_apart());
                let id = keyring.me();
                let mut rng = rng.fork(u64::from(id.0));
                let attacker = plan
                    .liars
                    .iter()
                    .find(|(liar, _)| *liar == id)
                    .map(|(_, name)| {
                        let attack = attacks.iter().find(|attack| attack.name == *name);
                        let attack = attack.unwrap_or_else(|| panic!("no attack is called {name}"));
                        (attack.make)(&mut rng)
                    });
                let user = if plan.roster.contains(id) {
                    User::Application {
                        application: Application::new(plan.workload.reply_bytes),
                        ahead: Ahead::default(),
                        executing: false,
                        to_store: Slot::ZERO,
                        stored: Slot::ZERO,
                        storing: false,
                    }
                } else {
                    let mut share = match plan.window {
                        Some(_) => u32::MAX,
                        None => plan.requests / honest,
                    };
                    if attacker.is_none() && extra > 0 && plan.window.is_none() {
                        share += 1;
                        extra -= 1;
                    }
                    User::Client(Workload::new(id, &plan.workload, share, rng.fork(9)))
                };
                let (error, drift) = plan.clocks;
                Node {
                    id,
                    codec: subject.codec(&keyring),
                    keyring,
                    life: 0,
                    machine: None,
                    out: Outbox::new(hedgerow_base::Lsn::ZERO),
                    gate: Gate::new(hedgerow_base::Lsn::ZERO),
                    disk: Disk::default(),
                    clock: Clock::new(
                        rng.below(2 * error + 1) as i64 - error as i64,
                        rng.below(2 * drift + 1) as i64 - drift as i64,
                    ),
                    user,
                    inbox: std::collections::VecDeque::new(),
                    awake: false,
                    busy_until: 0,
                    deadline_at: None,
                    attacker,
                    rng,
                    amnesic: false,
                    backup: None,
                    dies_inside: None,
                    dies_at_sync: None,
                    stall: 0,
                    work_at: None,
                    told: std::collections::VecDeque::new(),
                    meter: Meter::default(),
                }
            })
            .collect();
        let links = Links::new(&plan.links, members, &mut rng.fork(77));
        Self {
            subject,
            nodes,
            links,
            hints: hints::Hints::new(plan.seed, members),
            queue: Queue::new(),
            rng,
            now: 0,
            court: Court {
                checkers,
                violation: None,
            },
            transcript,
            core: NodeSet::EMPTY,
            healed_at: None,
            recovered_at: None,
            highest: Slot::ZERO,
            completed: 0,
            last_answer: 0,
            latencies: Latencies::default(),
            measured: false,
            restarts: 0,
            view_changes: 0,
            resting: false,
            rested: false,
            over: false,
            plan,
        }
    }

    /// Runs it to its end, or to the first property that does not hold.
    #[must_use]
    pub fn run(mut self) -> Outcome {
        for index in 0..self.nodes.len() {
            self.start(NodeId(index as u32));
        }
        for index in 0..self.plan.faults.len() {
            self.schedule(self.plan.faults[index].0, Happening::Fault(index));
        }
        if let Some(at) = self.plan.heal_at {
            self.schedule(at, Happening::Heal);
        }
        if let Some(window) = self.plan.window {
            self.schedule(window.warm_up_ns, Happening::Measure);
        }
        self.schedule(self.plan.end_at, Happening::End);
        let mut happenings = 0;
        while !self.over && self.court.violation.is_none() {
            let Some((at, happening)) = self.queue.pop() else {
                break;
            };
            self.now = at;
            happenings += 1;
            if happenings > MOST_HAPPENINGS {
                self.court
                    .accuse(at, "bounds".into(), "the run goes in circles".into());
            }
            self.handle(happening);
        }
        self.finish()
    }

    fn schedule(&mut self, at: u64, happening: Happening) {
        let tie = self.rng.draw() as u32;
        self.queue.push(at.max(self.now), tie, happening);
    }

    fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive { to, from, frame } => self.arrive(from, to, frame),
            Happening::Land { to, from, frame } => self.hear_frame(from, to, frame),
            Happening::Leave { from, to, frame } => self.leave(self.now, from, to, frame),
            Happening::Wake { node, life } if self.lives(node, life) => self.burst(node),
            Happening::Synced { node, life } if self.lives(node, life) => self.synced(node),
            Happening::Deadline { node, life, at } if self.lives(node, life) => {
                self.deadline(node, at);
            }
            Happening::Execute { node, life } if self.lives(node, life) => self.execute(node),
            Happening::Store { node, life } if self.lives(node, life) => self.store(node),
            Happening::Command {
                node,
                life,
                command,
            } if self.lives(node, life) => self.command(node, command),
            Happening::Work { node, life, at } if self.lives(node, life) => {
                self.work_if_due(node, at);
            }
            Happening::Tick { node, life } if self.lives(node, life) => {
                self.with_attacker(node, |attacker, me, plot| attacker.tick(me, plot));
            }
            Happening::Link {
                node,
                life,
                peer,
                up,
                false_alarm,
            } if self.lives(node, life) => self.tell_link(node, peer, up, false_alarm),
            Happening::Restart { node, life } => {
                self.restart(node, life);
            }
            Happening::Hear { node, life } if self.lives(node, life) => self.hear_told(node),
            Happening::Measure => self.measure(),
            Happening::Fault(index) => self.fault(self.plan.faults[index].1.clone()),
            Happening::Heal => self.heal(),
            Happening::Rest => self.rest(),
            Happening::Watch => self.watch(),
            Happening::End => self.over = true,
            _ => {}
        }
    }

    /// Whether this is still the node's life; what belongs to an earlier one is void.
    fn lives(&self, node: NodeId, life: u32) -> bool {
        let node = &self.nodes[node.index()];
        node.is_up() && node.life == life
    }

    fn push(&mut self, node: NodeId, inbound: Inbound) {
        self.nodes[node.index()].inbox.push_back(inbound);
        self.wake(node);
    }

    /// Sees to it that the node does a burst soon.
    fn wake(&mut self, id: NodeId) {
        let jitter = if self.plan.mode == Mode::Performance {
            0
        } else {
            self.rng.below(100_000)
        };
        let node = &mut self.nodes[id.index()];
        if node.awake || !node.is_up() {
            return;
        }
        node.awake = true;
        let (life, at) = (node.life, node.busy_until.max(self.now + jitter));
        self.schedule(at, Happening::Wake { node: id, life });
    }

    /// Sees to it that the client's workload is asked for more at `at`.
    fn work_at(&mut self, id: NodeId, at: u64) {
        let node = &mut self.nodes[id.index()];
        if node.is_up() && node.work_at.is_none_or(|set| set > at) {
            node.work_at = Some(at);
            let life = node.life;
            self.schedule(at, Happening::Work { node: id, life, at });
        }
    }

    fn work_if_due(&mut self, id: NodeId, at: u64) {
        if self.nodes[id.index()].work_at == Some(at) {
            self.work(id);
        }
    }

    fn restart(&mut self, id: NodeId, life: u32) {
        let node = &self.nodes[id.index()];
        if !node.is_up() && node.life == life {
            self.start(id);
        }
    }

    /// Whether every request of a correct client has its answer.
    fn is_answered(&self) -> bool {
        self.nodes.iter().all(|node| match &node.user {
            User::Client(workload) => !node.is_correct() || workload.is_done(),
            User::Application { .. } => true,
        })
    }

    fn unanswered(&self) -> usize {
        let waiting = |node: &Node<S>| match &node.user {
            User::Client(workload) if node.is_correct() => workload.waiting(),
            _ => 0,
        };
        self.nodes.iter().map(waiting).sum()
    }

    /// Since when a correct client has waited for the oldest answer.
    fn waiting_since(&self) -> Option<u64> {
        let since = |node: &Node<S>| match &node.user {
            User::Client(workload) if node.is_correct() => workload.waiting_since(),
            _ => None,
        };
        self.nodes.iter().filter_map(since).min()
    }

    /// Called when an answer came: perhaps it was the last.
    fn answered(&mut self) {
        let healed = self.plan.heal_at.is_none() || self.healed_at.is_some();
        if !self.resting && healed && self.is_answered() {
            self.resting = true;
            let delay = if self.plan.mode == Mode::Performance {
                0
            } else {
                SECOND
            };
            self.schedule(self.now + delay, Happening::Rest);
        }
    }

    /// The warm-up is over.
    fn measure(&mut self) {
        for node in &mut self.nodes {
            node.meter = Meter::begin(node.keyring.mac_count());
        }
    }

    /// Takes how long a request took that was answered at `at`; ends the run with the last that is measured.
    fn measured(&mut self, at: u64, latency: u64) {
        let Some(window) = self.plan.window else {
            return self.latencies.add(latency);
        };
        if at >= window.warm_up_ns && !self.measured {
            self.latencies.add(latency);
            if self.latencies.len() >= self.plan.requests as usize {
                self.measured = true;
                self.schedule(at, Happening::End);
            }
        }
    }

    /// How long that took which was measured.
    fn measured_ns(&self) -> u64 {
        match self.plan.window {
            None => self.last_answer.saturating_sub(self.plan.workload.begin_ns),
            Some(window) if self.measured => self.last_answer - window.warm_up_ns,
            Some(window) => self.now.saturating_sub(window.warm_up_ns),
        }
    }

    fn rest(&mut self) {
        if self.plan.mode != Mode::Liveness {
            self.over = true;
            return;
        }
        self.rested = true;
        self.transcript.say(self.now, || {
            "all is answered; liars and the broken stop".into()
        });
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            let id = node.id;
            let in_core = self.core.contains(id) || !self.plan.roster.contains(id);
            if !node.is_correct() || !in_core {
                node.life += 1;
                node.crash();
            }
        }
        // The end as planned makes way for the silence.
        self.queue.push(self.now + SETTLING_NS, 0, Happening::Watch);
    }

    /// From here on nothing may happen in the healed core.
    fn watch(&mut self) {
        self.court.hear(self.now, &Observation::Quiet);
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let deadline = node.machine.as_ref().and_then(|machine| machine.deadline());
            if deadline.is_some() {
                let node = node.id;
                self.court.hear(self.now, &Observation::Restless { node });
            }
        }
        self.queue.push(self.now + WATCHED_NS, 0, Happening::End);
    }

    fn finish(mut self) -> Outcome {
        let unanswered = self.unanswered();
        let waiting_since = self.waiting_since();
        let core = if self.plan.mode == Mode::Liveness {
            self.core
        } else {
            NodeSet::EMPTY
        };
        self.court.hear(
            self.now,
            &Observation::Ended {
                core,
                waiting_since,
            },
        );
        for node in &self.nodes {
            if let (Some(machine), true) = (&node.machine, node.is_correct()) {
                self.view_changes = self.view_changes.max(machine.snapshot().view_changes);
            }
        }
        if let Some(violation) = &self.court.violation {
            let line = violation.to_string();
            self.transcript
                .say(self.now, || format!("VIOLATION: {line}"));
        }
        let measured_ns = self.measured_ns();
        let replicas = self.nodes.iter().take(self.plan.roster.n());
        let meters = replicas.map(|node| node.meter.end(node.keyring.mac_count()));
        let meters = meters.collect();
        let snapshot = |node: &Node<S>| node.machine.as_ref().map(|machine| machine.snapshot());
        Outcome {
            violation: self.court.violation,
            completed: self.completed,
            unanswered: unanswered as u64,
            recovery_ns: match (self.healed_at, self.recovered_at) {
                (Some(healed), Some(recovered)) => Some(recovered - healed),
                _ => None,
            },
            trace: self.transcript.hash(),
            ended_ns: self.now,
            last_answer_ns: self.last_answer,
            latencies: self.latencies,
            measured_ns,
            meters,
            bytes: self.links.bytes,
            frames: self.links.frames,
            restarts: self.restarts,
            view_changes: self.view_changes,
            slots: self.highest.0,
            snapshots: self.nodes.iter().map(snapshot).collect(),
        }
    }
}

//! What a node takes in: frames, commands, deadlines; and the burst in which its machine steps.

use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_crypto::Checks;
use hedgerow_machine::{Input, Reject};
use hedgerow_ordering::Command;

use super::{Happening, World};
use crate::{
    Liar, MS, Mode, Observation, Plot, Subject,
    node::{Inbound, Node, User},
};

/// Inputs per burst at most, as in the real driver.
const MOST_PER_BURST: usize = 1024;
/// Frames of one peer that wait at most; what comes on top is dropped.
const MOST_WAITING: usize = 8192;

impl<S: Subject> World<'_, S> {
    pub(super) fn hear_frame(&mut self, from: NodeId, to: NodeId, frame: Bytes) {
        let node = &mut self.nodes[to.index()];
        if !node.is_up() || node.inbox.len() >= MOST_WAITING {
            return;
        }
        node.meter.received += frame.len() as u64;
        self.transcript.mix(self.now);
        self.transcript
            .mix(u64::from(from.0) << 32 | u64::from(to.0));
        self.transcript.mix_bytes(&frame);
        if self.nodes[to.index()].attacker.is_some() {
            let mut heard = true;
            self.with_attacker(to, |attacker, me, plot| {
                heard = attacker.hear(me, from, &frame, plot);
            });
            if !heard || !self.nodes[to.index()].is_up() {
                return;
            }
        }
        self.push(to, Inbound::Frame { from, frame });
    }

    /// A frame has reached a node: it is in behind those that reached it before.
    pub(super) fn arrive(&mut self, from: NodeId, to: NodeId, frame: Bytes) {
        let at = self.links.land(self.now, to, frame.len());
        if at > self.now {
            self.schedule(at, Happening::Land { to, from, frame });
        } else {
            self.hear_frame(from, to, frame);
        }
    }

    /// Lets a liar act, and carries out what it plots.
    pub(super) fn with_attacker(
        &mut self,
        id: NodeId,
        act: impl FnOnce(&mut dyn crate::Attacker<S>, &mut Liar<'_, S>, &mut Plot),
    ) {
        let node = &mut self.nodes[id.index()];
        let now = node.clock.read(self.now);
        let Some(attacker) = node.attacker.as_mut() else {
            return;
        };
        let mut plot = Plot::default();
        let mut me = Liar {
            keyring: &node.keyring,
            codec: node.codec.as_ref(),
            rng: &mut node.rng,
            now,
        };
        act(attacker.as_mut(), &mut me, &mut plot);
        let life = node.life;
        for (delay, to, frame) in plot.sends {
            if to.index() >= self.nodes.len() {
                continue;
            }
            if delay == 0 {
                self.leave(self.now, id, to, frame);
            } else {
                self.schedule(
                    self.now + delay,
                    Happening::Leave {
                        from: id,
                        to,
                        frame,
                    },
                );
            }
        }
        if let Some(delay) = plot.tick_in {
            self.schedule(
                self.now + delay.max(1_000),
                Happening::Tick { node: id, life },
            );
        }
        if plot.crash {
            let delay = self.rng.spread(MS, 3_000 * MS);
            self.crash(id, Some(delay));
        }
    }

    pub(super) fn command(&mut self, node: NodeId, command: Command) {
        self.push(node, Inbound::Command(command));
    }

    /// A deadline that was set has come; the machine may have set another one since.
    pub(super) fn deadline(&mut self, id: NodeId, at: u64) {
        let node = &mut self.nodes[id.index()];
        if node.deadline_at != Some(at) {
            return;
        }
        node.deadline_at = None;
        let local = node.clock.read(self.now);
        let due = node.machine.as_ref().and_then(|machine| machine.deadline());
        if due.is_some_and(|due| due <= local) {
            self.push(id, Inbound::Deadline);
        } else {
            self.arm(id);
        }
    }

    /// Sets the alarm for the machine's deadline: never early, a little late.
    pub(super) fn arm(&mut self, id: NodeId) {
        let late = self.rng.below(200_000) + 1_000;
        let node = &mut self.nodes[id.index()];
        let Some(due) = node.machine.as_ref().and_then(|machine| machine.deadline()) else {
            node.deadline_at = None;
            return;
        };
        let at = node.clock.when(due, self.now) + late;
        if node.deadline_at.is_none_or(|set| set > at) {
            node.deadline_at = Some(at);
            let life = node.life;
            self.schedule(at, Happening::Deadline { node: id, life, at });
        }
    }

    /// Asks as much as the workload wants and the client takes.
    pub(super) fn work(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.index()];
        node.work_at = None;
        let correct = node.is_correct();
        let User::Client(workload) = &mut node.user else {
            return;
        };
        let queued = |node: &Inbound| matches!(node, Inbound::Command(_));
        let mut credit = node
            .machine
            .as_ref()
            .map_or(0, |machine| machine.credit())
            .saturating_sub(node.inbox.iter().filter(|inbound| queued(inbound)).count());
        let mut commands = Vec::new();
        while credit > 0
            && let Some(command) = workload.next(self.now)
        {
            credit -= 1;
            commands.push(command);
        }
        let again = if credit == 0 {
            Some(self.now + 2 * MS)
        } else {
            workload.wake_at()
        };
        for command in commands {
            if correct {
                let observation = match &command {
                    Command::Invoke { ticket, operation } => Observation::Invoked {
                        client: id,
                        ticket: *ticket,
                        operation,
                    },
                    Command::Read { ticket, query } => Observation::Asked {
                        client: id,
                        ticket: *ticket,
                        query,
                    },
                    _ => unreachable!("a workload only invokes and reads"),
                };
                self.court.hear(self.now, &observation);
            }
            self.command(id, command);
        }
        if let Some(at) = again {
            self.work_at(id, at.max(self.now + 1_000));
        }
    }

    /// The machine steps once per input that waits, settles, and its effects are carried out.
    pub(super) fn burst(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.index()];
        node.awake = false;
        let local = node.clock.read(self.now);
        let inputs = node.inbox.len().min(MOST_PER_BURST);
        let mut cost = self.plan.cost.burst_ns;
        let macs = node.keyring.mac_count();
        for _ in 0..inputs {
            let Some(inbound) = node.inbox.pop_front() else {
                break;
            };
            let input = match inbound {
                Inbound::Frame { from, frame } => {
                    let (input, signatures) = admit(node, from, &frame);
                    cost += self.plan.cost.receiving(frame.len(), signatures);
                    if let Input::Rejected { from, reason } = &input {
                        let (from, reason) = (*from, reason.clone());
                        self.transcript.say(self.now, || {
                            format!("{id} rejects a frame of {from}: {reason}")
                        });
                    }
                    input
                }
                Inbound::Command(command) => Input::Command(command),
                Inbound::Durable(lsn) => Input::Durable(lsn),
                Inbound::Link { peer, up } => Input::Link { peer, up },
                Inbound::Deadline => {
                    self.transcript.say(self.now, || format!("{id} deadline"));
                    Input::Deadline
                }
            };
            if let Some(machine) = &mut node.machine {
                machine.step(local, input, &mut node.out);
            }
        }
        if let Some(machine) = &mut node.machine {
            machine.settle(local, &mut node.out);
        }
        let deadline = node.machine.as_ref().and_then(|one| one.deadline());
        let overdue = deadline.is_some_and(|due| due <= local);
        cost += self.plan.cost.macs(node.keyring.mac_count().since(macs));
        if node.is_correct() {
            let backlog = match &node.user {
                User::Application { application, .. } => application.backlog(),
                User::Client(_) => 0,
            };
            let observation = Observation::Burst {
                node: id,
                inputs,
                effects: node.out.len(),
                held: node.gate.len(),
                log: node.disk.len(),
                backlog,
                overdue,
            };
            self.court.hear(self.now, &observation);
        }
        self.carry_out(id, cost);
        if self.nodes[id.index()].is_up() {
            self.arm(id);
            if !self.nodes[id.index()].inbox.is_empty() {
                self.wake(id);
            }
            if self.plan.mode == Mode::Performance && !self.plan.roster.contains(id) {
                self.work(id);
            }
        }
    }
}

/// A frame as the machine is told of it, and how many signatures had to be checked for that.
fn admit<S: Subject>(node: &Node<S>, from: NodeId, frame: &Bytes) -> (Input<S::Protocol>, usize) {
    let mut checks = Checks::default();
    let input = match node.codec.admit(from, frame, &mut checks) {
        Ok(message) if checks.hold() => Input::Message { from, message },
        Ok(_) => Input::Rejected {
            from,
            reason: Reject::Signature,
        },
        Err(reason) => Input::Rejected { from, reason },
    };
    (input, checks.len())
}

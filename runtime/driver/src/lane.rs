//! The machine's thread.

use std::{collections::VecDeque, mem, sync::Arc};

use bytes::Bytes;
use hedgerow_base::{Lsn, NodeId, Time};
use hedgerow_crypto::Checks;
use hedgerow_journal::{JournalError, Log};
use hedgerow_machine::{Codec, Effect, Gate, Input, Machine, Outbox, Protocol, Reject, Target};
use hedgerow_transport::{Inbound, Mailbox, Transport};

use crate::{
    Clock, Options,
    application::Inbox,
    commands::Shared,
    counters::add,
    driver::RecordEncoder,
    links::Links,
    persistence::{Entry, Writer, commit},
};

/// Where the lane's records go.
pub(crate) enum Records {
    Thread(Arc<Writer>),
    Lane(Box<dyn Log>),
    Nowhere,
}

pub(crate) struct Lane<P: Protocol> {
    pub(crate) me: NodeId,
    pub(crate) machine: Box<dyn Machine<P>>,
    pub(crate) codec: Arc<dyn Codec<P>>,
    pub(crate) encode: RecordEncoder<P>,
    pub(crate) transport: Transport,
    pub(crate) mailbox: Mailbox,
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) shared: Arc<Shared<P>>,
    pub(crate) inbox: Arc<Inbox<P::Event>>,
    pub(crate) records: Records,
    pub(crate) outbox: Outbox<P>,
    pub(crate) gate: Gate<Outgoing<P>>,
    pub(crate) work: Work<P>,
    pub(crate) links: Links,
}

/// What waits in the gate.
pub(crate) enum Outgoing<P: Protocol> {
    Send(Target, P::Message),
    Emit(P::Event),
}

/// What comes and goes in a burst; the room is used again.
pub(crate) struct Work<P: Protocol> {
    inbound: Vec<Inbound>,
    commands: Vec<P::Command>,
    admitted: Vec<Admitted<P>>,
    checks: Vec<Checks>,
    entries: Vec<Entry>,
    events: Vec<P::Event>,
    /// What one said to oneself.
    to_self: VecDeque<Bytes>,
    /// The log has become durable up to here, and the machine has not been told.
    durable: Option<Lsn>,
    /// Bursts since the snapshot was published.
    unpublished: u32,
}

struct Admitted<P: Protocol> {
    from: NodeId,
    message: Result<P::Message, Reject>,
    /// Which of the burst's checks it needs.
    check: Option<usize>,
}

impl<P: Protocol> Default for Work<P> {
    fn default() -> Self {
        Self {
            inbound: Vec::new(),
            commands: Vec::new(),
            admitted: Vec::new(),
            checks: Vec::new(),
            entries: Vec::new(),
            events: Vec::new(),
            to_self: VecDeque::new(),
            durable: None,
            unpublished: 0,
        }
    }
}

/// How many bursts pass at most until the snapshot is published again.
const PUBLISH_AFTER: u32 = 64;

impl<P: Protocol> Lane<P> {
    /// Runs until it is told to stop, or the log on the lane fails.
    pub(crate) fn run(mut self) -> Result<(), JournalError> {
        // What a machine that was recovered has to say comes out without any input.
        self.machine.settle(self.clock.now(), &mut self.outbox);
        self.carry_out()?;
        while !self.shared.stopping() {
            let now = self.clock.now();
            if self.burst(now) {
                self.carry_out()?;
                self.work.unpublished += 1;
                if self.work.unpublished >= PUBLISH_AFTER {
                    self.publish();
                }
            } else if self.work.to_self.is_empty() && self.work.durable.is_none() {
                if self.work.unpublished > 0 {
                    self.publish();
                }
                let deadline = [self.machine.deadline(), self.links.due()];
                let deadline = deadline.into_iter().flatten().min();
                self.shared
                    .bell
                    .wait(deadline.and_then(|deadline| self.clock.instant(deadline)));
            }
        }
        Ok(())
    }

    fn publish(&mut self) {
        self.work.unpublished = 0;
        self.shared.publish(self.machine.snapshot());
    }

    /// Steps the machine through all that has come; says whether there was anything.
    fn burst(&mut self, now: Time) -> bool {
        let mut inputs = 0;
        inputs += usize::from(self.step_durable(now));
        inputs += self.step_links(now);
        self.admit_own();
        self.take_messages();
        inputs += self.step_messages(now);
        inputs += self.step_commands(now);
        if self
            .machine
            .deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.machine.step(now, Input::Deadline, &mut self.outbox);
            add(&self.shared.counters.deadlines, 1);
            inputs += 1;
        }
        if inputs == 0 {
            return false;
        }
        self.machine.settle(now, &mut self.outbox);
        add(&self.shared.counters.inputs, inputs);
        add(&self.shared.counters.bursts, 1);
        true
    }

    fn step_durable(&mut self, now: Time) -> bool {
        if let Records::Thread(writer) = &self.records {
            let durable = writer.durable();
            if durable > self.gate.durable() {
                self.work.durable = Some(durable);
            }
        }
        let Some(durable) = self.work.durable.take() else {
            return false;
        };
        for outgoing in self.gate.open(durable) {
            self.dispatch(outgoing);
        }
        self.machine
            .step(now, Input::Durable(durable), &mut self.outbox);
        true
    }

    fn step_links(&mut self, now: Time) -> usize {
        for (peer, up) in self.mailbox.take_links() {
            if self.options.roster.contains(peer) {
                self.links.note(peer, up, now);
            }
        }
        let mut count = 0;
        while let Some((peer, up)) = self.links.next(now) {
            self.machine
                .step(now, Input::Link { peer, up }, &mut self.outbox);
            count += 1;
        }
        count
    }

    /// One's own messages come back as they were sealed. Their signatures are one's own and need no check.
    fn admit_own(&mut self) {
        for bytes in self.work.to_self.drain(..) {
            let message = self.codec.admit(self.me, &bytes, &mut Checks::default());
            self.work.admitted.push(Admitted {
                from: self.me,
                message,
                check: None,
            });
        }
    }

    fn take_messages(&mut self) {
        if self.held_back() {
            return;
        }
        self.mailbox
            .take(self.options.burst, &mut self.work.inbound);
        for Inbound { from, bytes, .. } in self.work.inbound.drain(..) {
            let mut checks = Checks::default();
            let message = self.codec.admit(from, &bytes, &mut checks);
            let check = (!checks.is_empty() && message.is_ok()).then(|| {
                self.work.checks.push(checks);
                self.work.checks.len() - 1
            });
            self.work.admitted.push(Admitted {
                from,
                message,
                check,
            });
        }
    }

    /// Whether the application or the disk is so far behind that nothing more is heard from others. The bounds of the
    /// machine come first; this is the last one.
    fn held_back(&self) -> bool {
        let disk = match &self.records {
            Records::Thread(writer) => writer.waiting() > self.options.unwritten_bytes,
            Records::Lane(_) | Records::Nowhere => false,
        };
        // An application that waits for room among the commands needs the machine to go on.
        disk || (self.inbox.unfinished() > self.options.events && !self.shared.someone_waits())
    }

    fn step_messages(&mut self, now: Time) -> usize {
        let mut valid = Vec::new();
        if !self.work.checks.is_empty() {
            valid = Checks::hold_each(&self.work.checks);
            self.work.checks.clear();
        }
        let count = self.work.admitted.len();
        let mut rejected = 0;
        for Admitted {
            from,
            message,
            check,
        } in self.work.admitted.drain(..)
        {
            let valid = check.is_none_or(|check| valid.get(check).copied().unwrap_or(false));
            let message = if valid {
                message
            } else {
                Err(Reject::Signature)
            };
            let input = match message {
                Ok(message) => Input::Message { from, message },
                Err(reason) => {
                    rejected += 1;
                    Input::Rejected { from, reason }
                }
            };
            self.machine.step(now, input, &mut self.outbox);
        }
        add(&self.shared.counters.messages_in, count - rejected);
        add(&self.shared.counters.rejected, rejected);
        count
    }

    fn step_commands(&mut self, now: Time) -> usize {
        let credit = self.machine.credit().min(self.options.burst);
        self.shared.take(credit, &mut self.work.commands);
        let count = self.work.commands.len();
        for command in self.work.commands.drain(..) {
            self.machine
                .step(now, Input::Command(command), &mut self.outbox);
        }
        add(&self.shared.counters.commands, count);
        count
    }

    /// Carries the outbox out: what may leave leaves, the rest waits in the gate.
    fn carry_out(&mut self) -> Result<(), JournalError> {
        let mut outbox = mem::replace(&mut self.outbox, Outbox::new(Lsn::ZERO));
        let mut last = None;
        for effect in outbox.drain() {
            match effect {
                Effect::Send { to, message, after } => {
                    if let Some(outgoing) = self.gate.pass(after, Outgoing::Send(to, message)) {
                        self.dispatch(outgoing);
                    }
                }
                Effect::Emit { event, after } => {
                    if let Some(outgoing) = self.gate.pass(after, Outgoing::Emit(event)) {
                        self.dispatch(outgoing);
                    }
                }
                Effect::Persist { lsn, record } => {
                    last = Some(lsn);
                    if !matches!(self.records, Records::Nowhere) {
                        self.work
                            .entries
                            .push(Entry::Record(lsn, (self.encode)(&record)));
                    }
                }
                Effect::Release(below) => {
                    if !matches!(self.records, Records::Nowhere) {
                        self.work.entries.push(Entry::Release(below));
                    }
                }
            }
        }
        self.outbox = outbox;
        self.transport.flush();
        add(&self.shared.counters.events, self.work.events.len());
        self.inbox.put(&mut self.work.events);
        match &mut self.records {
            Records::Thread(writer) => writer.put(&mut self.work.entries),
            Records::Lane(log) => {
                let durable = commit(&mut **log, &mut self.work.entries, &self.shared.counters)?;
                self.work.durable = durable.or(self.work.durable);
            }
            Records::Nowhere => self.work.durable = last.or(self.work.durable),
        }
        Ok(())
    }

    fn dispatch(&mut self, outgoing: Outgoing<P>) {
        match outgoing {
            Outgoing::Emit(event) => self.work.events.push(event),
            Outgoing::Send(to, message) => {
                let frame = self.codec.seal(&message, to);
                add(&self.shared.counters.messages_out, 1);
                let roster = self.options.roster;
                match to {
                    Target::Node(node) => self.post(node, &frame),
                    Target::Others => roster
                        .others(self.me)
                        .for_each(|node| self.post(node, &frame)),
                    Target::All => roster.iter().for_each(|node| self.post(node, &frame)),
                    Target::Set(nodes) => nodes.iter().for_each(|node| self.post(node, &frame)),
                }
            }
        }
    }

    fn post(&mut self, to: NodeId, frame: &Bytes) {
        if to == self.me {
            self.work.to_self.push_back(frame.clone());
            return;
        }
        let counters = &self.shared.counters;
        match self.transport.post(to, self.options.channel, frame.clone()) {
            Ok(()) => {
                add(&counters.frames_out, 1);
                add(&counters.bytes_out, frame.len());
            }
            Err(_) => add(&counters.undelivered, 1),
        }
    }
}

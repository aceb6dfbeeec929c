use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use bytes::Bytes;
use hedgerow_base::{Digest, NodeSet, Slot, Time};
use hedgerow_clients::Outstanding;
use hedgerow_crypto::Keyring;
use hedgerow_machine::{Effect, Input, Machine, Outbox};
use hedgerow_ordering::{Command, Event, Snapshot, VOID};

use crate::{
    Config, ConfigError, Epochs,
    hosted::{self, HostedClient, Told},
    messages::{Epoch, Message, Name},
};

/// A client: of the protocol of the newest epoch that is proved to have begun. What an epoch leaves without a result goes
/// on in the next one, under the same number; what it ordered after its end was not executed, and is invoked anew.
#[derive(Debug)]
pub struct Client {
    config: Config,
    keyring: Arc<Keyring>,
    now: Time,
    epoch: Epoch,
    /// Absent while a switch is being made, only.
    inner: Option<Box<dyn HostedClient>>,
    /// The operations and queries that were asked for and have no result, by their tickets.
    waiting: BTreeMap<u64, Bytes>,
    /// Of that, what was ordered after the epoch's end.
    void: VecDeque<u64>,
    changed: Option<Time>,
    /// Replicas whose connections broke.
    unreachable: NodeSet,
    effects: Vec<Effect<Epochs>>,
}

impl Client {
    /// A client. Its first number comes from the clock that it is first stepped with, which must be a millisecond
    /// later than all that an earlier life saw.
    ///
    /// # Errors
    /// When a bound of the configuration does not hold.
    pub fn new(config: Config, keyring: Arc<Keyring>) -> Result<Self, ConfigError> {
        config.check()?;
        let epoch = Epoch {
            number: 0,
            protocol: Name::new(config.first.name()).unwrap_or_default(),
            base: Slot::ZERO,
            state: Digest::default(),
        };
        let nothing = Outstanding::default();
        Ok(Self {
            inner: hosted::client(&config, &keyring, &epoch, Time::ZERO, nothing),
            now: Time::ZERO,
            epoch,
            waiting: BTreeMap::new(),
            void: VecDeque::new(),
            changed: None,
            unreachable: NodeSet::EMPTY,
            effects: Vec::new(),
            config,
            keyring,
        })
    }

    fn tell(&mut self, told: Told, out: &mut Outbox<Epochs>) {
        if let Some(inner) = &mut self.inner {
            inner.step(self.now, told, out.last(), &mut self.effects);
        }
        self.carry(out);
    }

    fn carry(&mut self, out: &mut Outbox<Epochs>) {
        // Its room is used again.
        let mut effects = core::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message, .. } => out.send(to, message),
                Effect::Emit {
                    event: Event::Completed { ticket, reply },
                    ..
                } => {
                    if reply == VOID {
                        self.void.push_back(ticket);
                    } else {
                        self.waiting.remove(&ticket);
                        out.emit(Event::Completed { ticket, reply });
                    }
                }
                Effect::Emit { .. } | Effect::Persist { .. } | Effect::Release(_) => {}
            }
        }
        self.effects = effects;
    }

    fn on_begun(&mut self, epoch: Epoch, out: &mut Outbox<Epochs>) {
        if epoch.number <= self.epoch.number {
            return;
        }
        let outstanding = self.inner.take().map(HostedClient::outstanding);
        let outstanding = outstanding.unwrap_or_default();
        self.inner = hosted::client(&self.config, &self.keyring, &epoch, self.now, outstanding);
        self.epoch = epoch;
        self.changed = Some(self.now);
        for peer in self.unreachable.iter() {
            self.tell(Told::Link(peer, false), out);
        }
        for ticket in core::mem::take(&mut self.void) {
            // A query that was ordered is ordered again: as an operation.
            if let Some(operation) = self.waiting.get(&ticket).cloned() {
                let again = Command::Invoke { ticket, operation };
                self.tell(Told::Command(again), out);
            }
        }
    }
}

impl Machine<Epochs> for Client {
    fn step(&mut self, now: Time, input: Input<Epochs>, out: &mut Outbox<Epochs>) {
        self.now = self.now.max(now);
        match input {
            Input::Message { from, message } => match message {
                Message::Ordered(epoch, message) if epoch == self.epoch.number => {
                    self.tell(Told::Message(from, message), out);
                }
                Message::Begun(proof) => self.on_begun(proof.epoch().clone(), out),
                _ => {}
            },
            Input::Rejected { from, reason } => self.tell(Told::Rejected(from, reason), out),
            Input::Command(command) => {
                if let Command::Invoke { ticket, operation }
                | Command::Read {
                    ticket,
                    query: operation,
                } = &command
                {
                    self.waiting.insert(*ticket, operation.clone());
                    self.tell(Told::Command(command), out);
                }
            }
            Input::Durable(lsn) => self.tell(Told::Durable(lsn), out),
            Input::Link { peer, up } => {
                self.unreachable.set(peer, !up);
                self.tell(Told::Link(peer, up), out);
            }
            Input::Deadline => self.tell(Told::Deadline, out),
        }
    }

    fn settle(&mut self, now: Time, out: &mut Outbox<Epochs>) {
        self.now = self.now.max(now);
        if let Some(inner) = &mut self.inner {
            inner.settle(self.now, out.last(), &mut self.effects);
        }
        self.carry(out);
    }

    fn deadline(&self) -> Option<Time> {
        self.inner.as_ref()?.deadline()
    }

    fn credit(&self) -> usize {
        let credit = self.inner.as_ref().map_or(0, |inner| inner.credit());
        credit.saturating_sub(self.void.len())
    }

    fn snapshot(&self) -> Snapshot {
        let inner = self.inner.as_ref().map(|inner| inner.snapshot());
        let mut snapshot = inner.unwrap_or_else(|| crate::replica::idle(self.keyring.me()));
        snapshot.pending = self.waiting.len();
        if let Some(changed) = self.changed {
            snapshot
                .switched
                .get_or_insert((changed, crate::replica::VOTED));
        }
        snapshot
    }
}

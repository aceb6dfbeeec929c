use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeSet, Slot, Time};
use hedgerow_clients::Outstanding;
use hedgerow_crypto::Keyring;
use hedgerow_machine::{Effect, Input, Machine, Outbox};
use hedgerow_ordering::{Command, Event, Snapshot, VOID};

use crate::{
    Config, ConfigError, Epochs, Record,
    hosted::{self, HostedClient, Told},
    messages::{Epoch, Message, Name},
};

/// How many numbers one record reserves; so many at most are left out at a start.
const RESERVED_AT_ONCE: u64 = 1 << 20;

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
    /// No number above this is used before the log has a higher one, and no life before used one above.
    reserved: u64,
    /// Where the log has it. Nothing that this life sends leaves before that is durable.
    reserved_at: Lsn,
    /// Replicas whose connections broke.
    unreachable: NodeSet,
    effects: Vec<Effect<Epochs>>,
}

impl Client {
    /// The client whose log holds `records`; the outbox that it is stepped with must begin after the last record ever
    /// written. Its numbers follow all that earlier lives have reserved in the log, and `now` in microseconds: whichever
    /// is higher. So a clock that was set back, or else a log that was lost, has it use no number again; both at once do.
    ///
    /// # Errors
    /// When a bound of the configuration does not hold.
    pub fn recover(
        config: Config,
        keyring: Arc<Keyring>,
        records: impl IntoIterator<Item = (Lsn, Record)>,
        now: Time,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let reserved = records.into_iter().map(|(_, record)| match record {
            Record::Reserved(number) => number,
            _ => 0,
        });
        let reserved = reserved.fold(now.0 / 1000, u64::max);
        let epoch = Epoch {
            number: 0,
            protocol: Name::new(config.first.name()).unwrap_or_default(),
            base: Slot::ZERO,
            state: Digest::default(),
        };
        let nothing = Outstanding {
            last: reserved,
            ..Outstanding::default()
        };
        Ok(Self {
            inner: hosted::client(&config, &keyring, &epoch, now, nothing),
            now,
            epoch,
            waiting: BTreeMap::new(),
            void: VecDeque::new(),
            changed: None,
            reserved,
            reserved_at: Lsn::ZERO,
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

    /// Numbers are reserved in the log before they are used, many at a time.
    fn reserve(&mut self, out: &mut Outbox<Epochs>) {
        let last = self.inner.as_ref().map_or(0, |inner| inner.last_number());
        if last > self.reserved {
            self.reserved = last.saturating_add(RESERVED_AT_ONCE);
            self.reserved_at = out.persist(Record::Reserved(self.reserved));
        }
    }

    fn carry(&mut self, out: &mut Outbox<Epochs>) {
        self.reserve(out);
        // Its room is used again.
        let mut effects = core::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message, .. } => out.send_after(self.reserved_at, to, message),
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
            Input::Durable(lsn) => {
                if lsn >= self.reserved_at {
                    out.release(self.reserved_at);
                }
            }
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

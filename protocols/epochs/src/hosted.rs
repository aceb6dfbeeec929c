//! A protocol as it is hosted in an epoch: its slots are counted from the epoch's base, its messages and records name the
//! epoch. A new protocol is an implementation of [`Hostable`] and of [`Orders`], and a line in [`replica`] and [`client`].

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::fmt::Debug;

use bytes::Bytes;
use hedgerow_base::{Lsn, NodeId, Slot, Time};
use hedgerow_clients::Outstanding;
use hedgerow_crypto::Keyring;
use hedgerow_machine::{Effect, Input, Machine, Outbox, Reject};
use hedgerow_ordering::{Batch, Command, Event, Ordering, Snapshot};

use crate::{
    Config, Consensus, Epochs, keyring_of,
    messages::{Epoch, Inner, Message},
    record::{InnerRecord, Record},
    replica::RecoverError,
};

/// A protocol that can be hosted.
pub(crate) trait Hostable: Ordering {
    fn wrap(message: Self::Message) -> Inner;
    fn unwrap(message: Inner) -> Option<Self::Message>;
    fn wrap_record(record: Self::Record) -> InnerRecord;
}

impl Hostable for hedgerow_pbft::Pbft {
    fn wrap(message: Self::Message) -> Inner {
        Inner::Pbft(message)
    }

    fn unwrap(message: Inner) -> Option<Self::Message> {
        match message {
            Inner::Pbft(message) => Some(message),
            Inner::Abstract(_) => None,
        }
    }

    fn wrap_record(record: Self::Record) -> InnerRecord {
        InnerRecord::Pbft(record)
    }
}

impl Hostable for hedgerow_abstract::Abstract {
    fn wrap(message: Self::Message) -> Inner {
        Inner::Abstract(message)
    }

    fn unwrap(message: Inner) -> Option<Self::Message> {
        match message {
            Inner::Abstract(message) => Some(message),
            Inner::Pbft(_) => None,
        }
    }

    fn wrap_record(record: Self::Record) -> InnerRecord {
        InnerRecord::Abstract(record)
    }
}

/// What the end of an epoch needs to know of a replica of its protocol, in its own slots.
pub(crate) trait Orders {
    /// The last slot that is executed here.
    fn executed(&self) -> Slot;
    /// The last slot that is executed here and final.
    fn finished(&self) -> Slot;
    /// The client table after `slot`, plain: the last one executed, or the last one finished.
    fn table_at(&self, slot: Slot) -> Bytes;
}

impl Orders for hedgerow_pbft::Replica {
    fn executed(&self) -> Slot {
        Self::executed(self)
    }

    fn finished(&self) -> Slot {
        Self::executed(self)
    }

    fn table_at(&self, slot: Slot) -> Bytes {
        debug_assert_eq!(slot, Self::executed(self));
        self.table()
    }
}

impl Orders for hedgerow_abstract::Replica {
    fn executed(&self) -> Slot {
        Self::executed(self)
    }

    fn finished(&self) -> Slot {
        Self::finished(self)
    }

    fn table_at(&self, slot: Slot) -> Bytes {
        Self::table_at(self, slot)
    }
}

/// A client that another one can take over from.
pub(crate) trait Invokes {
    /// What it waits for.
    fn outstanding(self: Box<Self>) -> Outstanding;
    /// The last number that it used.
    fn last_number(&self) -> u64;
}

impl Invokes for hedgerow_pbft::Client {
    fn outstanding(self: Box<Self>) -> Outstanding {
        Self::outstanding(*self)
    }

    fn last_number(&self) -> u64 {
        Self::last_number(self)
    }
}

impl Invokes for hedgerow_abstract::Client {
    fn outstanding(self: Box<Self>) -> Outstanding {
        Self::outstanding(*self)
    }

    fn last_number(&self) -> u64 {
        Self::last_number(self)
    }
}

/// What a hosted participant is told.
pub(crate) enum Told {
    Message(NodeId, Inner),
    Rejected(NodeId, Reject),
    Command(Command),
    Durable(Lsn),
    Link(NodeId, bool),
    Deadline,
}

/// A participant of any protocol. Effects are appended to a list; records get the positions after `last`.
pub(crate) trait Participant: Send + Debug {
    fn step(&mut self, now: Time, told: Told, last: Lsn, effects: &mut Vec<Effect<Epochs>>);
    fn settle(&mut self, now: Time, last: Lsn, effects: &mut Vec<Effect<Epochs>>);
    fn deadline(&self) -> Option<Time>;
    fn credit(&self) -> usize;
    fn snapshot(&self) -> Snapshot;
}

/// A hosted replica. Slots are the application's.
pub(crate) trait HostedReplica: Participant {
    fn executed(&self) -> Slot;
    fn finished(&self) -> Slot;
    fn table_at(&self, slot: Slot) -> Bytes;
}

/// A hosted client.
pub(crate) trait HostedClient: Participant {
    fn outstanding(self: Box<Self>) -> Outstanding;
    fn last_number(&self) -> u64;
}

struct Hosted<P: Ordering, M> {
    machine: Box<M>,
    out: Outbox<P>,
    epoch: u64,
    base: u64,
}

impl<P: Ordering, M: Debug> Debug for Hosted<P, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.machine.fmt(f)
    }
}

impl<P: Hostable, M: Machine<P> + Debug> Hosted<P, M> {
    fn new(machine: M, last: Lsn, epoch: &Epoch) -> Self {
        Self {
            machine: Box::new(machine),
            out: Outbox::new(last),
            epoch: epoch.number,
            base: epoch.base.0,
        }
    }

    fn inside(&self, slot: Slot) -> Slot {
        Slot(slot.0.saturating_sub(self.base))
    }

    fn outside(&self, slot: Slot) -> Slot {
        slot.plus(self.base)
    }

    /// A question's token names the epoch, too: an answer to another epoch's question is none.
    fn token_outside(&self, token: u64) -> u64 {
        (self.epoch << 32) ^ (token & u64::from(u32::MAX))
    }

    fn token_inside(&self, token: u64) -> Option<u64> {
        (token >> 32 == self.epoch & u64::from(u32::MAX)).then_some(token & u64::from(u32::MAX))
    }

    fn command_inside(&self, command: Command) -> Option<Command> {
        Some(match command {
            Command::Executed {
                slot,
                replies,
                state,
            } => Command::Executed {
                slot: self.inside(slot),
                replies,
                state,
            },
            Command::RolledBack(slot) => Command::RolledBack(self.inside(slot)),
            Command::Stored(slot) => Command::Stored(self.inside(slot)),
            Command::Answered { token, reply } => Command::Answered {
                token: self.token_inside(token)?,
                reply,
            },
            Command::Loaded { token, slot, batch } => Command::Loaded {
                token: self.token_inside(token)?,
                slot: self.inside(slot),
                batch: batch.map(|batch| Batch {
                    slot: self.inside(batch.slot),
                    ..batch
                }),
            },
            Command::Invoke { .. } | Command::Read { .. } => command,
            Command::EndEpoch { .. } | Command::Epoch(_) => return None,
        })
    }

    fn event_outside(&self, event: Event) -> Event {
        match event {
            Event::Execute(batch) => Event::Execute(Batch {
                slot: self.outside(batch.slot),
                ..batch
            }),
            Event::Final(slot) => Event::Final(self.outside(slot)),
            Event::Rollback(slot) => Event::Rollback(self.outside(slot)),
            Event::Stable(slot) => Event::Stable(self.outside(slot)),
            Event::Answer { token, query } => Event::Answer {
                token: self.token_outside(token),
                query,
            },
            Event::Load { token, slot } => Event::Load {
                token: self.token_outside(token),
                slot: self.outside(slot),
            },
            Event::Epoch(_) | Event::Completed { .. } => event,
        }
    }

    fn carry(&mut self, effects: &mut Vec<Effect<Epochs>>) {
        let mut out = core::mem::replace(&mut self.out, Outbox::new(Lsn::ZERO));
        effects.extend(out.drain().map(|effect| match effect {
            Effect::Send { to, message, after } => Effect::Send {
                to,
                message: Message::Ordered(self.epoch, P::wrap(message)),
                after,
            },
            Effect::Persist { lsn, record } => Effect::Persist {
                lsn,
                record: Record::Inner(self.epoch, P::wrap_record(record)),
            },
            Effect::Emit { event, after } => Effect::Emit {
                event: self.event_outside(event),
                after,
            },
            Effect::Release(below) => Effect::Release(below),
        }));
        self.out = out;
    }
}

impl<P: Hostable, M: Machine<P> + Debug> Participant for Hosted<P, M> {
    fn step(&mut self, now: Time, told: Told, last: Lsn, effects: &mut Vec<Effect<Epochs>>) {
        let input = match told {
            Told::Message(from, message) => match P::unwrap(message) {
                Some(message) => Input::Message { from, message },
                None => return,
            },
            Told::Rejected(from, reason) => Input::Rejected { from, reason },
            Told::Command(command) => match self.command_inside(command) {
                Some(command) => Input::Command(command),
                None => return,
            },
            Told::Durable(lsn) => Input::Durable(lsn),
            Told::Link(peer, up) => Input::Link { peer, up },
            Told::Deadline => Input::Deadline,
        };
        self.out.skip_to(last);
        self.machine.step(now, input, &mut self.out);
        self.carry(effects);
    }

    fn settle(&mut self, now: Time, last: Lsn, effects: &mut Vec<Effect<Epochs>>) {
        self.out.skip_to(last);
        self.machine.settle(now, &mut self.out);
        self.carry(effects);
    }

    fn deadline(&self) -> Option<Time> {
        self.machine.deadline()
    }

    fn credit(&self) -> usize {
        self.machine.credit()
    }

    fn snapshot(&self) -> Snapshot {
        let inner = self.machine.snapshot();
        Snapshot {
            decided: self.outside(inner.decided),
            executed: self.outside(inner.executed),
            stable: self.outside(inner.stable),
            ..inner
        }
    }
}

impl<P: Hostable, M: Machine<P> + Orders + Debug> HostedReplica for Hosted<P, M> {
    fn executed(&self) -> Slot {
        self.outside(self.machine.executed())
    }

    fn finished(&self) -> Slot {
        self.outside(self.machine.finished())
    }

    fn table_at(&self, slot: Slot) -> Bytes {
        self.machine.table_at(self.inside(slot))
    }
}

impl<P: Hostable, M: Machine<P> + Invokes + Debug> HostedClient for Hosted<P, M> {
    fn outstanding(self: Box<Self>) -> Outstanding {
        self.machine.outstanding()
    }

    fn last_number(&self) -> u64 {
        self.machine.last_number()
    }
}

/// A replica of the epoch's protocol, which has `records` in its log and begins after `last`; the application has
/// executed up to `executed`, and before the epoch clients had what `clients` says.
pub(crate) fn replica(
    config: &Config,
    keyring: &Keyring,
    epoch: &Epoch,
    clients: &[u8],
    records: Vec<(Lsn, InnerRecord)>,
    executed: Slot,
    last: Lsn,
) -> Result<Box<dyn HostedReplica>, RecoverError> {
    let keyring = Arc::new(keyring_of(keyring, epoch.number));
    let executed = Slot(executed.0.saturating_sub(epoch.base.0));
    let consensus: Consensus = epoch.protocol.as_str().parse()?;
    match consensus {
        Consensus::Pbft => {
            let mine = |(lsn, record)| match record {
                InnerRecord::Pbft(record) => Ok((lsn, record)),
                InnerRecord::Abstract(_) => Err(RecoverError::Corrupt(lsn)),
            };
            let records = records
                .into_iter()
                .map(mine)
                .collect::<Result<Vec<_>, _>>()?;
            let config = config.pbft.clone();
            let replica = if epoch.number == 0 {
                hedgerow_pbft::Replica::recover(config, keyring, records, executed)?
            } else {
                hedgerow_pbft::Replica::recover_after(config, keyring, clients, records, executed)?
            };
            Ok(Box::new(Hosted::new(replica, last, epoch)))
        }
        Consensus::Abstract(composition) => {
            let mine = |(lsn, record)| match record {
                InnerRecord::Abstract(record) => Ok((lsn, record)),
                InnerRecord::Pbft(_) => Err(RecoverError::Corrupt(lsn)),
            };
            let records = records
                .into_iter()
                .map(mine)
                .collect::<Result<Vec<_>, _>>()?;
            let config = config.of(composition).cloned();
            let config = config.unwrap_or_else(|| hedgerow_abstract::Config::of(composition));
            let replica = if epoch.number == 0 {
                hedgerow_abstract::Replica::recover(config, keyring, records, executed)?
            } else {
                hedgerow_abstract::Replica::recover_after(
                    config, keyring, clients, records, executed,
                )?
            };
            Ok(Box::new(Hosted::new(replica, last, epoch)))
        }
    }
}

/// A client of the epoch's protocol, which takes on what another one waited for; none where this version does not have
/// the protocol.
pub(crate) fn client(
    config: &Config,
    keyring: &Keyring,
    epoch: &Epoch,
    now: Time,
    outstanding: Outstanding,
) -> Option<Box<dyn HostedClient>> {
    let keyring = Arc::new(keyring_of(keyring, epoch.number));
    let last = outstanding.last;
    match epoch.protocol.as_str().parse().ok()? {
        Consensus::Pbft => {
            let client = hedgerow_pbft::Client::new(config.pbft.clone(), keyring, last).ok()?;
            let client = client.taking_on(now, outstanding);
            Some(Box::new(Hosted::new(client, Lsn::ZERO, epoch)))
        }
        Consensus::Abstract(composition) => {
            let config = config.of(composition)?.clone();
            let client = hedgerow_abstract::Client::new(config, keyring, last).ok()?;
            let client = client.taking_on(now, outstanding);
            Some(Box::new(Hosted::new(client, Lsn::ZERO, epoch)))
        }
    }
}

//! Backup (§4.3): PBFT as it is, wrapped so that it begins with an init history and stops after k requests. Each instance
//! runs a PBFT of its own, whose seals are good in this instance only. All that it orders is agreed on, so it is final at
//! once, and its replicas' ABORTs are equal. An instance's whole log is kept until the next instance, so it is not only
//! over after k requests but also with the first one in a late slot.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, Slot, Time};
use hedgerow_machine::{Effect, Input, Machine, Outbox, Target};
use hedgerow_ordering::{Batch, Command, Event, Operation, Phase};
use hedgerow_pbft::{Client, Pbft, Record as Inner};

use super::{Out, Replica, Stage, switching::Cause};
use crate::{
    abort::{Origin, extract},
    codec::{decode_backup, put_init, verified_init},
    composition::{Instance, Kind},
    history::Point,
    messages::{BackupReply, BackupRequest, Message},
    record::Record,
};

/// The inner slot with whose first request an instance is over, whatever k is: small batches would fill the log.
const LONGEST: Slot = Slot(8_192);

/// An instance of Backup at one replica.
#[derive(Debug)]
pub(super) struct Backup {
    inner: Box<hedgerow_pbft::Replica>,
    out: Outbox<Pbft>,
    /// Positions of the inner log in the log outside.
    positions: BTreeMap<Lsn, Lsn>,
    /// What the inner protocol has decided; others may lack it.
    decided: BTreeMap<Slot, Batch>,
    queue: VecDeque<Batch>,
    /// What must be durable before anybody is told what came of the batches so far.
    order: Lsn,
    current: Option<Current>,
    begun: Begun,
    committed: u64,
    /// k: how many it commits.
    quota: u64,
    done: bool,
    /// To have the instance begin when no client does: this replica as a client of the inner protocol.
    caller: Option<(Box<Client>, Outbox<Pbft>)>,
    call_at: Time,
}

/// What an earlier life of this replica may have said in the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// Nothing: whatever it took part in was before.
    None,
    /// The log has it.
    Kept,
    /// The log may have been lost.
    Unknown,
}

/// Whether the instance has its init history.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Begun {
    No,
    /// It is being fetched and executed.
    With(Origin),
    Yes,
}

/// An inner batch in execution.
#[derive(Debug)]
struct Current {
    slot: Slot,
    replies: Vec<Reply>,
    /// The slot outside that holds what is new of it.
    outside: Option<Slot>,
}

#[derive(Debug)]
enum Reply {
    Ready(BackupReply),
    /// What the application answers to this number.
    Of(NodeId, u64),
}

impl Replica {
    pub(super) fn backup_due(&self) -> Option<Time> {
        let backup = self.backup.as_ref().filter(|_| !self.start.is_asking())?;
        let call = (backup.begun == Begun::No && backup.caller.is_none()).then_some(backup.call_at);
        let caller = backup
            .caller
            .as_ref()
            .and_then(|(caller, _)| caller.deadline());
        [backup.inner.deadline(), caller, call]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn backup_phase(&self) -> Option<Phase> {
        let backup = self.backup.as_ref()?;
        Some(backup.inner.snapshot().phase)
    }

    /// The inner protocol of the present instance, from nothing.
    pub(super) fn begin_backup(&mut self) {
        let past = if self.instance > self.silent {
            Past::None
        } else if self.instance > self.mute {
            // An older disk is noticed by what the others remember.
            Past::Kept
        } else {
            Past::Unknown
        };
        self.resume_backup(Vec::new(), past);
    }

    /// The same from its records, oldest first.
    pub(super) fn resume_backup(&mut self, records: Vec<(Lsn, Inner)>, past: Past) {
        let last = records.last().map_or(Lsn::ZERO, |(lsn, _)| *lsn);
        let keyring = Arc::new(self.keyring.within(self.instance.0));
        let config = self.config.backup.clone();
        let inner = hedgerow_pbft::Replica::recover(config, keyring, records, Slot::ZERO);
        // The configuration was checked, and the whole log of the instance is kept.
        let inner =
            inner.unwrap_or_else(|error| panic!("the log of Backup {}: {error}", self.instance));
        let inner = match past {
            Past::None => inner.first_life(),
            Past::Kept => inner.with_kept_log(),
            Past::Unknown => inner,
        };
        let turns = if self.leads() { 2 } else { 6 };
        let mut backup = Backup {
            inner: Box::new(inner),
            out: Outbox::new(last),
            positions: BTreeMap::new(),
            decided: BTreeMap::new(),
            queue: VecDeque::new(),
            order: Lsn::ZERO,
            current: None,
            begun: if self.init.is_none() {
                Begun::Yes
            } else {
                Begun::No
            },
            committed: 0,
            quota: self
                .config
                .composition
                .quota(self.instance, self.config.backup_least),
            done: false,
            caller: None,
            call_at: self.now.plus(self.config.delta * turns),
        };
        for peer in self.unreachable.iter() {
            backup.on_link(self.now, peer, false);
        }
        self.backup = Some(backup);
    }

    pub(super) fn on_backup(
        &mut self,
        from: NodeId,
        instance: Instance,
        message: hedgerow_pbft::Message,
        out: &mut Out,
    ) {
        if instance < self.instance {
            self.show_init(from, out);
            return;
        }
        self.note_instance(from, instance, out);
        let now = self.now;
        let Some(backup) = self.backup.as_mut().filter(|_| instance == self.instance) else {
            return;
        };
        let for_client = matches!(
            message,
            hedgerow_pbft::Message::Replies(_) | hedgerow_pbft::Message::Answer(_)
        );
        let input = Input::Message { from, message };
        if !for_client {
            backup.inner.step(now, input, &mut backup.out);
        } else if let Some((caller, out)) = &mut backup.caller {
            caller.step(now, input, out);
        }
    }

    /// Lets the inner protocol work until nothing is left to do.
    pub(super) fn drive_backup(&mut self, out: &mut Out) {
        if self.backup.is_none() || self.start.is_asking() {
            return;
        }
        self.call(out);
        let now = self.now;
        if let Some(backup) = &mut self.backup
            && backup.inner.deadline().is_some_and(|due| due <= now)
        {
            backup.inner.step(now, Input::Deadline, &mut backup.out);
        }
        loop {
            // What the application has executed is something new for the inner protocol, too.
            self.execute_backup(out);
            let Some(backup) = &mut self.backup else {
                return;
            };
            backup.inner.settle(now, &mut backup.out);
            let effects: Vec<_> = backup.out.drain().collect();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                self.carry(effect, out);
            }
        }
    }

    /// After two Δ nobody has had the instance begin: this replica does, as a client that wants nothing (§6.3).
    fn call(&mut self, out: &mut Out) {
        let (now, instance, init) = (self.now, self.instance, self.init.clone());
        let Some(backup) = &mut self.backup else {
            return;
        };
        if backup.begun == Begun::No && backup.caller.is_none() && backup.call_at <= now {
            let keyring = Arc::new(self.keyring.within(instance.0));
            // An earlier life may have used the number, if the clock was set back: the reply to that is as good.
            let last = now.0 / 1000;
            let Ok(mut client) = Client::new(self.config.backup.clone(), keyring, last) else {
                return;
            };
            let mut calls = Outbox::new(Lsn::ZERO);
            let operation = backup_operation(None, init.as_deref());
            let command = Command::Invoke {
                ticket: 0,
                operation,
            };
            client.step(now, Input::Command(command), &mut calls);
            backup.caller = Some((Box::new(client), calls));
        }
        if backup.begun != Begun::No {
            backup.caller = None;
        }
        let mut sends = Vec::new();
        if let Some((caller, calls)) = &mut backup.caller {
            if caller.deadline().is_some_and(|due| due <= now) {
                caller.step(now, Input::Deadline, calls);
            }
            caller.settle(now, calls);
            for effect in calls.drain() {
                if let Effect::Send { to, message, .. } = effect {
                    sends.push((to, message));
                }
            }
        }
        for (to, message) in sends {
            if to == Target::Node(self.me) {
                self.on_backup(self.me, instance, message, out);
            } else {
                out.send(to, Message::Backup(instance, message));
            }
        }
    }

    /// Carries out what the inner protocol wants.
    fn carry(&mut self, effect: Effect<Pbft>, out: &mut Out) {
        let (now, instance) = (self.now, self.instance);
        let Some(backup) = &mut self.backup else {
            return;
        };
        match effect {
            Effect::Send { to, message, after } => {
                let mut after = backup.outside(after);
                if matches!(message, hedgerow_pbft::Message::Replies(_)) {
                    after = after.max(backup.order);
                }
                out.send_after(after, to, Message::Backup(instance, message));
            }
            Effect::Persist { lsn, record } => {
                let outside = out.persist(Record::Backup {
                    instance,
                    lsn,
                    record: Box::new(record),
                });
                backup.positions.insert(lsn, outside);
                while backup.positions.len() > 4096 {
                    backup.positions.pop_first();
                }
            }
            Effect::Emit { event, after } => match event {
                // It is executed at once, and the results wait instead.
                Event::Execute(batch) => {
                    backup.order = backup.order.max(backup.outside(after));
                    backup.decided.insert(batch.slot, batch.clone());
                    backup.queue.push_back(batch);
                }
                Event::Load { token, slot } => {
                    let batch = backup.decided.get(&slot).cloned();
                    let command = Command::Loaded { token, slot, batch };
                    backup
                        .inner
                        .step(now, Input::Command(command), &mut backup.out);
                }
                // Queries are ordered here; and the instance's whole log is kept.
                Event::Answer { .. }
                | Event::Final(_)
                | Event::Rollback(_)
                | Event::Epoch(_)
                | Event::Stable(_)
                | Event::Completed { .. } => {}
            },
            Effect::Release(_) => {}
        }
    }

    /// Executes what is decided, one inner batch after the other.
    fn execute_backup(&mut self, out: &mut Out) {
        loop {
            self.complete_backup(out);
            let Some(backup) = &mut self.backup else {
                return;
            };
            if backup.current.is_some() || matches!(backup.begun, Begun::With(_)) {
                return;
            }
            let Some(batch) = backup.queue.front().cloned() else {
                return;
            };
            if backup.begun == Begun::No
                && let Some(origin) = self.first_init(&batch)
            {
                if let Some(backup) = &mut self.backup {
                    if origin.low_load {
                        backup.quota = 1;
                    }
                    backup.begun = Begun::With(origin.clone());
                }
                self.fetch_towards(origin, out);
                continue;
            }
            if let Some(backup) = &mut self.backup {
                backup.queue.pop_front();
            }
            self.take_backup(&batch, out);
        }
    }

    /// The init history that an inner batch brings: the first valid one counts.
    fn first_init(&self, batch: &Batch) -> Option<Origin> {
        batch.operations.iter().find_map(|op| {
            let bytes = decode_backup(&op.operation)?.init?;
            let init = verified_init(&bytes, &self.keyring)?;
            let origin = extract(self.config.composition, self.roster, &init).ok()?;
            (init.instance == self.instance).then_some(origin)
        })
    }

    /// The history is the init history; once it is executed, it is final.
    pub(super) fn backup_adopted(&mut self, origin: &Origin, out: &mut Out) {
        if self.executed < origin.target.slot {
            return; // `backup_executed` comes back to it.
        }
        let target = origin.target;
        out.persist(Record::Begun(target.slot));
        if let Some(backup) = &mut self.backup {
            backup.begun = Begun::Yes;
        }
        if target.slot > self.history.base().slot {
            self.stabilize(target, out);
        }
        self.finish(target.slot, out);
    }

    fn take_backup(&mut self, batch: &Batch, out: &mut Out) {
        let (mut replies, mut operations) = (Vec::new(), Vec::<Operation>::new());
        for op in &*batch.operations {
            let Some(backup) = &mut self.backup else {
                return;
            };
            if backup.begun != Begun::Yes {
                replies.push(Reply::Ready(BackupReply::Aborted));
                continue;
            }
            let Some(request) = decode_backup(&op.operation).and_then(|op| op.request) else {
                replies.push(Reply::Ready(BackupReply::Committed(Bytes::new())));
                continue;
            };
            let again = operations
                .iter()
                .any(|known| known.client == op.client && known.number == request.number);
            if again || !self.is_fresh(op.client, request.number) {
                replies.push(Reply::Of(op.client, request.number));
                continue;
            }
            let Some(backup) = &mut self.backup else {
                return;
            };
            if backup.done {
                replies.push(Reply::Ready(BackupReply::Aborted));
                continue;
            }
            backup.committed += 1;
            backup.done = backup.committed == backup.quota || batch.slot >= LONGEST;
            replies.push(Reply::Of(op.client, request.number));
            operations.push(Operation {
                client: op.client,
                number: request.number,
                operation: request.operation,
            });
        }
        let slot = self.history.head().slot.next();
        let outside = (!operations.is_empty()).then_some(slot);
        if let Some(backup) = &mut self.backup {
            backup.current = Some(Current {
                slot: batch.slot,
                replies,
                outside,
            });
        }
        if outside.is_some() {
            let batch = Batch {
                slot,
                time_ms: batch.time_ms,
                operations: operations.into(),
            };
            self.log(batch, out);
        }
    }

    /// The application has executed a slot.
    pub(super) fn backup_executed(&mut self, slot: Slot, out: &mut Out) {
        let begun = self.backup.as_ref().map(|backup| backup.begun.clone());
        if let Some(Begun::With(origin)) = begun
            && slot == origin.target.slot
            && self.history.head() == origin.target
        {
            self.backup_adopted(&origin, out);
        }
    }

    /// Answers the inner batch in execution once the application has it.
    fn complete_backup(&mut self, out: &mut Out) {
        let (now, executed) = (self.now, self.executed);
        let Some(current) = self.backup.as_mut().and_then(|backup| {
            backup
                .current
                .take_if(|c| c.outside.is_none_or(|slot| slot <= executed))
        }) else {
            return;
        };
        if let Some(slot) = current.outside {
            self.finish(slot, out);
        }
        let replies = current.replies.into_iter().map(|reply| {
            let reply = match reply {
                Reply::Ready(reply) => reply,
                Reply::Of(client, number) => {
                    let remembered = self.remembered(client, number);
                    BackupReply::Committed(remembered.map_or_else(Bytes::new, |(_, reply)| reply))
                }
            };
            Bytes::from(hedgerow_wire::encode(&reply))
        });
        let replies: Vec<_> = replies.collect();
        let Point { chain, .. } = self.history.head();
        let Some(backup) = &mut self.backup else {
            return;
        };
        // Before the init history is known each replica has its own.
        let state = if backup.begun == Begun::Yes {
            chain
        } else {
            Digest::ZERO
        };
        let command = Command::Executed {
            slot: current.slot,
            replies,
            state,
        };
        backup
            .inner
            .step(now, Input::Command(command), &mut backup.out);
        if backup.done && self.stage == Stage::Active && self.kind() == Kind::Backup {
            // k requests are committed: all that comes is answered by the ABORT.
            self.stage = Stage::Stopped;
            self.note_switch(Cause::Quota);
            self.say_stopped(out);
        }
    }
}

impl Backup {
    pub(super) fn on_link(&mut self, now: Time, peer: NodeId, up: bool) {
        let input = Input::Link { peer, up };
        self.inner.step(now, input, &mut self.out);
    }

    /// Where an inner position is in the log outside; what is not remembered is long durable.
    fn outside(&self, inner: Lsn) -> Lsn {
        self.positions.get(&inner).copied().unwrap_or(Lsn::ZERO)
    }
}

/// An operation for the protocol inside.
pub(crate) fn backup_operation(
    request: Option<crate::Request>,
    init: Option<&crate::Init>,
) -> Bytes {
    let init = init.map(|init| {
        let mut bytes = Vec::new();
        put_init(init, &mut bytes);
        Bytes::from(bytes)
    });
    hedgerow_wire::encode(&BackupRequest { request, init }).into()
}

//! The replica: it hosts one of its epoch's protocol. How it goes from one epoch to the next is in `leaving`; how it learns
//! what was ordered without it, in `catch_up`.

mod catch_up;
mod leaving;
mod recovery;
mod serve;

pub use recovery::RecoverError;

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, NodeSet, Roster, Slot, Time, View};
use hedgerow_crypto::{Keyring, Sealed};
use hedgerow_machine::{Effect, Input, Machine, Outbox, Target};
use hedgerow_ordering::{Batch, Command, Event, Phase, Snapshot};

use crate::{
    Config, Epochs,
    hosted::{HostedReplica, Told},
    messages::{Epoch, Inner, Message, Proof},
    record::Record,
};
use catch_up::CatchUp;

/// Why an epoch begins.
pub(crate) const VOTED: &str = "the members voted for another protocol";
/// How many words of an epoch that is not here yet are kept of each replica, and of each client: what they said first is
/// what lets the epoch begin without waiting for time-outs.
const EARLY: usize = 16;
const EARLY_OF_CLIENT: usize = 4;

type Out = Outbox<Epochs>;

/// Where this replica's epoch ends.
#[derive(Clone, Debug)]
struct Ended {
    next: Epoch,
    /// Whether the application was told to have everything up to there on disk.
    storing: bool,
    /// Whether the log has it.
    written: bool,
    /// This replica's word for it, once it is final and on disk.
    word: Option<Sealed<Epoch>>,
    /// The client table there, plain.
    clients: Bytes,
}

/// What is final here and needs no protocol any more.
#[derive(Debug)]
struct Standing {
    slot: Slot,
    clients: Bytes,
}

#[derive(Debug)]
enum Stage {
    /// The epoch's protocol orders.
    Ordering(Box<dyn HostedReplica>),
    /// It does not any more; the application is asked to finish what it was told.
    Leaving(Box<dyn HostedReplica>, Arc<Proof>),
    /// The application is asked to store what is final.
    Settling(Standing, Arc<Proof>),
    /// Batches of earlier epochs are fetched.
    CatchingUp(Box<CatchUp>),
    /// The application is told of the epoch that begins.
    Beginning(Bytes),
    /// This version does not have the epoch's protocol.
    Unable,
}

/// A replica. Built by [`Replica::recover`].
#[derive(Debug)]
pub struct Replica {
    config: Config,
    keyring: Arc<Keyring>,
    roster: Roster,
    me: NodeId,
    now: Time,

    /// The epoch that it is in, or was in last; and the proof of it, but for the first.
    epoch: Epoch,
    proof: Option<Arc<Proof>>,
    stage: Stage,
    ended: Option<Ended>,
    /// Whether the application was told where this life begins.
    greeted: bool,
    /// Up to where it was told that the order is final, and up to where it has it on disk.
    finals: Slot,
    stored: Slot,
    /// The application's state after the last slot that it said it executed.
    executed_state: Digest,
    /// Where the record of the epoch is.
    began: Lsn,
    /// What to release once the log is durable up to somewhere.
    release: Option<(Lsn, Lsn)>,

    /// The newest words of the others about what follows.
    heard: BTreeMap<NodeId, Sealed<Epoch>>,
    /// The newest epoch after this one that is proved to have begun.
    newer: Option<Arc<Proof>>,
    /// When each member was last told of the epoch.
    shown: BTreeMap<NodeId, Time>,
    /// Since when others are known to be further.
    behind: Option<Time>,
    /// When to say again what waits for others.
    again: Option<Time>,
    early: VecDeque<(NodeId, u64, Inner)>,
    /// Other replicas whose connections broke.
    unreachable: NodeSet,
    /// What the application was given and has not executed, or not yet; of what is void nobody else has a copy.
    given: BTreeMap<Slot, Batch>,
    /// Which of it the protocol wants to give to others: tokens and slots.
    wanted: Vec<(u64, Slot)>,
    serve: serve::Serve,
    changes: u64,
    changed: Option<Time>,
    effects: Vec<Effect<Epochs>>,
}

impl Replica {
    /// Tells the protocol of the epoch something, and carries out what it wants.
    fn tell(&mut self, told: Told, out: &mut Out) {
        match &mut self.stage {
            Stage::Ordering(inner) => {
                inner.step(self.now, told, out.last(), &mut self.effects);
                self.carry(out);
                self.load_void(out);
            }
            // It only learns what the application did with what it had ordered.
            Stage::Leaving(inner, _) => {
                if matches!(told, Told::Command(_)) {
                    inner.step(self.now, told, out.last(), &mut self.effects);
                    self.effects.clear();
                }
            }
            _ => {}
        }
    }

    fn carry(&mut self, out: &mut Out) {
        let mut release = None;
        // Its room is used again.
        let mut effects = core::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message, after } => out.send_after(after, to, message),
                Effect::Persist { lsn, record } => {
                    let position = out.persist(record);
                    debug_assert_eq!(position, lsn);
                }
                Effect::Emit { event, after } => {
                    match &event {
                        Event::Execute(batch) => {
                            self.given.insert(batch.slot, batch.clone());
                        }
                        // The application does not have what is void.
                        Event::Load { token, slot } if self.is_void(*slot) => {
                            self.wanted.push((*token, *slot));
                            continue;
                        }
                        &Event::Final(slot) => self.finals = self.finals.max(slot),
                        &Event::Rollback(slot) => {
                            self.given.split_off(&slot.next());
                            // Whatever ended it is undone.
                            self.ended.take_if(|ended| ended.next.base > slot);
                        }
                        _ => {}
                    }
                    out.emit_after(after, event);
                }
                Effect::Release(below) => release = release.max(Some(below)),
            }
        }
        self.effects = effects;
        // What the log has of the epoch's end stays until the epoch is left.
        let written = self.ended.as_ref().is_some_and(|ended| ended.written);
        if let Some(below) = release.filter(|_| !written) {
            if let Some(proof) = self.proof.clone().filter(|_| self.began < below) {
                self.began = out.persist(Record::Began(proof));
            }
            self.release_when_durable(below, out);
        }
    }

    fn is_void(&self, slot: Slot) -> bool {
        let end = self.ended.as_ref();
        end.is_some_and(|ended| slot > ended.next.base)
    }

    /// Answers the protocol's questions for batches that are void.
    fn load_void(&mut self, out: &mut Out) {
        for (token, slot) in core::mem::take(&mut self.wanted) {
            let batch = self.given.get(&slot).cloned();
            if let Stage::Ordering(inner) = &mut self.stage {
                let loaded = Command::Loaded { token, slot, batch };
                inner.step(
                    self.now,
                    Told::Command(loaded),
                    out.last(),
                    &mut self.effects,
                );
            }
        }
        self.carry(out);
    }

    /// Gives up records once everything that is written by now is durable.
    fn release_when_durable(&mut self, below: Lsn, out: &Out) {
        let before = self.release.map_or(Lsn::ZERO, |(_, before)| before);
        self.release = Some((out.last(), below.max(before)));
    }

    fn on_message(&mut self, from: NodeId, message: Message, out: &mut Out) {
        match message {
            Message::Ordered(epoch, message) => self.on_ordered(from, epoch, message, out),
            Message::Ended(word) => self.on_ended(word, out),
            Message::Begun(proof) => self.on_begun(&proof),
            Message::Newer(epoch) => {
                if epoch < self.epoch.number {
                    self.show(from, out);
                }
            }
            Message::Fetch(fetch) => self.on_fetch(from, fetch, out),
            Message::Fetched(list) => self.on_fetched(from, list),
        }
    }

    fn on_ordered(&mut self, from: NodeId, epoch: u64, message: Inner, out: &mut Out) {
        if epoch < self.epoch.number {
            self.show(from, out);
        } else if epoch == self.epoch.number && !matches!(self.stage, Stage::Beginning(_)) {
            self.tell(Told::Message(from, message), out);
        } else if epoch <= self.epoch.number.saturating_add(1) {
            let kept = self.early.iter().filter(|(who, ..)| *who == from).count();
            let replica = self.roster.contains(from);
            if kept < if replica { EARLY } else { EARLY_OF_CLIENT } {
                self.early.push_back((from, epoch, message));
            }
        }
    }

    fn on_command(&mut self, command: Command, out: &mut Out) {
        match command {
            Command::EndEpoch {
                slot,
                next,
                protocol,
            } => self.on_end(slot, next, &protocol),
            Command::Epoch(epoch) => self.on_epoch_heard(epoch, out),
            Command::Loaded { token, slot, batch } if serve::is_mine(token) => {
                self.on_loaded(token, slot, batch);
            }
            Command::Stored(slot) => {
                self.stored = self.stored.max(slot);
                self.tell(Told::Command(Command::Stored(slot)), out);
            }
            Command::Executed {
                slot,
                replies,
                state,
            } => {
                self.note_executed(slot, &replies, state);
                if !self.is_void(slot) {
                    self.given.remove(&slot);
                }
                let command = Command::Executed {
                    slot,
                    replies,
                    state,
                };
                self.tell(Told::Command(command), out);
            }
            command => self.tell(Told::Command(command), out),
        }
    }
}

impl Machine<Epochs> for Replica {
    fn step(&mut self, now: Time, input: Input<Epochs>, out: &mut Out) {
        self.now = self.now.max(now);
        match input {
            Input::Message { from, message } => self.on_message(from, message, out),
            Input::Rejected { from, reason } => self.tell(Told::Rejected(from, reason), out),
            Input::Command(command) => self.on_command(command, out),
            Input::Durable(lsn) => {
                if let Some((_, below)) = self.release.take_if(|(after, _)| *after <= lsn) {
                    out.release(below);
                }
                self.tell(Told::Durable(lsn), out);
            }
            Input::Link { peer, up } => {
                self.unreachable.set(peer, !up);
                self.tell(Told::Link(peer, up), out);
            }
            Input::Deadline => {
                if let Stage::Ordering(inner) = &self.stage
                    && inner.deadline().is_some_and(|due| due <= self.now)
                {
                    self.tell(Told::Deadline, out);
                }
            }
        }
    }

    fn settle(&mut self, now: Time, out: &mut Out) {
        self.now = self.now.max(now);
        if !core::mem::replace(&mut self.greeted, true) {
            self.greet(out);
        }
        self.drive_leaving(out);
        self.drive_catch_up(out);
        if let Stage::Ordering(inner) = &mut self.stage {
            inner.settle(self.now, out.last(), &mut self.effects);
            self.carry(out);
            self.load_void(out);
            // What it has just called final may be the epoch's end.
            self.drive_leaving(out);
        }
        self.flush_fetched(out);
    }

    fn deadline(&self) -> Option<Time> {
        let inner = match &self.stage {
            Stage::Ordering(inner) => inner.deadline(),
            Stage::CatchingUp(catch_up) => catch_up.due(),
            _ => None,
        };
        let behind = self.behind.map(|since| since.plus(self.config.retry));
        inner.into_iter().chain(behind).chain(self.again).min()
    }

    fn credit(&self) -> usize {
        usize::MAX
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = match &self.stage {
            Stage::Ordering(inner) | Stage::Leaving(inner, _) => inner.snapshot(),
            _ => {
                let mut snapshot = idle(self.me);
                snapshot.decided = self.finals;
                snapshot.executed = self.finals;
                snapshot.stable = self.stored;
                snapshot
            }
        };
        snapshot.view_changes += self.changes;
        if let Some(changed) = self.changed {
            snapshot.switched.get_or_insert((changed, VOTED));
        }
        snapshot
    }
}

/// What to show where no protocol orders.
pub(crate) const fn idle(me: NodeId) -> Snapshot {
    Snapshot {
        phase: Phase::Transfer,
        view: View::ZERO,
        primary: me,
        decided: Slot::ZERO,
        executed: Slot::ZERO,
        stable: Slot::ZERO,
        pending: 0,
        view_changes: 0,
        consensus: "none",
        protocol: "none",
        switched: None,
        heard: NodeSet::EMPTY,
    }
}

/// The state before anything was executed.
const NOTHING: Digest = Digest([0; 32]);

/// All other members.
fn others(keyring: &Keyring) -> Vec<Target> {
    let clients = keyring.roster().n()..keyring.members();
    let clients = clients.map(|client| Target::Node(NodeId(client as u32)));
    core::iter::once(Target::Others).chain(clients).collect()
}

//! The replica: one file per phase of the paper.

mod batch;
mod checkpoint;
mod clients;
mod common;
mod decision;
mod execution;
mod log;
mod new_view;
mod receive;
mod recovery;
mod rejoin;
mod requests;
mod safety;
mod status;
mod timers;
mod transfer;
mod view_change;

pub use batch::{batch_digest, decode_batch, encode_batch};
pub use decision::{Decision, decide, well_formed};
pub(crate) use hedgerow_clients::REPLY_OVERHEAD;
pub(crate) use receive::in_parts;
pub use recovery::RecoverError;

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use hedgerow_base::{Digest, Lsn, NodeId, NodeSet, Roster, Slot, Time, View};
use hedgerow_clients::{Clients, Numbers};
use hedgerow_crypto::{Keyring, Sealed};
use hedgerow_machine::{Input, Machine, Outbox};
use hedgerow_ordering::{Batch, Event, Phase, Snapshot};

use crate::{
    Pbft,
    config::Config,
    messages::{Checkpoint, Evidence, NewViewProof, Outcome, ViewChange},
};
use log::SlotLog;
use rejoin::Presence;
use requests::Requests;
use safety::Safety;
use status::Peer;
use transfer::Transfer;

/// Where effects go.
type Out = Outbox<Pbft>;

/// A replica (§4). Built by [`Replica::new`] or [`Replica::recover`].
#[derive(Debug)]
pub struct Replica {
    config: Config,
    keyring: Arc<Keyring>,
    roster: Roster,
    me: NodeId,
    now: Time,

    /// The view that it is in or wants to enter.
    view: View,
    /// Whether it waits for `view` to begin.
    changing: bool,
    /// The last view whose beginning it saw proved; 0 needs no proof.
    entered: View,
    proof: Option<Arc<NewViewProof>>,
    /// What `entered` began with.
    decision: Decision,
    view_changes: BTreeMap<NodeId, Sealed<ViewChange>>,
    /// How often a view was given up since the start.
    given_up: u64,

    log: SlotLog,
    /// The next slot that this primary assigns.
    next: Slot,
    decided: Slot,
    executed: Slot,
    /// What is decided by now: used numbers run ahead of `clients`, which is as of `executed`.
    numbers: BTreeMap<NodeId, Numbers>,
    clients: Clients,
    requests: Requests,
    safety: Safety,

    stable: Slot,
    /// The last checkpoint that was stable before a restart: `stable` gets there again by executing.
    known_stable: Slot,
    certificate: Vec<Sealed<Checkpoint>>,
    checkpoints: BTreeMap<Slot, checkpoint::Own>,
    checkpoint_votes: BTreeMap<Slot, BTreeMap<NodeId, Sealed<Checkpoint>>>,
    stored: Slot,
    stables: VecDeque<(Slot, Lsn)>,
    view_lsn: Lsn,

    presence: Presence,
    /// The last thing that each of the others said.
    heard: BTreeMap<NodeId, Evidence>,
    peers: BTreeMap<NodeId, Peer>,
    transfer: Transfer,
    timers: timers::Timers,
    doubts: BTreeMap<NodeId, (NodeSet, Time)>,
    doubted: BTreeMap<NodeId, View>,

    replies: BTreeMap<NodeId, Vec<(u64, Outcome)>>,
    relays: Vec<Sealed<crate::Request>>,
    /// Whether a request came for which a held pre-prepare may have waited.
    retry_held: bool,
    queries: VecDeque<execution::Pending>,
    asked: BTreeMap<u64, (NodeId, u64)>,
    tokens: u64,
    /// Batches to give to the application after a start, with the digests by which they were decided.
    resume: VecDeque<(Batch, Option<Digest>)>,
}

impl Replica {
    /// A replica that has never run: its log is empty, and its application has executed nothing.
    ///
    /// # Errors
    /// When a bound of the configuration does not hold or the keyring is not a replica's.
    pub fn new(config: Config, keyring: Arc<Keyring>) -> Result<Self, RecoverError> {
        Self::recover(config, keyring, core::iter::empty(), Slot::ZERO)
    }

    fn blank(config: Config, keyring: Arc<Keyring>) -> Self {
        let timeout = config.timeout;
        Self {
            roster: keyring.roster(),
            me: keyring.me(),
            now: Time::ZERO,
            view: View::ZERO,
            changing: false,
            entered: View::ZERO,
            proof: None,
            decision: Decision::default(),
            view_changes: BTreeMap::new(),
            given_up: 0,
            log: SlotLog::default(),
            next: Slot(1),
            decided: Slot::ZERO,
            executed: Slot::ZERO,
            numbers: BTreeMap::new(),
            clients: Clients::new(config.client_window, config.client_reply_bytes),
            requests: Requests::default(),
            safety: Safety::default(),
            stable: Slot::ZERO,
            known_stable: Slot::ZERO,
            certificate: Vec::new(),
            checkpoints: BTreeMap::new(),
            checkpoint_votes: BTreeMap::new(),
            stored: Slot::ZERO,
            stables: VecDeque::new(),
            view_lsn: Lsn::ZERO,
            presence: Presence::default(),
            heard: BTreeMap::new(),
            peers: BTreeMap::new(),
            transfer: Transfer::default(),
            timers: timers::Timers::new(timeout),
            doubts: BTreeMap::new(),
            doubted: BTreeMap::new(),
            replies: BTreeMap::new(),
            relays: Vec::new(),
            retry_held: false,
            queries: VecDeque::new(),
            asked: BTreeMap::new(),
            tokens: 0,
            resume: VecDeque::new(),
            config,
            keyring,
        }
    }

    fn primary(&self) -> NodeId {
        self.roster.primary(self.view)
    }

    fn is_primary(&self) -> bool {
        self.primary() == self.me
    }

    /// Whether it takes part in the order at all: in a view, and aware of what it said before.
    fn is_active(&self) -> bool {
        !self.changing && !self.presence.is_starting()
    }

    /// The last slot after the stable checkpoint that may be under way (H = h + L, §4.2).
    fn high(&self) -> Slot {
        self.stable.plus(self.config.window())
    }

    fn in_window(&self, slot: Slot) -> bool {
        self.stable < slot && slot <= self.high()
    }

    fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    fn emit_durable(&self, event: Event, out: &mut Out) {
        out.emit_after(out.last(), event);
    }
}

impl Machine<Pbft> for Replica {
    fn step(&mut self, now: Time, input: Input<Pbft>, out: &mut Out) {
        self.now = self.now.max(now);
        match input {
            Input::Message { from, message } => self.on_message(from, message, out),
            // Whoever sent it is faulty or out of date; nothing depends on it.
            Input::Rejected { .. } | Input::Durable(_) => {}
            Input::Command(command) => self.on_command(command, out),
            Input::Link { peer, up } => self.on_link(peer, up),
            Input::Deadline => self.on_deadline(out),
        }
    }

    fn settle(&mut self, now: Time, out: &mut Out) {
        self.now = self.now.max(now);
        self.resume(out);
        self.greet(out);
        self.propose(out);
        self.drive_transfer(out);
        self.finish_rejoining(out);
        self.flush_relays(out);
        self.flush_replies(out);
        self.flush_decided(out);
        self.set_timers();
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    /// A replica's application only answers: it is never held up.
    fn credit(&self) -> usize {
        usize::MAX
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            consensus: "pbft",
            protocol: "pbft",
            switched: None,
            phase: match self.presence {
                Presence::Starting { .. } => Phase::Starting,
                Presence::Rejoining => Phase::Rejoining,
                Presence::Ready if self.transfer.is_active() => Phase::Transfer,
                Presence::Ready if self.changing => Phase::ViewChange,
                Presence::Ready => Phase::Normal,
            },
            view: self.view,
            primary: self.primary(),
            decided: self.decided,
            executed: self.executed,
            stable: self.stable,
            pending: self.requests.len(),
            view_changes: self.given_up,
            heard: self.heard_from(),
        }
    }
}

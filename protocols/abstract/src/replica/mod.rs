//! The replica: one file per concern. What is common to all instances is here and in the files beside; an instance's own
//! protocol is in `quorum`, `zlight`, `chain` and `backup`.

mod backup;
mod batching;
mod chain;
mod checkpoint;
mod execution;
mod fetch;
mod log;
mod quorum;
mod recovery;
mod service;
mod start;
mod switching;
mod timers;
mod zlight;

pub(crate) use backup::backup_operation;
pub use recovery::RecoverError;

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use hedgerow_base::{Lsn, NodeId, NodeSet, Roster, Slot, Time, View};
use hedgerow_clients::{Clients, Numbers};
use hedgerow_crypto::{Keyring, Sealed};
use hedgerow_machine::{Input, Machine, Outbox};
use hedgerow_ordering::{Batch, Command, Phase, Snapshot};

use crate::{
    Abstract,
    composition::{Instance, Kind},
    config::Config,
    history::History,
    messages::{Init, Message, Response},
};

/// Where effects go.
type Out = Outbox<Abstract>;

/// How far the present instance has got here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its init history is being fetched.
    Adopting,
    /// It orders.
    Active,
    /// It orders nothing any more here: an ABORT says what its history is.
    Stopped,
}

/// A replica. Built by [`Replica::new`] or [`Replica::recover`].
#[derive(Debug)]
pub struct Replica {
    config: Config,
    keyring: Arc<Keyring>,
    roster: Roster,
    me: NodeId,
    now: Time,

    instance: Instance,
    stage: Stage,
    /// What the present instance began with; absent in the first.
    init: Option<Arc<Init>>,
    /// No part is taken in instances up to this one: an earlier life of this replica may have.
    silent: Instance,
    /// Nor an ABORT said of those up to this one, whose history was on a disk that is lost.
    mute: Instance,
    start: start::Start,
    /// Whether the application was given what the log has.
    resumed: bool,

    history: History,
    /// What a Backup had logged before a restart, until the protocol inside decides it again.
    kept: VecDeque<(Batch, Lsn)>,
    /// The last slot that is final. The history's base may be behind it.
    finished: Slot,
    /// Numbers and replies as of the base, as of what is logged, and as of what is executed.
    base_clients: Clients,
    numbers: BTreeMap<NodeId, Numbers>,
    clients: Clients,
    executed: Slot,
    /// To where the application was told to roll back and has not confirmed it: what it says of later slots is void.
    rollbacks: VecDeque<Slot>,

    /// At a leader: requests for the next batch, by client and number.
    pending: BTreeMap<(NodeId, u64), Sealed<crate::Request>>,
    zlight: zlight::ZLight,
    chain: chain::Chain,
    backup: Option<backup::Backup>,
    /// Other replicas whose connections broke.
    unreachable: NodeSet,
    checkpoint: checkpoint::Checkpoints,
    switching: switching::Switching,
    fetch: fetch::Fetching,
    service: service::Service,
    responses: BTreeMap<NodeId, Vec<(Response, Lsn)>>,
    /// Requests that wait for room in the history.
    waiting: Vec<Sealed<crate::Request>>,
    shown: BTreeMap<NodeId, Time>,
    /// Where it was when it told the others, and when it will tell them where it is now.
    told: (Instance, Slot),
    tell_at: Option<Time>,
    /// How often an instance was given up since the start.
    switches: u64,
    /// When one was last given up, and why.
    switched: Option<(Time, &'static str)>,
}

impl Replica {
    /// A replica that has never run: its log is empty, and its application has executed nothing.
    ///
    /// # Errors
    /// When a bound of the configuration does not hold or the keyring is not a replica's.
    pub fn new(config: Config, keyring: Arc<Keyring>) -> Result<Self, RecoverError> {
        Self::recover(config, keyring, core::iter::empty(), Slot::ZERO)
    }

    fn kind(&self) -> Kind {
        self.config.composition.kind(self.instance)
    }

    fn leader(&self) -> NodeId {
        self.config.composition.leader(self.instance, self.roster)
    }

    fn leads(&self) -> bool {
        self.leader() == self.me
    }

    /// Whether it takes part in the common case of the present instance.
    fn takes_part(&self) -> bool {
        self.stage == Stage::Active && !self.start.is_asking() && self.instance > self.silent
    }

    fn on_message(&mut self, from: NodeId, message: Message, out: &mut Out) {
        match message {
            Message::Requests(instance, requests) => {
                self.on_requests(from, instance, &requests, out)
            }
            Message::Order(order, proposal) => self.on_order(&order, &proposal, out),
            Message::Feedback(feedback) => {
                self.on_feedback(feedback.origin(), feedback.value(), out);
            }
            Message::Panic(panic) => self.on_panic(panic.origin(), panic.value().instance, out),
            Message::Abort(abort) => self.on_abort(abort, out),
            Message::Init(init) => self.on_init(&init, out),
            Message::Checkpoint(vote) => self.on_checkpoint(&vote, out),
            Message::Fetch(fetch) => self.on_fetch(from, fetch, out),
            Message::Fetched(list) => self.on_fetched(from, list, out),
            Message::Hello(nonce) => self.on_hello(from, nonce, out),
            Message::Welcome(welcome) => self.on_welcome(from, &welcome, out),
            Message::Status(instance) => self.on_status(from, instance, out),
            Message::Backup(instance, message) => self.on_backup(from, instance, message, out),
            Message::Chain(chained) => self.on_chain(from, &chained, out),
            // For clients.
            Message::Responses(_) | Message::ChainReply(_) => {}
        }
    }

    /// Requests of this instance go to its protocol; who is behind is shown what began it.
    fn on_requests(
        &mut self,
        from: NodeId,
        instance: Instance,
        requests: &[Sealed<crate::Request>],
        out: &mut Out,
    ) {
        if instance < self.instance {
            self.show_init(from, out);
        }
        // A request is good in any instance.
        if self.stage == Stage::Stopped && instance <= self.instance {
            self.show_abort(from, out);
            return;
        }
        for request in requests {
            if self.answer_again(request.origin(), request.value().number) {
                continue;
            }
            if instance == self.instance {
                match self.kind() {
                    Kind::Quorum if self.takes_part() => self.quorum_request(request, out),
                    Kind::ZLight | Kind::Chain => self.await_batch(request),
                    Kind::Quorum | Kind::Backup => {}
                }
            }
        }
    }

    fn on_command(&mut self, command: Command, out: &mut Out) {
        match command {
            Command::Executed {
                slot,
                replies,
                state,
            } => self.on_executed(slot, replies, state, out),
            Command::RolledBack(_) => {
                self.rollbacks.pop_front();
            }
            Command::Stored(slot) => self.on_stored(slot, out),
            Command::Loaded { token, slot, batch } => self.on_loaded(token, slot, batch),
            Command::Answered { .. }
            | Command::Invoke { .. }
            | Command::Read { .. }
            | Command::EndEpoch { .. }
            | Command::Epoch(_) => {}
        }
    }
}

impl Machine<Abstract> for Replica {
    fn step(&mut self, now: Time, input: Input<Abstract>, out: &mut Out) {
        self.now = self.now.max(now);
        match input {
            Input::Message { from, message } => self.on_message(from, message, out),
            Input::Rejected { .. } | Input::Durable(_) => {}
            Input::Command(command) => self.on_command(command, out),
            Input::Link { peer, up } => self.on_link(peer, up, out),
            Input::Deadline => {}
        }
    }

    fn settle(&mut self, now: Time, out: &mut Out) {
        self.now = self.now.max(now);
        if !core::mem::replace(&mut self.resumed, true) {
            self.resume(out);
        }
        self.ask(out);
        self.propose(out);
        self.chain_answer();
        self.drive_backup(out);
        self.drive_fetch(out);
        self.drive_checkpoint(out);
        self.drive_switching(out);
        self.flush_fetched(out);
        self.flush_responses(out);
        self.tell(out);
    }

    fn deadline(&self) -> Option<Time> {
        self.next_deadline()
    }

    fn credit(&self) -> usize {
        usize::MAX
    }

    fn snapshot(&self) -> Snapshot {
        let phase = if self.start.is_asking() {
            Phase::Starting
        } else if self.instance <= self.silent {
            Phase::Rejoining
        } else {
            match self.stage {
                Stage::Adopting => Phase::Transfer,
                Stage::Active => self.backup_phase().unwrap_or(Phase::Normal),
                Stage::Stopped => Phase::ViewChange,
            }
        };
        Snapshot {
            consensus: self.config.composition.name(),
            protocol: self.kind().as_str(),
            switched: self.switched,
            phase,
            view: View(self.instance.0),
            primary: self.leader(),
            decided: self.finished,
            executed: self.executed,
            stable: self.history.base().slot,
            pending: self.pending.len() + self.waiting.len(),
            view_changes: self.switches,
            heard: NodeSet::from_iter([self.me]),
        }
    }
}

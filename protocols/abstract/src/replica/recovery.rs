//! From the log to a replica that keeps what it said.

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use bytes::Bytes;
use hedgerow_base::{Lsn, NodeId, NodeSet, Slot, Time};
use hedgerow_clients::Clients;
use hedgerow_crypto::Keyring;
use hedgerow_ordering::{Batch, Event};

use super::{
    Out, Replica, Stage,
    backup::Past,
    chain::Chain,
    checkpoint::Checkpoints,
    fetch::Fetching,
    log::{POINT_BYTES, remember},
    service::Service,
    start::Start,
    switching::Switching,
    zlight::ZLight,
};
use crate::{
    abort::extract,
    composition::{Instance, Kind},
    config::{Config, ConfigError},
    history::{History, Point},
    messages::Init,
    record::Record,
};

/// Why a replica can't be built from its log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// A bound of the configuration does not hold.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keyring belongs to a member that is not a replica.
    #[error("member {0} is not a validator of this network")]
    NotReplica(NodeId),
    /// The application has less than the log builds on, or more than the log knows.
    #[error(
        "the application has executed slots up to {executed}, which does not fit to the log, whose first checkpoint is at \
         {log}: delete the log and the application's data, and the validator rejoins from its peers"
    )]
    Application {
        /// The last slot that the application has executed.
        executed: Slot,
        /// The first checkpoint in the log.
        log: Slot,
    },
    /// A record contradicts others or can't be read.
    #[error(
        "the record at {0} is corrupt: restore the disk, or delete the log and the application's data"
    )]
    Corrupt(Lsn),
}

/// What the log says, read in order.
#[derive(Default)]
struct Story {
    instance: Instance,
    init: Option<Arc<Init>>,
    stopped: bool,
    silent: Instance,
    mute: Instance,
    entries: Vec<(Batch, Lsn)>,
    stables: Vec<(Point, Bytes, Lsn)>,
    inner: Vec<(Lsn, hedgerow_pbft::Record)>,
    entered: Lsn,
    /// The last instance was entered, and its init history was not complete.
    adopting: bool,
    begun: Option<Slot>,
}

impl Story {
    fn read(&mut self, lsn: Lsn, record: Record) -> Result<(), RecoverError> {
        match record {
            Record::Logged(batch) => {
                let last = self.entries.last().map(|(batch, _)| batch.slot);
                if last.is_some_and(|last| batch.slot != last.next()) {
                    return Err(RecoverError::Corrupt(lsn));
                }
                self.entries.push((batch, lsn));
            }
            Record::Truncated(slot) => self.entries.retain(|(batch, _)| batch.slot <= slot),
            Record::Stopped(instance) if instance == self.instance => self.stopped = true,
            Record::Stopped(_) => {}
            Record::Entered { init, adopted } => {
                self.adopting = !adopted;
                if init.instance != self.instance {
                    self.instance = init.instance;
                    self.stopped = false;
                    self.inner.clear();
                    self.begun = None;
                }
                self.init = Some(init);
                self.entered = lsn;
            }
            Record::Stable { at, clients } => self.stables.push((at, clients, lsn)),
            Record::Backup {
                instance,
                lsn: inner,
                record,
            } => {
                if instance == self.instance {
                    self.inner.push((inner, *record));
                }
            }
            Record::Begun(slot) => self.begun = Some(slot),
            Record::Silent { below, mute } => {
                self.silent = self.silent.max(below);
                self.mute = self.mute.max(mute);
            }
        }
        Ok(())
    }
}

impl Replica {
    /// The replica whose log holds `records`, oldest first, each with its position; the outbox that it is stepped with
    /// must begin after the last of them. `executed` is the last slot that the application has executed and kept, which
    /// is final. It is given the slots after the newest checkpoint that is not beyond it.
    ///
    /// # Errors
    /// When the log and the application do not fit together.
    pub fn recover(
        config: Config,
        keyring: Arc<Keyring>,
        records: impl IntoIterator<Item = (Lsn, Record)>,
        executed: Slot,
    ) -> Result<Self, RecoverError> {
        Self::build(config, keyring, None, records, executed)
    }

    /// The same, where other protocols have ordered before this one: `clients` is the table of what was executed before
    /// slot 1, as [`Clients::encode_plain`] gives it. That this one has begun is in the caller's own log: so the disk may
    /// be an older copy, but is not lost, and an empty log is one in which nothing was written.
    ///
    /// # Errors
    /// When the log and the application do not fit together, or the table is none.
    pub fn recover_after(
        config: Config,
        keyring: Arc<Keyring>,
        clients: &[u8],
        records: impl IntoIterator<Item = (Lsn, Record)>,
        executed: Slot,
    ) -> Result<Self, RecoverError> {
        Self::build(config, keyring, Some(clients), records, executed)
    }

    fn build(
        config: Config,
        keyring: Arc<Keyring>,
        before: Option<&[u8]>,
        records: impl IntoIterator<Item = (Lsn, Record)>,
        executed: Slot,
    ) -> Result<Self, RecoverError> {
        config.check()?;
        if !keyring.roster().contains(keyring.me()) {
            return Err(RecoverError::NotReplica(keyring.me()));
        }
        let mut story = Story {
            instance: Instance::FIRST,
            ..Story::default()
        };
        let mut blank = true;
        for (lsn, record) in records {
            blank = false;
            story.read(lsn, record)?;
        }
        let mut clients =
            Clients::new(config.client_window, config.client_reply_bytes).with_tails(POINT_BYTES);
        if let Some(before) = before {
            clients
                .restore_plain(before, &hedgerow_wire::encode(&Point::default()))
                .map_err(|_| RecoverError::Corrupt(Lsn::ZERO))?;
        }
        let disk_kept = !blank || before.is_some();
        let mut base = Point::default();
        if let Some((at, table, lsn)) = story.stables.iter().rfind(|(at, ..)| at.slot <= executed) {
            clients
                .restore(table)
                .map_err(|_| RecoverError::Corrupt(*lsn))?;
            base = *at;
        }
        let kind = config.composition.kind(story.instance);
        let mut kept = VecDeque::new();
        if kind == Kind::Backup {
            // What a Backup has logged comes again from the protocol inside.
            let first = (story.instance == Instance::FIRST).then_some(Slot::ZERO);
            if let Some(begun) = story.begun.or(first) {
                let logged = |entry: &(Batch, Lsn)| entry.0.slot > begun;
                kept = story
                    .entries
                    .extract_if(.., |entry| logged(entry))
                    .collect();
            }
        }
        let mut history = History::from_base(base);
        for (batch, lsn) in story.entries {
            if batch.slot > history.head().slot {
                if batch.slot != history.head().slot.next() {
                    let log = story.stables.first().map_or(Slot::ZERO, |(at, ..)| at.slot);
                    return Err(RecoverError::Application { executed, log });
                }
                history.push(batch, lsn);
            }
        }
        let mut checkpoint = Checkpoints::default();
        checkpoint.entered = story.entered;
        for (at, _, lsn) in &story.stables {
            let open = history.iter().find(|entry| entry.batch.slot > at.slot);
            checkpoint.note_table(at.slot, open.map_or(*lsn, |entry| entry.lsn.min(*lsn)));
        }
        let mut replica = Self {
            roster: keyring.roster(),
            me: keyring.me(),
            now: Time::ZERO,
            instance: story.instance,
            stage: if story.stopped && kind != Kind::Backup {
                Stage::Stopped
            } else if story.adopting && kind != Kind::Backup {
                Stage::Adopting
            } else {
                Stage::Active
            },
            init: story.init,
            silent: story.silent,
            mute: story.mute,
            start: Start::asking(blank, disk_kept),
            resumed: false,
            finished: base.slot.max(executed.min(history.head().slot)),
            history,
            kept,
            base_clients: clients.clone(),
            numbers: clients.numbers(),
            clients,
            executed: base.slot,
            rollbacks: VecDeque::new(),
            pending: BTreeMap::new(),
            zlight: ZLight::default(),
            chain: Chain::default(),
            backup: None,
            unreachable: NodeSet::EMPTY,
            checkpoint,
            switching: Switching::of(story.instance),
            fetch: Fetching::default(),
            service: Service::default(),
            responses: BTreeMap::new(),
            waiting: Vec::new(),
            shown: BTreeMap::new(),
            told: (Instance::FIRST, Slot::ZERO),
            tell_at: None,
            switches: 0,
            switched: None,
            config,
            keyring,
        };
        replica.rebuild_clients();
        if kind == Kind::Backup {
            let past = if disk_kept { Past::Kept } else { Past::Unknown };
            replica.resume_backup(story.inner, past);
        }
        Ok(replica)
    }

    /// The last slot that the application has executed and not been told to roll back, as far as this replica knows.
    #[must_use]
    pub const fn executed(&self) -> Slot {
        self.executed
    }

    /// Up to where the order is final and executed here.
    #[must_use]
    pub fn finished(&self) -> Slot {
        self.finished.min(self.executed)
    }

    /// The client table after `slot`, which is executed and not before the last stable checkpoint, as
    /// [`Clients::encode_plain`] gives it.
    #[must_use]
    pub fn table_at(&self, slot: Slot) -> Bytes {
        let mut clients = self.base_clients.clone();
        for entry in self.history.iter() {
            if let Some((replies, _)) = entry.outcome.as_ref()
                && entry.batch.slot <= slot
            {
                remember(&mut clients, &entry.batch, replies);
            }
        }
        clients.encode_plain()
    }

    /// Gives the history to the application again, once.
    pub(super) fn resume(&mut self, out: &mut Out) {
        let batches: Vec<_> = self
            .history
            .iter()
            .map(|entry| entry.batch.clone())
            .collect();
        for batch in batches {
            out.emit(Event::Execute(batch));
        }
        if self.finished > self.history.base().slot {
            out.emit(Event::Final(self.finished));
        }
        if self.stage == Stage::Adopting
            && let Some(init) = self.init.clone()
            && let Ok(origin) = extract(self.config.composition, self.roster, &init)
        {
            self.fetch_towards(origin, out);
        }
    }
}

//! From the log to a replica in the epoch that it was in.

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, NodeSet, Slot, Time};
use hedgerow_clients::Clients;
use hedgerow_crypto::Keyring;

use super::{CatchUp, Ended, NOTHING, Replica, Stage, serve::Serve};
use crate::{
    Config, ConfigError, UnknownConsensus, hosted,
    messages::{Epoch, Name, Proof},
    record::{InnerRecord, Record},
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
    /// The members have voted for a protocol that this version does not have.
    #[error("the members' vote: {0}; install a version that has it")]
    Consensus(#[from] UnknownConsensus),
    /// The epoch's protocol can't go on from its records.
    #[error(transparent)]
    Pbft(#[from] hedgerow_pbft::RecoverError),
    /// The same, for a composition.
    #[error(transparent)]
    Abstract(#[from] hedgerow_abstract::RecoverError),
    /// The application has less than the log builds on.
    #[error(
        "the application has executed slots up to {executed} only, but the log begins after slot {log}: delete the log \
         and the application's data, and the validator rejoins from its peers"
    )]
    ApplicationBehind {
        /// The last slot that the application has executed.
        executed: Slot,
        /// Where the log begins.
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
    began: Option<(Lsn, Arc<Proof>)>,
    left: Option<(Lsn, u64, Slot, Bytes, Arc<Proof>)>,
    ended: Option<(Epoch, Bytes)>,
    inner: Vec<(u64, Lsn, InnerRecord)>,
    last: Lsn,
}

impl Story {
    fn read(&mut self, lsn: Lsn, record: Record) {
        self.last = lsn;
        match record {
            Record::Began(proof) => self.began = Some((lsn, proof)),
            Record::Left {
                epoch,
                slot,
                clients,
                target,
            } => self.left = Some((lsn, epoch, slot, clients, target)),
            Record::Ended(next, clients) => self.ended = Some((next, clients)),
            Record::Inner(epoch, record) => self.inner.push((epoch, lsn, record)),
            // A client's.
            Record::Reserved(_) => {}
        }
    }
}

impl Replica {
    /// The replica whose log holds `records`, oldest first, each with its position; the outbox that it is stepped with
    /// must begin after `last`, the position of the last record ever written. `executed` is the last slot that the
    /// application has executed and kept, which is final, and `state` its state after that.
    ///
    /// # Errors
    /// When the log and the application do not fit together.
    pub fn recover(
        config: Config,
        keyring: Arc<Keyring>,
        records: impl IntoIterator<Item = (Lsn, Record)>,
        last: Lsn,
        (executed, state): (Slot, Digest),
    ) -> Result<Self, RecoverError> {
        config.check()?;
        if !keyring.roster().contains(keyring.me()) {
            return Err(RecoverError::NotReplica(keyring.me()));
        }
        let mut story = Story::default();
        for (lsn, record) in records {
            story.read(lsn, record);
        }
        let first = Epoch {
            number: 0,
            protocol: Name::new(config.first.name()).unwrap_or_default(),
            base: Slot::ZERO,
            state: NOTHING,
        };
        let (began, epoch, proof) = match story.began {
            Some((lsn, proof)) => (lsn, proof.epoch().clone(), Some(proof)),
            None => (Lsn::ZERO, first, None),
        };
        let none = Clients::new(config.pbft.client_window, config.pbft.client_reply_bytes);
        let (mut left, mut slot, mut clients) = (None, Slot::ZERO, none.encode_plain());
        if let Some((lsn, number, at, table, target)) = story.left {
            (left, slot, clients) = (Some((lsn, number, target)), at, table);
        }
        if executed < slot.max(epoch.base) {
            let log = slot.max(epoch.base);
            return Err(RecoverError::ApplicationBehind { executed, log });
        }
        let left = left.filter(|(_, number, _)| *number >= epoch.number);
        let newer = left.as_ref().map(|(.., target)| target.clone());
        let stage = if let Some((lsn, ..)) = left {
            let catch_up = CatchUp::from(slot, &clients, &config);
            let catch_up = catch_up.map_err(|_| RecoverError::Corrupt(lsn))?;
            Stage::CatchingUp(alloc::boxed::Box::new(catch_up))
        } else {
            let records = story.inner.into_iter();
            let records = records.filter(|(number, ..)| *number == epoch.number);
            let records = records.map(|(_, lsn, record)| (lsn, record)).collect();
            let inner =
                hosted::replica(&config, &keyring, &epoch, &clients, records, executed, last)?;
            Stage::Ordering(inner)
        };
        let mut finals = match stage {
            Stage::Ordering(_) => epoch.base,
            _ => slot,
        };
        let ended = story.ended.filter(|(next, _)| {
            let present = newer.is_none() && next.number == epoch.number.saturating_add(1);
            present && next.base <= executed
        });
        let ended = ended.map(|(next, clients)| {
            finals = finals.max(next.base);
            Ended {
                next,
                storing: true,
                written: true,
                word: None,
                clients,
            }
        });
        Ok(Self {
            roster: keyring.roster(),
            me: keyring.me(),
            now: Time::ZERO,
            finals,
            epoch,
            stage,
            ended,
            greeted: false,
            stored: executed,
            executed_state: state,
            began,
            release: None,
            proof,
            heard: BTreeMap::new(),
            newer,
            given: BTreeMap::new(),
            wanted: Vec::new(),
            shown: BTreeMap::new(),
            behind: None,
            again: None,
            early: VecDeque::new(),
            unreachable: NodeSet::EMPTY,
            serve: Serve::default(),
            changes: 0,
            changed: None,
            effects: Vec::new(),
            config,
            keyring,
        })
    }
}

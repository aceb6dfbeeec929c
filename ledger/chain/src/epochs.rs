use hedgerow_base::{Height, NodeSet, Slot, Time};
use hedgerow_kv::{KvStore, StoreError};
use hedgerow_records::{ProtocolName, proposal_id};
use hedgerow_state::STORAGE;
use hedgerow_streams::{Epoch, epoch, newest_epoch, proposals};
use hedgerow_wire::List;

use crate::{
    Answer, EpochSummary, Genesis, Ledger, MAX_PAGE, ProposalSummary, ProtocolSummary,
    ledger::damaged,
};

impl Genesis {
    /// How the order begins.
    pub(crate) fn first_epoch(&self) -> Epoch {
        Epoch {
            number: 0,
            protocol: self.ordering.consensus.clone(),
            base: Slot::ZERO,
            height: Height::ZERO,
            time: Time::from_millis(self.time),
        }
    }
}

impl<S: KvStore> Ledger<S> {
    /// The epoch of the order after the newest executed slot, which may still be rolled back. Cheap: a few hashes, and
    /// no access to the store.
    ///
    /// # Errors
    /// When the state is damaged.
    pub fn epoch(&self) -> Result<Epoch, StoreError> {
        newest_epoch(&self.tip().state, &self.genesis().first_epoch())
    }

    /// The epoch with the number after `number`, however long past, when it has begun by the newest executed slot. As
    /// cheap as [`Ledger::epoch`].
    ///
    /// # Errors
    /// When the state is damaged.
    pub fn epoch_after(&self, number: u64) -> Result<Option<Epoch>, StoreError> {
        match number.checked_add(1) {
            Some(next) => epoch(&self.tip().state, &self.genesis().first_epoch(), next),
            None => Ok(None),
        }
    }

    /// The epochs and the open proposals of the stable state.
    pub(crate) fn protocol_summary(&self) -> Result<Answer, StoreError> {
        let state = &self.stable.state;
        let first = self.genesis().first_epoch();
        let newest = newest_epoch(state, &first)?.number;
        let mut epochs = Vec::new();
        for number in newest.saturating_sub(MAX_PAGE as u64 - 1)..=newest {
            let epoch = epoch(state, &first, number)?.ok_or_else(|| damaged(STORAGE))?;
            epochs.push(EpochSummary {
                number,
                protocol: ProtocolName::new(epoch.protocol).map_err(|_| damaged(STORAGE))?,
                base: epoch.base,
                height: epoch.height,
                time: epoch.time.as_millis(),
            });
        }
        let genesis = self.digest;
        let open = proposals(state)?.into_iter().map(|open| ProposalSummary {
            id: proposal_id(&genesis, newest, &open.protocol),
            protocol: open.protocol,
            voters: open.voters,
        });
        // There are never more: see the bound.
        let proposals = List::new(open.collect()).unwrap_or_default();
        let validators = self.genesis().validators.len() as u32;
        Ok(Answer::Protocol(ProtocolSummary {
            epochs: List::new(epochs).unwrap_or_default(),
            proposals,
            needed: self
                .genesis()
                .roster()
                .map_or(validators, |roster| roster.quorum() as u32),
        }))
    }
}

/// How many proposals can be open at a time.
pub const MAX_PROPOSALS: usize = crate::MAX_OPEN_VOTES * NodeSet::CAPACITY as usize;

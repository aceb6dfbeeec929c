//! How a ledger is opened: what the store has is checked against itself and the genesis.

use std::sync::Arc;

use hedgerow_base::{Digest, Slot};
use hedgerow_crypto::VerifyingKey;
use hedgerow_evm::Contracts;
use hedgerow_kv::{KvStore, StoreError};
use hedgerow_merkle::{ProveError, Range};
use hedgerow_proofs::{Certificate, Header};
use hedgerow_state::{LoadError, State, View};
use hedgerow_streams::{Network, Streams};
use hedgerow_wire::decode;

use crate::{
    Genesis, GenesisError, Ledger, contracts,
    first_block::begin,
    kept::KeptStates,
    ledger::{BlockEntry, META_CERTIFICATE, META_GENESIS, META_HEAD, META_SLOT, Tip, key},
    prove::HistoryNodes,
    tables::{BLOCKS, META},
};

/// Why a ledger can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state is damaged.
    #[error(transparent)]
    State(#[from] LoadError),
    /// The genesis is not valid.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The store belongs to another network.
    #[error(
        "the store is of the genesis {found}, this is {expected}: use that genesis, or an empty data folder"
    )]
    OtherGenesis {
        /// The digest of the store's genesis.
        found: Digest,
        /// The digest of the genesis given.
        expected: Digest,
    },
    /// What the store has contradicts itself.
    #[error("the store is damaged: {0}; restore it, or wipe it and rejoin")]
    Damaged(&'static str),
}

impl<S: KvStore> Ledger<S> {
    /// Opens the ledger that `store` has, or begins one from `genesis` where it has none.
    ///
    /// # Errors
    /// When the store fails, is damaged, or belongs to another genesis.
    pub fn open(mut store: S, genesis: impl Into<Arc<Genesis>>) -> Result<Self, OpenError> {
        let genesis = genesis.into();
        genesis.validate()?;
        let digest = genesis.digest();
        match store.get(META, META_GENESIS)? {
            None => begin(&mut store, &genesis, digest)?,
            Some(found) if found == digest.0 => {}
            Some(found) => {
                let found = Digest(
                    found
                        .try_into()
                        .map_err(|_| OpenError::Damaged("the genesis' digest"))?,
                );
                return Err(OpenError::OtherGenesis {
                    found,
                    expected: digest,
                });
            }
        }
        let trust = genesis.trusting(first_hash(&store)?);
        let stable = load(&store)?;
        let members = genesis
            .validators
            .iter()
            .chain(&genesis.gateways)
            .map(|member| VerifyingKey(member.key));
        let streams = Streams::new(Network {
            number: genesis.network,
            genesis: digest,
            validators: genesis.roster()?,
            members: members.collect(),
            first_epoch: genesis.first_epoch(),
            role_votes: genesis.role_votes(),
        });
        let subjects = genesis.subjects().map(|(_, subject)| subject).collect();
        let contracts = Contracts::new(contracts::rules(&genesis), Arc::new(trust.clone()));
        let mut kept = KeptStates::default();
        kept.push(stable.header.height, stable.hash, stable.state.clone(), 0);
        let certificate = store.get(META, META_CERTIFICATE)?;
        let (layers, certified) = (Vec::new(), None);
        let mut ledger = Self {
            store,
            genesis,
            trust,
            digest,
            streams,
            subjects,
            contracts,
            stable,
            layers,
            kept,
            certified,
        };
        if let Some(bytes) = certificate {
            let certificate: Certificate =
                decode(&bytes, bytes.len()).map_err(|_| OpenError::Damaged("the certificate"))?;
            ledger.restore_certificate(certificate)?;
        }
        Ok(ledger)
    }
}

/// The hash of the genesis block's header, as the store has it: making that block anew takes as long as it is large.
fn first_hash<S: KvStore>(store: &S) -> Result<Digest, OpenError> {
    let block = store.get(BLOCKS, &key(0))?;
    let block = block.ok_or(OpenError::Damaged("no genesis block"))?;
    let entry: BlockEntry =
        decode(&block, block.len()).map_err(|_| OpenError::Damaged("the genesis block"))?;
    Ok(Header::hash_encoded(&entry.header))
}

fn load<S: KvStore>(store: &S) -> Result<Tip, OpenError> {
    let height = store
        .get(META, META_HEAD)?
        .ok_or(OpenError::Damaged("no head"))?;
    let block = store
        .get(BLOCKS, &height)?
        .ok_or(OpenError::Damaged("no block at the head"))?;
    let entry: BlockEntry =
        decode(&block, block.len()).map_err(|_| OpenError::Damaged("the head's block"))?;
    let header =
        Header::decode(&entry.header).map_err(|_| OpenError::Damaged("the head's header"))?;
    let mut state = State::load(store)?;
    if state.root().0 != header.state_root.0 {
        return Err(OpenError::Damaged(
            "the state is not the one that the head's header has",
        ));
    }
    let nodes = HistoryNodes::new(View::new(store, []));
    let history =
        Range::load(&nodes, header.height.0.saturating_add(1)).map_err(|error| match error {
            ProveError::Nodes(error) => OpenError::Store(error),
            _ => OpenError::Damaged("the history of headers"),
        })?;
    let slot = store
        .get(META, META_SLOT)?
        .unwrap_or_else(|| key(0).to_vec());
    let slot = slot
        .try_into()
        .map_err(|_| OpenError::Damaged("the slot"))?;
    Ok(Tip {
        slot: Slot(u64::from_be_bytes(slot)),
        hash: header.hash(),
        header,
        state,
        history,
    })
}

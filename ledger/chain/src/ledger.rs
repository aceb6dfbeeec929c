use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, Height, NodeId, Slot, Time};
use hedgerow_evm::Contracts;
use hedgerow_kv::{KvStore, StoreError};
use hedgerow_merkle::{NodeAddress, Range};
use hedgerow_proofs::{Header, MAX_HEADER, TrustRoot};
use hedgerow_records::{Rejection, Roles, Subject};
use hedgerow_state::{State, View, Writes};
use hedgerow_streams::{BlockContext, Done, Streams, roles_of};
use hedgerow_wire::{Blob, decode, encode};

use crate::{
    Batch, Executed, Genesis, Request,
    batch::{Split, appended, receipts_root, transactions_root},
    contracts::{self, Place},
    deliveries::deliveries,
    kept::KeptStates,
    prove::Certified,
    tables::{BATCHES, BLOCKS, HEIGHTS, HISTORY, META, RECEIPTS},
};

pub(crate) const META_GENESIS: &[u8] = b"genesis";
pub(crate) const META_HEAD: &[u8] = b"head";
pub(crate) const META_SLOT: &[u8] = b"slot";
pub(crate) const META_CERTIFICATE: &[u8] = b"certificate";

/// A block as the store has it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct BlockEntry {
    pub(crate) header: Blob<MAX_HEADER>,
    pub(crate) transactions: u32,
    pub(crate) readings: u32,
}

/// The ledger after a block.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    pub(crate) header: Header,
    pub(crate) hash: Digest,
    pub(crate) state: State,
    /// Over all headers up to this one.
    pub(crate) history: Range,
    /// The last batch that was executed; batches without requests may follow the block's.
    pub(crate) slot: Slot,
}

/// A batch that can be rolled back: it made a block, or, without requests, counts to the one before it.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) tip: Tip,
    pub(crate) writes: Writes,
    /// How many accounts and slots it changed.
    changes: usize,
}

/// Where a ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The newest executed block's header.
    pub header: Header,
    /// Its hash.
    pub hash: Digest,
    /// The newest block that can't be rolled back.
    pub stable: Height,
    /// The slot of the last executed batch: the block's, or one after it whose batch had no requests.
    pub slot: Slot,
    /// The slot of the last batch that can't be rolled back.
    pub stable_slot: Slot,
}

/// The ledger of one member. See the crate's documentation.
#[derive(Debug)]
pub struct Ledger<S> {
    pub(crate) store: S,
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) trust: TrustRoot,
    /// The genesis'.
    pub(crate) digest: Digest,
    pub(crate) streams: Streams,
    /// The members, in the order of their identifiers.
    pub(crate) subjects: Vec<Subject>,
    pub(crate) contracts: Contracts,
    pub(crate) stable: Tip,
    pub(crate) layers: Vec<Layer>,
    pub(crate) kept: KeptStates,
    pub(crate) certified: Option<Certified>,
}

pub(crate) fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

impl<S: KvStore> Ledger<S> {
    /// The genesis.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// What a verifier must know of the network.
    #[must_use]
    pub const fn trust_root(&self) -> &TrustRoot {
        &self.trust
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Gives the store back; blocks that are not stable are lost.
    #[must_use]
    pub fn into_store(self) -> S {
        self.store
    }

    /// Where the ledger is.
    #[must_use]
    pub fn head(&self) -> Head {
        let tip = self.tip();
        Head {
            header: tip.header.clone(),
            hash: tip.hash,
            stable: self.stable.header.height,
            slot: tip.slot,
            stable_slot: self.stable.slot,
        }
    }

    pub(crate) fn tip(&self) -> &Tip {
        self.layers.last().map_or(&self.stable, |layer| &layer.tip)
    }

    /// The store under the blocks up to `height`.
    pub(crate) fn view(&self, height: Height) -> View<'_, S> {
        let layers = self
            .layers
            .iter()
            .filter(|layer| layer.tip.header.height <= height);
        View::new(&self.store, layers.map(|layer| &layer.writes))
    }

    /// Executes the batch that the protocol ordered at `slot`: the new head, which can be rolled back. The block's time
    /// is the proposed one in whole milliseconds, or the parent's where that is later. No request can fail it; a batch
    /// without requests makes no block, and counts to the block before it.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Panics
    /// When `slot` is not after the head's: the caller executes in order.
    pub fn execute(
        &mut self,
        slot: Slot,
        time: Time,
        requests: &[Request],
    ) -> Result<Option<Executed>, StoreError> {
        let parent = self.tip();
        assert!(slot > parent.slot, "slot {slot} after slot {}", parent.slot);
        let batch = Batch {
            slot,
            time,
            requests: requests.to_vec(),
        };
        if requests.is_empty() {
            self.pass(&batch);
            return Ok(None);
        }
        let height = parent.header.height.next();
        let block_time = time.as_millis().max(parent.header.time);
        let (parent_hash, mut history, mut state) =
            (parent.hash, parent.history.clone(), parent.state.clone());
        let history_root = history.root();

        let split = Split::new(requests, |client| refusal(&self.subjects, &state, client));
        let (mut writes, mut contract_writes) = (Writes::default(), Writes::default());
        let block = BlockContext {
            height,
            time: block_time,
            slot,
        };
        let layers = self.layers.iter().map(|layer| &layer.writes);
        let view = View::new(&self.store, layers.clone());
        let bytes: Vec<_> = split.own.iter().map(|(_, bytes)| *bytes).collect();
        let Done {
            receipts: own,
            roles,
        } = self
            .streams
            .execute(block, &bytes, &view, &mut state, &mut writes)?;
        // Contracts see what the block's records did.
        let view = View::new(&self.store, layers.chain([&writes]));
        let records = deliveries(&split.own, &own, &view, &state)?;
        let place = Place {
            height,
            time: block_time,
            history: history_root,
        };
        let ran = contracts::run(
            &mut self.contracts,
            place,
            &records,
            &split.ethereums,
            &view,
            &mut state,
            &mut contract_writes,
        )?;
        drop(view);
        writes.append(contract_writes);
        roles.apply(&mut state, &mut writes);
        let receipts = split.receipts(own, ran.receipts, ran.leaves);

        let header = Header {
            parent: parent_hash,
            height,
            slot,
            time: block_time,
            state_root: Digest(state.root().0),
            transactions_root: transactions_root(&split.transactions),
            receipts_root: receipts_root(&receipts.leaves),
            logs_bloom: ran.logs_bloom,
            gas_limit: self.contracts.rules().gas_limit,
            gas_used: ran.gas_used,
            history_root,
            genesis: self.digest,
        };
        let encoded = header.encode();
        let hash = Header::hash_encoded(&encoded);
        let receipts = receipts.of_requests;
        let (transactions, readings) = (split.transactions.len() as u32, appended(&receipts));
        let changes = state.take_writes(&mut writes);
        append_header(&mut history, hash, &mut writes);
        write_block(&mut writes, height, hash, encoded, transactions, readings);
        writes.put(RECEIPTS, key(height.0), encode(&receipts));
        write_batch(&mut writes, &batch);
        self.layers.push(Layer {
            tip: Tip {
                header: header.clone(),
                hash,
                state,
                history,
                slot,
            },
            writes,
            changes,
        });
        Ok(Some(Executed {
            header,
            hash,
            receipts,
            transactions,
            readings,
        }))
    }

    /// A batch that makes no block: the block before it stays the head's.
    fn pass(&mut self, batch: &Batch) {
        let mut writes = Writes::default();
        write_batch(&mut writes, batch);
        let tip = Tip {
            slot: batch.slot,
            ..self.tip().clone()
        };
        self.layers.push(Layer {
            tip,
            writes,
            changes: 0,
        });
    }

    /// Makes the blocks up to `height` stable, and batches without requests that count to them: they are written to the
    /// store, one atomic batch each, and can't be rolled back any more. They survive a crash after the next
    /// [`Ledger::sync`].
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Panics
    /// When `height` is beyond the head.
    pub fn stable(&mut self, height: Height) -> Result<(), StoreError> {
        let head = self.tip().header.height;
        assert!(
            height <= head,
            "block {height} has not been executed: the head is {head}"
        );
        let count = self
            .layers
            .partition_point(|layer| layer.tip.header.height <= height);
        self.settle(count).map(drop)
    }

    /// As [`Ledger::stable`], of the batches up to `slot`. Gives the heights and hashes of the blocks that became stable,
    /// in order; none when everything up to `slot` was stable before.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Panics
    /// When `slot` is beyond the head's.
    pub fn stable_to(&mut self, slot: Slot) -> Result<Vec<(Height, Digest)>, StoreError> {
        let head = self.tip().slot;
        assert!(
            slot <= head,
            "slot {slot} has not been executed: the head's is {head}"
        );
        let count = self.layers.partition_point(|layer| layer.tip.slot <= slot);
        self.settle(count)
    }

    /// Makes that many layers stable, the oldest first.
    fn settle(&mut self, count: usize) -> Result<Vec<(Height, Digest)>, StoreError> {
        let mut blocks = Vec::new();
        for layer in self.layers.drain(..count) {
            self.store.commit(layer.writes.into_batch())?;
            let tip = layer.tip;
            let height = tip.header.height;
            if height > self.stable.header.height {
                self.kept
                    .push(height, tip.hash, tip.state.clone(), layer.changes);
                blocks.push((height, tip.hash));
            }
            self.stable = tip;
        }
        Ok(blocks)
    }

    /// Forgets the blocks after `height`.
    ///
    /// # Panics
    /// When `height` is below the stable block: what is stable stays.
    pub fn rollback(&mut self, height: Height) {
        let stable = self.stable.header.height;
        assert!(
            height >= stable,
            "rollback to block {height} below the stable block {stable}"
        );
        let count = self
            .layers
            .partition_point(|layer| layer.tip.header.height <= height);
        self.forget(count);
    }

    /// Forgets the batches after `slot`, and the blocks that they made.
    ///
    /// # Panics
    /// When `slot` is below the stable one: what is stable stays.
    pub fn rollback_to(&mut self, slot: Slot) {
        let stable = self.stable.slot;
        assert!(
            slot >= stable,
            "rollback to slot {slot} below the stable slot {stable}"
        );
        let count = self.layers.partition_point(|layer| layer.tip.slot <= slot);
        self.forget(count);
    }

    /// Keeps that many layers, the oldest.
    fn forget(&mut self, kept: usize) {
        if kept >= self.layers.len() {
            return;
        }
        self.layers.truncate(kept);
        self.streams.forget();
        let head = self.tip().header.height;
        self.certified
            .take_if(|certified| certified.header.height > head);
    }

    /// Makes everything stable so far survive a crash and a loss of power.
    ///
    /// # Errors
    /// When the store fails.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.store.sync()
    }

    /// The batch of a slot that is stable, exactly as it was executed; `None` where it has not been.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn batch(&self, slot: Slot) -> Result<Option<Batch>, StoreError> {
        let Some(bytes) = self.store.get(BATCHES, &key(slot.0))? else {
            return Ok(None);
        };
        decode(&bytes, bytes.len())
            .map(Some)
            .map_err(|_| damaged(BATCHES))
    }

    /// Up to `limit` batches of stable slots from `from` on, in order: what another member replays.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn batches(&self, from: Slot, limit: usize) -> Result<Vec<Batch>, StoreError> {
        let entries = self.store.scan(BATCHES, &key(from.0), None, limit)?;
        let decoded = entries.iter().map(|(_, bytes)| decode(bytes, bytes.len()));
        decoded
            .collect::<Result<_, _>>()
            .map_err(|_| damaged(BATCHES))
    }

    /// The header of an executed block.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn header(&self, height: Height) -> Result<Option<Header>, StoreError> {
        Ok(self.block(height)?.map(|(header, _)| header))
    }

    pub(crate) fn block(&self, height: Height) -> Result<Option<(Header, BlockEntry)>, StoreError> {
        let head = self.tip().header.height;
        let Some(bytes) = self.view(head).get(BLOCKS, &key(height.0))? else {
            return Ok(None);
        };
        let entry: BlockEntry = decode(&bytes, bytes.len()).map_err(|_| damaged(BLOCKS))?;
        let header = Header::decode(&entry.header).map_err(|_| damaged(BLOCKS))?;
        Ok(Some((header, entry)))
    }
}

/// Why a member may not carry transactions, in the state before the block.
pub(crate) fn refusal(subjects: &[Subject], state: &State, member: NodeId) -> Option<Rejection> {
    let Some(subject) = subjects.get(member.index()).copied() else {
        return Some(Rejection::NotAMember { member });
    };
    let role = Roles::GATEWAY;
    let lacks = !roles_of(state, subject).has(role);
    lacks.then_some(Rejection::NotAllowed { subject, role })
}

pub(crate) fn damaged(table: &str) -> StoreError {
    StoreError(format!(
        "table {table} has a damaged entry: restore the store, or wipe it and rejoin"
    ))
}

pub(crate) fn append_header(history: &mut Range, hash: Digest, writes: &mut Writes) {
    let leaf = hedgerow_merkle::leaf_hash(hash.as_ref());
    history.append(leaf, |address: NodeAddress, hash| {
        writes.put(HISTORY, key(address.position()), hash.0)
    });
}

pub(crate) fn write_block(
    writes: &mut Writes,
    height: Height,
    hash: Digest,
    header: Vec<u8>,
    transactions: u32,
    readings: u32,
) {
    // An encoded header is far below the bound.
    let header = Blob::new(header).unwrap_or_default();
    writes.put(
        BLOCKS,
        key(height.0),
        encode(&BlockEntry {
            header,
            transactions,
            readings,
        }),
    );
    writes.put(HEIGHTS, hash.0, key(height.0));
    writes.put(META, META_HEAD, key(height.0));
}

fn write_batch(writes: &mut Writes, batch: &Batch) {
    writes.put(BATCHES, key(batch.slot.0), encode(batch));
    writes.put(META, META_SLOT, key(batch.slot.0));
}

use hedgerow_base::{Digest, Height, Slot};
use hedgerow_kv::{KvStore, StoreError};
use hedgerow_proofs::Header;
use hedgerow_records::Receipts;
use hedgerow_wire::decode;

use crate::{
    Ledger,
    ledger::{damaged, key},
    tables::{BATCHES, RECEIPTS},
};

/// What executing a batch gave, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// The hash of the newest block at or before the batch: what names the state after it.
    pub state: Digest,
    /// The block that the batch made, unless it had no requests: its height, and what became of each request.
    pub block: Option<(Height, Vec<Receipts>)>,
}

impl<S: KvStore> Ledger<S> {
    /// What executing the batch of a stable slot gave; `None` where there has been none. A protocol that starts again
    /// may tell of slots that are executed already: they are answered from this.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn recall(&self, slot: Slot) -> Result<Option<Recalled>, StoreError> {
        if self.store().get(BATCHES, &key(slot.0))?.is_none() {
            return Ok(None);
        }
        let header = self.newest_until(slot)?;
        let mut block = None;
        if header.slot == slot {
            let bytes = self.store().get(RECEIPTS, &key(header.height.0))?;
            let bytes = bytes.ok_or_else(|| damaged(RECEIPTS))?;
            let receipts = decode(&bytes, bytes.len()).map_err(|_| damaged(RECEIPTS))?;
            block = Some((header.height, receipts));
        }
        let state = header.hash();
        Ok(Some(Recalled { state, block }))
    }

    /// The header of the newest stable block whose slot is not after `slot`. Slots grow with heights.
    fn newest_until(&self, slot: Slot) -> Result<Header, StoreError> {
        let header = |height: u64| {
            let header = self.header(Height(height))?;
            header.ok_or_else(|| damaged(crate::tables::BLOCKS))
        };
        let (mut low, mut high) = (0, self.head().stable.0);
        while low < high {
            let middle = high - (high - low) / 2;
            if header(middle)?.slot <= slot {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        header(low)
    }
}

//! Readings as contracts see them: as the state before the call has their stream, whatever the store has learned since.

use alloy_primitives::{B256, Bytes, U256};
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_proofs::VerifiedReading;
use hedgerow_records::StreamId;
use hedgerow_state::View;
use hedgerow_streams::Recorded;

use super::abi;

/// How many readings one answer may have, and after how many bytes of payload it ends.
pub(crate) const MAX_READINGS: u64 = 256;
const MAX_BYTES: usize = 128 * 1024;

/// What the state says of a stream.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// How many readings it has: those at positions below.
    pub(crate) length: u64,
    /// The greatest sequence number, where it has any.
    pub(crate) newest: u64,
}

impl Extent {
    pub(crate) fn of_word(word: U256) -> Self {
        let [length, newest, ..] = *word.as_limbs();
        Self { length, newest }
    }

    /// The reading with that number.
    pub(crate) fn at<S: KvRead + ?Sized>(
        self,
        view: &View<'_, S>,
        stream: StreamId,
        sequence: u64,
    ) -> Result<Option<Recorded>, StoreError> {
        let found = hedgerow_streams::reading(view, stream, sequence)?;
        Ok(found.filter(|found| found.position < self.length))
    }

    /// Up to `limit` readings, from number `from` on.
    pub(crate) fn range<S: KvRead + ?Sized>(
        self,
        view: &View<'_, S>,
        stream: StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError> {
        let (mut found, mut left) = (Vec::new(), MAX_BYTES);
        let mut next = (self.length > 0).then_some(from);
        while let Some(from) = next.filter(|from| *from <= self.newest && found.len() < limit) {
            let page = hedgerow_streams::range(view, stream, from, limit - found.len(), MAX_BYTES)?;
            let last = page.last().map(|last| last.leaf.reading.sequence);
            next = last.and_then(|last| last.checked_add(1));
            for one in page {
                if one.position >= self.length {
                    continue;
                }
                let bytes = one.leaf.reading.payload.len();
                if bytes > left && !found.is_empty() {
                    return Ok(found);
                }
                left = left.saturating_sub(bytes);
                found.push(one);
            }
        }
        Ok(found)
    }
}

impl From<Recorded> for abi::Reading {
    fn from(recorded: Recorded) -> Self {
        let Recorded { leaf, position } = recorded;
        Self {
            sequence: leaf.reading.sequence,
            time: leaf.reading.time,
            contentType: leaf.reading.content_type.to_string(),
            payload: Bytes::from(leaf.reading.payload.into_vec()),
            position,
            height: leaf.height.0,
            blockTime: leaf.block_time,
            record: B256::from(leaf.record.0),
        }
    }
}

impl From<VerifiedReading> for abi::Reading {
    fn from(verified: VerifiedReading) -> Self {
        Self {
            sequence: verified.reading.sequence,
            time: verified.reading.time,
            contentType: verified.reading.content_type.to_string(),
            payload: Bytes::from(verified.reading.payload.into_vec()),
            position: verified.position,
            height: verified.height.0,
            blockTime: verified.block_time,
            record: B256::from(verified.record.0),
        }
    }
}

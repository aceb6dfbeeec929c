//! A batch as it is executed: the same at all correct replicas, and what state transfer carries.

use alloc::{sync::Arc, vec::Vec};

use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, Slot};
use hedgerow_crypto::hash_parts;
use hedgerow_ordering::{Batch, MAX_BATCH, Operation};
use hedgerow_wire::{BorshDeserialize, BorshSerialize, List, decode, encode};

use crate::messages::MAX_FRAME;

#[derive(BorshSerialize, BorshDeserialize)]
struct Encoded {
    slot: Slot,
    time_ms: u64,
    operations: List<(NodeId, u64, Bytes), MAX_BATCH>,
}

/// A batch's bytes, as state transfer carries them.
#[must_use]
pub fn encode_batch(batch: &Batch) -> Bytes {
    let operations: Vec<_> = batch
        .operations
        .iter()
        .map(|op| (op.client, op.number, op.operation.clone()))
        .collect();
    encode(&Encoded {
        slot: batch.slot,
        time_ms: batch.time_ms,
        operations: List::new(operations).unwrap_or_default(),
    })
    .into()
}

/// The batch of those bytes; `None` when they are none.
#[must_use]
pub fn decode_batch(bytes: &[u8]) -> Option<Batch> {
    let encoded: Encoded = decode(bytes, MAX_FRAME).ok()?;
    let operations: Arc<[Operation]> = encoded
        .operations
        .into_vec()
        .into_iter()
        .map(|(client, number, operation)| Operation {
            client,
            number,
            operation,
        })
        .collect();
    Some(Batch {
        slot: encoded.slot,
        time_ms: encoded.time_ms,
        operations,
    })
}

/// The digest of a batch's bytes.
#[must_use]
pub fn batch_digest(encoded: &[u8]) -> Digest {
    hash_parts(&[b"pbft decided\0", encoded])
}

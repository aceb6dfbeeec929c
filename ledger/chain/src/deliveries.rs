//! The records of a block that make contracts run.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use hedgerow_evm::{Delivery, is_subscribed};
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_records::{Receipt, Record, SignedRecord, StreamId, Transaction};
use hedgerow_state::{State, View};
use hedgerow_streams::{Recorded, reading};

use crate::contracts::RecordWork;

/// Those of the ledger's own transactions, each with its number in the block, that appended to a stream that somebody
/// has subscribed to, in their order. `view` and `state` have what the block's own transactions did.
pub(crate) fn deliveries<S: KvRead + ?Sized>(
    own: &[(u32, &[u8])],
    receipts: &[Receipt],
    view: &View<'_, S>,
    state: &State,
) -> Result<Vec<RecordWork>, StoreError> {
    let mut subscribed: BTreeMap<StreamId, bool> = BTreeMap::new();
    let mut found = Vec::new();
    for ((index, bytes), receipt) in own.iter().zip(receipts) {
        let Receipt::Recorded {
            stream,
            first_position,
            appended,
            ..
        } = receipt
        else {
            continue;
        };
        let wanted = || is_subscribed(state, *stream);
        if *appended == 0 || !*subscribed.entry(*stream).or_insert_with(wanted) {
            continue;
        }
        let Some((signed, record)) = decoded(bytes) else {
            continue;
        };
        let positions = *first_position..first_position + u64::from(*appended);
        let delivery = Delivery {
            record: B256::from(signed.digest().0),
            device: record.device,
            stream: *stream,
            readings: appended_by(&record, *stream, &positions, view)?,
        };
        let hash = B256::from(Transaction::digest(bytes).0);
        found.push(RecordWork {
            index: *index,
            hash,
            delivery,
        });
    }
    Ok(found)
}

fn decoded(bytes: &[u8]) -> Option<(SignedRecord, Record)> {
    let Ok(Transaction::Record(signed)) = Transaction::from_bytes(bytes) else {
        return None;
    };
    let record = signed.record().ok()?;
    Some((signed, record))
}

/// What a record appended: its readings at these positions, in order. What it repeated is elsewhere.
fn appended_by<S: KvRead + ?Sized>(
    record: &Record,
    stream: StreamId,
    positions: &core::ops::Range<u64>,
    view: &View<'_, S>,
) -> Result<Vec<Recorded>, StoreError> {
    let mut found = BTreeMap::new();
    for one in record.readings.iter() {
        let recorded = reading(view, stream, one.sequence)?;
        if let Some(recorded) = recorded.filter(|one| positions.contains(&one.position)) {
            found.insert(recorded.position, recorded);
        }
    }
    Ok(found.into_values().collect())
}

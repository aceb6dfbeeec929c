use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, Height};
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_proofs::Leaf;
use hedgerow_records::{ContentType, Payload, Reading, StreamId};
use hedgerow_state::View;

use crate::{
    read::damaged,
    tables::{RUNS, at, end},
};

/// How many readings a run may have, and after how many bytes of payload it ends: one reading is never far to find.
const MAX_RUN: usize = 64;
const MAX_RUN_BYTES: usize = 1 << 15;

/// Readings of one block with consecutive sequence numbers at consecutive positions.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Run {
    pub(crate) first_sequence: u64,
    pub(crate) first_position: u64,
    height: Height,
    block_time: u64,
    /// The signed records that brought the readings.
    records: Vec<Digest>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Entry {
    time: u64,
    content_type: ContentType,
    payload: Payload,
    /// Which of the run's records.
    record: u8,
}

impl Run {
    /// The reading with that number, and its position.
    pub(crate) fn leaf(&self, sequence: u64) -> Option<(Leaf, u64)> {
        let offset = sequence.checked_sub(self.first_sequence)?;
        let entry = self.entries.get(usize::try_from(offset).ok()?)?;
        let reading = Reading {
            sequence,
            time: entry.time,
            content_type: entry.content_type.clone(),
            payload: entry.payload.clone(),
        };
        let record = *self.records.get(entry.record as usize)?;
        let leaf = Leaf {
            reading,
            height: self.height,
            block_time: self.block_time,
            record,
        };
        Some((leaf, self.first_position + offset))
    }

    /// Whether the reading is in the run with this content; `None` when its number is not.
    pub(crate) fn has(&self, reading: &Reading) -> Option<bool> {
        let offset = reading.sequence.checked_sub(self.first_sequence)?;
        let entry = self.entries.get(usize::try_from(offset).ok()?)?;
        let Reading {
            sequence: _,
            time,
            content_type,
            payload,
        } = reading;
        Some((entry.time, &entry.content_type, &entry.payload) == (*time, content_type, payload))
    }

    /// The numbers that it has.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = u64> + use<> {
        (self.first_sequence..).take(self.entries.len())
    }
}

/// The run that has a stream's first number at or after `sequence`.
pub(crate) fn run_at<S: KvRead + ?Sized>(
    view: &View<'_, S>,
    stream: StreamId,
    sequence: u64,
) -> Result<Option<Run>, StoreError> {
    let Some((_, value)) = view.first(RUNS, &at(stream, sequence), &end(stream))? else {
        return Ok(None);
    };
    hedgerow_wire::decode(&value, value.len())
        .map(Some)
        .map_err(|_| damaged(RUNS))
}

/// Groups what a block appends to a stream, from `first_position` on, into runs; each with its last number.
pub(crate) fn runs(
    height: Height,
    block_time: u64,
    first_position: u64,
    appended: impl IntoIterator<Item = (Reading, Digest)>,
) -> Vec<(u64, Run)> {
    let mut runs: Vec<(u64, Run)> = Vec::new();
    let mut bytes = 0;
    for (position, (reading, record)) in (first_position..).zip(appended) {
        let Reading {
            sequence,
            time,
            content_type,
            payload,
        } = reading;
        bytes += payload.len();
        let fits = |(last, run): &(u64, Run)| {
            last.checked_add(1) == Some(sequence)
                && run.entries.len() < MAX_RUN
                && bytes <= MAX_RUN_BYTES
        };
        if !runs.last().is_some_and(fits) {
            bytes = payload.len();
            let (records, entries) = (Vec::new(), Vec::new());
            let run = Run {
                first_sequence: sequence,
                first_position: position,
                height,
                block_time,
                records,
                entries,
            };
            runs.push((sequence, run));
        }
        let Some((last, run)) = runs.last_mut() else {
            continue;
        };
        if run.records.last() != Some(&record) {
            run.records.push(record);
        }
        // At most MAX_RUN.
        let record = (run.records.len() - 1) as u8;
        run.entries.push(Entry {
            time,
            content_type,
            payload,
            record,
        });
        *last = sequence;
    }
    runs
}

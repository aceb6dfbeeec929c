use borsh::BorshDeserialize;
use hedgerow_kv::{KvRead, StoreError, Table};
use hedgerow_proofs::Leaf;
use hedgerow_records::{DeviceId, Name, StreamId, StreamName};
use hedgerow_state::View;

use crate::{
    Device, Stream,
    run::run_at,
    tables::{DEVICE_NAMES, DEVICES, STREAM_NAMES, STREAMS, name},
};

/// A reading in its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What the stream keeps of it.
    pub leaf: Leaf,
    /// Where it is.
    pub position: u64,
}

pub(crate) fn damaged(table: Table) -> StoreError {
    StoreError(format!(
        "table {table} has a damaged entry: restore the store, or wipe it and rejoin"
    ))
}

fn value<T: BorshDeserialize>(table: Table, bytes: &[u8]) -> Result<T, StoreError> {
    hedgerow_wire::decode(bytes, bytes.len()).map_err(|_| damaged(table))
}

/// The device with that identifier.
///
/// # Errors
/// When the store fails or is damaged.
pub fn device<S: KvRead + ?Sized>(
    view: &View<'_, S>,
    id: DeviceId,
) -> Result<Option<Device>, StoreError> {
    view.get(DEVICES, &id.0)?
        .map(|bytes| value(DEVICES, &bytes))
        .transpose()
}

/// The identifier of the device with that name.
///
/// # Errors
/// When the store fails or is damaged.
pub fn device_named<S: KvRead + ?Sized>(
    view: &View<'_, S>,
    name: &Name,
) -> Result<Option<DeviceId>, StoreError> {
    view.get(DEVICE_NAMES, name.as_bytes())?
        .map(|bytes| value(DEVICE_NAMES, &bytes))
        .transpose()
}

/// Up to `limit` devices in the order of their names, those after `after`.
///
/// # Errors
/// When the store fails or is damaged.
pub fn devices<S: KvRead + ?Sized>(
    store: &S,
    after: Option<&Name>,
    limit: usize,
) -> Result<Vec<(DeviceId, Device)>, StoreError> {
    let from = after
        .map(|name| [name.as_bytes(), &[0]].concat())
        .unwrap_or_default();
    let view = View::new(store, []);
    let mut found = Vec::new();
    for (_, id) in store.scan(DEVICE_NAMES, &from, None, limit)? {
        let id = value(DEVICE_NAMES, &id)?;
        found.push((id, device(&view, id)?.ok_or_else(|| damaged(DEVICES))?));
    }
    Ok(found)
}

/// The stream with that identifier.
///
/// # Errors
/// When the store fails or is damaged.
pub fn stream<S: KvRead + ?Sized>(
    view: &View<'_, S>,
    id: StreamId,
) -> Result<Option<Stream>, StoreError> {
    let Some(bytes) = view.get(STREAMS, id.0.as_ref())? else {
        return Ok(None);
    };
    Stream::from_bytes(&bytes)
        .map(Some)
        .ok_or_else(|| damaged(STREAMS))
}

/// The identifier of the stream with that name.
///
/// # Errors
/// When the store fails or is damaged.
pub fn stream_named<S: KvRead + ?Sized>(
    view: &View<'_, S>,
    stream: &StreamName,
) -> Result<Option<StreamId>, StoreError> {
    view.get(STREAM_NAMES, &name(stream))?
        .map(|bytes| value(STREAM_NAMES, &bytes))
        .transpose()
}

/// Up to `limit` streams in the order of their names, those after `after`.
///
/// # Errors
/// When the store fails or is damaged.
pub fn streams<S: KvRead + ?Sized>(
    store: &S,
    after: Option<&StreamName>,
    limit: usize,
) -> Result<Vec<Stream>, StoreError> {
    let from = after
        .map(|after| [&name(after)[..], &[0]].concat())
        .unwrap_or_default();
    let view = View::new(store, []);
    let mut found = Vec::new();
    for (_, id) in store.scan(STREAM_NAMES, &from, None, limit)? {
        found.push(stream(&view, value(STREAM_NAMES, &id)?)?.ok_or_else(|| damaged(STREAMS))?);
    }
    Ok(found)
}

/// The reading of a stream with that number.
///
/// # Errors
/// When the store fails or is damaged.
pub fn reading<S: KvRead + ?Sized>(
    view: &View<'_, S>,
    stream: StreamId,
    sequence: u64,
) -> Result<Option<Recorded>, StoreError> {
    let run = run_at(view, stream, sequence)?;
    Ok(run
        .and_then(|run| run.leaf(sequence))
        .map(|(leaf, position)| Recorded { leaf, position }))
}

/// The readings of a stream in the order of their numbers, from number `from` on: up to `limit`, and fewer when their
/// payloads have more than `bytes` bytes together (but one at least).
///
/// # Errors
/// When the store fails or is damaged.
pub fn range<S: KvRead + ?Sized>(
    view: &View<'_, S>,
    stream: StreamId,
    from: u64,
    limit: usize,
    bytes: usize,
) -> Result<Vec<Recorded>, StoreError> {
    let (mut found, mut size, mut next) = (Vec::new(), 0, Some(from));
    while let Some(start) = next {
        let Some(run) = run_at(view, stream, start)? else {
            break;
        };
        for sequence in run.sequences().filter(|sequence| *sequence >= start) {
            let Some((leaf, position)) = run.leaf(sequence) else {
                break;
            };
            size += leaf.reading.payload.len() + 256;
            if found.len() >= limit || (size > bytes && !found.is_empty()) {
                return Ok(found);
            }
            found.push(Recorded { leaf, position });
        }
        next = run.sequences().last().and_then(|last| last.checked_add(1));
    }
    Ok(found)
}

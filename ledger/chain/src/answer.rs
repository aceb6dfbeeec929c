use hedgerow_kv::{KvStore, StoreError};
use hedgerow_proofs::Header;
use hedgerow_records::{DeviceId, StreamName};
use hedgerow_state::View;
use hedgerow_streams::{
    Counters, Device, Recorded, Stream, device, device_named, devices, range, reading, stream,
    stream_named, streams,
};
use hedgerow_wire::{Blob, List, Text};

use crate::{
    Answer, BlockSummary, DeviceRef, DeviceSummary, HeadSummary, Ledger, MAX_PAGE, Proved, Query,
    RecordedReading, StreamSummary, ledger::BlockEntry,
};

/// How many bytes of payloads one answer carries.
const PAGE_BYTES: usize = 1 << 20;

impl<S: KvStore> Ledger<S> {
    /// Answers the encoding of a query. One about contracts is refused: its answer may take long, and whoever holds the
    /// ledger must not wait for it ([`Ledger::moment`]).
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn query_bytes(&self, query: &[u8]) -> Result<Answer, StoreError> {
        match Query::from_bytes(query) {
            Ok(Query::Contracts(_)) | Err(_) => Ok(Answer::Malformed),
            Ok(query) => self.query(&query),
        }
    }

    /// Answers a query from the newest stable block: what it says is the same on every member that has the same stable
    /// block, but for proofs, which depend on the certificate.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn query(&self, query: &Query) -> Result<Answer, StoreError> {
        let store = &self.store;
        let view = View::new(store, []);
        Ok(match query {
            Query::Head => self.head_summary()?,
            Query::Block(height) => match self.block(*height)? {
                Some((header, entry)) if *height <= self.stable.header.height => {
                    Answer::Block(block_summary(&header, &entry))
                }
                _ => not_found(format!(
                    "block {height}: the newest is {}",
                    self.stable.header.height
                )),
            },
            Query::Device(wanted) => {
                let id = match wanted {
                    DeviceRef::Id(id) => Some(*id),
                    DeviceRef::Name(name) => device_named(&view, name)?,
                };
                match id
                    .map(|id| device(&view, id))
                    .transpose()?
                    .flatten()
                    .zip(id)
                {
                    Some((device, id)) => Answer::Device(device_summary(id, device)),
                    None => match wanted {
                        DeviceRef::Id(id) => not_found(format!("device {id}")),
                        DeviceRef::Name(name) => not_found(format!("device {name}")),
                    },
                }
            }
            Query::Devices { after, limit } => {
                let found = devices(store, after.as_ref(), page(*limit))?;
                Answer::Devices(list(
                    found
                        .into_iter()
                        .map(|(id, device)| device_summary(id, device)),
                ))
            }
            Query::Streams { after, limit } => {
                let (mut summaries, mut bytes) = (Vec::new(), 0);
                for found in streams(store, after.as_ref(), page(*limit))? {
                    let summary = summarize(&view, found)?;
                    bytes += 512
                        + summary
                            .latest
                            .as_ref()
                            .map_or(0, |latest| latest.reading.payload.len());
                    if bytes > PAGE_BYTES && !summaries.is_empty() {
                        break;
                    }
                    summaries.push(summary);
                }
                Answer::Streams(list(summaries.into_iter()))
            }
            Query::Stream(name) => match self.find(name)? {
                Some(found) => Answer::Stream(summarize(&view, found)?),
                None => not_found(format!("stream {name}")),
            },
            Query::Reading { stream, sequence } => {
                let id = stream_named(&view, stream)?;
                match id
                    .map(|id| reading(&view, id, *sequence))
                    .transpose()?
                    .flatten()
                {
                    Some(found) => Answer::Reading(recorded(found)),
                    None if id.is_none() => not_found(format!("stream {stream}")),
                    None => not_found(format!("reading {sequence} of {stream}")),
                }
            }
            Query::Range {
                stream,
                from,
                limit,
            } => match stream_named(&view, stream)? {
                Some(id) => {
                    let found = range(&view, id, *from, page(*limit), PAGE_BYTES)?;
                    Answer::Range(list(found.into_iter().map(recorded)))
                }
                None => not_found(format!("stream {stream}")),
            },
            Query::Prove { stream, sequence } => match self.prove(stream, *sequence)? {
                Proved::Proof(proof) => match Blob::new(proof.to_bytes()) {
                    Ok(bytes) => Answer::Proof(bytes),
                    Err(error) => not_found(format!(
                        "a proof of reading {sequence} that is small enough: {error}"
                    )),
                },
                Proved::NotFound => not_found(format!("reading {sequence} of {stream}")),
                Proved::NotYetFinal { certified } => Answer::NotYetFinal { certified },
            },
            Query::Protocol => self.protocol_summary()?,
            Query::Roles { after, limit } => self.roles_summary(*after, *limit)?,
            Query::Contracts(query) => Answer::Contracts(self.moment(query)?.answer(query, store)?),
        })
    }

    fn head_summary(&self) -> Result<Answer, StoreError> {
        let height = self.stable.header.height;
        let Some((header, entry)) = self.block(height)? else {
            return Ok(not_found(format!("block {height}")));
        };
        let Counters {
            devices,
            streams,
            readings,
        } = Counters::of(&self.stable.state);
        let (block, network) = (block_summary(&header, &entry), self.genesis().network);
        Ok(Answer::Head(HeadSummary {
            block,
            network,
            devices,
            streams,
            readings,
        }))
    }

    fn find(&self, name: &StreamName) -> Result<Option<Stream>, StoreError> {
        let view = View::new(&self.store, []);
        let Some(id) = stream_named(&view, name)? else {
            return Ok(None);
        };
        stream(&view, id)
    }
}

fn not_found(what: String) -> Answer {
    Answer::NotFound(Text::new(what).unwrap_or_default())
}

fn page(limit: u32) -> usize {
    (limit as usize).min(MAX_PAGE)
}

fn list<T>(items: impl Iterator<Item = T>) -> List<T, MAX_PAGE> {
    List::new(items.take(MAX_PAGE).collect()).unwrap_or_default()
}

fn block_summary(header: &Header, entry: &BlockEntry) -> BlockSummary {
    BlockSummary {
        height: header.height,
        hash: Header::hash_encoded(&entry.header),
        parent: header.parent,
        slot: header.slot,
        time: header.time,
        transactions: entry.transactions,
        readings: entry.readings,
        state_root: header.state_root,
        transactions_root: header.transactions_root,
        receipts_root: header.receipts_root,
        history_root: header.history_root,
    }
}

fn device_summary(device: DeviceId, found: Device) -> DeviceSummary {
    let Device {
        name,
        public_key,
        description,
        height,
    } = found;
    DeviceSummary {
        device,
        name,
        public_key,
        description,
        height,
    }
}

fn recorded(found: Recorded) -> RecordedReading {
    let Recorded { leaf, position } = found;
    RecordedReading {
        reading: leaf.reading,
        position,
        height: leaf.height,
        block_time: leaf.block_time,
        record: leaf.record,
    }
}

fn summarize<S: KvStore + ?Sized>(
    view: &View<'_, S>,
    found: Stream,
) -> Result<StreamSummary, StoreError> {
    let id = found.id();
    let (first_sequence, last_sequence) = found.sequences.bounds().unwrap_or_default();
    let latest = reading(view, id, last_sequence)?.map(recorded);
    Ok(StreamSummary {
        stream: id,
        owner: found.owner,
        length: found.range.length(),
        root: found.range.root(),
        first_sequence,
        last_sequence,
        missing: found.sequences.missing(),
        latest,
        name: found.name,
    })
}

//! A whole stream as a file, page by page: memory stays small however long the stream is.

use std::{io, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{Path, Query as UrlQuery, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use hedgerow_chain::{Answer, MAX_PAGE, Query, RecordedReading};
use hedgerow_records::StreamName;
use serde::Deserialize;
use serde_json::Value;

use super::{HttpState, Problem, display, ledger};
use crate::Network;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Csv,
    Jsonl,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    format: Format,
}

/// The columns of the CSV form.
const COLUMNS: &str =
    "sequence,time_ms,position,block,block_time_ms,content_type,encoding,payload,record\r\n";

/// What the next page begins with; none after the last one.
struct Progress {
    network: Arc<dyn Network>,
    name: StreamName,
    format: Format,
    next: Option<u64>,
    /// The page that was read to know that the stream is there.
    first: Option<Vec<RecordedReading>>,
}

pub(super) async fn export(
    State(state): State<HttpState>,
    Path((device, stream)): Path<(String, String)>,
    query: Result<UrlQuery<ExportQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let UrlQuery(ExportQuery { format }) = query.map_err(|error| {
        Problem::bad_request(format!(
            "{}: use ?format=csv or ?format=jsonl",
            error.body_text()
        ))
    })?;
    let name = ledger::stream_name(&device, &stream)?;
    let first = match page(&*state.network, &name, 0).await? {
        Ok(readings) => readings,
        Err(other) => return Err(ledger::refusal(other)),
    };
    let (kind, extension) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        Format::Jsonl => ("application/jsonl", "jsonl"),
    };
    let progress = Progress {
        network: state.network,
        name,
        format,
        next: Some(0),
        first: Some(first),
    };
    let pages = stream::try_unfold(progress, async |mut progress| {
        let Some(from) = progress.next else {
            return Ok::<_, io::Error>(None);
        };
        let readings = match progress.first.take() {
            Some(first) => first,
            // A broken-off transfer is how HTTP says that the rest is missing.
            None => match page(&*progress.network, &progress.name, from).await {
                Ok(Ok(readings)) => readings,
                Ok(Err(_)) => {
                    return Err(io::Error::other("the validators answered something else"));
                }
                Err(error) => return Err(io::Error::other(error.to_string())),
            },
        };
        let head = if from == 0 && progress.format == Format::Csv {
            COLUMNS
        } else {
            ""
        };
        progress.next = readings
            .last()
            .and_then(|last| last.reading.sequence.checked_add(1));
        let mut text = String::from(head);
        for reading in &readings {
            write(progress.format, reading, &mut text);
        }
        Ok(Some((Bytes::from(text), progress)))
    });
    let head = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{device}-{stream}.{extension}\""),
        ),
    ];
    Ok((head, Body::from_stream(pages)).into_response())
}

async fn page(
    network: &dyn Network,
    name: &StreamName,
    from: u64,
) -> Result<Result<Vec<RecordedReading>, Answer>, crate::QueryError> {
    let query = Query::Range {
        stream: name.clone(),
        from,
        limit: MAX_PAGE as u32,
    };
    Ok(match network.query(query).await? {
        Answer::Range(list) => Ok(list.into_vec()),
        other => Err(other),
    })
}

fn write(format: Format, recorded: &RecordedReading, text: &mut String) {
    match format {
        Format::Jsonl => {
            text.push_str(&display::reading(recorded).to_string());
            text.push('\n');
        }
        Format::Csv => {
            let reading = &recorded.reading;
            let (value, encoding) = display::payload(&reading.content_type, &reading.payload);
            let payload = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let fields = [
                reading.sequence.to_string(),
                reading.time.to_string(),
                recorded.position.to_string(),
                recorded.height.to_string(),
                recorded.block_time.to_string(),
                reading.content_type.to_string(),
                encoding.to_owned(),
                payload,
                format!("0x{}", recorded.record),
            ];
            let line: Vec<String> = fields.into_iter().map(csv_field).collect();
            text.push_str(&line.join(","));
            text.push_str("\r\n");
        }
    }
}

/// RFC 4180.
fn csv_field(field: String) -> String {
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

//! What the ledger can be asked.

use axum::{
    Json,
    extract::{Path, Query as UrlQuery, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hedgerow_base::Height;
use hedgerow_chain::{Answer, DeviceRef, MAX_PAGE, Query};
use hedgerow_records::{BadSubject, Name, StreamName, Subject};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{HttpState, Problem, display};
use crate::roles::standing;

type JsonResult = Result<Json<Value>, Problem>;

/// Items of a page when the request does not say how many.
const PAGE: u32 = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    after: Option<String>,
    limit: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    #[serde(default)]
    from: u64,
    limit: Option<u32>,
}

fn limit(wish: Option<u32>) -> Result<u32, Problem> {
    let max = MAX_PAGE as u32;
    match wish.unwrap_or(PAGE) {
        limit if (1..=max).contains(&limit) => Ok(limit),
        other => Err(Problem::bad_request(format!(
            "limit={other}: use 1 to {max}"
        ))),
    }
}

fn url<T>(parsed: Result<UrlQuery<T>, QueryRejection>) -> Result<T, Problem> {
    parsed
        .map(|UrlQuery(query)| query)
        .map_err(|error| Problem::bad_request(error.body_text()))
}

pub(super) fn stream_name(device: &str, stream: &str) -> Result<StreamName, Problem> {
    let text = format!("{device}/{stream}");
    text.parse()
        .map_err(|error| Problem::bad_request(format!("{text}: {error}")))
}

/// The errors that every question can have.
pub(super) fn refusal(answer: Answer) -> Problem {
    match answer {
        Answer::NotFound(what) => Problem::not_found(what.as_str()),
        Answer::NotYetFinal { certified } => {
            let detail = format!(
                "no certificate covers it yet; the newest one is of block {certified}: ask again soon"
            );
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-yet-final", detail).retry_after(1)
        }
        _ => Problem::new(
            StatusCode::BAD_GATEWAY,
            "odd-answer",
            "the validators answered something else",
        ),
    }
}

pub(super) async fn streams(
    State(state): State<HttpState>,
    page: Result<UrlQuery<Page>, QueryRejection>,
) -> JsonResult {
    let page = url(page)?;
    let after = page
        .after
        .map(|after| after.parse::<StreamName>())
        .transpose();
    let after = after.map_err(|error| Problem::bad_request(format!("after: {error}")))?;
    let limit = limit(page.limit)?;
    match state.network.query(Query::Streams { after, limit }).await? {
        Answer::Streams(list) => {
            let next = list
                .last()
                .filter(|_| list.len() >= limit as usize)
                .map(|stream| stream.name.to_string());
            Ok(Json(
                json!({"streams": list.iter().map(display::stream).collect::<Vec<_>>(), "next": next}),
            ))
        }
        other => Err(refusal(other)),
    }
}

pub(super) async fn stream(
    State(state): State<HttpState>,
    Path((device, stream)): Path<(String, String)>,
) -> JsonResult {
    match state
        .network
        .query(Query::Stream(stream_name(&device, &stream)?))
        .await?
    {
        Answer::Stream(stream) => Ok(Json(display::stream(&stream))),
        other => Err(refusal(other)),
    }
}

pub(super) async fn readings(
    State(state): State<HttpState>,
    Path((device, stream)): Path<(String, String)>,
    range: Result<UrlQuery<Range>, QueryRejection>,
) -> JsonResult {
    let stream = stream_name(&device, &stream)?;
    let range = url(range)?;
    let limit = limit(range.limit)?;
    match state
        .network
        .query(Query::Range {
            stream,
            from: range.from,
            limit,
        })
        .await?
    {
        Answer::Range(list) => {
            // An answer may be shorter than the limit and still not be the end.
            let next = list
                .last()
                .and_then(|last| last.reading.sequence.checked_add(1));
            Ok(Json(
                json!({"readings": list.iter().map(display::reading).collect::<Vec<_>>(), "next": next}),
            ))
        }
        other => Err(refusal(other)),
    }
}

pub(super) async fn reading(
    State(state): State<HttpState>,
    Path((device, stream, sequence)): Path<(String, String, String)>,
) -> JsonResult {
    let (stream, sequence) = (
        stream_name(&device, &stream)?,
        number("sequence", &sequence)?,
    );
    match state
        .network
        .query(Query::Reading { stream, sequence })
        .await?
    {
        Answer::Reading(reading) => Ok(Json(display::reading(&reading))),
        other => Err(refusal(other)),
    }
}

pub(super) async fn proof(
    State(state): State<HttpState>,
    Path((device, stream, sequence)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let (name, sequence) = (
        stream_name(&device, &stream)?,
        number("sequence", &sequence)?,
    );
    match state.network.prove(&name, sequence).await? {
        Answer::Proof(proof) => {
            let file = format!("attachment; filename=\"{device}-{stream}-{sequence}.proof\"");
            let head = [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_DISPOSITION, file),
            ];
            Ok((head, proof.into_vec()).into_response())
        }
        other => Err(refusal(other)),
    }
}

pub(super) async fn devices(
    State(state): State<HttpState>,
    page: Result<UrlQuery<Page>, QueryRejection>,
) -> JsonResult {
    let page = url(page)?;
    let after = page.after.map(Name::new).transpose();
    let after = after.map_err(|error| Problem::bad_request(format!("after: {error}")))?;
    let limit = limit(page.limit)?;
    match state.network.query(Query::Devices { after, limit }).await? {
        Answer::Devices(list) => {
            let next = list
                .last()
                .filter(|_| list.len() >= limit as usize)
                .map(|device| device.name.to_string());
            Ok(Json(
                json!({"devices": list.iter().map(display::device).collect::<Vec<_>>(), "next": next}),
            ))
        }
        other => Err(refusal(other)),
    }
}

pub(super) async fn device(
    State(state): State<HttpState>,
    Path(device): Path<String>,
) -> JsonResult {
    let reference = if device.starts_with("0x") {
        DeviceRef::Id(
            device
                .parse()
                .map_err(|error| Problem::bad_request(format!("{device}: {error}")))?,
        )
    } else {
        let name = Name::new(device.as_str());
        DeviceRef::Name(name.map_err(|error| Problem::bad_request(format!("{device}: {error}")))?)
    };
    match state.network.query(Query::Device(reference)).await? {
        Answer::Device(device) => Ok(Json(display::device(&device))),
        other => Err(refusal(other)),
    }
}

pub(super) async fn block(
    State(state): State<HttpState>,
    Path(height): Path<String>,
) -> JsonResult {
    let query = if height == "head" {
        Query::Head
    } else {
        Query::Block(Height(number("height", &height)?))
    };
    match state.network.query(query).await? {
        Answer::Block(block) => Ok(Json(display::block(&block))),
        Answer::Head(head) => {
            let mut fields = display::block(&head.block);
            if let Value::Object(fields) = &mut fields {
                fields.insert(
                    "totals".into(),
                    json!({
                        "devices": head.devices, "streams": head.streams, "readings": head.readings,
                    }),
                );
            }
            Ok(Json(fields))
        }
        other => Err(refusal(other)),
    }
}

/// Which protocol orders, and what the validators vote for.
pub(super) async fn protocol(State(state): State<HttpState>) -> JsonResult {
    match state.network.query(Query::Protocol).await? {
        Answer::Protocol(protocol) => {
            let members = state.network.status().members;
            Ok(Json(display::protocol(&protocol, &members)))
        }
        other => Err(refusal(other)),
    }
}

/// Who may do what, and what is moved.
pub(super) async fn roles(
    State(state): State<HttpState>,
    parsed: Result<UrlQuery<Page>, QueryRejection>,
) -> JsonResult {
    let page = url(parsed)?;
    let after = page.after.map(|after| after.parse::<Subject>());
    let after = after.transpose();
    let after = after.map_err(|error| Problem::bad_request(format!("after: {error}")))?;
    let limit = limit(page.limit)?;
    match state.network.query(Query::Roles { after, limit }).await? {
        Answer::Roles(roles) => {
            let members = state.network.status().members;
            Ok(Json(display::roles(&roles, limit, &members)))
        }
        other => Err(refusal(other)),
    }
}

/// What somebody may do.
pub(super) async fn roles_of(
    State(state): State<HttpState>,
    Path(subject): Path<String>,
) -> JsonResult {
    let subject: Subject = subject
        .parse()
        .map_err(|error: BadSubject| Problem::bad_request(error.to_string()))?;
    let Some(standing) = standing(&*state.network, subject).await? else {
        let detail = "the block's state is not kept any more: ask again".to_owned();
        return Err(Problem::not_found(detail));
    };
    Ok(Json(display::standing(subject, &standing)))
}

fn number(what: &str, text: &str) -> Result<u64, Problem> {
    text.parse()
        .map_err(|_| Problem::bad_request(format!("{what} {text:?} is not a number")))
}

//! Records and transactions in, and what became of them.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hedgerow_base::Digest;
use hedgerow_records::{MAX_TRANSACTION, Receipt, Rejection, Roles};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::{HttpState, Problem};
use crate::{
    door::{Checked, Door},
    outcome::{self, Outcome},
};

/// `?wait=`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Wait {
    /// Until it is durable at the gateway.
    #[default]
    Durable,
    /// Until it is final on the ledger.
    Final,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PostQuery {
    #[serde(default)]
    wait: Wait,
}

fn door(state: &HttpState) -> Result<&Door, Problem> {
    state.door.as_ref().ok_or_else(|| {
        let detail = "this node takes no records: send them to a gateway";
        Problem::new(StatusCode::NOT_IMPLEMENTED, "no-door", detail)
    })
}

async fn whole(body: Body) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, MAX_TRANSACTION)
        .await
        .map_err(|_| {
            let detail =
                format!("the body was cut short, or has more than {MAX_TRANSACTION} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
        })
}

fn query(
    parsed: Result<Query<PostQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<PostQuery, Problem> {
    match parsed {
        Ok(Query(query)) => Ok(query),
        Err(error) => Err(Problem::bad_request(format!(
            "{error}: use ?wait=durable or ?wait=final"
        ))),
    }
}

pub(super) async fn post_record(
    State(state): State<HttpState>,
    parsed: Result<Query<PostQuery>, axum::extract::rejection::QueryRejection>,
    body: Body,
) -> Result<Response, Problem> {
    let wait = query(parsed)?.wait;
    let door = door(&state)?;
    let checked = door.check_record(&whole(body).await?)?;
    store(&state, door, &checked, wait).await
}

pub(super) async fn post_transaction(
    State(state): State<HttpState>,
    parsed: Result<Query<PostQuery>, axum::extract::rejection::QueryRejection>,
    body: Body,
) -> Result<Response, Problem> {
    let wait = query(parsed)?.wait;
    let door = door(&state)?;
    let checked = door.check_transaction(whole(body).await?)?;
    if let Some((subject, needed)) = checked.needs {
        let network = &*state.network;
        let role = state.roles.lacking(network, subject, needed).await;
        if role != Roles::NONE {
            return Err(Problem::rejected(&Rejection::NotAllowed { subject, role }));
        }
    }
    store(&state, door, &checked, wait).await
}

async fn store(
    state: &HttpState,
    door: &Door,
    checked: &Checked,
    wait: Wait,
) -> Result<Response, Problem> {
    // Before it is stored: its receipt may come at any time after.
    let receipt = matches!(wait, Wait::Final).then(|| door.outcomes.wait(checked.id));
    if let Err(error) = door.store_and_wait(checked).await {
        drop(receipt);
        door.outcomes.forget_waiters(&checked.id);
        return Err(error.into());
    }
    let fields = outcome::describe(&checked.transaction);
    if let Some(receipt) = receipt
        && let Ok(Ok(receipt)) = timeout(state.final_timeout, receipt).await
    {
        if let Receipt::Rejected { reason } = &receipt {
            return Err(Problem::rejected(reason));
        }
        return Ok(answer(
            StatusCode::OK,
            &checked.id,
            fields,
            &Outcome::Final(receipt),
        ));
    }
    Ok(answer(
        StatusCode::ACCEPTED,
        &checked.id,
        fields,
        &Outcome::Accepted,
    ))
}

fn answer(
    status: StatusCode,
    id: &Digest,
    mut fields: Map<String, Value>,
    outcome: &Outcome,
) -> Response {
    outcome::add_outcome(&mut fields, outcome);
    let url = format!("/records/{}", outcome::id_text(id));
    fields.insert("links".into(), json!({"status": url}));
    (
        status,
        [(header::LOCATION, url)],
        Json(Value::Object(fields)),
    )
        .into_response()
}

/// What became of a transaction that this gateway took in lately.
pub(super) async fn get_record(
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let door = door(&state)?;
    let digest: Digest = id
        .parse()
        .map_err(|error| Problem::bad_request(format!("{id}: {error}")))?;
    let Some(known) = door.outcomes.get(&digest) else {
        let detail = "this gateway has not seen it lately: ask for its reading under /streams";
        return Err(Problem::not_found(detail));
    };
    let mut fields = Map::new();
    fields.insert("id".into(), outcome::id_text(&digest).into());
    outcome::add_outcome(&mut fields, &known);
    Ok(Json(Value::Object(fields)))
}

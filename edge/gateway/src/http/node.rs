//! How this node does.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{HttpState, Problem};

pub(super) async fn status(State(state): State<HttpState>) -> Json<Value> {
    let mut gateway = Map::new();
    if let Some(door) = &state.door {
        let (held, budget) = door.spool.usage();
        gateway.insert(
            "spool".into(),
            json!({
                "held_bytes": held, "budget_bytes": budget, "backlog": door.spool.backlog(),
                "failure": door.spool.failure(),
            }),
        );
    }
    if let Some(mqtt) = &state.mqtt {
        let stats = mqtt.stats().await;
        gateway.insert("mqtt".into(), json!({
            "connections": stats.connections, "sessions": stats.sessions, "retained": stats.retained,
            "queued_bytes": stats.queued_bytes, "dropped": stats.dropped,
        }));
    }
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": state.started.elapsed().as_secs(),
        "healthy": cause(&state).is_none(),
        "cause": cause(&state),
        "network": state.network.status(),
        "gateway": state.door.is_some().then_some(gateway),
    }))
}

/// Why this node is not well.
fn cause(state: &HttpState) -> Option<String> {
    let disk = state.door.as_ref().and_then(|door| door.spool.failure());
    disk.map(|failure| format!("the spool's disk failed: {failure}"))
        .or_else(|| state.network.status().stalled)
}

pub(super) async fn health(State(state): State<HttpState>) -> Response {
    match cause(&state) {
        None => Json(json!({"status": "ok"})).into_response(),
        Some(cause) => {
            let body = Json(json!({"status": "unhealthy", "cause": cause}));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

pub(super) async fn metrics(State(state): State<HttpState>) -> Result<Response, Problem> {
    let Some(text) = &state.metrics else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "no-metrics",
            "metrics are turned off on this node",
        ));
    };
    if let Some(door) = &state.door {
        let (held, budget) = door.spool.usage();
        metrics::gauge!("gateway.spool.held_bytes").set(held as f64);
        metrics::gauge!("gateway.spool.budget_bytes").set(budget as f64);
        metrics::gauge!("gateway.spool.backlog").set(door.spool.backlog() as f64);
    }
    if let Some(mqtt) = &state.mqtt {
        let stats = mqtt.stats().await;
        metrics::gauge!("gateway.mqtt.open_connections").set(stats.connections as f64);
        metrics::gauge!("gateway.mqtt.sessions").set(stats.sessions as f64);
        metrics::gauge!("gateway.mqtt.retained").set(stats.retained as f64);
        metrics::gauge!("gateway.mqtt.queued_bytes").set(stats.queued_bytes as f64);
        metrics::gauge!("gateway.mqtt.dropped").set(stats.dropped as f64);
    }
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    Ok((kind, text()).into_response())
}

//! HTTP: a request line and a body from anybody, and whatever answer the validators agreed on.
//!
//! The input is `METHOD TARGET`, a line feed, and bytes that are both the body and the network's answer.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use axum::{body::Body, http::Request};
use bytes::Bytes;
use hedgerow_chain::{Answer, Query};
use hedgerow_gateway::{
    HttpConfig, HttpState, Network, NetworkStatus, QueryError, SubmitError, router,
};
use hedgerow_records::Receipt;
use hedgerow_wire::encode;
use tower::ServiceExt;

struct Anything {
    answer: Answer,
    /// An export asks until there is no more.
    left: AtomicU32,
}

#[async_trait]
impl Network for Anything {
    async fn submit(&self, _: Vec<Bytes>) -> Result<Vec<Receipt>, SubmitError> {
        Err(SubmitError::Busy)
    }

    async fn query(&self, query: Query) -> Result<Answer, QueryError> {
        let _ = encode(&query);
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            return Err(QueryError::ShuttingDown);
        }
        Ok(self.answer.clone())
    }

    fn attested(&self) -> tokio::sync::watch::Receiver<hedgerow_base::Height> {
        tokio::sync::watch::Sender::new(hedgerow_base::Height::ZERO).subscribe()
    }

    fn status(&self) -> NetworkStatus {
        NetworkStatus::default()
    }
}

pub(crate) fn run(data: &[u8]) {
    let line = data
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(data.len());
    let (head, body) = data.split_at(line);
    let body = body.get(1..).unwrap_or_default();
    let Ok(head) = std::str::from_utf8(head) else {
        return;
    };
    let Some((method, target)) = head.split_once(' ') else {
        return;
    };
    let request = Request::builder()
        .method(method)
        .uri(target)
        .body(Body::from(body.to_vec()));
    let Ok(request) = request else { return };
    let answer = Answer::from_bytes(body).unwrap_or(Answer::Malformed);
    let network = Anything {
        answer,
        left: AtomicU32::new(3),
    };
    let state = HttpState::without_door(Arc::new(network), &HttpConfig::default(), None);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let response = router(state)
            .oneshot(request)
            .await
            .expect("the router never fails");
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 64 << 20).await;
        if let Ok(body) = body {
            assert!(
                status.is_success() || !body.is_empty(),
                "{status} without a word"
            );
        }
    });
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let answers = super::query::seeds();
    let with = |line: &str, body: &[u8]| [line.as_bytes(), b"\n", body].concat();
    let reading = &answers[5];
    vec![
        with("GET /streams/device-0/temperature/readings/1", reading),
        with(
            "GET /streams/device-0/temperature/readings?from=1&limit=10",
            reading,
        ),
        with(
            "GET /streams/device-0/temperature/readings/1/proof",
            &answers[6],
        ),
        with(
            "GET /streams/device-0/temperature/export?format=csv",
            reading,
        ),
        with("GET /streams?after=a/b&limit=5", &answers[7]),
        with("GET /devices?after=a", &answers[8]),
        with("GET /blocks/7", &answers[6]),
        with("POST /records?wait=final", b"record"),
        with("GET /status", b""),
        with("GET /openapi.json", b""),
        with("DELETE /nothing", b""),
    ]
}

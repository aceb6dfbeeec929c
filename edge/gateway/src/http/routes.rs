use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing,
};
use tokio::time::timeout;

use super::{HttpState, Problem, export, ledger, node, openapi, records};

/// Makes the router and the list of its routes of one table, so that neither has what the other lacks.
macro_rules! routes {
    ($($method:ident $path:literal => $handler:path,)*) => {
        /// Method and path of every route: what the description is held against.
        #[cfg(test)]
        pub(super) const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),*];

        fn table() -> Router<HttpState> {
            Router::new()$(.route($path, routing::$method($handler)))*
        }
    };
}

routes! {
    post "/records" => records::post_record,
    get "/records/{id}" => records::get_record,
    post "/transactions" => records::post_transaction,
    get "/streams" => ledger::streams,
    get "/streams/{device}/{stream}" => ledger::stream,
    get "/streams/{device}/{stream}/readings" => ledger::readings,
    get "/streams/{device}/{stream}/readings/{sequence}" => ledger::reading,
    get "/streams/{device}/{stream}/readings/{sequence}/proof" => ledger::proof,
    get "/streams/{device}/{stream}/export" => export::export,
    get "/devices" => ledger::devices,
    get "/devices/{device}" => ledger::device,
    get "/blocks/{height}" => ledger::block,
    get "/protocol" => ledger::protocol,
    get "/roles" => ledger::roles,
    get "/roles/{subject}" => ledger::roles_of,
    get "/status" => node::status,
    get "/health" => node::health,
    get "/metrics" => node::metrics,
    get "/openapi.json" => openapi::openapi,
}

/// The routes of a gateway, or of a node without a door.
pub fn router(state: HttpState) -> Router {
    table()
        .fallback(async |request: Request| {
            Problem::not_found(format!(
                "there is no {}: see /openapi.json for what there is",
                request.uri().path()
            ))
        })
        .method_not_allowed_fallback(async |request: Request| {
            let detail = format!(
                "{} is not for {}: see /openapi.json",
                request.method(),
                request.uri().path()
            );
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
        })
        .layer(middleware::from_fn_with_state(state.clone(), bounded))
        .with_state(state)
}

/// No request waits for ever, and every one is counted.
async fn bounded(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let response = timeout(state.request_timeout, next.run(request))
        .await
        .unwrap_or_else(|_| {
            let detail = format!("no answer within {} s", state.request_timeout.as_secs());
            Problem::unavailable("timeout", detail).into_response()
        });
    let status = response.status().as_u16().to_string();
    metrics::counter!("gateway.http.requests", "status" => status).increment(1);
    response
}

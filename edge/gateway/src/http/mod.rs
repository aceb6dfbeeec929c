//! HTTP: the same door for tools and people, and everything that the ledger can be asked.

mod display;
mod export;
mod ledger;
mod node;
mod openapi;
mod problem;
mod records;
mod routes;
mod serve;

pub use problem::Problem;
pub use routes::router;
pub(crate) use serve::serve;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{Network, RoleBook, door::Door, mqtt::MqttHandle};

/// Gives the metrics in Prometheus' text format.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What the routes answer from.
#[derive(Clone)]
pub struct HttpState {
    pub(crate) network: Arc<dyn Network>,
    /// None on a node that takes no records.
    pub(crate) door: Option<Door>,
    pub(crate) mqtt: Option<MqttHandle>,
    pub(crate) roles: Arc<RoleBook>,
    pub(crate) metrics: Option<MetricsText>,
    pub(crate) started: Instant,
    pub(crate) request_timeout: Duration,
    pub(crate) final_timeout: Duration,
}

impl HttpState {
    /// What a node answers from that takes no records: a validator.
    #[must_use]
    pub fn without_door(
        network: Arc<dyn Network>,
        config: &crate::HttpConfig,
        metrics: Option<MetricsText>,
    ) -> Self {
        Self {
            network,
            door: None,
            mqtt: None,
            roles: Arc::default(),
            metrics,
            started: Instant::now(),
            request_timeout: Duration::from_secs(u64::from(config.request_timeout_s)),
            final_timeout: Duration::from_secs(u64::from(config.final_timeout_s)),
        }
    }
}

use std::sync::Arc;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};

use crate::MetricsText;

/// Makes Prometheus the receiver of this process' metrics (`metrics` crate), once, and gives what `/metrics` shows.
///
/// # Errors
/// When the process has another receiver already.
pub fn prometheus() -> Result<MetricsText, BuildError> {
    let handle = PrometheusBuilder::new().install_recorder()?;
    Ok(Arc::new(move || {
        handle.run_upkeep();
        handle.render()
    }))
}

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::Agent;

/// A node's HTTP interface.
#[derive(Clone, Debug)]
pub struct Http {
    base: String,
    agent: Agent,
}

impl Http {
    /// The interface at that URL; no answer is waited for longer than `patience`.
    #[must_use]
    pub fn new(base: impl Into<String>, patience: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(patience))
            .build();
        Self {
            base: base.into(),
            agent: config.into(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Status and body.
    ///
    /// # Errors
    /// When there is no answer in time.
    pub fn get(&self, path: &str) -> Result<(u16, Vec<u8>)> {
        let url = format!("{}{path}", self.base);
        let mut response = self.agent.get(&url).call().with_context(|| url.clone())?;
        let body = response
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_to_vec();
        Ok((response.status().as_u16(), body.context(url)?))
    }

    /// The JSON of a good answer.
    ///
    /// # Errors
    /// When there is none.
    pub fn json(&self, path: &str) -> Result<Value> {
        let (status, body) = self.get(path)?;
        if status != 200 {
            bail!(
                "{}{path}: HTTP {status}: {}",
                self.base,
                String::from_utf8_lossy(&body)
            );
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// Status and body.
    ///
    /// # Errors
    /// When there is no answer in time.
    pub fn post(&self, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let url = format!("{}{path}", self.base);
        let mut response = self
            .agent
            .post(&url)
            .send(body)
            .with_context(|| url.clone())?;
        let answer = response.body_mut().read_to_vec().context(url)?;
        Ok((response.status().as_u16(), answer))
    }
}

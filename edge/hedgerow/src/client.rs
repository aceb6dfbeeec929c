//! The HTTP interface of a node, as a client sees it.

use std::{fmt, io::Read, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::{Agent, Body, http::Response};

use crate::devnet;

/// The gateway of a network that `hedgerow init` made with its default ports.
pub(crate) const DEFAULT_NODE: &str = "http://127.0.0.1:7204";

/// No answer is longer; an export comes in parts.
const MAX_ANSWER: u64 = 64 << 20;

/// Which node to ask.
#[derive(Args, Clone, Debug)]
pub(crate) struct NodeArg {
    /// The URL of a gateway's HTTP interface [default: that of the devnet in ./devnet, else http://127.0.0.1:7204]
    #[arg(long, value_name = "URL", env = "HEDGEROW_NODE", global = true)]
    pub(crate) node: Option<String>,
}

impl NodeArg {
    pub(crate) fn client(&self) -> Result<Client> {
        match &self.node {
            Some(url) => Client::new(url),
            None => Client::new(&devnet::url_of_default().unwrap_or_else(|| DEFAULT_NODE.into())),
        }
    }
}

/// A node's HTTP interface.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    agent: Agent,
}

/// The node answered, but with an error (RFC 9457).
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Refused {
    /// The problem's short name.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Whether sending the same again would be refused again.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.status, 400 | 403 | 409 | 413)
    }

    /// What the node says, in words.
    fn words(&self) -> String {
        match (self.body["detail"].as_str(), &self.body) {
            (Some(text), _) => text.to_owned(),
            (None, Value::String(text)) => text.trim().to_owned(),
            (None, other) => other.to_string(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (HTTP {})", self.words(), self.status)
    }
}

impl std::error::Error for Refused {}

impl Client {
    pub(crate) fn new(url: &str) -> Result<Self> {
        let Some(rest) = url.strip_prefix("http://") else {
            bail!(
                "--node {url}: use a URL such as {DEFAULT_NODE}; for https, put a TLS proxy in front and name that with http here"
            );
        };
        if rest.trim_matches('/').is_empty() {
            bail!("--node {url}: the host is missing; use a URL such as {DEFAULT_NODE}");
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(Duration::from_secs(120)))
            .user_agent(concat!("hedgerow/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            agent: config.into(),
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.base
    }

    /// The same node, asked with less patience.
    pub(crate) fn impatient(&self, patience: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(patience))
            .build();
        Self {
            base: self.base.clone(),
            agent: config.into(),
        }
    }

    /// Asks, and gives the answer's JSON.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let bytes = self.bytes(path)?;
        serde_json::from_slice(&bytes)
            .with_context(|| format!("{}{path}: not the answer of a Hedgerow node", self.base))
    }

    /// Asks, and gives the answer's bytes.
    pub(crate) fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        let response = self.agent.get(self.base.clone() + path).call();
        let mut response = self.good(path, response)?;
        Ok(response
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER)
            .read_to_vec()?)
    }

    /// Asks, and gives the answer as it comes.
    pub(crate) fn stream(&self, path: &str) -> Result<impl Read + use<>> {
        let response = self
            .agent
            .get(self.base.clone() + path)
            .config()
            .timeout_global(None)
            .build()
            .call();
        let response = self.good(path, response)?;
        Ok(response
            .into_body()
            .into_with_config()
            .limit(u64::MAX)
            .reader())
    }

    /// Sends bytes, and gives the answer's JSON.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Result<Value> {
        let response = self
            .agent
            .post(self.base.clone() + path)
            .content_type("application/octet-stream")
            .send(body);
        let mut response = self.good(path, response)?;
        let bytes = response
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER)
            .read_to_vec()?;
        serde_json::from_slice(&bytes)
            .with_context(|| format!("{}{path}: not the answer of a Hedgerow node", self.base))
    }

    fn good(
        &self,
        path: &str,
        response: Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>> {
        let mut response = response.map_err(|error| self.unreachable(path, &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response
            .body_mut()
            .with_config()
            .limit(1 << 20)
            .read_to_string()
            .unwrap_or_default();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Err(Refused {
            status: status.as_u16(),
            body,
        }
        .into())
    }

    fn unreachable(&self, path: &str, error: &ureq::Error) -> anyhow::Error {
        anyhow!(
            "{}{path}: {error}; is the node running? Start a network with `hedgerow devnet`, or name another node with --node URL or HEDGEROW_NODE",
            self.base
        )
    }
}

/// What the node refused with, if it did.
pub(crate) fn refusal(error: &anyhow::Error) -> Option<&Refused> {
    error.downcast_ref()
}

/// Whether the node says that there is no such thing.
pub(crate) fn is_not_found(error: &anyhow::Error) -> bool {
    refusal(error).is_some_and(|refused| refused.status == 404)
}

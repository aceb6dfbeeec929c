use std::{
    collections::BTreeMap,
    fmt, fs, io,
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use hedgerow_chain::{Genesis, Seat};
use hedgerow_gateway::GatewayConfig;
use serde::{Deserialize, Serialize};

/// The configuration of one member's node: what is this machine's own affair. What all members must agree on is in the
/// genesis.
///
/// Relative paths are relative to the folder of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The network's genesis; all members have the same one.
    pub genesis: PathBuf,
    /// This member's key file; it says which member this is.
    pub key: PathBuf,
    /// The folder of everything that the node stores.
    pub data: PathBuf,
    /// Where the other members reach this one.
    pub listen: SocketAddr,
    /// Where this node reaches the other members, by their names in the genesis.
    #[serde(default)]
    pub peers: BTreeMap<String, Address>,
    /// Present in a validator's config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator: Option<ValidatorConfig>,
    /// Present in a gateway's config: what `hedgerow-gateway` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayConfig>,
    /// A gateway's server of Ethereum's JSON-RPC; there is none without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc: Option<RpcConfig>,
    /// How the node stores.
    #[serde(default)]
    pub storage: StorageConfig,
    /// When the node loses patience.
    #[serde(default)]
    pub ordering: OrderingConfig,
    /// What the node says about itself.
    #[serde(default)]
    pub log: LogConfig,
}

/// What a validator's config says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorConfig {
    /// Where operators read `/status`, `/health` and `/metrics`. It has no access control: keep it on a loopback or
    /// management address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
}

/// How the node stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageConfig {
    /// When something counts as stored.
    #[serde(default)]
    pub durability: Durability,
}

/// When something counts as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// When the disk says that it has it: a vote survives a power cut.
    #[default]
    Fsync,
    /// At once. For measurements: a validator that loses what it has said may harm the whole network.
    None,
}

/// When the node loses patience. Bounded so that the first block after a repair comes within ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrderingConfig {
    /// How long a validator waits for a request that it knows of to be executed, before it asks for another primary.
    pub request_timeout_ms: u64,
    /// The time-out doubles with every view that brings nothing, up to this.
    pub max_timeout_ms: u64,
    /// How long a gateway waits for a reply before it sends the request again, to all validators.
    pub retransmit_ms: u64,
}

impl Default for OrderingConfig {
    fn default() -> Self {
        Self {
            request_timeout_ms: 1000,
            max_timeout_ms: 4000,
            retransmit_ms: 500,
        }
    }
}

impl OrderingConfig {
    /// [`OrderingConfig::request_timeout_ms`] as a duration.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// [`OrderingConfig::max_timeout_ms`] as a duration.
    #[must_use]
    pub const fn max_timeout(&self) -> Duration {
        Duration::from_millis(self.max_timeout_ms)
    }

    /// [`OrderingConfig::retransmit_ms`] as a duration.
    #[must_use]
    pub const fn retransmit(&self) -> Duration {
        Duration::from_millis(self.retransmit_ms)
    }
}

/// What the node says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// What to log, as `tracing-subscriber` filters are written: `info`, `debug`, `info,hedgerow_gateway=debug`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".into(),
            format: LogFormat::Text,
        }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `HOST:PORT`; the host is a name or an IP address (IPv6 in brackets). Names are looked up when they are dialled.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

impl Address {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The addresses that it stands for now. Blocks while a name is looked up.
    ///
    /// # Errors
    /// When the name can't be looked up, or has no address.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<_> = self.0.to_socket_addrs()?.collect();
        if found.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{self} has no address"),
            ));
        }
        Ok(found)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not HOST:PORT, such as \"127.0.0.1:7001\"");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let named = |name: &str| !name.is_empty() && !name.contains([':', '/', ' ', '[', ']', '@']);
        let good_host = bare.map_or_else(
            || named(host),
            |address| address.parse::<std::net::Ipv6Addr>().is_ok(),
        );
        if !good_host
            || port.parse::<u16>().is_ok_and(|port| port == 0)
            || port.parse::<u16>().is_err()
        {
            return Err(wrong());
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a config can't be used. Each names the file or the key, and the mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: can't read the config: {source}; `--config` must name the file that `hedgerow init` wrote for this member", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Not TOML, a key that is missing or unknown, or a value of the wrong kind.
    #[error("{}: {source}", file.display())]
    Toml {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// A value that is not allowed.
    #[error("{key}: {problem}; {mend}")]
    Value {
        /// The key, such as `peers.carol`.
        key: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        mend: String,
    },
}

fn wrong<T>(
    key: impl Into<String>,
    problem: impl Into<String>,
    mend: impl Into<String>,
) -> Result<T, ConfigError> {
    Err(ConfigError::Value {
        key: key.into(),
        problem: problem.into(),
        mend: mend.into(),
    })
}

impl NodeConfig {
    /// Reads and checks a config; paths come back relative to the current folder, or absolute.
    ///
    /// # Errors
    /// When it can't be read, is not TOML, has a key missing or unknown, or a value that is not allowed.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(file).map_err(|source| ConfigError::Read {
            file: file.into(),
            source,
        })?;
        let mut config: Self = toml::from_str(&text).map_err(|source| ConfigError::Toml {
            file: file.into(),
            source: Box::new(source),
        })?;
        config.validate()?;
        config.resolve(file.parent().unwrap_or_else(|| Path::new("")));
        Ok(config)
    }

    /// The config as TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Tables of strings, integers and paths that came from UTF-8 always have a TOML form.
        toml::to_string(self).unwrap_or_default()
    }

    fn resolve(&mut self, folder: &Path) {
        let mut paths = vec![&mut self.genesis, &mut self.key, &mut self.data];
        if let Some(gateway) = &mut self.gateway {
            for tls in [&mut gateway.mqtt.tls, &mut gateway.http.tls]
                .into_iter()
                .flatten()
            {
                paths.push(&mut tls.certificate);
                paths.push(&mut tls.key);
                paths.extend(tls.client_ca.as_mut());
            }
        }
        for path in paths {
            *path = folder.join(&*path);
        }
    }

    /// Checks every value that can be judged without the genesis.
    ///
    /// # Errors
    /// Names the first value that is not allowed, and the mend.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (key, path) in [
            ("genesis", &self.genesis),
            ("key", &self.key),
            ("data", &self.data),
        ] {
            if path.as_os_str().is_empty() {
                return wrong(key, "it is empty", "name a file or folder");
            }
        }
        if self.validator.is_none() && self.gateway.is_none() {
            return wrong(
                "validator",
                "neither [validator] nor [gateway] is there",
                "add the section of what this member is",
            );
        }
        self.validate_listeners()?;
        let OrderingConfig {
            request_timeout_ms,
            max_timeout_ms,
            retransmit_ms,
        } = self.ordering;
        for (key, value, least, most) in [
            ("ordering.request_timeout_ms", request_timeout_ms, 50, 5_000),
            (
                "ordering.max_timeout_ms",
                max_timeout_ms,
                request_timeout_ms,
                8_000,
            ),
            ("ordering.retransmit_ms", retransmit_ms, 50, 10_000),
        ] {
            if !(least..=most).contains(&value) {
                return wrong(
                    key,
                    format!("{value} ms is out of range"),
                    format!(
                        "use {least} to {most}: with more, the network would not recover within 10 s"
                    ),
                );
            }
        }
        if let Some(Err(error)) = self.gateway.as_ref().map(GatewayConfig::validate) {
            return wrong(format!("gateway.{}", error.key), error.problem, error.mend);
        }
        if self.log.filter.trim().is_empty() {
            return wrong(
                "log.filter",
                "it is empty",
                "use \"info\", or \"off\" for silence",
            );
        }
        Ok(())
    }

    /// Where the node's HTTP interface is.
    #[must_use]
    pub fn http(&self) -> Option<SocketAddr> {
        let gateway = self
            .gateway
            .as_ref()
            .and_then(|gateway| gateway.http.listen);
        self.validator
            .as_ref()
            .and_then(|validator| validator.http)
            .or(gateway)
    }

    /// Where the node's MQTT broker without TLS is.
    #[must_use]
    pub fn mqtt(&self) -> Option<SocketAddr> {
        self.gateway
            .as_ref()
            .and_then(|gateway| gateway.mqtt.listen)
    }

    /// Every socket that the node opens, with its key.
    fn listeners(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let gateway = self.gateway.as_ref();
        let all = [
            ("listen", Some(self.listen)),
            (
                "validator.http",
                self.validator.as_ref().and_then(|v| v.http),
            ),
            ("rpc.listen", self.rpc.map(|rpc| rpc.listen)),
            ("gateway.http.listen", gateway.and_then(|g| g.http.listen)),
            ("gateway.mqtt.listen", gateway.and_then(|g| g.mqtt.listen)),
            (
                "gateway.mqtt.listen_tls",
                gateway.and_then(|g| g.mqtt.listen_tls),
            ),
        ];
        all.into_iter()
            .filter_map(|(key, address)| address.map(|address| (key, address)))
    }

    fn validate_listeners(&self) -> Result<(), ConfigError> {
        let mut seen: Vec<(&str, SocketAddr)> = Vec::new();
        for (key, address) in self.listeners() {
            if address.port() == 0 {
                return wrong(
                    key,
                    "port 0 would be another one at each start",
                    "name a port",
                );
            }
            let clash = seen.iter().find(|(_, other)| {
                other.port() == address.port()
                    && (other.ip() == address.ip()
                        || other.ip().is_unspecified()
                        || address.ip().is_unspecified())
            });
            if let Some((other, _)) = clash {
                return wrong(
                    key,
                    format!("{address} is taken by `{other}`"),
                    "give each its own port",
                );
            }
            seen.push((key, address));
        }
        Ok(())
    }

    /// Checks what the genesis decides: that the section of this member's seat is there, and that every validator
    /// can be reached. `name` is this member's.
    ///
    /// # Errors
    /// Names the first key that does not fit the genesis, and the mend.
    pub fn validate_for(
        &self,
        genesis: &Genesis,
        name: &str,
        seat: Seat,
    ) -> Result<(), ConfigError> {
        match seat {
            Seat::Validator if self.validator.is_none() => {
                return wrong(
                    "validator",
                    format!("the genesis has \"{name}\" as a validator"),
                    "add a section [validator]",
                );
            }
            Seat::Gateway if self.gateway.is_none() => {
                return wrong(
                    "gateway",
                    format!("the genesis has \"{name}\" as a gateway"),
                    "add a section [gateway.http] with `listen = \"HOST:PORT\"`",
                );
            }
            Seat::Gateway if self.validator.is_some() => {
                return wrong(
                    "validator",
                    format!("the genesis has \"{name}\" as a gateway only"),
                    "remove the section [validator], or use the key file of a validator",
                );
            }
            Seat::Validator if self.rpc.is_some() => {
                return wrong(
                    "rpc",
                    format!(
                        "the genesis has \"{name}\" as a validator, which takes no transactions"
                    ),
                    "remove the section [rpc]; a gateway may have one",
                );
            }
            Seat::Validator if self.gateway.is_some() => {
                return wrong(
                    "gateway",
                    format!("the genesis has \"{name}\" as a validator only"),
                    "remove the section [gateway]; a gateway is a member of its own, with its own key and node",
                );
            }
            _ => {}
        }
        let known = |peer: &str| {
            genesis
                .validators
                .iter()
                .chain(&genesis.gateways)
                .any(|member| member.name == peer)
        };
        if let Some(stranger) = self.peers.keys().find(|peer| !known(peer)) {
            return wrong(
                format!("peers.{stranger}"),
                format!("network \"{}\" has no member of that name", genesis.name),
                "remove it, or write the name as in the genesis",
            );
        }
        let missing = genesis
            .validators
            .iter()
            .find(|member| member.name != name && !self.peers.contains_key(&member.name));
        if let Some(missing) = missing {
            return wrong(
                format!("peers.{}", missing.name),
                "missing address",
                format!(
                    "add `{} = \"HOST:PORT\"` to [peers]: where this validator listens",
                    toml_key(&missing.name)
                ),
            );
        }
        Ok(())
    }
}

/// A name as a TOML key: bare where that is allowed.
fn toml_key(name: &str) -> String {
    if name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    {
        name.into()
    } else {
        format!("\"{name}\"")
    }
}

mod rpc;
#[cfg(test)]
mod tests;

pub use rpc::RpcConfig;

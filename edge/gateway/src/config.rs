use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::broker;

/// A value of the configuration that can't be used: the key, what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {problem}; {mend}")]
pub struct ConfigError {
    /// The key, with its section.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub mend: String,
}

impl ConfigError {
    pub(crate) fn new(
        key: impl Into<String>,
        problem: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
            mend: mend.into(),
        }
    }
}

/// Everything about the gateway that an operator chooses. Each section and key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// Where devices publish.
    pub mqtt: MqttConfig,
    /// Where tools and people ask.
    pub http: HttpConfig,
    /// Where transactions wait for the network.
    pub spool: SpoolConfig,
    /// How transactions go to the network.
    pub forward: ForwardConfig,
}

/// `[mqtt]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MqttConfig {
    /// The address for plain TCP; `"off"` turns it off.
    #[serde(with = "off")]
    pub listen: Option<SocketAddr>,
    /// The address for TLS; needs `tls`.
    pub listen_tls: Option<SocketAddr>,
    /// Keys and certificates for `listen_tls`.
    pub tls: Option<TlsConfig>,
    /// Whether a client certificate's key must be the key of the device whose records it brings and whose receipts it
    /// reads. Leave it off for concentrators that speak for many devices.
    pub client_is_device: bool,
    /// Network connections at a time.
    pub max_connections: usize,
    /// Sessions, connected or not.
    pub max_sessions: usize,
    /// Subscriptions of one session.
    pub max_subscriptions: usize,
    /// The largest packet in bytes.
    pub max_packet_bytes: u32,
    /// Unacknowledged messages that one client may have on the way to us.
    pub receive_maximum: u16,
    /// Unacknowledged messages that we have on the way to one client.
    pub max_in_flight: u16,
    /// Messages that wait for one client.
    pub max_queued_messages: usize,
    /// Bytes that wait for all clients together.
    pub max_queued_bytes: usize,
    /// Retained messages.
    pub max_retained_messages: usize,
    /// Bytes of retained messages.
    pub max_retained_bytes: usize,
    /// Topic aliases in each direction.
    pub topic_alias_maximum: u16,
    /// The longest that a session lives without a connection, in seconds.
    pub max_session_expiry_s: u32,
    /// The longest keep-alive that MQTT 5 clients may use, in seconds; none leaves it to them.
    pub max_keep_alive_s: Option<u16>,
    /// How long a connection may wait before its CONNECT (and its TLS handshake), in seconds.
    pub connect_timeout_s: u32,
}

impl Default for MqttConfig {
    fn default() -> Self {
        let limits = broker::Limits::default();
        Self {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 1883))),
            listen_tls: None,
            tls: None,
            client_is_device: false,
            max_connections: limits.connections,
            max_sessions: limits.sessions,
            max_subscriptions: limits.subscriptions_per_session,
            // A whole record and its topic fit.
            max_packet_bytes: (1 << 20) + (1 << 16),
            receive_maximum: limits.receive_maximum,
            max_in_flight: limits.in_flight,
            max_queued_messages: limits.queued_messages,
            max_queued_bytes: limits.queued_bytes_total,
            max_retained_messages: limits.retained_messages,
            max_retained_bytes: limits.retained_bytes,
            topic_alias_maximum: limits.topic_aliases,
            max_session_expiry_s: 7 * 24 * 3600,
            max_keep_alive_s: None,
            connect_timeout_s: 10,
        }
    }
}

/// `[mqtt.tls]`, `[http.tls]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the server's certificate, and the ones between it and its root.
    pub certificate: PathBuf,
    /// PEM file with the certificate's private key.
    pub key: PathBuf,
    /// PEM file with the authorities whose client certificates are taken; none asks for no certificate.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is refused.
    #[serde(default)]
    pub require_client_certificate: bool,
}

/// An address, or the word `off`: TOML has no way to write "none".
mod off {
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        address: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match address {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str("off"),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(None);
        }
        let wrong = || D::Error::custom(format!("\"{text}\" is neither IP:PORT nor \"off\""));
        text.parse().map(Some).map_err(|_| wrong())
    }
}

/// `[http]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// The address; `"off"` turns HTTP off.
    #[serde(with = "off")]
    pub listen: Option<SocketAddr>,
    /// Keys and certificates; with them the address speaks HTTPS only.
    pub tls: Option<TlsConfig>,
    /// Connections at a time; more wait.
    pub max_connections: usize,
    /// How long a request may take before its answer begins, in seconds.
    pub request_timeout_s: u32,
    /// How long `?wait=final` waits, in seconds; less than `request_timeout_s`.
    pub final_timeout_s: u32,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 8080))),
            tls: None,
            max_connections: 1024,
            request_timeout_s: 60,
            final_timeout_s: 30,
        }
    }
}

/// `[spool]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// The folder; relative to the node's data folder.
    pub dir: PathBuf,
    /// Bytes that may wait for the network, on disk and in memory. At the bound the gateway pushes back.
    pub budget_bytes: u64,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            dir: "spool".into(),
            budget_bytes: 64 << 20,
        }
    }
}

/// `[forward]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardConfig {
    /// Requests on their way to the network at a time.
    pub max_in_flight: usize,
    /// Transactions of one request.
    pub max_bundle_transactions: usize,
    /// Bytes of one request; a larger transaction goes alone.
    pub max_bundle_bytes: usize,
    /// Whether devices that listen on their topic get the proof with the receipt.
    pub proofs: bool,
    /// How long a receipt waits for its proof, in seconds.
    pub proof_timeout_s: u32,
}

impl Default for ForwardConfig {
    fn default() -> Self {
        Self {
            max_in_flight: 8,
            max_bundle_transactions: 512,
            max_bundle_bytes: 512 << 10,
            proofs: true,
            proof_timeout_s: 10,
        }
    }
}

impl GatewayConfig {
    /// Checks every value that does not need the disk.
    ///
    /// # Errors
    /// Names the first key that can't be used, and what to do.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self {
            mqtt,
            http,
            spool,
            forward,
        } = self;
        if mqtt.listen.is_none() && mqtt.listen_tls.is_none() && http.listen.is_none() {
            let mend = "give `mqtt.listen`, `mqtt.listen_tls` or `http.listen` an address";
            return Err(ConfigError::new(
                "mqtt.listen",
                "the gateway listens nowhere",
                mend,
            ));
        }
        if mqtt.listen_tls.is_some() && mqtt.tls.is_none() {
            let mend = "add the section [mqtt.tls] with `certificate` and `key`, or leave out `mqtt.listen_tls`";
            return Err(ConfigError::new(
                "mqtt.listen_tls",
                "there is no certificate for it",
                mend,
            ));
        }
        for (key, tls) in [("mqtt.tls", &mqtt.tls), ("http.tls", &http.tls)] {
            if let Some(tls) = tls
                && tls.require_client_certificate
                && tls.client_ca.is_none()
            {
                let mend = "name the authorities in `client_ca`, or do not require certificates";
                let key = format!("{key}.require_client_certificate");
                return Err(ConfigError::new(
                    key,
                    "no authority for client certificates is named",
                    mend,
                ));
            }
        }
        if mqtt.client_is_device
            && !mqtt
                .tls
                .as_ref()
                .is_some_and(|tls| tls.require_client_certificate)
        {
            let mend = "set `mqtt.tls.require_client_certificate = true`, or leave it off";
            return Err(ConfigError::new(
                "mqtt.client_is_device",
                "clients need no certificate",
                mend,
            ));
        }
        if mqtt.client_is_device && mqtt.listen.is_some() {
            let mend = "leave out `mqtt.listen` and use `mqtt.listen_tls`";
            return Err(ConfigError::new(
                "mqtt.listen",
                "clients without TLS have no certificate",
                mend,
            ));
        }
        let counts = [
            (
                "mqtt.max_connections",
                mqtt.max_connections as u64,
                1,
                1 << 20,
            ),
            (
                "mqtt.max_sessions",
                mqtt.max_sessions as u64,
                mqtt.max_connections as u64,
                1 << 24,
            ),
            (
                "mqtt.max_subscriptions",
                mqtt.max_subscriptions as u64,
                1,
                1 << 16,
            ),
            (
                "mqtt.max_packet_bytes",
                u64::from(mqtt.max_packet_bytes),
                1024,
                268_435_460,
            ),
            (
                "mqtt.receive_maximum",
                u64::from(mqtt.receive_maximum),
                1,
                65_535,
            ),
            ("mqtt.max_in_flight", u64::from(mqtt.max_in_flight), 1, 8192),
            (
                "mqtt.max_queued_messages",
                mqtt.max_queued_messages as u64,
                1,
                1 << 24,
            ),
            (
                "mqtt.max_queued_bytes",
                mqtt.max_queued_bytes as u64,
                1024,
                1 << 40,
            ),
            (
                "mqtt.max_retained_bytes",
                mqtt.max_retained_bytes as u64,
                1,
                1 << 40,
            ),
            (
                "mqtt.max_retained_messages",
                mqtt.max_retained_messages as u64,
                1,
                1 << 24,
            ),
            (
                "mqtt.connect_timeout_s",
                u64::from(mqtt.connect_timeout_s),
                1,
                3600,
            ),
            (
                "http.max_connections",
                http.max_connections as u64,
                1,
                1 << 20,
            ),
            (
                "http.request_timeout_s",
                u64::from(http.request_timeout_s),
                1,
                3600,
            ),
            (
                "http.final_timeout_s",
                u64::from(http.final_timeout_s),
                1,
                u64::from(http.request_timeout_s),
            ),
            ("spool.budget_bytes", spool.budget_bytes, 2 << 20, 1 << 40),
            (
                "forward.max_in_flight",
                forward.max_in_flight as u64,
                1,
                1024,
            ),
            (
                "forward.max_bundle_transactions",
                forward.max_bundle_transactions as u64,
                1,
                1024,
            ),
            (
                "forward.max_bundle_bytes",
                forward.max_bundle_bytes as u64,
                1,
                1 << 20,
            ),
            (
                "forward.proof_timeout_s",
                u64::from(forward.proof_timeout_s),
                1,
                600,
            ),
        ];
        for (key, value, least, greatest) in counts {
            if !(least..=greatest).contains(&value) {
                return Err(ConfigError::new(
                    key,
                    format!("{value} is out of bounds"),
                    format!("use {least} to {greatest}"),
                ));
            }
        }
        if let Some(0) = mqtt.max_keep_alive_s {
            let mend = "use 1 to 65535 seconds, or leave it out for no bound";
            return Err(ConfigError::new(
                "mqtt.max_keep_alive_s",
                "0 would turn keep-alive off",
                mend,
            ));
        }
        Ok(())
    }
}

impl MqttConfig {
    pub(crate) fn limits(&self) -> broker::Limits {
        broker::Limits {
            connections: self.max_connections,
            sessions: self.max_sessions,
            subscriptions_per_session: self.max_subscriptions,
            queued_messages: self.max_queued_messages,
            queued_bytes_total: self.max_queued_bytes,
            in_flight: self.max_in_flight,
            retained_messages: self.max_retained_messages,
            retained_bytes: self.max_retained_bytes,
            receive_maximum: self.receive_maximum,
            packet_bytes: self.max_packet_bytes,
            topic_aliases: self.topic_alias_maximum,
            session_expiry_max: Duration::from_secs(u64::from(self.max_session_expiry_s)),
            keep_alive_max: self.max_keep_alive_s,
            connect_timeout: Duration::from_secs(u64::from(self.connect_timeout_s)),
            ..broker::Limits::default()
        }
    }
}

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use hedgerow_journal::JournalError;
use hedgerow_records::Transaction;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::Instant};

use crate::{
    ConfigError, GatewayConfig, HttpConfig, MetricsText, Network,
    door::Door,
    forwarder::{Forwarder, Pace},
    http::{self, HttpState},
    mqtt::{self, MqttHandle},
    outcome::Outcomes,
    spool::{Spool, SpoolThread},
    tls,
};

/// Transactions whose outcome is remembered for questions about them.
const OUTCOMES: usize = 65_536;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A value of the configuration can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The spool can't be opened.
    #[error("the spool: {0}")]
    Spool(#[from] JournalError),
}

/// Where a gateway listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// MQTT over TCP.
    pub mqtt: Option<SocketAddr>,
    /// MQTT over TLS.
    pub mqtt_tls: Option<SocketAddr>,
    /// HTTP, or HTTPS where that is configured.
    pub http: Option<SocketAddr>,
    /// Ethereum's JSON-RPC, where the node has that.
    pub rpc: Option<SocketAddr>,
}

/// Tells whoever awaits [`Gateway::failed`] when a task ends that must not: by a panic, that is.
pub(crate) struct Alarm {
    pub(crate) spool: Spool,
    pub(crate) what: &'static str,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.spool.fail(self.what);
    }
}

/// A running gateway. Dropping it stops it at once; [`Gateway::shutdown`] says good-bye first.
pub struct Gateway {
    addresses: Addresses,
    spool: Spool,
    thread: SpoolThread,
    mqtt: Option<MqttHandle>,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
    workers: JoinSet<()>,
}

impl Gateway {
    /// Opens the spool under `data`, binds the addresses and starts. What an earlier run left in the spool is
    /// forwarded first. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the configuration can't be used or the spool can't be opened.
    pub async fn start(
        config: &GatewayConfig,
        data: &Path,
        network: Arc<dyn Network>,
        metrics: Option<MetricsText>,
    ) -> Result<Self, StartError> {
        config.validate()?;
        let (spool, thread) = Spool::open(data.join(&config.spool.dir), config.spool.budget_bytes)?;
        let outcomes = Arc::new(Outcomes::new(OUTCOMES));
        for waiting in spool.ready() {
            outcomes.accepted(Transaction::digest(&waiting.transaction));
        }
        let door = Door::new(spool.clone(), outcomes.clone(), network.status().network);
        let (stop, stopped) = watch::channel(false);
        let (mut servers, mut workers) = (JoinSet::new(), JoinSet::new());
        let mut addresses = Addresses::default();

        let mut mqtt = None;
        if config.mqtt.listen.is_some() || config.mqtt.listen_tls.is_some() {
            let (handle, [plain, encrypted]) =
                mqtt::start(&config.mqtt, door.clone(), &mut workers).await?;
            (addresses.mqtt, addresses.mqtt_tls) = (plain, encrypted);
            mqtt = Some(handle);
        }
        if config.http.listen.is_some() {
            let state = HttpState {
                door: Some(door),
                mqtt: mqtt.clone(),
                ..HttpState::without_door(network.clone(), &config.http, metrics)
            };
            addresses.http = start_http(&config.http, state, stopped, &mut servers).await?;
        }
        let pace = Pace {
            in_flight: config.forward.max_in_flight,
            bundle_transactions: config.forward.max_bundle_transactions,
            bundle_bytes: config.forward.max_bundle_bytes,
            proof_wait: Duration::from_secs(u64::from(config.forward.proof_timeout_s)),
            proofs: config.forward.proofs,
        };
        let forwarder = Arc::new(Forwarder::new(
            network,
            spool.clone(),
            outcomes,
            mqtt.clone(),
            pace,
        ));
        let alarm = Alarm {
            spool: spool.clone(),
            what: "the forwarder has ended",
        };
        workers.spawn(async move {
            let _alarm = alarm;
            forwarder.run().await;
        });
        Ok(Self {
            addresses,
            spool,
            thread,
            mqtt,
            stop,
            servers,
            workers,
        })
    }

    /// Where it listens: the ports that were bound where the configuration says 0.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Resolves, with the reason, when the disk of the spool fails or a task dies: the node must then stop.
    pub async fn failed(&self) -> String {
        self.spool.failed().await
    }

    /// Transactions that are not yet final, and the bytes they take of the budget.
    #[must_use]
    pub fn backlog(&self) -> (usize, u64) {
        (self.spool.backlog(), self.spool.usage().0)
    }

    /// Takes nothing new, tells MQTT clients, finishes HTTP requests and closes the spool. What has not become final
    /// is forwarded after the next start.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(mqtt) = &self.mqtt {
            mqtt.shut_down().await;
        }
        let deadline = Instant::now() + Duration::from_secs(6);
        while let Ok(Some(_)) = tokio::time::timeout_at(deadline, self.servers.join_next()).await {}
        // The sockets' writers get a moment for the last packets.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.workers.shutdown().await;
        self.servers.shutdown().await;
        let thread = self.thread;
        let _ = tokio::task::spawn_blocking(move || thread.stop()).await;
    }
}

async fn start_http(
    config: &HttpConfig,
    state: HttpState,
    stopped: watch::Receiver<bool>,
    servers: &mut JoinSet<()>,
) -> Result<Option<SocketAddr>, StartError> {
    let Some(address) = config.listen else {
        return Ok(None);
    };
    let acceptor = config
        .tls
        .as_ref()
        .map(|config| tls::acceptor("http.tls", config))
        .transpose()?;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let mend = "choose a free address of this machine";
        ConfigError::new("http.listen", format!("{address}: {error}"), mend)
    })?;
    let bound = listener.local_addr().ok();
    servers.spawn(http::serve(
        listener,
        acceptor,
        http::router(state),
        config.max_connections,
        stopped,
    ));
    Ok(bound)
}

/// The HTTP routes alone, for nodes that take no records.
pub struct HttpOnly {
    address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
}

impl HttpOnly {
    /// Binds the address and serves what can be asked; posting is refused with a hint.
    ///
    /// # Errors
    /// When the address or the certificate can't be used.
    pub async fn start(
        config: &HttpConfig,
        network: Arc<dyn Network>,
        metrics: Option<MetricsText>,
    ) -> Result<Self, StartError> {
        let (stop, stopped) = watch::channel(false);
        let mut servers = JoinSet::new();
        let state = HttpState::without_door(network, config, metrics);
        let address = start_http(config, state, stopped, &mut servers).await?;
        Ok(Self {
            address,
            stop,
            servers,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Finishes the requests under way.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.servers.join_next().await.is_some() {}
    }
}

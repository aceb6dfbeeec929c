use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use hedgerow_base::NodeId;
use hedgerow_chain::{Genesis, GenesisError, Ledger, OpenError, Seat};
use hedgerow_driver::{Clock, DriverError};
use hedgerow_gateway::{
    Addresses, Gateway, HttpConfig, HttpOnly, MetricsText, Network, StartError,
};
use hedgerow_journal::Durability as LogDurability;
use hedgerow_kv::StoreError;
use hedgerow_rpc::{Rpc, Terms};
use hedgerow_store::{DiskStore, StoreOptions};
use hedgerow_transport::{
    Limits, MemberAddress, Routes, Transport, TransportConfig, TransportError,
};
use tokio::sync::watch;

use crate::{
    ConfigError, Durability, KeyFileError, NodeConfig, SecretKeys,
    executor::{Executor, Shared},
    invocations::Invocations,
    link::{self, LinkError, LinkHandle, LinkInbox, LinkParts},
    metrics,
    network::{Member, SeatState},
    ordering::{
        self, Agreed, Consensus, Inbox, OrderingError, Role, Running, Setup, UnknownConsensus,
    },
};

/// Why a node does not start, or has stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The config can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The key file can't be used.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The genesis file can't be read.
    #[error("{}: can't read the genesis: {source}; copy the file that `hedgerow init` wrote, the same for all members", file.display())]
    ReadGenesis {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The genesis is not valid.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The genesis names a protocol that this version does not have.
    #[error("genesis: ordering.consensus: {0}")]
    Consensus(#[from] UnknownConsensus),
    /// The data folder can't be made.
    #[error("{}: can't make the data folder: {source}", dir.display())]
    Data {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The ledger's store has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger can't be opened.
    #[error("the ledger: {0}")]
    Ledger(#[from] OpenError),
    /// No sessions with other members.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The ordering protocol does not start.
    #[error(transparent)]
    Ordering(#[from] OrderingError),
    /// The gateway or the HTTP interface does not start.
    #[error(transparent)]
    Door(#[from] StartError),
    /// The JSON-RPC server does not start.
    #[error("rpc.listen = \"{listen}\": {source}; name another address, or stop what uses it")]
    Rpc {
        /// Where it should listen.
        listen: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Blocks can't be signed or certified any more.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The ordering protocol's participant has stopped.
    #[error(transparent)]
    Stopped(#[from] DriverError),
    /// The operating system gives no thread.
    #[error("can't start a thread: {0}")]
    Thread(std::io::Error),
}

/// What serves people and devices.
enum Door {
    Gateway(Gateway),
    Http(HttpOnly),
    None,
}

/// A running member of a network.
pub struct Node {
    name: String,
    addresses: Addresses,
    member: Arc<Member>,
    running: Running,
    link: LinkHandle,
    link_thread: JoinHandle<()>,
    transport: Transport,
    door: Door,
    rpc: Option<Rpc>,
    stopped: watch::Receiver<bool>,
    failure: Arc<Mutex<Option<LinkError>>>,
}

impl Node {
    /// Starts what the config says: a validator or a gateway. `metrics` is what `/metrics` shows. To be called within
    /// a Tokio runtime.
    ///
    /// # Errors
    /// Says what can't be used, and the mend.
    pub async fn start(
        config: &NodeConfig,
        metrics: Option<MetricsText>,
    ) -> Result<Self, NodeError> {
        let keys = SecretKeys::read(&config.key)?;
        let genesis = Arc::new(read_genesis(&config.genesis)?);
        let (me, seat) = keys.member(&genesis)?;
        let name = genesis
            .member(me)
            .map(|(_, member)| member.name.clone())
            .unwrap_or_default();
        config.validate_for(&genesis, &name, seat)?;
        let consensus: Consensus = genesis.ordering.consensus.parse()?;
        let keyring = Arc::new(keys.keyring(&genesis)?);
        fs::create_dir_all(&config.data).map_err(|source| NodeError::Data {
            dir: config.data.clone(),
            source,
        })?;
        let ledger = match seat {
            Seat::Validator => Some(open_ledger(config, &genesis)?),
            Seat::Gateway => None,
        };
        // A ledger has read it from its store: making the genesis block takes as long as that is large.
        let trust = match &ledger {
            Some(ledger) => ledger.lock().trust_root().clone(),
            None => genesis.trust_root()?,
        };

        let mut routes = Routes::default();
        let inbox = Inbox::open(&mut routes);
        let link_inbox = LinkInbox::open(&mut routes);
        let transport = Transport::start(transport_config(config, &genesis, me, &keys), routes)?;
        let failure = Arc::new(Mutex::new(None));
        let (stop, stopped) = watch::channel(false);
        let stop = Arc::new(stop);
        let (link, link_thread) = link::start(
            LinkParts {
                me,
                members: (0..genesis.members() as u32).map(NodeId).collect(),
                trust: trust.clone(),
                validator: ledger.clone().map(|ledger| (keys.signing(), ledger)),
                transport: transport.clone(),
                inbox: link_inbox,
                clock: Clock::new(),
            },
            {
                let (failure, stop) = (failure.clone(), stop.clone());
                move |error| {
                    tracing::error!("{error}");
                    failure
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .get_or_insert(error);
                    stop.send_replace(true);
                }
            },
        )
        .map_err(NodeError::Thread)?;

        let invocations = Invocations::default();
        let (host, role): (Box<dyn ordering::Host>, Role) = match &ledger {
            Some(ledger) => {
                let head = ledger.lock().head();
                let link = link.clone();
                let told = move |blocks| link.executed(blocks);
                (
                    Box::new(Executor::new(ledger.clone(), told)),
                    Role::Replica {
                        executed: head.slot,
                        state: head.hash,
                    },
                )
            }
            None => (Box::new(invocations.clone()), Role::Client),
        };
        let setup = Setup {
            keyring,
            role,
            host,
            log: Some(config.data.join("journal")),
            durability: match config.storage.durability {
                Durability::Fsync => LogDurability::Group,
                Durability::None => LogDurability::Volatile,
            },
            transport: transport.clone(),
            inbox,
            agreed: Agreed {
                first: consensus,
                checkpoint_interval: genesis.ordering.checkpoint_interval,
            },
            timeouts: config.ordering,
        };
        let running = ordering::start(setup, move || {
            stop.send_replace(true);
        })?;
        let member = Arc::new(Member {
            me,
            name: name.clone(),
            genesis,
            trust,
            transport: transport.clone(),
            participant: running.participant.clone(),
            link: link.clone(),
            seat: match ledger {
                Some(ledger) => SeatState::Validator(ledger),
                None => SeatState::Gateway(invocations),
            },
        });
        let metrics = metrics.map(|text| metrics::with_node(text, member.clone()));
        let (door, mut addresses) = open_door(config, &member, metrics).await?;
        let rpc = start_rpc(config, &member).await?;
        addresses.rpc = rpc.as_ref().map(Rpc::address);
        Ok(Self {
            name,
            addresses,
            member,
            running,
            link,
            link_thread,
            transport,
            door,
            rpc,
            stopped,
            failure,
        })
    }

    /// The member's name in the genesis.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens for people and devices.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The network as this node takes part in it.
    #[must_use]
    pub fn network(&self) -> Arc<dyn Network> {
        self.member.clone()
    }

    /// How many bytes it has put on its sessions with other members, before TLS.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.transport
            .status()
            .iter()
            .map(|session| session.sent_bytes)
            .sum()
    }

    /// Returns when the node has stopped by itself: something failed, and [`Node::shutdown`] says what.
    pub async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        // An error says that whoever could tell is gone, which is the same.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    /// Says good-bye to devices, lets the participant finish what it has begun, ends the sessions.
    ///
    /// # Errors
    /// What had failed, if the node has stopped by itself.
    pub async fn shutdown(self) -> Result<(), NodeError> {
        if let SeatState::Gateway(invocations) = &self.member.seat {
            invocations.close();
        }
        if let Some(rpc) = self.rpc {
            rpc.shutdown().await;
        }
        match self.door {
            Door::Gateway(gateway) => gateway.shutdown().await,
            Door::Http(http) => http.shutdown().await,
            Door::None => {}
        }
        self.running.participant.stop();
        let (running, link, link_thread, transport) =
            (self.running, self.link, self.link_thread, self.transport);
        let ended = tokio::task::spawn_blocking(move || {
            let ended = running.join();
            link.stop();
            if link_thread.join().is_err() {
                tracing::error!("the link thread panicked");
            }
            transport.shutdown();
            ended
        });
        let ended = ended.await.unwrap_or(Ok(()));
        if let SeatState::Validator(ledger) = &self.member.seat {
            ledger.lock().sync()?;
        }
        if let Some(error) = self
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            return Err(error.into());
        }
        ended.map_err(NodeError::from)
    }
}

/// Reads and checks a genesis file.
///
/// # Errors
/// When it can't be read or is not valid.
pub fn read_genesis(file: &Path) -> Result<Genesis, NodeError> {
    let text = fs::read_to_string(file).map_err(|source| NodeError::ReadGenesis {
        file: file.into(),
        source,
    })?;
    Ok(Genesis::from_json(&text)?)
}

fn open_ledger(
    config: &NodeConfig,
    genesis: &Arc<Genesis>,
) -> Result<Shared<DiskStore>, NodeError> {
    let options = StoreOptions {
        durable: config.storage.durability == Durability::Fsync,
        ..StoreOptions::default()
    };
    let store = DiskStore::open(config.data.join("ledger"), options)?;
    Ok(Shared::new(Ledger::open(store, Arc::clone(genesis))?))
}

fn transport_config(
    config: &NodeConfig,
    genesis: &Genesis,
    me: NodeId,
    keys: &SecretKeys,
) -> TransportConfig {
    let members = genesis.validators.iter().chain(&genesis.gateways);
    let members = (0..)
        .map(NodeId)
        .zip(members)
        .map(|(id, member)| MemberAddress {
            id,
            public_key: member.key,
            address: config
                .peers
                .get(&member.name)
                .map(|address| address.as_str().to_owned()),
        });
    TransportConfig {
        network: genesis.digest(),
        me,
        seed: keys.signing().seed(),
        members: members.collect(),
        listen: Some(config.listen),
        limits: Limits::default(),
    }
}

async fn start_rpc(config: &NodeConfig, member: &Arc<Member>) -> Result<Option<Rpc>, NodeError> {
    let Some(rpc) = &config.rpc else {
        return Ok(None);
    };
    let contracts = &member.genesis.contracts;
    let terms = Terms {
        chain: member.genesis.network,
        gas_price: contracts.gas_price,
        gas_limit: contracts.gas_limit,
    };
    let started = Rpc::start(member.clone(), terms, rpc.listen, rpc.limits()).await;
    let started = started.map_err(|source| NodeError::Rpc {
        listen: rpc.listen,
        source,
    })?;
    Ok(Some(started))
}

async fn open_door(
    config: &NodeConfig,
    member: &Arc<Member>,
    metrics: Option<MetricsText>,
) -> Result<(Door, Addresses), StartError> {
    let network: Arc<dyn Network> = member.clone();
    if let Some(gateway) = &config.gateway {
        let gateway = Gateway::start(gateway, &config.data, network, metrics).await?;
        let addresses = gateway.addresses();
        return Ok((Door::Gateway(gateway), addresses));
    }
    let Some(listen) = config
        .validator
        .as_ref()
        .and_then(|validator| validator.http)
    else {
        return Ok((Door::None, Addresses::default()));
    };
    let http = HttpConfig {
        listen: Some(listen),
        ..HttpConfig::default()
    };
    let http = HttpOnly::start(&http, network, metrics).await?;
    let addresses = Addresses {
        http: http.address(),
        ..Addresses::default()
    };
    Ok((Door::Http(http), addresses))
}

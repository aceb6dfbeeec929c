//! Signed records, executed by whole nodes: ordering, ledger, signatures of blocks. A record counts when its block is
//! final, that is when f + 1 validators have signed it. The devices have signed beforehand: their work is not the
//! network's. The gateway's door (MQTT, HTTP, spool) is not passed.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Instant, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_chain::{Genesis, Member, Ordering as GenesisOrdering};
use hedgerow_gateway::{GatewayConfig, HttpConfig, MqttConfig, Network, SubmitError};
use hedgerow_node::{
    LogConfig, Node, NodeConfig, OrderingConfig, SecretKeys, StorageConfig, ValidatorConfig,
};
use hedgerow_records::{Algorithm, Receipt, Transaction};
use hedgerow_signer::{DeviceKey, RecordBuilder, reading, register};

use crate::{
    Durability, Latencies, Options, Row,
    clock::{Totals, Window, measure},
    threads::Threads,
};

/// Records in a bundle, as many as a busy gateway puts in one.
pub(crate) const BUNDLE: usize = 64;
/// Devices; each has one stream.
const DEVICES: u64 = 20;
/// At most so many records per second are prepared.
const MOST: f64 = 25_000.0;

pub(crate) fn run(options: &Options, payload: usize, bundle: usize) -> Result<Row> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let folder = tempfile::tempdir().context("a folder for the members")?;
    let (genesis, configs, gateway_key) = make(options, folder.path())?;
    let mut nodes = Vec::new();
    for config in &configs {
        nodes.push(runtime.block_on(Node::start(config, None))?);
    }
    let network = nodes.last().context("no gateway")?.network();
    let seconds = options.duration.as_secs_f64() * 1.2 + 1.5;
    let prepared = prepare(&genesis, payload, (MOST * seconds) as u64)?;
    let registrations = prepared.keys.iter().zip(0..).map(|(key, n): (_, u64)| {
        let member = NodeId(options.replicas);
        let name = format!("device-{n}").parse()?;
        let transaction = register(
            genesis.network,
            name,
            *key.public_key(),
            None,
            member,
            &gateway_key,
        )?;
        Ok(Bytes::from(transaction.to_bytes()))
    });
    let registrations = registrations.collect::<Result<Vec<_>>>()?;
    let receipts = runtime.block_on(network.submit(registrations))?;
    ensure!(
        receipts
            .iter()
            .all(|receipt| matches!(receipt, Receipt::Registered { .. })),
        "a device was not registered: {receipts:?}"
    );

    let shared = Arc::new(Shared {
        records: prepared.records,
        next: AtomicUsize::new(0),
        completed: AtomicU64::new(0),
        latencies: Mutex::default(),
        window: Window::default(),
        failure: Mutex::default(),
    });
    let clients: Vec<_> = (0..options.clients)
        .map(|_| runtime.spawn(client(network.clone(), shared.clone(), bundle.max(1))))
        .collect();
    let totals = || Totals {
        completed: shared.completed.load(Ordering::Relaxed),
        batches: network.status().head_height,
        bytes: nodes.iter().map(Node::sent_bytes).sum(),
    };
    let latencies = || {
        shared
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    };
    // Nodes share the runtime's threads.
    let nobodys = Threads::default();
    let row = measure(options, &shared.window, &nobodys, totals, latencies, || {});
    clients.iter().for_each(tokio::task::JoinHandle::abort);
    if let Some(failure) = shared
        .failure
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
    {
        bail!("{failure}");
    }
    for node in nodes.into_iter().rev() {
        runtime.block_on(node.shutdown())?;
    }
    row
}

struct Shared {
    records: Vec<Bytes>,
    next: AtomicUsize,
    completed: AtomicU64,
    latencies: Mutex<Latencies>,
    window: Window,
    failure: Mutex<Option<String>>,
}

/// Sends bundle after bundle, each when the one before is final.
async fn client(network: Arc<dyn Network>, shared: Arc<Shared>, bundle: usize) {
    loop {
        let first = shared.next.fetch_add(bundle, Ordering::Relaxed);
        let Some(records) = shared.records.get(first..first + bundle) else {
            return;
        };
        let began = Instant::now();
        let receipts = loop {
            match network.submit(records.to_vec()).await {
                Ok(receipts) => break receipts,
                Err(SubmitError::Busy) => tokio::task::yield_now().await,
                Err(error) => return shared.fail(error.to_string()),
            }
        };
        let new = |receipt: &&Receipt| matches!(receipt, Receipt::Recorded { appended: 1, .. });
        if let Some(other) = receipts.iter().find(|receipt| !new(receipt)) {
            return shared.fail(format!("a record was not taken: {other:?}"));
        }
        shared
            .completed
            .fetch_add(receipts.len() as u64, Ordering::Relaxed);
        if shared.window.is_open() {
            let mut latencies = shared
                .latencies
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            latencies.add(began.elapsed());
        }
    }
}

impl Shared {
    fn fail(&self, why: String) {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(why);
    }
}

struct Prepared {
    keys: Vec<DeviceKey>,
    /// Encoded transactions.
    records: Vec<Bytes>,
}

/// Signs `count` records of one reading each, on all processors; they are the devices' in turn.
fn prepare(genesis: &Genesis, payload: usize, count: u64) -> Result<Prepared> {
    let keys = (0..DEVICES).map(|n| {
        let mut secret = [7; 32];
        secret[..8].copy_from_slice(&n.to_le_bytes());
        Ok(DeviceKey::from_bytes(Algorithm::Ed25519, &secret)?)
    });
    let keys = keys.collect::<Result<Vec<_>>>()?;
    let one = |n: u64| -> Result<Bytes> {
        let key = &keys[(n % DEVICES) as usize];
        let mut record = RecordBuilder::new(genesis.network, key.device_id(), "load".parse()?);
        let content = vec![n as u8; payload];
        record.push(reading(
            n / DEVICES,
            genesis.time + n,
            "application/octet-stream",
            &content,
        )?)?;
        let signed = hedgerow_records::SignedRecord::from_bytes(&record.sign(key)?)?;
        Ok(Transaction::Record(signed).to_bytes().into())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let share = count.div_ceil(threads);
    let parts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|part| {
                let one = &one;
                scope.spawn(move || {
                    (part * share..(part + 1) * share)
                        .map(one)
                        .collect::<Result<Vec<_>>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| bail!("signing panicked")))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(Prepared {
        keys,
        records: parts.concat(),
    })
}

/// Loopback addresses that are free now.
fn free_addresses(count: usize) -> Result<Vec<SocketAddr>> {
    let listeners = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)));
    let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
    Ok(listeners
        .iter()
        .map(TcpListener::local_addr)
        .collect::<Result<_, _>>()?)
}

/// Keys, genesis and configs of a network with one gateway, whose config comes last.
fn make(
    options: &Options,
    folder: &Path,
) -> Result<(Genesis, Vec<NodeConfig>, hedgerow_crypto::SigningKey)> {
    let count = options.replicas as usize + 1;
    let keys = (0..count)
        .map(|_| SecretKeys::generate())
        .collect::<Result<Vec<_>, _>>()?;
    let members: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(n, keys)| Member {
            name: format!("member-{n}"),
            key: keys.public().verifying.0,
            mac_key: keys.public().mac,
        })
        .collect();
    let (validators, gateways) = members.split_at(count - 1);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let genesis = Genesis {
        network: 4711,
        name: "bench".to_owned(),
        time: u64::try_from(now.as_millis())?,
        validators: validators.to_vec(),
        gateways: gateways.to_vec(),
        ordering: GenesisOrdering {
            consensus: options.protocol.clone(),
            checkpoint_interval: 128,
            options: Default::default(),
        },
        contracts: Default::default(),
        roles: Default::default(),
    };
    let genesis_file = folder.join("genesis.json");
    std::fs::write(&genesis_file, genesis.to_json())?;
    let (listen, http) = (free_addresses(count)?, free_addresses(1)?[0]);
    let mut configs = Vec::new();
    for (n, keys) in keys.iter().enumerate() {
        let key = folder.join(format!("key-{n}.json"));
        keys.write(&key)?;
        let gateway = n + 1 == count;
        let peers = members
            .iter()
            .zip(&listen)
            .enumerate()
            .filter(|(other, _)| *other != n);
        configs.push(NodeConfig {
            rpc: None,
            genesis: genesis_file.clone(),
            key,
            data: folder.join(format!("data-{n}")),
            listen: listen[n],
            peers: peers
                .map(|(_, (member, address))| (member.name.clone(), (*address).into()))
                .collect(),
            validator: (!gateway).then_some(ValidatorConfig { http: None }),
            gateway: gateway.then(|| GatewayConfig {
                mqtt: MqttConfig {
                    listen: None,
                    ..MqttConfig::default()
                },
                http: HttpConfig {
                    listen: Some(http),
                    ..HttpConfig::default()
                },
                ..GatewayConfig::default()
            }),
            storage: StorageConfig {
                durability: match options.durability {
                    Durability::Fsync => hedgerow_node::Durability::Fsync,
                    Durability::None => hedgerow_node::Durability::None,
                },
            },
            ordering: OrderingConfig::default(),
            log: LogConfig::default(),
        });
    }
    let gateway_key = keys.last().context("no gateway")?.signing();
    Ok((genesis, configs, gateway_key))
}

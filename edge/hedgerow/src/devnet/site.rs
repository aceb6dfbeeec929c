use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use hedgerow_chain::Genesis;
use hedgerow_node::{NodeConfig, read_genesis};
use serde::{Deserialize, Serialize};

use crate::{
    client::Client,
    network::{LAST_PORT, Plan},
};

/// Where the devnet keeps what it is about, beside the members' folders.
const NOTE: &str = "devnet.json";

/// What `devnet.json` says.
#[derive(Serialize, Deserialize)]
struct Note {
    gateway: String,
    mqtt: SocketAddr,
    #[serde(default)]
    rpc: Option<String>,
}

/// The URL of the gateway of the devnet in ./devnet, if there is one.
pub(crate) fn url_of_default() -> Option<String> {
    let text = fs::read_to_string(Path::new("devnet").join(NOTE)).ok()?;
    Some(serde_json::from_str::<Note>(&text).ok()?.gateway)
}

/// The configs of the validators of the devnet in ./devnet, in the order of their identifiers; none where there is none.
pub(crate) fn validators_of_default() -> Vec<PathBuf> {
    let dir = Path::new("devnet");
    let Ok(genesis) = read_genesis(&dir.join("genesis.json")) else {
        return Vec::new();
    };
    let validators = genesis.validators.iter();
    validators
        .map(|member| dir.join(&member.name).join("node.toml"))
        .filter(|config| config.exists())
        .collect()
}

/// The devnet's folder.
pub(crate) struct Site {
    pub(crate) dir: PathBuf,
    pub(crate) genesis: Genesis,
    /// Whether it was made just now.
    pub(crate) new: bool,
    pub(crate) validators: Vec<Node>,
    pub(crate) gateway: Node,
    pub(crate) mqtt: SocketAddr,
    /// The gateway's JSON-RPC, if it has that.
    pub(crate) rpc: Option<String>,
}

/// One member's node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) config: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) http: SocketAddr,
}

impl Site {
    /// The network in `dir`; made on first use.
    pub(crate) fn open_or_make(
        dir: &Path,
        validators: Option<u32>,
        consensus: Option<&str>,
    ) -> Result<Self> {
        let new = !dir.join("genesis.json").exists();
        if new {
            let plan = Plan {
                name: "devnet".into(),
                network: None,
                validators: validators.unwrap_or(4),
                gateways: 1,
                hosts: vec!["127.0.0.1".into()],
                base_port: free_ports(validators.unwrap_or(4))?,
                consensus: consensus.unwrap_or("pbft").into(),
                checkpoint_interval: 128,
                test_accounts: true,
            };
            plan.make(dir)?;
        }
        let site = Self::open(dir, new)?;
        let found = site.genesis.validators.len();
        if let Some(wanted) = validators
            && found != wanted as usize
        {
            bail!(
                "--validators {wanted}: the network in {} has {found}; use another --dir, or remove this one",
                dir.display()
            );
        }
        let found = &site.genesis.ordering.consensus;
        if let Some(wanted) = consensus
            && found != wanted
        {
            bail!(
                "--consensus {wanted}: the network in {} runs {found}; use another --dir, or remove this one",
                dir.display()
            );
        }
        Ok(site)
    }

    fn open(dir: &Path, new: bool) -> Result<Self> {
        let genesis = read_genesis(&dir.join("genesis.json"))?;
        let node = |name: &str| -> Result<(Node, NodeConfig)> {
            let folder = dir.join(name);
            let config = NodeConfig::load(&folder.join("node.toml"))?;
            let http = config
                .http()
                .with_context(|| format!("{name}: its config has no HTTP interface"))?;
            Ok((
                Node {
                    name: name.into(),
                    config: folder.join("node.toml"),
                    log: folder.join("node.log"),
                    http,
                },
                config,
            ))
        };
        let validators = genesis
            .validators
            .iter()
            .map(|member| Ok(node(&member.name)?.0))
            .collect::<Result<_>>()?;
        let gateway = genesis
            .gateways
            .first()
            .context("the network has no gateway")?;
        let (gateway, config) = node(&gateway.name)?;
        let mqtt = config
            .mqtt()
            .context("the gateway's config has no MQTT broker without TLS")?;
        let note = Note {
            gateway: format!("http://{}", gateway.http),
            mqtt,
            rpc: config.rpc.map(|rpc| format!("http://{}", rpc.listen)),
        };
        fs::write(dir.join(NOTE), serde_json::to_string_pretty(&note)?)?;
        Ok(Self {
            dir: dir.into(),
            genesis,
            new,
            validators,
            gateway,
            mqtt,
            rpc: note.rpc,
        })
    }

    /// All nodes: the validators, then the gateway.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.validators.iter().chain([&self.gateway])
    }

    /// The gateway's HTTP interface.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::new(&format!("http://{}", self.gateway.http))
    }
}

/// A base port from which on every port that the members use is free now.
fn free_ports(validators: u32) -> Result<u16> {
    let members = u16::try_from(validators.saturating_add(1))
        .unwrap_or(u16::MAX)
        .min(128);
    let free = |port: u16| TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), port)).is_ok();
    let all_free = |base: &u16| {
        [0, 200, 400, 600]
            .into_iter()
            .all(|kind| (0..members).all(|id| free(base + kind + id)))
    };
    // Below the ports that the system gives to outgoing connections.
    let bases = (7000..32_000 - LAST_PORT).step_by(1000);
    bases
        .into_iter()
        .find(all_free)
        .context("no free ports between 7000 and 32000: stop what uses them")
}

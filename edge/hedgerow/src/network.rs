//! A new network: its members' keys, its genesis, one folder per member.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use hedgerow_chain::{AccountAddress, ContractRules, Genesis, Member, Ordering, RoleRules};
use hedgerow_node::{NodeConfig, SecretKeys};
use rand::{TryRngCore, rngs::OsRng};

/// What to make.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    /// Drawn when `None`.
    pub(crate) network: Option<u64>,
    pub(crate) validators: u32,
    pub(crate) gateways: u32,
    /// One for all members, or one each in the order of their identifiers.
    pub(crate) hosts: Vec<String>,
    pub(crate) base_port: u16,
    pub(crate) consensus: String,
    pub(crate) checkpoint_interval: u64,
    /// Whether the well-known test accounts own something at the beginning.
    pub(crate) test_accounts: bool,
}

/// A member of a network that was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) config: PathBuf,
    /// The HTTP interface.
    pub(crate) http: SocketAddr,
    /// A gateway's MQTT broker.
    pub(crate) mqtt: Option<SocketAddr>,
    /// A gateway's JSON-RPC.
    pub(crate) rpc: Option<SocketAddr>,
}

/// The first port of a kind, above the base port. Member i has the i-th of each.
#[derive(Clone, Copy)]
enum Kind {
    Peers = 0,
    Http = 200,
    Mqtt = 400,
    Rpc = 600,
}

/// As many as a network may have; fewer than the ports of a kind.
const MAX_MEMBERS: u16 = 128;

/// The last port above the base port that a member may have.
pub(crate) const LAST_PORT: u16 = Kind::Rpc as u16 + MAX_MEMBERS;

/// One member's place in the plan.
struct Place<'a> {
    name: String,
    id: u16,
    host: &'a str,
    gateway: bool,
}

impl Plan {
    fn places(&self) -> Result<Vec<Place<'_>>> {
        let members = (self.validators as usize).saturating_add(self.gateways as usize);
        if self.validators == 0 || members > usize::from(MAX_MEMBERS) {
            bail!(
                "{} validators and {} gateways: have 1 validator at least (4 stand one failure), {MAX_MEMBERS} members at most",
                self.validators,
                self.gateways
            );
        }
        if self.hosts.len() != 1 && self.hosts.len() != members {
            bail!(
                "--host: {} hosts for {members} members: name one for all, or one for each: validators first, then gateways",
                self.hosts.len()
            );
        }
        if usize::from(self.base_port) + usize::from(LAST_PORT) > usize::from(u16::MAX)
            || self.base_port == 0
        {
            bail!(
                "--base-port {}: use 1 to {}: the members' ports follow it",
                self.base_port,
                u16::MAX - LAST_PORT
            );
        }
        let place = |id: usize| {
            let gateway = id >= self.validators as usize;
            let name = if gateway {
                format!("gateway-{}", id - self.validators as usize)
            } else {
                format!("validator-{id}")
            };
            // One host has room for many members, many hosts need one each.
            let host = self.hosts.get(id).unwrap_or(&self.hosts[0]);
            Place {
                name,
                id: id as u16,
                host,
                gateway,
            }
        };
        Ok((0..members).map(place).collect())
    }

    /// Makes the network in `dir`, which must not exist or be empty. It appears there whole or not at all.
    pub(crate) fn make(&self, dir: &Path) -> Result<(Genesis, Vec<Made>)> {
        refuse_to_overwrite(dir)?;
        let places = self.places()?;
        let keys = places
            .iter()
            .map(|_| SecretKeys::generate())
            .collect::<Result<Vec<_>, _>>()?;
        let genesis = self.genesis(&places, &keys)?;
        let draft = draft_of(dir)?;
        let mut made = Vec::new();
        for (place, keys) in places.iter().zip(&keys) {
            let folder = draft.join(&place.name);
            fs::create_dir_all(&folder)
                .with_context(|| format!("{}: can't make the folder", folder.display()))?;
            keys.write(&folder.join("key.json"))?;
            write(&folder.join("genesis.json"), &genesis.to_json())?;
            write(&folder.join("node.toml"), &self.config(place, &places))?;
            let config = NodeConfig::load(&folder.join("node.toml"))?;
            let (_, seat) = keys.member(&genesis)?;
            config.validate_for(&genesis, &place.name, seat)?;
            made.push(Made {
                name: place.name.clone(),
                config: dir.join(&place.name).join("node.toml"),
                http: config.http().context("a member without HTTP")?,
                mqtt: config.mqtt(),
                rpc: config.rpc.map(|rpc| rpc.listen),
            });
        }
        write(&draft.join("genesis.json"), &genesis.to_json())?;
        if dir.exists() {
            fs::remove_dir(dir)
                .with_context(|| format!("{}: not empty any more", dir.display()))?;
        }
        fs::rename(&draft, dir)
            .with_context(|| format!("{}: can't put the network there", dir.display()))?;
        Ok((genesis, made))
    }

    fn genesis(&self, places: &[Place<'_>], keys: &[SecretKeys]) -> Result<Genesis> {
        let member = |(place, keys): (&Place<'_>, &SecretKeys)| Member {
            name: place.name.clone(),
            key: keys.public().verifying.0,
            mac_key: keys.public().mac,
        };
        let mut members: Vec<_> = places.iter().zip(keys).map(member).collect();
        let gateways = members.split_off(self.validators as usize);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .context("the clock is before 1970: set it")?;
        self.consensus
            .parse::<hedgerow_node::ordering::Consensus>()
            .context("--consensus")?;
        let genesis = Genesis {
            network: self.network.map_or_else(draw_network, Ok)?,
            name: self.name.clone(),
            time: now.as_millis() as u64,
            validators: members,
            gateways,
            ordering: Ordering {
                consensus: self.consensus.clone(),
                checkpoint_interval: self.checkpoint_interval,
                options: Default::default(),
            },
            contracts: ContractRules {
                accounts: if self.test_accounts {
                    test_accounts()
                } else {
                    BTreeMap::new()
                },
                ..ContractRules::default()
            },
            roles: RoleRules::default(),
        };
        genesis.validate()?;
        Ok(genesis)
    }

    fn port(&self, place: &Place<'_>, kind: Kind) -> u16 {
        self.base_port + kind as u16 + place.id
    }

    /// The member's config, with comments for whoever opens it.
    fn config(&self, place: &Place<'_>, places: &[Place<'_>]) -> String {
        let listen = SocketAddr::new(bind(place.host), self.port(place, Kind::Peers));
        let peers: String = places
            .iter()
            .filter(|other| other.id != place.id)
            .map(|other| {
                format!(
                    "{} = \"{}:{}\"\n",
                    other.name,
                    bracket(other.host),
                    self.port(other, Kind::Peers)
                )
            })
            .collect();
        let role = if place.gateway {
            let http = SocketAddr::new(bind(place.host), self.port(place, Kind::Http));
            let mqtt = SocketAddr::new(bind(place.host), self.port(place, Kind::Mqtt));
            let rpc = SocketAddr::new(bind(place.host), self.port(place, Kind::Rpc));
            format!(
                "# Records, streams, proofs, status: docs/http.md. No access control of its own.\n\
                 [gateway.http]\n\
                 listen = \"{http}\"\n\
                 \n\
                 # The broker for devices, without TLS: docs/mqtt.md.\n\
                 [gateway.mqtt]\n\
                 listen = \"{mqtt}\"\n\
                 \n\
                 # Ethereum's JSON-RPC for wallets and tools: docs/contracts.md. No access control of its own.\n\
                 [rpc]\n\
                 listen = \"{rpc}\"\n\
                 \n\
                 # What is acknowledged and waits for the network, at most; beyond, devices are told to come again.\n\
                 [gateway.spool]\n\
                 budget_bytes = 268435456\n"
            )
        } else {
            let http = SocketAddr::new(
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                self.port(place, Kind::Http),
            );
            format!(
                "[validator]\n# For the operator: /status, /health, /metrics. No access control of its own.\nhttp = \"{http}\"\n"
            )
        };
        format!(
            "# {name} of network \"{network}\". Every key is explained in docs/config.md.\n\
             # Relative paths are relative to this file.\n\
             \n\
             genesis = \"genesis.json\"\n\
             key = \"key.json\"\n\
             data = \"data\"\n\
             # Where the other members reach this one.\n\
             listen = \"{listen}\"\n\
             \n\
             # Where this one reaches the others.\n\
             [peers]\n\
             {peers}\n\
             {role}\n\
             [storage]\n\
             # \"none\" is for measurements only: a vote would not survive a power cut.\n\
             durability = \"fsync\"\n\
             \n\
             [log]\n\
             filter = \"info\"\n\
             format = \"text\"\n",
            name = place.name,
            network = self.name,
        )
    }
}

/// The first ten accounts of the mnemonic "test test test test test test test test test test test junk", which everybody
/// knows and development tools have ready: each owns 10,000 ether.
const TEST_ACCOUNTS: [&str; 10] = [
    "f39fd6e51aad88f6f4ce6ab8827279cfffb92266",
    "70997970c51812dc3a010c7d01b50e0d17dc79c8",
    "3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
    "90f79bf6eb2c4f870365e785982e1f101e93b906",
    "15d34aaf54267db7d7c367839aaf71a00a2c6a65",
    "9965507d1a55bcc2695c58ba16fb37d819b0a4dc",
    "976ea74026e726554db657fa54763abd0c3a0aa9",
    "14dc79964da2c08b23698b3d3cc7ca32193d9955",
    "23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f",
    "a0ee7a142d267c1f36714e4a8f75612f20a79720",
];

/// 10,000 ether for each.
fn test_accounts() -> BTreeMap<AccountAddress, u64> {
    let each = 10_000 * 1_000_000_000;
    let account = |address: &str| Some((AccountAddress::try_from(address.to_owned()).ok()?, each));
    TEST_ACCOUNTS.into_iter().filter_map(account).collect()
}

/// Where to listen when others dial `host`.
fn bind(host: &str) -> IpAddr {
    match host.parse() {
        Ok(address) => address,
        Err(_) if host == "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        // A name may stand for an address that this host has only behind a router.
        Err(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

fn bracket(host: &str) -> String {
    if host.parse::<std::net::Ipv6Addr>().is_ok() {
        format!("[{host}]")
    } else {
        host.into()
    }
}

/// A number that no other network is likely to have: 52 random bits.
fn draw_network() -> Result<u64> {
    let mut bytes = [0; 8];
    OsRng
        .try_fill_bytes(&mut bytes)
        .context("the system gives no random bytes")?;
    Ok((u64::from_le_bytes(bytes) >> 12).max(1))
}

fn refuse_to_overwrite(dir: &Path) -> Result<()> {
    let occupied = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(error).with_context(|| format!("--dir {}", dir.display())),
    };
    if occupied {
        bail!(
            "--dir {}: not empty, and keys are never overwritten; name another folder, or remove this one if you are sure",
            dir.display()
        );
    }
    Ok(())
}

/// A new folder beside `dir`, to be renamed.
fn draft_of(dir: &Path) -> Result<PathBuf> {
    let name = dir
        .file_name()
        .with_context(|| format!("--dir {}: not a folder's name", dir.display()))?;
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)
        .with_context(|| format!("{}: can't make the folder", parent.display()))?;
    let draft = parent.join(format!(
        ".{}.{}.draft",
        name.to_string_lossy(),
        std::process::id()
    ));
    fs::create_dir(&draft)
        .with_context(|| format!("{}: can't make the folder", draft.display()))?;
    Ok(draft)
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("{}: can't write it", file.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn plan() -> Plan {
        Plan {
            name: "orchard".into(),
            network: Some(7),
            validators: 4,
            gateways: 2,
            hosts: vec!["127.0.0.1".into()],
            base_port: 7000,
            consensus: "pbft".into(),
            checkpoint_interval: 128,
            test_accounts: false,
        }
    }

    #[test]
    fn every_member_can_start_and_no_port_is_used_twice() {
        let dir = tempfile::tempdir().unwrap();
        let (genesis, made) = plan().make(&dir.path().join("net")).unwrap();
        assert_eq!(
            (
                genesis.validators.len(),
                genesis.gateways.len(),
                genesis.network
            ),
            (4, 2, 7)
        );
        let mut ports = BTreeSet::new();
        for member in &made {
            let config = NodeConfig::load(&member.config).unwrap();
            let text = fs::read_to_string(&config.genesis).unwrap();
            assert_eq!(Genesis::from_json(&text).unwrap(), genesis);
            SecretKeys::read(&config.key)
                .unwrap()
                .keyring(&genesis)
                .unwrap();
            for address in [Some(config.listen), Some(member.http), member.mqtt]
                .into_iter()
                .flatten()
            {
                assert!(
                    ports.insert(address.port()),
                    "{} uses {address} again",
                    member.name
                );
            }
            for (name, address) in &config.peers {
                let peer = made.iter().find(|made| made.name == *name).unwrap();
                assert_eq!(
                    address.as_str(),
                    NodeConfig::load(&peer.config).unwrap().listen.to_string()
                );
            }
        }
        assert_eq!(made[4].http.port(), 7204);
        assert_eq!(made[5].mqtt.unwrap().port(), 7405);
    }

    #[test]
    fn the_largest_network_has_ports_for_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let mut plan = plan();
        (plan.validators, plan.gateways) = (90, 38);
        let (_, made) = plan.make(&dir.path().join("net")).unwrap();
        let mut ports = BTreeSet::new();
        for member in &made {
            let config = NodeConfig::load(&member.config).unwrap();
            for address in [Some(config.listen), Some(member.http), member.mqtt]
                .into_iter()
                .flatten()
            {
                assert!(
                    ports.insert(address.port()),
                    "{} uses {address} again",
                    member.name
                );
            }
        }
    }

    #[test]
    fn hosts_may_differ() {
        let dir = tempfile::tempdir().unwrap();
        let mut plan = plan();
        (plan.validators, plan.gateways) = (1, 1);
        plan.hosts = vec!["mast.example".into(), "10.0.0.9".into()];
        let (_, made) = plan.make(dir.path()).unwrap();
        let validator = NodeConfig::load(&made[0].config).unwrap();
        assert_eq!(validator.listen.to_string(), "0.0.0.0:7000");
        assert_eq!(validator.peers["gateway-0"].as_str(), "10.0.0.9:7001");
        assert!(made[0].http.ip().is_loopback());
        let gateway = NodeConfig::load(&made[1].config).unwrap();
        assert_eq!(gateway.peers["validator-0"].as_str(), "mast.example:7000");
        assert_eq!(gateway.listen.to_string(), "10.0.0.9:7001");
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_half_made_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let net = dir.path().join("net");
        plan().make(&net).unwrap();
        let before = fs::read(net.join("genesis.json")).unwrap();
        let error = format!("{:#}", plan().make(&net).unwrap_err());
        assert!(error.contains("never overwritten"), "{error}");
        assert_eq!(fs::read(net.join("genesis.json")).unwrap(), before);
        for bad in [
            Plan {
                validators: 0,
                ..plan()
            },
            Plan {
                validators: 200,
                ..plan()
            },
            Plan {
                hosts: vec!["a".into(), "b".into()],
                ..plan()
            },
            Plan {
                base_port: 65_500,
                ..plan()
            },
            Plan {
                name: String::new(),
                ..plan()
            },
        ] {
            bad.make(&dir.path().join("other")).unwrap_err();
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

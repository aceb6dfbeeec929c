use std::sync::Arc;

use anyhow::{Context, Result};
use hedgerow_base::{Digest, NodeId, Roster};
use hedgerow_crypto::{Keyring, MacSecret, MemberKeys, SigningKey};
use hedgerow_node::ordering::Inbox;
use hedgerow_transport::{Limits, MemberAddress, Routes, Transport, TransportConfig};

/// The members of a network that lives as long as a measurement: their secrets, and their sessions on loopback.
pub(crate) struct Members {
    pub(crate) roster: Roster,
    secrets: Vec<(SigningKey, MacSecret)>,
    keys: Vec<MemberKeys>,
    addresses: Vec<MemberAddress>,
}

/// One of them, ready to take part.
pub(crate) struct Seat {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) transport: Transport,
    pub(crate) inbox: Inbox,
}

impl Members {
    /// `replicas` replicas and `clients` clients.
    pub(crate) fn new(replicas: u32, clients: u32) -> Result<Self> {
        let roster = Roster::new(replicas)?;
        let seed = |member: u32, use_: u8| {
            let mut seed = [use_; 32];
            seed[..4].copy_from_slice(&member.to_le_bytes());
            seed
        };
        let secrets: Vec<_> = (0..replicas + clients)
            .map(|member| {
                (
                    SigningKey::from_seed(seed(member, 1)),
                    MacSecret::from_seed(seed(member, 2)),
                )
            })
            .collect();
        let keys = secrets.iter().map(|(signing, mac)| MemberKeys {
            verifying: signing.verifying_key(),
            mac: mac.public(),
        });
        let keys: Vec<_> = keys.collect();
        let addresses = (0..)
            .map(NodeId)
            .zip(&keys)
            .map(|(id, keys)| MemberAddress {
                id,
                public_key: keys.verifying.0,
                address: None,
            });
        let addresses = addresses.collect();
        Ok(Self {
            roster,
            secrets,
            keys,
            addresses,
        })
    }

    /// Member `id`'s seat. Replicas before clients, in order: each dials those before it.
    pub(crate) fn seat(&mut self, id: NodeId) -> Result<Seat> {
        let (signing, mac) = self.secrets.get(id.index()).context("no such member")?;
        let keyring = Keyring::new(id, self.roster, signing.clone(), mac, &self.keys)?;
        let mut routes = Routes::default();
        let inbox = Inbox::open(&mut routes);
        let replica = self.roster.contains(id);
        let config = TransportConfig {
            network: Digest::ZERO,
            me: id,
            seed: signing.seed(),
            members: self.addresses.clone(),
            listen: replica.then_some(([127, 0, 0, 1], 0).into()),
            limits: Limits::default(),
        };
        let transport = Transport::start(config, routes)?;
        if let Some(mine) = self.addresses.get_mut(id.index()) {
            mine.address = transport.local_address().map(|address| address.to_string());
        }
        Ok(Seat {
            keyring: Arc::new(keyring),
            transport,
            inbox,
        })
    }
}

/// Waits until each of `transports` has sessions with `replicas` replicas, itself not counted.
pub(crate) fn wait_for_sessions(transports: &[Transport], replicas: usize) -> Result<()> {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let ready = |transport: &Transport| {
        let status = transport.status();
        status
            .iter()
            .filter(|one| one.connected && one.id.index() < replicas)
            .count()
            >= replicas - 1
    };
    while !transports.iter().all(ready) {
        anyhow::ensure!(
            std::time::Instant::now() < until,
            "the members do not reach each other"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Ok(())
}

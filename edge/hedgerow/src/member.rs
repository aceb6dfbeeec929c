//! A member of the network, acting for it from the command line.

use std::path::Path;

use anyhow::{Context, Result};
use hedgerow_base::NodeId;
use hedgerow_chain::Genesis;
use hedgerow_crypto::SigningKey;
use hedgerow_node::{NodeConfig, SecretKeys, read_genesis};
use hedgerow_records::{Description, DevicePublicKey, Name, Transaction};

/// A member's key, and the network that it belongs to.
pub(crate) struct Voice {
    pub(crate) genesis: Genesis,
    me: NodeId,
    key: SigningKey,
}

impl Voice {
    /// From the member's config.
    pub(crate) fn open(config: &Path) -> Result<Self> {
        let config = NodeConfig::load(config)?;
        let genesis = read_genesis(&config.genesis)?;
        let keys = SecretKeys::read(&config.key)?;
        let (me, _) = keys.member(&genesis)?;
        Ok(Self {
            genesis,
            me,
            key: keys.signing(),
        })
    }

    /// The registration of a device, signed by this member.
    pub(crate) fn register(
        &self,
        name: &Name,
        public_key: DevicePublicKey,
        description: Option<&str>,
    ) -> Result<Transaction> {
        let description = description
            .map(Description::new)
            .transpose()
            .context("--description")?;
        let network = self.genesis.network;
        Ok(hedgerow_signer::register(
            network,
            name.clone(),
            public_key,
            description,
            self.me,
            &self.key,
        )?)
    }
}

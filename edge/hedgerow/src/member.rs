//! A member of the network, acting for it from the command line.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use hedgerow_base::NodeId;
use hedgerow_chain::Genesis;
use hedgerow_crypto::SigningKey;
use hedgerow_node::{NodeConfig, SecretKeys};
use hedgerow_records::{
    Description, DevicePublicKey, Name, Registration, SignedRegistration, Transaction, VERSION,
};
use hedgerow_wire::{Blob, encode};

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
        let registration = Registration {
            version: VERSION,
            network: self.genesis.network,
            name: name.clone(),
            public_key,
            description,
        };
        let body = Blob::new(encode(&registration)).context("the registration")?;
        let signature = self.key.sign(&SignedRegistration::message(&body)).0;
        Ok(Transaction::Register(SignedRegistration {
            body,
            member: self.me,
            signature,
        }))
    }
}

pub(crate) fn read_genesis(file: &Path) -> Result<Genesis> {
    let shown = file.display();
    let text =
        fs::read_to_string(file).with_context(|| format!("{shown}: can't read the genesis"))?;
    Genesis::from_json(&text).with_context(|| shown.to_string())
}

//! A member of the network, acting for it from the command line.

use std::path::Path;

use anyhow::{Context, Result, bail};
use hedgerow_base::NodeId;
use hedgerow_chain::{Genesis, Seat};
use hedgerow_crypto::SigningKey;
use hedgerow_node::{NodeConfig, SecretKeys, read_genesis};
use hedgerow_records::{
    Description, DevicePublicKey, Motion, Name, RoleVote, Transaction, VERSION, Vote,
};

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

    /// The member's name.
    pub(crate) fn name(&self) -> &str {
        self.genesis
            .member(self.me)
            .map_or("?", |(_, member)| member.name.as_str())
    }

    /// The names of all validators.
    pub(crate) fn validators(&self) -> impl Iterator<Item = &str> {
        self.genesis
            .validators
            .iter()
            .map(|member| member.name.as_str())
    }

    /// This validator's vote, in that epoch, that `protocol` order in the next one.
    pub(crate) fn vote(&self, epoch: u64, protocol: &str) -> Result<Transaction> {
        self.must_validate()?;
        let vote = Vote {
            version: VERSION,
            genesis: self.genesis.digest(),
            epoch,
            protocol: protocol.parse()?,
            validator: self.me,
        };
        Ok(Transaction::Vote(vote.sign(&self.key)))
    }

    /// This validator's vote on a motion.
    pub(crate) fn role_vote(&self, motion: Motion, approves: bool) -> Result<Transaction> {
        self.must_validate()?;
        let vote = RoleVote {
            version: VERSION,
            genesis: self.genesis.digest(),
            motion,
            approves,
            validator: self.me,
        };
        Ok(Transaction::RoleVote(vote.sign(&self.key)))
    }

    fn must_validate(&self) -> Result<()> {
        if !matches!(self.genesis.member(self.me), Some((Seat::Validator, _))) {
            bail!(
                "{} is a gateway, and only validators vote: name a validator's config with --member",
                self.name()
            );
        }
        Ok(())
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

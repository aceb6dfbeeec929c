use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::{network::Plan, output::Output};

/// Make a network: keys, genesis, one folder with a config per member
#[derive(Args, Debug)]
#[command(after_help = "\
Each member gets a folder: node.toml (its config), key.json (its secrets: give it to that member only) and
genesis.json (the same for all). Members are numbered, validators first, then gateways. Member i listens on port
BASE+i for the others and has its HTTP interface on BASE+200+i; a gateway has its MQTT broker on BASE+400+i and
Ethereum's JSON-RPC on BASE+600+i. All of it can be changed in node.toml afterwards. 4 validators stand one that fails or lies, 7 stand two, 3f+1 stand f.

Examples:
  hedgerow init --dir orchard                            4 validators and a gateway on this machine
  hedgerow init --dir orchard --validators 7 --name orchard
  hedgerow init --dir orchard --validators 4 --gateways 1 \\
      --host 10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5    one host for each, validators first

Then, for every member:
  hedgerow node --config orchard/validator-0/node.toml")]
pub(crate) struct Init {
    /// The folder to make; it must not exist, or be empty
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How many validators order and execute; up to (N-1)/3 of them may fail or lie
    #[arg(long, value_name = "N", default_value_t = 4)]
    validators: u32,
    /// How many gateways take records in
    #[arg(long, value_name = "M", default_value_t = 1)]
    gateways: u32,
    /// The network's name, for people
    #[arg(long, default_value = "hedgerow")]
    name: String,
    /// The network's number, which stops replay on another network [default: a random one]
    #[arg(long, value_name = "NUMBER")]
    network: Option<u64>,
    /// Where the members are: one host for all, or one for each
    #[arg(
        long = "host",
        value_name = "HOST",
        value_delimiter = ',',
        default_value = "127.0.0.1"
    )]
    hosts: Vec<String>,
    /// The first of the ports
    #[arg(long, value_name = "PORT", default_value_t = 7000)]
    base_port: u16,
    /// The ordering protocol: pbft, aliph, r-aliph, azyzzyva, zlight, quorum, chain or backup
    #[arg(long, value_name = "PROTOCOL", default_value = "pbft")]
    consensus: String,
    /// A checkpoint is taken every so many blocks
    #[arg(long, value_name = "SLOTS", default_value_t = 128)]
    checkpoint_interval: u64,
    /// Let the test accounts of Ethereum's tools ("test test ... junk") own 10,000 ether each. Everybody has their keys
    #[arg(long)]
    test_accounts: bool,
}

impl Init {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let plan = Plan {
            test_accounts: self.test_accounts,
            name: self.name,
            network: self.network,
            validators: self.validators,
            gateways: self.gateways,
            hosts: self.hosts,
            base_port: self.base_port,
            consensus: self.consensus,
            checkpoint_interval: self.checkpoint_interval,
        };
        let (genesis, made) = plan.make(&self.dir)?;
        let dir = self.dir.display();
        output.say(format_args!(
            "Network \"{}\" (number {}) is in {dir}: {} validators, {} gateways.\n\
             Genesis digest: {}",
            genesis.name,
            genesis.network,
            genesis.validators.len(),
            genesis.gateways.len(),
            genesis.digest(),
        ));
        output.say("\nStart every member, each on its own machine or all here:");
        for member in &made {
            output.say(format_args!(
                "  hedgerow node --config {}",
                member.config.display()
            ));
        }
        if let Some(gateway) = made.iter().find(|member| member.mqtt.is_some()) {
            output.say(format_args!(
                "\nThen make a device and let it speak:\n  \
                 export HEDGEROW_NODE=http://{}\n  \
                 hedgerow device new mast-7 --member {}\n  \
                 hedgerow device send --key mast-7.json --stream temperature --value 21.5",
                gateway.http,
                gateway.config.display(),
            ));
        }
        let members = made.iter().map(|member| {
            json!({ "name": member.name, "config": member.config, "http": format!("http://{}", member.http), "mqtt": member.mqtt, "rpc": member.rpc.map(|rpc| format!("http://{rpc}")) })
        });
        output.object(&json!({
            "network": genesis.network,
            "name": genesis.name,
            "genesis": self.dir.join("genesis.json"),
            "digest": genesis.digest().to_hex(),
            "members": members.collect::<Vec<_>>(),
        }));
        Ok(ExitCode::SUCCESS)
    }
}

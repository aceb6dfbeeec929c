use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use hedgerow_records::{Algorithm, Name};
use serde_json::json;

use super::register::{By, register};
use crate::{client::NodeArg, device_key::Device, output::Output};

/// Make a device's key, and register the device with the network
#[derive(Args, Debug)]
#[command(after_help = "\
The key is written to a file that only you may read. A member of the network signs the registration; from then on the
device may write to streams of its own, such as NAME/temperature.

Examples:
  hedgerow device new mast-7 --member devnet/gateway-0/node.toml
  hedgerow device new meter-9 --algorithm ed25519 --description 'meter in the barn' --member devnet/gateway-0/node.toml
  hedgerow device new spare-1 --no-register")]
pub(crate) struct New {
    /// The device's name: a-z, 0-9, '.', '_' and '-'
    #[arg(value_name = "NAME")]
    name: Name,
    /// How the device signs: ed25519, p256 or secp256k1
    #[arg(long, default_value = "p256")]
    algorithm: Algorithm,
    /// The key file to write [default: NAME.json]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only make the key
    #[arg(long)]
    no_register: bool,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    node: NodeArg,
}

impl New {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let file = self
            .output
            .unwrap_or_else(|| format!("{}.json", self.name).into());
        if !self.no_register && self.by.member.is_none() {
            anyhow::bail!(
                "--member: missing; a device is registered by a member: name its config, such as devnet/gateway-0/node.toml, or only make the key with --no-register"
            );
        }
        let device = Device::generate(self.name, self.algorithm)?;
        device.write(&file)?;
        let algorithm = device.key.algorithm();
        let about = json!({
            "name": device.name.as_str(),
            "algorithm": algorithm.as_str(),
            "device": device.id().to_string(),
            "public_key": device.public_key_hex(),
            "key_file": file,
        });
        output.say(format_args!(
            "The key of {} ({}) is in {}",
            device.name,
            algorithm,
            file.display()
        ));
        if self.no_register {
            output.say(format_args!(
                "Register it with `hedgerow device register {} --algorithm {} --public-key {} --member CONFIG`",
                device.name,
                algorithm,
                device.public_key_hex(),
            ));
            output.object(&about);
            return Ok(ExitCode::SUCCESS);
        }
        register(
            output,
            &self.node.client()?,
            &self.by,
            &device.name,
            device.public_key(),
            about,
        )
    }
}

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Args;
use hedgerow_records::{Algorithm, DevicePublicKey, Name};
use serde_json::{Value, json};

use super::send::posted;
use crate::{
    client::{Client, NodeArg},
    member::Voice,
    output::Output,
};

/// Make a device known to the network by its public key, such as one in a secure element
#[derive(Args, Debug)]
#[command(after_help = "\
A member signs the registration with its own key. Public keys are hexadecimal: 32 bytes for ed25519, 33 for p256 and
secp256k1 (SEC 1, compressed: 02 or 03, then x).

Examples:
  hedgerow device register meter-9 --algorithm p256 --public-key 02ab... --member orchard/gateway-0/node.toml")]
pub(crate) struct Register {
    /// The device's name: a-z, 0-9, '.', '_' and '-'
    #[arg(value_name = "NAME")]
    name: Name,
    /// How the device signs: ed25519, p256 or secp256k1
    #[arg(long)]
    algorithm: Algorithm,
    /// The device's public key, in hexadecimal digits
    #[arg(long, value_name = "HEX")]
    public_key: String,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    node: NodeArg,
}

/// Who registers, and with which words.
#[derive(Args, Debug)]
pub(crate) struct By {
    /// The config of the member that registers the device
    #[arg(long, value_name = "CONFIG")]
    pub(crate) member: Option<PathBuf>,
    /// What the device is, in words
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
}

impl Register {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let digits = self
            .public_key
            .strip_prefix("0x")
            .unwrap_or(&self.public_key);
        let bytes = hex::decode(digits)
            .map_err(|error| anyhow::anyhow!("--public-key: not hexadecimal digits: {error}"))?;
        let key = DevicePublicKey::new(self.algorithm, &bytes).context("--public-key")?;
        register(
            output,
            &self.node.client()?,
            &self.by,
            &self.name,
            key,
            json!({}),
        )
    }
}

/// Registers a device and says what became of it; `about` is what else is known of the device.
pub(crate) fn register(
    output: Output,
    client: &Client,
    by: &By,
    name: &Name,
    key: DevicePublicKey,
    mut about: Value,
) -> Result<ExitCode> {
    let config = by.member.as_ref().context(
        "--member: missing; a device is registered by a member: name its config, such as devnet/gateway-0/node.toml, or only make the key with --no-register",
    )?;
    let transaction = Voice::open(config)?.register(name, key, by.description.as_deref())?;
    let answer = posted(client.post("/transactions?wait=final", &transaction.to_bytes()))?;
    let status = answer["status"].as_str().unwrap_or_default();
    if let (Value::Object(about), Value::Object(answer)) = (&mut about, &answer) {
        about.extend(answer.clone());
        about.insert("device".into(), key.device_id().to_string().into());
        about.insert("name".into(), name.to_string().into());
    }
    let (words, code) = match status {
        "final" => (
            format!("{name} is registered as device {}", key.device_id()),
            0,
        ),
        "rejected" => (
            format!(
                "{name} was not registered: {}",
                answer["reason"].as_str().unwrap_or("no reason given")
            ),
            1,
        ),
        _ => (
            format!(
                "{name} will be registered when the network goes on: the gateway has it ({status})"
            ),
            1,
        ),
    };
    output.tell(words, &about);
    Ok(ExitCode::from(code))
}

//! Runs a command beside a network of processes: `with-network --hedgerow FILE -- COMMAND...`.
//!
//! The command finds in its environment what `e2e/mqtt.sh` and `e2e/ethereum.sh` ask for: where the gateway is, the
//! network's number and genesis, and the secret of a registered Ed25519 device. The well-known test accounts own ether.

use std::{env, fs, process::Command};

use anyhow::{Context, Result, bail, ensure};
use hedgerow_e2e::Network;
use hedgerow_records::Algorithm;
use hedgerow_signer::DeviceKey;
use rand::Rng;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let split = arguments.iter().position(|argument| argument == "--");
    let split = split.context("usage: with-network --hedgerow FILE -- COMMAND...")?;
    let (options, command) = (&arguments[..split], &arguments[split + 1..]);
    let [flag, hedgerow] = options else {
        bail!("--hedgerow: name the program");
    };
    ensure!(flag == "--hedgerow", "no option {flag}");
    let (program, rest) = command.split_first().context("no command after --")?;

    let dir = env::temp_dir().join(format!("hedgerow-with-network-{}", std::process::id()));
    let mut network = Network::make(&fs::canonicalize(hedgerow)?, &dir, 4, "pbft")?;
    network.start_all()?;
    let device = DeviceKey::generate(Algorithm::Ed25519, |secret| rand::rng().fill(secret))?;
    let secret = dir.join("device.secret");
    fs::write(&secret, hex::encode(*device.to_bytes()))?;
    let config = network.gateway().config.display().to_string();
    let public = hex::encode(device.public_key().as_bytes());
    let words = [
        "device",
        "register",
        "stranger-1",
        "--algorithm",
        "ed25519",
        "--public-key",
        &public,
    ];
    network.command(&[&words[..], &["--member", &config]].concat())?;

    let gateway = network.gateway();
    let number = gateway.status()?["network"]["network"].to_string();
    let status = Command::new(program)
        .args(rest)
        .env(
            "HEDGEROW_MQTT",
            gateway
                .mqtt
                .context("the gateway has no broker")?
                .to_string(),
        )
        .env("HEDGEROW_HTTP", gateway.http.url())
        .env(
            "HEDGEROW_RPC",
            gateway
                .rpc
                .as_ref()
                .context("the gateway has no JSON-RPC")?,
        )
        .env("HEDGEROW_NETWORK", number)
        .env("HEDGEROW_KEY_FILE", &secret)
        .env("HEDGEROW_GENESIS", dir.join("genesis.json"))
        .status()
        .with_context(|| format!("{program} could not be started"))?;
    network.check_running()?;
    ensure!(
        status.success(),
        "{program} ended with {status}; the members' logs are in {}",
        dir.display()
    );
    drop(network);
    fs::remove_dir_all(dir)?;
    Ok(())
}

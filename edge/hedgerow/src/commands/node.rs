use std::{
    io::{self, Read},
    path::PathBuf,
    process::ExitCode,
    thread,
};

use anyhow::{Context, Result};
use clap::Args;
use hedgerow_node::{LogConfig, LogFormat, NodeConfig};
use serde_json::json;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tracing_subscriber::EnvFilter;

use crate::output::Output;

/// Run a member's node: a validator or a gateway
#[derive(Args, Debug)]
#[command(after_help = "\
The config says which member this is and where everything lies; `hedgerow init` writes it, docs/config.md explains it.
The log goes to standard error; RUST_LOG overrides its filter. SIGTERM and Ctrl-C stop the node cleanly; after a
kill -9 or a power cut it goes on from what it had on disk.

Example:
  hedgerow node --config orchard/validator-0/node.toml

Exit codes: 0 stopped when asked; 2 it could not start, or something failed while it ran: a disk, above all.")]
pub(crate) struct Node {
    /// The member's config
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the config, the genesis and the key file, and stop
    #[arg(long)]
    check: bool,
    /// Stop when standard input ends: for a parent process that may die
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
}

impl Node {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let config = NodeConfig::load(&self.config)?;
        if self.check {
            return check(output, &config);
        }
        log(&config.log)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(run(output, &config, self.stop_with_stdin))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn check(output: Output, config: &NodeConfig) -> Result<ExitCode> {
    let genesis = hedgerow_node::read_genesis(&config.genesis)?;
    let (id, seat) = hedgerow_node::SecretKeys::read(&config.key)?.member(&genesis)?;
    let name = genesis
        .member(id)
        .map(|(_, member)| member.name.clone())
        .context("no such member")?;
    config.validate_for(&genesis, &name, seat)?;
    let words = format!(
        "The config of {name}, member {id} of network \"{}\", is good.",
        genesis.name
    );
    output.tell(
        words,
        &json!({ "name": name, "id": id.0, "network": genesis.network }),
    );
    Ok(ExitCode::SUCCESS)
}

async fn run(output: Output, config: &NodeConfig, stop_with_stdin: bool) -> Result<()> {
    // Before anything starts: a signal that comes early must not be lost.
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let parent_gone = end_of_stdin(stop_with_stdin)?;
    let metrics = hedgerow_gateway::prometheus().context("metrics")?;
    let node = hedgerow_node::Node::start(config, Some(metrics)).await?;
    let addresses = node.addresses();
    tracing::info!(name = node.name(), peers = %config.listen, http = ?addresses.http, mqtt = ?addresses.mqtt, mqtt_tls = ?addresses.mqtt_tls, rpc = ?addresses.rpc, "started");
    output.object(&json!({
        "name": node.name(), "listen": config.listen, "http": addresses.http, "mqtt": addresses.mqtt, "mqtt_tls": addresses.mqtt_tls, "rpc": addresses.rpc,
    }));
    let why = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        _ = parent_gone => "end of standard input",
        () = node.stopped() => "a failure",
    };
    tracing::info!(why, "stopping");
    node.shutdown()
        .await
        .context("the node stopped by itself")?;
    tracing::info!("stopped");
    Ok(())
}

/// Resolves when standard input ends; never when that does not matter.
fn end_of_stdin(matters: bool) -> Result<oneshot::Receiver<()>> {
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new().name("stdin".into()).spawn(move || {
        if matters {
            while io::stdin()
                .read(&mut [0; 64])
                .is_ok_and(|length| length > 0)
            {}
            let _ = sender.send(());
        } else {
            // The sender must not be dropped: that would count as the end.
            std::mem::forget(sender);
        }
    })?;
    Ok(receiver)
}

fn log(config: &LogConfig) -> Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) => EnvFilter::try_new(&filter).with_context(|| format!("RUST_LOG={filter}"))?,
        Err(_) => EnvFilter::try_new(&config.filter).with_context(|| {
            format!("log.filter: {:?} is not a filter; use \"info\", or \"info,hedgerow_gateway=debug\"", config.filter)
        })?,
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match config.format {
        LogFormat::Text => lines
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}

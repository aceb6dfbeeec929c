use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use hedgerow_records::StreamName;
use serde_json::json;

use super::get::path;
use crate::{
    client::{Client, NodeArg, refusal},
    output::Output,
};

/// How long to wait until the block of a fresh reading has its signatures.
const PATIENCE: Duration = Duration::from_secs(10);

/// Fetch the proof of a reading, for `hedgerow verify`
#[derive(Args, Debug)]
#[command(after_help = "\
The file is all that is needed to check the reading against the network's genesis, offline: hand it to anybody.

Examples:
  hedgerow prove mast-7/temperature 0 -o reading.proof
  hedgerow verify reading.proof --genesis devnet/genesis.json")]
pub(crate) struct Prove {
    /// The stream, as DEVICE/STREAM
    #[arg(value_name = "STREAM")]
    stream: StreamName,
    /// The reading's number
    #[arg(value_name = "SEQ")]
    sequence: u64,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    node: NodeArg,
}

impl Prove {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let proof = fetch(&self.node.client()?, &self.stream, self.sequence)?;
        fs::write(&self.output, &proof)
            .with_context(|| format!("-o {}: can't write it", self.output.display()))?;
        output.tell(
            format_args!("The proof of {} reading {} is in {} ({} bytes)", self.stream, self.sequence, self.output.display(), proof.len()),
            &json!({ "stream": self.stream.to_string(), "sequence": self.sequence, "file": self.output, "bytes": proof.len() }),
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// Fetches a proof. A reading's block gets its signatures a moment after it is recorded: asked too early, the node
/// says so, and is asked again.
pub(crate) fn fetch(client: &Client, stream: &StreamName, sequence: u64) -> Result<Vec<u8>> {
    let end = Instant::now() + PATIENCE;
    loop {
        match client.bytes(&(path(stream, sequence) + "/proof")) {
            Err(error)
                if refusal(&error).is_some_and(|refused| refused.code() == "not-yet-final")
                    && Instant::now() < end =>
            {
                thread::sleep(Duration::from_millis(100));
            }
            result => return result,
        }
    }
}

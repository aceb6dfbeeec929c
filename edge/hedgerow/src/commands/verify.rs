use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Args;
use hedgerow_chain::Genesis;
use hedgerow_node::read_genesis;
use hedgerow_proofs::{MAX_PROOF, Proof, VerifiedReading};
use serde_json::json;

use crate::{data::show_time, output::Output, readings};

/// Check the proof of a reading: offline, trusting nobody but the genesis
#[derive(Args, Debug)]
#[command(after_help = "\
No network is used and no node is trusted: the file leads from the reading to a block header signed by f+1 of the
validators in the genesis, so at least one correct validator executed that block after the network had committed it.

Examples:
  hedgerow prove mast-7/temperature 0 -o reading.proof
  hedgerow verify reading.proof --genesis orchard/genesis.json
  hedgerow verify reading.proof --genesis orchard/genesis.json --json | jq .payload

Exit codes: 0 the proof holds; 1 it does not; 2 a file can't be read.")]
pub(crate) struct Verify {
    /// The proof's file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The network's genesis, from a source that you trust
    #[arg(long, value_name = "GENESIS")]
    genesis: PathBuf,
}

impl Verify {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let genesis = read_genesis(&self.genesis).context("--genesis")?;
        let shown = self.file.display();
        let length = fs::metadata(&self.file)
            .with_context(|| format!("{shown}: can't read the proof"))?
            .len();
        if length > MAX_PROOF as u64 {
            return Ok(refuse(
                output,
                format_args!("{shown}: {length} bytes; a proof has {MAX_PROOF} at most"),
            ));
        }
        let bytes =
            fs::read(&self.file).with_context(|| format!("{shown}: can't read the proof"))?;
        let trust = genesis.trust_root()?;
        match Proof::from_bytes(&bytes).and_then(|proof| proof.verify(&trust)) {
            Ok(reading) => tell(output, &genesis, trust.threshold(), &reading),
            Err(error) => return Ok(refuse(output, format_args!("{shown}: {error}"))),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn refuse(output: Output, why: std::fmt::Arguments<'_>) -> ExitCode {
    output.tell(
        format_args!("NOT PROVED  {why}"),
        &json!({ "proved": false, "error": why.to_string() }),
    );
    ExitCode::from(1)
}

fn tell(output: Output, genesis: &Genesis, enough: usize, proved: &VerifiedReading) {
    let reading = &proved.reading;
    let name = |id: &hedgerow_base::NodeId| {
        genesis
            .member(*id)
            .map_or_else(|| id.to_string(), |(_, member)| member.name.clone())
    };
    let signers: Vec<_> = proved.signers.iter().map(name).collect();
    output.say(format_args!(
        "PROVED  {}  reading {}\n\
         \x20 value        {}  ({})\n\
         \x20 device       {}\n\
         \x20 device time  {}\n\
         \x20 recorded     in block {} at {}, by record 0x{}\n\
         \x20 final        under block {} of network \"{}\", header 0x{}\n\
         \x20 signed by    {} ({} of {} are enough)",
        proved.stream,
        reading.sequence,
        readings::show(&reading.content_type, &reading.payload),
        reading.content_type,
        proved.device,
        show_time(reading.time),
        proved.height,
        show_time(proved.block_time),
        proved.record,
        proved.certified,
        genesis.name,
        proved.header,
        signers.join(", "),
        enough,
        genesis.validators.len(),
    ));
    output.object(&json!({
        "proved": true,
        "network": genesis.network,
        "stream": proved.stream.to_string(),
        "device": proved.device.to_string(),
        "sequence": reading.sequence,
        "position": proved.position,
        "time_ms": reading.time,
        "content_type": reading.content_type.as_str(),
        "payload": readings::show(&reading.content_type, &reading.payload),
        "payload_hex": hex::encode(&*reading.payload),
        "block": proved.height.0,
        "block_time_ms": proved.block_time,
        "record": format!("0x{}", proved.record),
        "certified_block": proved.certified.0,
        "header": format!("0x{}", proved.header),
        "signers": signers,
    }));
}

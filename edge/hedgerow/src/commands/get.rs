use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use hedgerow_records::StreamName;
use serde_json::Value;

use crate::{client::NodeArg, data::show_time, output::Output};

/// Show one reading of a stream
#[derive(Args, Debug)]
#[command(after_help = "\
The node is trusted for the answer; `hedgerow prove` and `hedgerow verify` need no trust.

Examples:
  hedgerow get mast-7/temperature 0
  hedgerow get mast-7/temperature 0 --json | jq .payload")]
pub(crate) struct Get {
    /// The stream, as DEVICE/STREAM
    #[arg(value_name = "STREAM")]
    stream: StreamName,
    /// The reading's number
    #[arg(value_name = "SEQ")]
    sequence: u64,
    #[command(flatten)]
    node: NodeArg,
}

impl Get {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let Self {
            stream,
            sequence,
            node,
        } = self;
        let reading: Value = node.client()?.get(&path(&stream, sequence))?;
        output.tell(show(&stream, sequence, &reading), &reading);
        Ok(ExitCode::SUCCESS)
    }
}

/// Where a node has a reading.
pub(crate) fn path(stream: &StreamName, sequence: u64) -> String {
    format!(
        "/streams/{}/{}/readings/{sequence}",
        stream.device, stream.stream
    )
}

fn show(stream: &StreamName, sequence: u64, reading: &Value) -> String {
    let text = |key| reading[key].as_str().unwrap_or("-");
    let time = |value: &Value| value.as_u64().map_or_else(|| "-".into(), show_time);
    let value = match &reading["payload"] {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    format!(
        "{stream}  reading {sequence}\n\
         \x20 value        {value}  ({}, shown as {})\n\
         \x20 device time  {}\n\
         \x20 recorded     in block {} at {}, position {}\n\
         \x20 record       {}",
        text("content_type"),
        text("encoding"),
        time(&reading["time_ms"]),
        reading["block"],
        time(&reading["block_time_ms"]),
        reading["position"],
        text("record"),
    )
}

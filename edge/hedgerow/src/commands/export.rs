use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use hedgerow_records::StreamName;
use serde_json::json;

use crate::{client::NodeArg, output::Output};

/// Write a whole stream as CSV or JSON lines
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  hedgerow export mast-7/temperature --format csv -o temperature.csv
  hedgerow export mast-7/temperature --format jsonl | jq -c '[.sequence, .value]'")]
pub(crate) struct Export {
    /// The stream, as DEVICE/STREAM
    #[arg(value_name = "STREAM")]
    stream: StreamName,
    /// The form
    #[arg(long, value_enum)]
    format: Format,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One line per reading, with a line of headings
    Csv,
    /// One JSON object per reading and line
    Jsonl,
}

impl Export {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let format = match self.format {
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
        };
        let StreamName { device, stream } = &self.stream;
        let mut from = self.node.client()?.stream(&format!(
            "/streams/{device}/{stream}/export?format={format}"
        ))?;
        let Some(file) = self.output else {
            let mut part = vec![0; 1 << 16];
            loop {
                match from.read(&mut part).context("the node broke off")? {
                    0 => return Ok(ExitCode::SUCCESS),
                    length => output.raw(&part[..length]),
                }
            }
        };
        let shown = file.display();
        let mut to = BufWriter::new(
            File::create(&file).with_context(|| format!("-o {shown}: can't write it"))?,
        );
        let bytes = io::copy(&mut from, &mut to)
            .and_then(|bytes| to.flush().map(|()| bytes))
            .with_context(|| format!("-o {shown}"))?;
        output.tell(
            format_args!("{} is in {shown} ({bytes} bytes)", self.stream),
            &json!({ "stream": self.stream.to_string(), "file": file, "bytes": bytes }),
        );
        Ok(ExitCode::SUCCESS)
    }
}

use std::{
    io::{self, BufRead},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use hedgerow_records::{Name, Reading};
use hedgerow_signer::RecordBuilder;
use serde_json::{Value, json};

use crate::{
    client::{Client, NodeArg, Refused, is_not_found, refusal},
    data::parse_time,
    device_key::Device,
    mqtt::Wire,
    output::Output,
    readings::{Content, now_ms},
};

/// How many readings go into one record.
const RECORD: usize = 500;

/// How many bytes of payloads go into one record, unless it is a single one.
const RECORD_BYTES: usize = 256 << 10;

/// How long to wait for a record to become final.
const PATIENCE: Duration = Duration::from_secs(60);

/// Let a device send readings, and wait until they are final
#[derive(Args, Debug)]
#[command(after_help = "\
Every reading of a stream has a number of its own. With --sequence it is yours (with several readings, the first
one's); without, the ledger is asked for the stream's last number and the next ones are taken. Sending the same
again (--sequence, --time and value) is harmless: a reading is kept once. Other content under a number is rejected.

Examples:
  hedgerow device send --key mast-7.json --stream temperature --value 21.5
  hedgerow device send --key mast-7.json --stream wind --json-value '{\"speed\":4.1,\"from\":340}' --sequence 17
  hedgerow device send --key mast-7.json --stream temperature --mqtt 127.0.0.1:7404 --value 21.5 --value 21.6
  seq 1 1000 | hedgerow device send --key mast-7.json --stream counter        one JSON value a line
  hedgerow device send --key mast-7.json --stream photo --file a.jpg --content-type image/jpeg")]
pub(crate) struct Send {
    /// The device's key file, from `hedgerow device new`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The stream's name within the device
    #[arg(long, value_name = "NAME")]
    stream: Name,
    /// The number of the first reading
    #[arg(long, value_name = "NUMBER")]
    sequence: Option<u64>,
    /// A number to send; may be given several times
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, conflicts_with_all = ["object", "file"])]
    value: Vec<String>,
    /// A JSON value to send; may be given several times
    #[arg(long = "json-value", value_name = "JSON", conflicts_with = "file")]
    object: Vec<String>,
    /// A file whose bytes are to be sent as one reading
    #[arg(long, requires = "content_type")]
    file: Option<PathBuf>,
    /// The media type of --file
    #[arg(long, value_name = "TYPE", requires = "file")]
    content_type: Option<String>,
    /// When the device observed it, such as 2026-11-24T13:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    time: Option<u64>,
    /// Send by MQTT to this broker, instead of HTTP
    #[arg(long, value_name = "HOST:PORT")]
    mqtt: Option<String>,
    /// Be content when the gateway has it on disk
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    node: NodeArg,
}

impl Send {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let device = Device::read(&self.key)?;
        let client = self.node.client()?;
        let network = network_of(&client)?;
        let contents = self.contents()?;
        if contents.is_empty() {
            bail!(
                "nothing to send: give --value, --json-value or --file, or one JSON value a line on standard input"
            );
        }
        let first = match self.sequence {
            Some(sequence) => sequence,
            None => next_sequence(&client, &device, &self.stream)?,
        };
        if first.checked_add(contents.len() as u64).is_none() {
            bail!("--sequence {first}: the numbers would end; begin with a smaller one");
        }
        let time = self.time.map_or_else(now_ms, Ok)?;
        let readings = contents
            .into_iter()
            .zip(first..)
            .map(|(content, sequence)| content.at(sequence, time));
        let readings: Vec<Reading> = readings.collect();
        let mut wire = self
            .mqtt
            .as_deref()
            .map(|broker| Wire::connect(broker, &device))
            .transpose()?;
        let mut code = ExitCode::SUCCESS;
        for part in parts(readings) {
            let mut record = RecordBuilder::new(network, device.id(), self.stream.clone());
            for reading in &part {
                record.push(reading.clone()).context("the record")?;
            }
            let record = record.sign(&device.key)?;
            let answer = match &mut wire {
                Some(wire) => wire.send(&record, !self.no_wait, PATIENCE)?,
                None => posted(self.post(&client, &record))?,
            };
            if !tell(output, &device, &self.stream, &part, &answer, self.no_wait) {
                code = ExitCode::from(1);
                break;
            }
        }
        Ok(code)
    }

    fn post(&self, client: &Client, record: &[u8]) -> Result<Value> {
        let path = if self.no_wait {
            "/records"
        } else {
            "/records?wait=final"
        };
        client.post(path, record)
    }

    fn contents(&self) -> Result<Vec<Content>> {
        if let (Some(file), Some(content_type)) = (&self.file, &self.content_type) {
            let bytes = std::fs::read(file)
                .with_context(|| format!("--file {}: can't read it", file.display()))?;
            return Ok(vec![Content::new(content_type, bytes)?]);
        }
        let number = |text: &String| {
            serde_json::from_str::<serde_json::Number>(text).with_context(|| {
                format!("--value {text}: not a number; use --json-value for other values")
            })?;
            Content::json(text)
        };
        let given: Vec<_> = self
            .value
            .iter()
            .map(number)
            .chain(self.object.iter().map(|text| Content::json(text)))
            .collect();
        if !given.is_empty() {
            return given.into_iter().collect();
        }
        let mut contents = Vec::new();
        for (line, text) in io::stdin().lock().lines().enumerate() {
            let text = text.context("standard input")?;
            if !text.trim().is_empty() {
                contents.push(
                    Content::json(&text)
                        .with_context(|| format!("standard input, line {}", line + 1))?,
                );
            }
        }
        Ok(contents)
    }
}

/// Readings in the parts that records are made of.
fn parts(readings: impl IntoIterator<Item = Reading>) -> Vec<Vec<Reading>> {
    let mut parts: Vec<Vec<Reading>> = Vec::new();
    let mut bytes = 0;
    for reading in readings {
        bytes += reading.payload.len();
        match parts.last_mut() {
            Some(part) if part.len() < RECORD && bytes <= RECORD_BYTES => part.push(reading),
            _ => {
                bytes = reading.payload.len();
                parts.push(vec![reading]);
            }
        }
    }
    parts
}

/// What became of it; a rejection is an answer too.
pub(crate) fn posted(answer: Result<Value>) -> Result<Value> {
    match answer {
        Err(error) if refusal(&error).is_some_and(Refused::is_final) => {
            let refused: Refused = error.downcast()?;
            Ok(
                json!({ "status": "rejected", "code": refused.code(), "reason": refused.to_string() }),
            )
        }
        answer => answer,
    }
}

/// The network's number, as the node has it: a record is for one network only.
pub(crate) fn network_of(client: &Client) -> Result<u64> {
    let status: Value = client.get("/status")?;
    status["network"]["network"].as_u64().with_context(|| {
        format!(
            "{}/status: no network number in it; is this a Hedgerow node?",
            client.url()
        )
    })
}

/// The number after the stream's last one; 0 for a new stream.
pub(crate) fn next_sequence(client: &Client, device: &Device, stream: &Name) -> Result<u64> {
    match client.get::<Value>(&format!("/streams/{}/{stream}", device.name)) {
        Ok(summary) if summary["length"].as_u64() == Some(0) => Ok(0),
        Ok(summary) => {
            let last = summary["last_sequence"]
                .as_u64()
                .context("the stream's summary has no last_sequence")?;
            last.checked_add(1)
                .context("the stream's numbers are used up: begin another stream")
        }
        Err(error) if is_not_found(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Says what became of a record; whether it is what was wanted.
fn tell(
    output: Output,
    device: &Device,
    stream: &Name,
    part: &[Reading],
    answer: &Value,
    no_wait: bool,
) -> bool {
    let numbers = match part {
        [] => String::new(),
        [one] => format!("reading {}", one.sequence),
        [first, .., last] => format!("readings {} to {}", first.sequence, last.sequence),
    };
    let what = format!("{}/{stream} {numbers}", device.name);
    let status = answer["status"].as_str().unwrap_or_default();
    let (words, good) = match status {
        "final" if answer["appended"] == json!(0) => (format!("{what}: was final already"), true),
        "final" => (format!("{what}: final in block {}", answer["block"]), true),
        "accepted" => (
            format!("{what}: on the gateway's disk, not final yet"),
            no_wait,
        ),
        "rejected" => (
            format!(
                "{what}: rejected: {}",
                answer["reason"].as_str().unwrap_or("no reason given")
            ),
            false,
        ),
        other => (format!("{what}: {other}"), false),
    };
    output.tell(words, answer);
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_cut_by_count_and_by_bytes() {
        let reading = |length, number| Content::new("a/b", vec![0; length]).unwrap().at(number, 0);
        let lengths = |parts: Vec<Vec<Reading>>| parts.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(
            lengths(parts((0..1001).map(|number| reading(1, number)))),
            [500, 500, 1]
        );
        assert_eq!(
            lengths(parts((0..9).map(|number| reading(1 << 16, number)))),
            [4, 4, 1]
        );
        assert!(parts([]).is_empty());
    }

    #[test]
    fn a_rejection_is_an_answer() {
        let refuse = |status| {
            let body = json!({ "code": "bad-signature", "detail": "no" });
            posted(Err(Refused { status, body }.into()))
        };
        let answer = refuse(403).unwrap();
        assert_eq!(
            (&answer["status"], &answer["code"]),
            (&json!("rejected"), &json!("bad-signature"))
        );
        assert!(refuse(503).is_err());
    }
}

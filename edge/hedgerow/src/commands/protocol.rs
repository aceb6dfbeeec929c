use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use crate::{client::NodeArg, data::show_time, output::Output};

/// Say which ordering protocol runs now, since when, and why the last switch was
#[derive(Args, Debug)]
#[command(after_help = "\
A composition such as aliph goes from one protocol to the next when the present one can't go on: numbers count these
instances. Every node has its own view of why; a validator's is closest.

Examples:
  hedgerow protocol
  hedgerow protocol --node http://127.0.0.1:7200       a validator's own view
  hedgerow protocol --json | jq .cause

Exit codes: 0 it is known; 2 the node does not answer.")]
pub(crate) struct Protocol {
    #[command(flatten)]
    node: NodeArg,
}

impl Protocol {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let status: Value = self.node.client()?.get("/status")?;
        let network = &status["network"];
        let told = json!({
            "consensus": network["consensus"],
            "protocol": network["protocol"],
            "number": network["view"],
            "since_ms": network["switched_ms"],
            "cause": network["switch_cause"],
        });
        output.object(&told);
        output.say(show(&told));
        Ok(ExitCode::SUCCESS)
    }
}

/// What orders now, by the fields of a node's status.
pub(super) fn orders(consensus: &Value, protocol: &Value, number: &Value) -> String {
    match (consensus.as_str(), protocol.as_str()) {
        (Some(consensus), Some(protocol)) if consensus != protocol => {
            format!("{consensus}: {protocol}, instance {number}")
        }
        (_, Some(protocol)) => format!("{protocol}, view {number}"),
        (_, None) => format!("view {number}"),
    }
}

fn show(told: &Value) -> String {
    let now = orders(&told["consensus"], &told["protocol"], &told["number"]);
    match (told["since_ms"].as_u64(), told["cause"].as_str()) {
        (Some(since), Some(cause)) => {
            format!(
                "{now}, since {}\nthe last switch: {cause}",
                show_time(since)
            )
        }
        _ => format!("{now}, since the start of this node"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_told_with_its_time_and_cause() {
        let told = json!({
            "consensus": "aliph", "protocol": "chain", "number": 2, "since_ms": 1_700_000_000_000_u64,
            "cause": "a member saw no progress",
        });
        assert_eq!(
            show(&told),
            "aliph: chain, instance 2, since 2023-11-14T22:13:20Z\nthe last switch: a member saw no progress"
        );
        let told = json!({"consensus": "pbft", "protocol": "pbft", "number": 3, "since_ms": null, "cause": null});
        assert_eq!(show(&told), "pbft, view 3, since the start of this node");
    }
}

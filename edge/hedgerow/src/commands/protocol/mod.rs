mod vote;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    client::{NodeArg, refusal},
    commands::voices,
    data::show_time,
    output::{Output, table},
};

/// Say which ordering protocol runs now and what the validators vote for; propose another, or approve it
#[derive(Args, Debug)]
#[command(after_help = "\
A composition such as aliph goes from one protocol to the next when the present one can't go on: numbers count these
instances. Every node has its own view of why; a validator's is closest.

The order is a chain of epochs, and one protocol orders in each. A validator proposes another with `propose`; when 2f+1
validators have approved the same one (3 of 4), the next epoch begins with it. Proposals of an epoch lapse with it.

Examples:
  hedgerow protocol
  hedgerow protocol --node http://127.0.0.1:7200       a validator's own view
  hedgerow protocol propose aliph
  hedgerow protocol approve 3f9a1c02
  hedgerow protocol --json | jq .proposals

Exit codes: 0 it is known; 2 the node does not answer.")]
pub(crate) struct Protocol {
    #[command(flatten)]
    node: NodeArg,
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand, Debug)]
enum Act {
    Propose(vote::Propose),
    Approve(vote::Approve),
}

impl Protocol {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let client = self.node.client()?;
        match self.act {
            Some(Act::Propose(command)) => return command.run(output, &client),
            Some(Act::Approve(command)) => return command.run(output, &client),
            None => {}
        }
        let status: Value = client.get("/status")?;
        let network = &status["network"];
        let mut told = json!({
            "consensus": network["consensus"],
            "protocol": network["protocol"],
            "number": network["view"],
            "since_ms": network["switched_ms"],
            "cause": network["switch_cause"],
            "epoch": null,
        });
        // A network that is stalled does not say what is voted for; what orders is known nevertheless.
        match client.get("/protocol") {
            Ok(Value::Object(order)) => {
                if let Value::Object(told) = &mut told {
                    told.extend(order);
                }
            }
            Ok(_) => {}
            Err(error) if refusal(&error).is_some() => {
                output.note(format_args!("what is voted for is not known: {error:#}"));
            }
            Err(error) => return Err(error),
        }
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
    let now = match (told["since_ms"].as_u64(), told["cause"].as_str()) {
        (Some(since), Some(cause)) => {
            format!(
                "{now}, since {}\nthe last switch: {cause}",
                show_time(since)
            )
        }
        _ => format!("{now}, since the start of this node"),
    };
    match told["epoch"].is_null() {
        true => now,
        false => format!(
            "{now}\n{}\n\n{}",
            show_epoch(&told["epoch"]),
            show_proposals(&told["proposals"])
        ),
    }
}

/// Since when an epoch runs.
fn show_epoch(epoch: &Value) -> String {
    let number = &epoch["number"];
    let protocol = epoch["protocol"].as_str().unwrap_or("?");
    let begin = match epoch["block"].as_u64() {
        Some(0) | None => "the genesis".to_owned(),
        Some(block) => format!("block {block}"),
    };
    let time = epoch["time_ms"]
        .as_u64()
        .map_or_else(|| "-".into(), show_time);
    format!("epoch {number}: {protocol}, since {begin} ({time})")
}

fn show_proposals(proposals: &Value) -> String {
    let open = proposals.as_array().map_or(&[][..], Vec::as_slice);
    if open.is_empty() {
        return "No proposal is open.".into();
    }
    let rows: Vec<_> = open
        .iter()
        .map(|open| {
            let voters = voices::names(&open["voters"]);
            vec![
                voices::short(open["id"].as_str().unwrap_or_default()).to_owned(),
                open["protocol"].as_str().unwrap_or("?").to_owned(),
                format!("{} of {}", voters.len(), open["needed"]),
                open["missing"].to_string(),
                voters.join(", "),
            ]
        })
        .collect();
    format!(
        "Open proposals:\n{}",
        table(&["id", "protocol", "votes", "missing", "voted"], &rows)
    )
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

    #[test]
    fn the_epoch_and_the_open_proposals_are_told() {
        let mut told = json!({
            "consensus": "pbft", "protocol": "pbft", "number": 0, "since_ms": null, "cause": null,
            "epoch": {"number": 0, "protocol": "pbft", "base_slot": 0, "block": 0, "time_ms": 1_700_000_000_000_u64},
            "proposals": [],
        });
        assert_eq!(
            show(&told),
            "pbft, view 0, since the start of this node\n\
             epoch 0: pbft, since the genesis (2023-11-14T22:13:20Z)\n\n\
             No proposal is open."
        );
        told["epoch"] = json!({"number": 1, "protocol": "aliph", "base_slot": 9, "block": 7, "time_ms": 1_700_000_000_000_u64});
        told["proposals"] = json!([{
            "id": format!("0x{}", "3f9a1c02".repeat(8)), "protocol": "chain", "epoch": 1,
            "voters": [{"id": 0, "name": "validator-0"}, {"id": 3, "name": "validator-3"}], "needed": 3, "missing": 1,
        }]);
        let said = show(&told);
        assert!(
            said.ends_with(
                "epoch 1: aliph, since block 7 (2023-11-14T22:13:20Z)\n\n\
                 Open proposals:\n\
                 id        protocol  votes   missing  voted\n\
                 3f9a1c02  chain     2 of 3        1  validator-0, validator-3"
            ),
            "{said}"
        );
    }
}

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::protocol::orders;
use crate::{
    client::NodeArg,
    data::show_time,
    output::{Output, table},
};

/// Say how the network does, and what is wrong when something is
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  hedgerow status
  hedgerow status --node http://127.0.0.1:7200         a validator's own view
  hedgerow status --json | jq .cause

Exit codes: 0 the network goes on; 1 it is stalled, and the cause is named; 2 the node does not answer.")]
pub(crate) struct Status {
    #[command(flatten)]
    node: NodeArg,
}

impl Status {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let client = self.node.client()?;
        let status: Value = client.get("/status")?;
        output.object(&status);
        output.say(show(&status));
        Ok(if status["healthy"] == true {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(1)
        })
    }
}

/// The status in words.
pub(crate) fn show(status: &Value) -> String {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let network = &status["network"];
    let members = network["members"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let rows: Vec<_> = members
        .iter()
        .map(|member| {
            let heard = member["last_heard_ms"]
                .as_u64()
                .map_or_else(|| "-".into(), show_time);
            let reachable = match member["reachable"].as_bool() {
                _ if member["name"] == network["node"] => "this node",
                Some(true) => "yes",
                _ => "no",
            };
            vec![
                text(&member["name"]),
                text(&member["role"]),
                reachable.into(),
                text(&member["height"]),
                heard,
            ]
        })
        .collect();
    let verdict = match status["cause"].as_str() {
        Some(cause) => format!("NOT WELL: {cause}"),
        None => "The network goes on.".into(),
    };
    format!(
        "Network \"{}\" (number {}), as {} sees it\n\
         block {}, final with proof up to {}, {}, {}\n\n{}\n\n{verdict}",
        text(&network["name"]),
        text(&network["network"]),
        text(&network["node"]),
        text(&network["head_height"]),
        text(&network["attested_height"]),
        orders(
            &network["consensus"],
            &network["protocol"],
            &network["view"]
        ),
        text(&network["phase"]),
        table(
            &["member", "role", "reachable", "block", "last heard"],
            &rows
        ),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stall_is_named() {
        let status = json!({
            "healthy": false, "cause": "2 of 4 validators unreachable: need 3",
            "network": {
                "network": 7, "name": "orchard", "node": "gateway-0", "head_height": 12, "attested_height": 11, "view": 3,
                "stalled": "2 of 4 validators unreachable: need 3",
                "members": [
                    { "id": 0, "name": "validator-0", "role": "validator", "reachable": true, "last_heard_ms": 0, "height": 12 },
                    { "id": 4, "name": "gateway-0", "role": "gateway", "reachable": false, "last_heard_ms": null, "height": null },
                ],
            },
        });
        let shown = show(&status);
        assert!(
            shown.contains("NOT WELL: 2 of 4 validators unreachable: need 3"),
            "{shown}"
        );
        assert!(
            shown.contains("validator-0  validator  yes           12  1970-01-01T00:00:00Z"),
            "{shown}"
        );
        assert!(
            shown.contains("gateway-0    gateway    this node  -"),
            "{shown}"
        );
    }
}

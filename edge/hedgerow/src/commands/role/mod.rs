mod book;
mod vote;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{
    client::NodeArg,
    commands::voices::{names, short},
    output::{Output, table},
};
use book::{Book, roles};

/// Say who may do what; move that somebody have other roles, approve that, or take a vote back
#[derive(Args, Debug)]
#[command(after_help = "\
Roles of accounts: call (send transactions), deploy (deploy contracts by them), subscribe (have contracts subscribe to streams
by them). Roles of members: register (register devices), gateway (carry transactions), validate. What everyone may do, each may.

A validator moves that somebody have exactly some roles with `propose`; when as many validators have approved as the genesis
wants (2f+1 unless it says otherwise), the motion holds from the next block on. A decision about somebody ends the other
motions about the same.

Examples:
  hedgerow role
  hedgerow role propose everyone none                        from then on only those with roles of their own
  hedgerow role propose 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266 call,deploy,subscribe
  hedgerow role propose gateway-1 gateway                    it carries transactions, and registers no devices
  hedgerow role approve 3f9a1c02
  hedgerow role --json | jq .motions

Exit codes: 0 it is known; 2 the node does not answer.")]
pub(crate) struct Role {
    #[command(flatten)]
    node: NodeArg,
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand, Debug)]
enum Act {
    Propose(vote::Propose),
    Approve(vote::Approve),
    Withdraw(vote::Withdraw),
}

impl Role {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let client = self.node.client()?;
        match self.act {
            Some(Act::Propose(command)) => return command.run(output, &client),
            Some(Act::Approve(command)) => return command.run(output, &client),
            Some(Act::Withdraw(command)) => return command.run(output, &client),
            None => {}
        }
        let book = Book::ask(&client)?;
        output.object(&book.0);
        output.say(show(&book.0));
        Ok(ExitCode::SUCCESS)
    }
}

fn show(book: &Value) -> String {
    let who = |of: &Value| {
        let subject = of["subject"].as_str().unwrap_or("?");
        match of["name"].as_str() {
            Some(name) => name.to_owned(),
            None => subject.to_owned(),
        }
    };
    let subjects = book["subjects"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<_> = subjects
        .iter()
        .map(|one| vec![who(one), roles(&one["roles"])])
        .collect();
    let held = table(&["who", "roles"], &rows);
    let motions = book["motions"].as_array().map_or(&[][..], Vec::as_slice);
    if motions.is_empty() {
        return format!("{held}\n\nNo motion is open.");
    }
    let rows: Vec<_> = motions
        .iter()
        .map(|open| {
            let voters = names(&open["voters"]);
            vec![
                short(open["id"].as_str().unwrap_or_default()).to_owned(),
                who(open),
                roles(&open["now"]),
                roles(&open["roles"]),
                format!("{} of {}", voters.len(), open["needed"]),
                voters.join(", "),
            ]
        })
        .collect();
    let moved = table(&["id", "who", "now", "moved", "votes", "voted"], &rows);
    format!("{held}\n\nOpen motions:\n{moved}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_and_motions_are_told() {
        let mut book = json!({
            "subjects": [
                {"subject": format!("0x{}", "0".repeat(40)), "name": "everyone", "roles": ["call", "deploy"]},
                {"subject": format!("0x{}", "ab".repeat(20)), "roles": ["subscribe"]},
            ],
            "motions": [], "needed": 3,
        });
        assert_eq!(
            show(&book),
            format!(
                "who                                         roles\n\
                 everyone                                    call,deploy\n\
                 0x{}  subscribe\n\n\
                 No motion is open.",
                "ab".repeat(20)
            )
        );
        book["motions"] = json!([{
            "id": format!("0x{}", "3f9a1c02".repeat(8)), "subject": format!("0x{}", "0".repeat(40)), "name": "everyone",
            "round": 0, "now": ["call", "deploy"], "roles": [], "needed": 3, "missing": 2,
            "voters": [{"id": 0, "name": "validator-0"}],
        }]);
        let said = show(&book);
        assert!(
            said.ends_with(
                "Open motions:\n\
                 id        who       now          moved  votes   voted\n\
                 3f9a1c02  everyone  call,deploy  none   1 of 3  validator-0"
            ),
            "{said}"
        );
    }
}

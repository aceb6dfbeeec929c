//! Votes on somebody's roles.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use hedgerow_records::{Motion, Roles};
use serde_json::json;

use super::book::{Book, called, list, round, subject};
use crate::{
    client::Client,
    commands::{
        device::posted,
        voices::{By, Voices, digits, missing, short},
    },
    output::Output,
};

/// Move that somebody have exactly some roles, in a validator's name
#[derive(Args, Debug)]
#[command(after_help = "\
The validator votes for it; the others approve with `hedgerow role approve`. The vote goes through a gateway, and the command
waits until it is final.

Examples:
  hedgerow role propose everyone call                      in ./node.toml's name, or on the devnet
  hedgerow role propose gateway-0 none --member orchard/validator-0/node.toml --node http://127.0.0.1:7204
  hedgerow role propose 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266 call,deploy --json | jq .missing

Exit codes: 0 the vote counts; 1 it was rejected, or is not final yet; 2 it could not be cast.")]
pub(super) struct Propose {
    /// Who: an account's address, a member's name, or everyone
    #[arg(value_name = "WHO")]
    who: String,
    /// The roles that it is to have, all of them: some of call, deploy, subscribe, register and gateway, with commas
    /// between them; or none
    #[arg(value_name = "ROLES")]
    roles: Roles,
    #[command(flatten)]
    by: By,
}

/// Approve a motion, in a validator's name
#[derive(Args, Debug)]
#[command(after_help = "\
`hedgerow role` lists the open motions. With the last vote needed the motion is decided, and holds from the next block on.
Approving twice counts once.

Examples:
  hedgerow role approve 3f9a1c02                           in ./node.toml's name, or on the devnet
  hedgerow role approve 3f9a --member orchard/validator-1/node.toml --node http://127.0.0.1:7204

Exit codes: 0 the vote counts; 1 it was rejected, or is not final yet; 2 it could not be cast, as when the motion is not open
any more.")]
pub(super) struct Approve {
    /// The motion's identifier, or as many of its first digits as tell it from the others, four at least
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    by: By,
}

/// Take a vote for a motion back, in a validator's name
#[derive(Args, Debug)]
#[command(after_help = "\
With its last vote the motion is gone. A validator may be for eight open motions at a time.

Examples:
  hedgerow role withdraw 3f9a1c02                          in ./node.toml's name, or on the devnet

Exit codes: 0 the vote is taken back; 1 that was rejected, or is not final yet; 2 it could not be asked for.")]
pub(super) struct Withdraw {
    /// The motion's identifier, or as many of its first digits as tell it from the others, four at least
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    by: By,
}

impl Propose {
    pub(super) fn run(self, output: Output, client: &Client) -> Result<ExitCode> {
        let voices = self.by.voices()?;
        let subject = subject(&self.who, voices.genesis())?;
        let book = Book::ask(client)?;
        let now = book.roles(subject);
        if now == self.roles {
            bail!("{} has exactly these roles already: {now}", self.who);
        }
        let round = round(client, subject)?;
        let motion = Motion {
            subject,
            round,
            roles: self.roles,
        };
        voices.cast_on(output, client, &book, motion, true)
    }
}

impl Approve {
    pub(super) fn run(self, output: Output, client: &Client) -> Result<ExitCode> {
        named(output, client, &self.id, &self.by, true)
    }
}

impl Withdraw {
    pub(super) fn run(self, output: Output, client: &Client) -> Result<ExitCode> {
        named(output, client, &self.id, &self.by, false)
    }
}

/// Votes on the open motion that these digits name.
fn named(output: Output, client: &Client, id: &str, by: &By, approves: bool) -> Result<ExitCode> {
    let digits = digits(id, "hedgerow role")?;
    let voices = by.voices()?;
    let book = Book::ask(client)?;
    let matching = book.beginning(&voices.genesis().digest(), &digits);
    let [motion] = matching[..] else {
        if matching.is_empty() {
            bail!(
                "{digits}: no open motion of {}'s network begins so: it was decided, ended by another decision about the same, or never \
                 made; `hedgerow role` lists the open ones",
                voices.name()
            );
        }
        bail!("{digits}: several motions begin so: use more digits");
    };
    voices.cast_on(output, client, &book, motion, approves)
}

impl Voices {
    fn cast_on(
        &self,
        output: Output,
        client: &Client,
        book: &Book,
        motion: Motion,
        approves: bool,
    ) -> Result<ExitCode> {
        let voters = book.voters(&motion);
        let voice = if approves {
            self.next(&voters)
        } else {
            self.last(&voters)
        };
        let transaction = voice.role_vote(motion, approves)?;
        let answer = posted(client.post("/transactions?wait=final", &transaction.to_bytes()))?;

        let genesis = self.genesis();
        let (who, id) = (
            called(motion.subject, genesis),
            motion.id(&genesis.digest()),
        );
        let id = format!("0x{id}");
        let mut told = answer.clone();
        told["validator"] = voice.name().into();
        told["motion"] = id.as_str().into();
        told["who"] = who.as_str().into();
        told["roles"] = list(motion.roles);
        let moved = format!("that {who} have the roles {}", motion.roles);
        let (words, code) = match answer["status"].as_str().unwrap_or_default() {
            "final" if answer["decided"] == true => {
                told["missing"] = 0.into();
                let block = &answer["block"];
                (
                    format!("decided at block {block}, from the next one on: {moved}"),
                    0,
                )
            }
            "final" if !approves => {
                let votes = &answer["votes"];
                let words = format!(
                    "{} takes its vote back; {votes} are left: {moved}",
                    voice.name()
                );
                (words, 0)
            }
            "final" => {
                let missing = missing(&answer);
                let voters: Vec<_> = voters.into_iter().chain([voice.name()]).collect();
                let all = voice.validators();
                let others: Vec<_> = all.filter(|name| !voters.contains(name)).collect();
                told["missing"] = missing.into();
                told["others"] = json!(others);
                let words = format!(
                    "{} votes for it: {moved}; {} of {} votes; still needed: {missing} of {}\n\
                     they approve with: hedgerow role approve {}",
                    voice.name(),
                    answer["votes"],
                    answer["needed"],
                    others.join(", "),
                    short(&id),
                );
                (words, 0)
            }
            "rejected" => {
                let reason = answer["reason"].as_str().unwrap_or("no reason given");
                (
                    format!("{}'s vote does not count: {reason}", voice.name()),
                    1,
                )
            }
            status => {
                let words = format!(
                    "{}'s vote will be counted when the network goes on: the gateway has it ({status})",
                    voice.name()
                );
                (words, 1)
            }
        };
        output.tell(words, &told);
        Ok(ExitCode::from(code))
    }
}

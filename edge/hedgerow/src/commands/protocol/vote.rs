//! Votes for another ordering protocol.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use hedgerow_base::Digest;
use hedgerow_node::ordering::Consensus;
use hedgerow_records::proposal_id;
use serde_json::{Value, json};

use crate::{
    client::Client,
    commands::{
        device::posted,
        voices::{By, Voices, digits, missing, names, short},
    },
    output::Output,
};

/// Of how many past epochs proposals are still recognised.
const REMEMBERED: usize = 1000;

/// Propose another ordering protocol, in a validator's name
#[derive(Args, Debug)]
#[command(after_help = "\
The validator votes for it; the others approve with `hedgerow protocol approve`. Who proposes what is open already
approves it. The vote goes through a gateway, and the command waits until it is final.

Examples:
  hedgerow protocol propose aliph                          in ./node.toml's name, or on the devnet
  hedgerow protocol propose aliph --member orchard/validator-0/node.toml --node http://127.0.0.1:7204
  hedgerow protocol propose aliph --json | jq .missing

Exit codes: 0 the vote counts; 1 it was rejected, or is not final yet; 2 it could not be cast.")]
pub(super) struct Propose {
    /// The protocol: pbft, aliph, r-aliph, azyzzyva, zlight, quorum, chain or backup
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    by: By,
}

/// Approve a proposal, in a validator's name
#[derive(Args, Debug)]
#[command(after_help = "\
`hedgerow protocol` lists the open proposals. With the last vote needed (2f+1 validators, 3 of 4) the next epoch begins:
the protocol orders from there on. Approving twice counts once.

Examples:
  hedgerow protocol approve 3f9a1c02                       in ./node.toml's name, or on the devnet
  hedgerow protocol approve 3f9a --member orchard/validator-1/node.toml --node http://127.0.0.1:7204

Exit codes: 0 the vote counts; 1 it was rejected, or is not final yet; 2 it could not be cast, as when the proposal is
not open any more.")]
pub(super) struct Approve {
    /// The proposal's identifier, or as many of its first digits as tell it from the others, four at least
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    by: By,
}

impl Propose {
    pub(super) fn run(self, output: Output, client: &Client) -> Result<ExitCode> {
        let consensus: Consensus = self.name.parse()?;
        let voices = self.by.voices()?;
        let order = Order::ask(client)?;
        if order.protocol()? == consensus.name() {
            bail!(
                "{} orders already ({}): propose another one",
                consensus.name(),
                super::show_epoch(&order.0["epoch"])
            );
        }
        voices.cast(output, client, &order, consensus)
    }
}

impl Approve {
    pub(super) fn run(self, output: Output, client: &Client) -> Result<ExitCode> {
        let digits = digits(&self.id, "hedgerow protocol")?;
        let voices = self.by.voices()?;
        let order = Order::ask(client)?;
        let (genesis, epoch) = (voices.genesis().digest(), order.epoch()?);
        // The identifiers are computed here: a node that lies can't have one thing approved for another.
        let matching: Vec<_> = order
            .proposals()
            .filter(|(name, _)| {
                let id = proposal_id(&genesis, epoch, name);
                id.to_hex().starts_with(&digits)
            })
            .collect();
        if matching.is_empty() && order.claims(&digits) {
            bail!(
                "{digits}: {} has such a proposal, but for another network than {}'s: use a node and a config of one network",
                client.url(),
                voices.name()
            );
        }
        let [(name, _)] = matching[..] else {
            if !matching.is_empty() {
                bail!("{digits}: several proposals begin so: use more digits");
            }
            bail!("{}", order.unknown(&genesis, &digits));
        };
        let consensus = name
            .parse()
            .context("this validator could not run what it approves: use a newer version")?;
        voices.cast(output, client, &order, consensus)
    }
}

impl Voices {
    fn cast(
        &self,
        output: Output,
        client: &Client,
        order: &Order,
        consensus: Consensus,
    ) -> Result<ExitCode> {
        let (epoch, protocol) = (order.epoch()?, consensus.name());
        let voters = order.voters(protocol);
        let voice = self.next(&voters);
        let transaction = voice.vote(epoch, protocol)?;
        let answer = posted(client.post("/transactions?wait=final", &transaction.to_bytes()))?;

        let proposal = proposal_id(&voice.genesis.digest(), epoch, protocol);
        let mut told = answer.clone();
        told["validator"] = voice.name().into();
        told["proposal"] = format!("0x{proposal}").into();
        told["protocol"] = protocol.into();
        let (words, code) = match answer["status"].as_str().unwrap_or_default() {
            "final" if answer["began"].is_u64() => {
                told["missing"] = 0.into();
                (
                    format!(
                        "decided at block {}: {protocol} from here on",
                        answer["block"]
                    ),
                    0,
                )
            }
            "final" => {
                let missing = missing(&answer);
                // The others' votes are as they are now: another one may have come in the meantime.
                let voters = Order::ask(client).map(|order| order.voters(protocol).join("\n"));
                let voters = voters.unwrap_or_default();
                let voters: Vec<_> = voters.lines().chain([voice.name()]).collect();
                let others: Vec<_> = voice
                    .validators()
                    .filter(|name| !voters.contains(name))
                    .collect();
                told["missing"] = missing.into();
                told["others"] = json!(others);
                (undecided(voice.name(), &told, missing, &others), 0)
            }
            "rejected" => (
                format!(
                    "{}'s vote does not count: {}",
                    voice.name(),
                    answer["reason"].as_str().unwrap_or("no reason given")
                ),
                1,
            ),
            status => (
                format!(
                    "{}'s vote will be counted when the network goes on: the gateway has it ({status})",
                    voice.name()
                ),
                1,
            ),
        };
        output.tell(words, &told);
        Ok(ExitCode::from(code))
    }
}

fn undecided(voter: &str, told: &Value, missing: u64, others: &[&str]) -> String {
    let id = short(told["proposal"].as_str().unwrap_or_default());
    let who = match missing {
        1 => "one".to_owned(),
        more => more.to_string(),
    };
    format!(
        "{voter} votes for {}: {} of {} votes; still needed: {who} of {}\n\
         they approve with: hedgerow protocol approve {id}",
        told["protocol"].as_str().unwrap_or_default(),
        told["votes"],
        told["needed"],
        others.join(", "),
    )
}

/// What the ledger says of the order.
struct Order(Value);

impl Order {
    fn ask(client: &Client) -> Result<Self> {
        client.get("/protocol").map(Self)
    }

    fn epoch(&self) -> Result<u64> {
        self.0["epoch"]["number"]
            .as_u64()
            .context("/protocol: no epoch in it; is this a Hedgerow node?")
    }

    fn protocol(&self) -> Result<&str> {
        self.0["epoch"]["protocol"]
            .as_str()
            .context("/protocol: no protocol in it; is this a Hedgerow node?")
    }

    /// The open proposals: their protocols, and who has voted for them, by name.
    fn proposals(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        let open = self.0["proposals"].as_array();
        open.into_iter().flatten().filter_map(|open| {
            let protocol = open["protocol"].as_str()?;
            Some((protocol, names(&open["voters"])))
        })
    }

    /// Whether the node says that an open proposal's identifier begins so.
    fn claims(&self, digits: &str) -> bool {
        let open = self.0["proposals"].as_array();
        open.into_iter().flatten().any(|open| {
            let id = open["id"].as_str().unwrap_or_default();
            id.trim_start_matches("0x").starts_with(digits)
        })
    }

    /// The names of those who have voted for a protocol in this epoch.
    fn voters(&self, protocol: &str) -> Vec<&str> {
        let open = self.proposals().find(|(name, _)| *name == protocol);
        open.map(|(_, voters)| voters).unwrap_or_default()
    }

    /// The epoch before this one, and the protocol, of a proposal that begins with these digits: anybody can compute the
    /// identifiers.
    fn past(&self, genesis: &Digest, digits: &str) -> Option<(u64, &'static str)> {
        let past = (0..self.epoch().ok()?).rev();
        past.take(REMEMBERED)
            .flat_map(|epoch| Consensus::all().map(move |known| (epoch, known.name())))
            .find(|(epoch, name)| {
                let id = proposal_id(genesis, *epoch, name);
                id.to_hex().starts_with(digits)
            })
    }

    /// Why no open proposal begins with these digits.
    fn unknown(&self, genesis: &Digest, digits: &str) -> String {
        let now = super::show_epoch(&self.0["epoch"]);
        match self.past(genesis, digits) {
            Some((epoch, protocol))
                if self.protocol().is_ok_and(|orders| orders == protocol)
                    && self.epoch().is_ok_and(|number| number == epoch + 1) =>
            {
                format!("{digits}: this has been decided: {now}")
            }
            Some((epoch, protocol)) => format!(
                "{digits}: the proposal of {protocol} has lapsed with epoch {epoch}; now it is {now}: propose it anew"
            ),
            None => format!(
                "{digits}: no open proposal begins so in {now}; `hedgerow protocol` lists the open ones"
            ),
        }
    }
}

//! Validators that vote from the command line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use hedgerow_chain::Genesis;
use serde_json::Value;

use crate::{devnet::validators_of_default, member::Voice};

/// The config that a validator's operator has in the folder where it runs.
const HERE: &str = "node.toml";

/// How many digits of an identifier are shown.
const SHOWN: usize = 8;

/// How many digits name something at least.
const LEAST: usize = 4;

/// Who votes.
#[derive(Args, Debug)]
pub(super) struct By {
    /// The config of the validator that votes [default: ./node.toml; else, of the devnet in ./devnet, the first validator
    /// that has not voted for it]
    #[arg(long, value_name = "CONFIG")]
    member: Option<PathBuf>,
}

impl By {
    /// Whoever may vote from here: one, but for a devnet.
    pub(super) fn voices(&self) -> Result<Voices> {
        if let Some(config) = &self.member {
            return Voices::open(&[config.as_path()]);
        }
        if Path::new(HERE).exists() {
            return Voices::open(&[Path::new(HERE)]);
        }
        let devnet = validators_of_default();
        if devnet.is_empty() {
            bail!(
                "--member: missing; a validator votes: name its config, such as orchard/validator-0/node.toml, or run this in its folder"
            );
        }
        Voices::open(&devnet)
    }
}

/// Those who may vote from here, one at least; of one network.
pub(super) struct Voices(Voice, Vec<Voice>);

impl Voices {
    fn open(configs: &[impl AsRef<Path>]) -> Result<Self> {
        let mut voices = configs.iter().map(|config| Voice::open(config.as_ref()));
        let first = voices.next().context("--member: nobody to vote")??;
        Ok(Self(first, voices.collect::<Result<_>>()?))
    }

    pub(super) const fn genesis(&self) -> &Genesis {
        &self.0.genesis
    }

    /// The validator that votes: the first one that has not yet.
    pub(super) fn next(&self, voters: &[&str]) -> &Voice {
        let mut voices = std::iter::once(&self.0).chain(&self.1);
        let voice = voices.find(|voice| !voters.contains(&voice.name()));
        voice.unwrap_or(&self.0)
    }

    /// The validator that takes its vote back: the first one that has voted.
    pub(super) fn last(&self, voters: &[&str]) -> &Voice {
        let mut voices = std::iter::once(&self.0).chain(&self.1);
        let voice = voices.find(|voice| voters.contains(&voice.name()));
        voice.unwrap_or(&self.0)
    }

    /// The name of the first one's, for messages.
    pub(super) fn name(&self) -> &str {
        self.0.name()
    }
}

/// The digits by which somebody names what is voted on; `lists` is the command that shows what there is.
pub(super) fn digits(id: &str, lists: &str) -> Result<String> {
    let digits = id.strip_prefix("0x").unwrap_or(id).to_ascii_lowercase();
    if !(LEAST..=64).contains(&digits.len()) || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        bail!(
            "{id}: it is named by {LEAST} to 64 hexadecimal digits; `{lists}` lists what is open"
        );
    }
    Ok(digits)
}

/// How many votes are missing, by what a gateway says of one.
pub(super) fn missing(answer: &Value) -> u64 {
    let count = |field: &str| answer[field].as_u64().unwrap_or_default();
    count("needed").saturating_sub(count("votes"))
}

/// What people see of an identifier.
pub(super) fn short(id: &str) -> &str {
    let digits = id.trim_start_matches("0x");
    digits.get(..SHOWN).unwrap_or(digits)
}

/// The names of a proposal's voters.
pub(super) fn names(voters: &Value) -> Vec<&str> {
    let voters = voters.as_array().map_or(&[][..], Vec::as_slice);
    voters
        .iter()
        .filter_map(|voter| voter["name"].as_str())
        .collect()
}

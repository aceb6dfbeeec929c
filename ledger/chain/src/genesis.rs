use std::collections::BTreeMap;

use alloy_primitives::keccak256;
use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, NodeId, NodeSet, Roster};
use hedgerow_records::{Name, ProtocolName};
use hedgerow_wire::encode;
use serde::{Deserialize, Serialize};

use crate::RoleRules;

/// The greatest network number: what Ethereum's tools take for a chain id without loss.
const MAX_NETWORK: u64 = (1 << 53) - 1;

/// How the network begins: who its members are, and how they order. Every member has the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The network's number (Ethereum's chain id). It stops replay of transactions on another network.
    pub network: u64,
    /// The network's name, for people.
    pub name: String,
    /// The genesis block's time: milliseconds since the Unix epoch.
    pub time: u64,
    /// The validators; their identifiers are 0, 1, 2 …
    pub validators: Vec<Member>,
    /// The gateways; their identifiers follow the validators'.
    #[serde(default)]
    pub gateways: Vec<Member>,
    /// How the validators order.
    pub ordering: Ordering,
    /// What contracts may take, and who owns what at the beginning.
    #[serde(default)]
    pub contracts: ContractRules,
    /// Who may do what at the beginning, and how many votes change that.
    #[serde(default)]
    pub roles: RoleRules,
}

/// How contracts are executed. Everything has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContractRules {
    /// How much gas a block has; what does not fit waits for another one. 100,000,000 by default.
    pub gas_limit: u64,
    /// What a unit of gas costs, in wei; 0 by default.
    pub gas_price: u64,
    /// Who gets what gas costs: an address. Nobody's by default.
    pub beneficiary: AccountAddress,
    /// Who owns how many gwei (10^9 wei) in the genesis block.
    pub accounts: BTreeMap<AccountAddress, u64>,
}

impl Default for ContractRules {
    fn default() -> Self {
        Self {
            gas_limit: 100_000_000,
            gas_price: 0,
            beneficiary: AccountAddress([0; 20]),
            accounts: BTreeMap::new(),
        }
    }
}

/// An Ethereum address; in JSON 40 hexadecimal digits, after `0x` or not.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    BorshSerialize,
    BorshDeserialize,
    Deserialize,
)]
#[serde(try_from = "String")]
pub struct AccountAddress(pub [u8; 20]);

impl TryFrom<String> for AccountAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        let mut address = [0; 20];
        hex::decode_to_slice(digits, &mut address)
            .map_err(|_| format!("`{text}` is not an address: give 40 hexadecimal digits"))?;
        Ok(Self(address))
    }
}

impl Serialize for AccountAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("0x{}", hex::encode(self.0)))
    }
}

/// A member of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name; no other member has it.
    pub name: String,
    /// Its Ed25519 public key.
    #[serde(with = "hex::serde")]
    pub key: [u8; 32],
    /// Its X25519 public key, from which it derives a MAC key with every other member.
    #[serde(with = "hex::serde")]
    pub mac_key: [u8; 32],
}

/// How the validators order requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Ordering {
    /// The protocol, such as `pbft`.
    pub consensus: String,
    /// A checkpoint is taken every so many slots.
    pub checkpoint_interval: u64,
    /// The protocol's other options.
    #[serde(flatten)]
    pub options: BTreeMap<String, OptionValue>,
}

/// The value of an option of the ordering protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(
    untagged,
    expecting = "an option of `ordering` has a value that is neither true or false, nor a whole number, nor a text: use one of these"
)]
pub enum OptionValue {
    /// Yes or no.
    Bool(bool),
    /// A count or a duration; the option's name says the unit.
    Number(u64),
    /// Anything else.
    Text(String),
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// It orders and executes.
    Validator,
    /// It carries transactions to the validators.
    Gateway,
}

/// Why a genesis can't be used. Each names the key and the mend.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Not JSON, a key missing or unknown, or a value of the wrong kind.
    #[error("genesis: {0}")]
    Json(#[from] serde_json::Error),
    /// A value that is not allowed.
    #[error("genesis: `{key}`: {problem}; {mend}")]
    Value {
        /// Where it is.
        key: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        mend: &'static str,
    },
}

fn wrong<T>(
    key: impl Into<String>,
    problem: impl Into<String>,
    mend: &'static str,
) -> Result<T, GenesisError> {
    Err(GenesisError::Value {
        key: key.into(),
        problem: problem.into(),
        mend,
    })
}

impl Genesis {
    /// Reads and validates the JSON text of a genesis.
    ///
    /// # Errors
    /// When it is not JSON, lacks a key, has an unknown one, or has a value that is not allowed.
    pub fn from_json(text: &str) -> Result<Self, GenesisError> {
        let genesis: Self = serde_json::from_str(text)?;
        genesis.validate()?;
        Ok(genesis)
    }

    /// The genesis as indented JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, integers and maps with string keys always have a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Checks every value.
    ///
    /// # Errors
    /// Names the first value that is not allowed, and what to do.
    pub fn validate(&self) -> Result<(), GenesisError> {
        if self.network == 0 || self.network > MAX_NETWORK {
            return wrong(
                "network",
                format!("{} is not a network number", self.network),
                "use 1 to 2^53 - 1",
            );
        }
        if self.name.is_empty() || self.name.len() > 64 || self.name.chars().any(char::is_control) {
            return wrong(
                "name",
                "it has no, too many or unprintable characters",
                "use 1 to 64 printable characters",
            );
        }
        let most = NodeSet::CAPACITY as usize;
        if self.validators.is_empty() || self.members() > most {
            let problem = format!(
                "{} validators and {} gateways",
                self.validators.len(),
                self.gateways.len()
            );
            return wrong(
                "validators",
                problem,
                "have one validator at least (4 stand one failure), 128 members at most",
            );
        }
        if let Err(error) = ProtocolName::new(self.ordering.consensus.as_str()) {
            return wrong(
                "ordering.consensus",
                error.to_string(),
                "name a protocol, such as \"pbft\"",
            );
        }
        if !(1..=1 << 20).contains(&self.ordering.checkpoint_interval) {
            let problem = format!(
                "{} is not a number of slots",
                self.ordering.checkpoint_interval
            );
            return wrong(
                "ordering.checkpoint_interval",
                problem,
                "use 1 to 1048576; 128 is usual",
            );
        }
        if !(1 << 24..=1 << 40).contains(&self.contracts.gas_limit) {
            return wrong(
                "contracts.gas_limit",
                format!("{} is not a block's gas", self.contracts.gas_limit),
                "use 16777216 (what one transaction may have) to 2^40; 100000000 is usual",
            );
        }
        let most = self.validators.len() as u32;
        if self
            .roles
            .threshold
            .is_some_and(|votes| votes == 0 || votes > most)
        {
            let problem = format!("{} of {most} validators", self.role_votes());
            return wrong(
                "roles.threshold",
                problem,
                "use 1 to the number of validators; leave it out for a quorum (3 of 4)",
            );
        }
        self.validate_members()
    }

    fn validate_members(&self) -> Result<(), GenesisError> {
        let mut seen = BTreeMap::new();
        let seats = self
            .validators
            .iter()
            .enumerate()
            .map(|(i, member)| (format!("validators[{i}]"), member));
        let others = self
            .gateways
            .iter()
            .enumerate()
            .map(|(i, member)| (format!("gateways[{i}]"), member));
        for (place, member) in seats.chain(others) {
            if let Err(error) = Name::new(member.name.as_str()) {
                return wrong(
                    format!("{place}.name"),
                    error.to_string(),
                    "give every member a short name",
                );
            }
            for (key, what) in [
                ("name", member.name.as_bytes()),
                ("key", &member.key),
                ("mac_key", &member.mac_key),
            ] {
                if let Some(first) = seen.insert((key, what.to_vec()), place.clone()) {
                    let problem = format!("{first} has the same one");
                    return wrong(
                        format!("{place}.{key}"),
                        problem,
                        "give every member its own name and keys",
                    );
                }
            }
        }
        Ok(())
    }

    /// How many members there are.
    #[must_use]
    pub fn members(&self) -> usize {
        self.validators.len() + self.gateways.len()
    }

    /// The member with that identifier, and its seat.
    #[must_use]
    pub fn member(&self, node: NodeId) -> Option<(Seat, &Member)> {
        match self.validators.get(node.index()) {
            Some(member) => Some((Seat::Validator, member)),
            None => Some((
                Seat::Gateway,
                self.gateways.get(node.index() - self.validators.len())?,
            )),
        }
    }

    /// The member with that Ed25519 key: its identifier and its seat.
    #[must_use]
    pub fn find(&self, key: &[u8; 32]) -> Option<(NodeId, Seat)> {
        let ids = (0..self.members() as u32).map(NodeId);
        ids.filter_map(|id| self.member(id).map(|found| (id, found)))
            .find(|(_, (_, member))| member.key == *key)
            .map(|(id, (seat, _))| (id, seat))
    }

    /// The validators' roster.
    ///
    /// # Errors
    /// When there are none or more than 128, which [`Genesis::validate`] excludes.
    pub fn roster(&self) -> Result<Roster, GenesisError> {
        match Roster::new(self.validators.len() as u32) {
            Ok(roster) => Ok(roster),
            Err(error) => wrong("validators", error.to_string(), "have 1 to 128 validators"),
        }
    }

    /// Names this genesis, whatever the layout of its file: keccak256(`"hedgerow/genesis/1\0"` ++ Borsh encoding of
    /// the fields in their order here).
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(keccak256([&b"hedgerow/genesis/1\0"[..], &encode(self)].concat()).0)
    }
}

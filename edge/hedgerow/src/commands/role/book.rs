//! What the ledger says of roles.

use anyhow::{Context, Result};
use hedgerow_base::Digest;
use hedgerow_chain::Genesis;
use hedgerow_records::{Motion, Roles, Subject};
use serde_json::{Value, json};

use crate::client::Client;

/// How many subjects are asked for at a time.
const PAGE: usize = 1000;

/// What everyone's roles are called.
const EVERYONE: &str = "everyone";

/// Those who have roles, all of them, and the open motions; members with their names.
pub(super) struct Book(pub(super) Value);

/// A motion that is open.
pub(super) struct Open<'a> {
    pub(super) motion: Motion,
    pub(super) voters: Vec<&'a str>,
}

impl Book {
    pub(super) fn ask(client: &Client) -> Result<Self> {
        let mut book: Value = client.get(&format!("/roles?limit={PAGE}"))?;
        while let Some(after) = book["next"].as_str() {
            let more: Value = client.get(&format!("/roles?limit={PAGE}&after={after}"))?;
            let (mut subjects, next) = (more["subjects"].clone(), more["next"].clone());
            if let (Some(all), Some(more)) =
                (book["subjects"].as_array_mut(), subjects.as_array_mut())
            {
                all.append(more);
            }
            book["next"] = next;
        }
        let status: Value = client.get("/status")?;
        for list in ["subjects", "motions"] {
            for one in book[list].as_array_mut().into_iter().flatten() {
                if let Some(name) = name_of(&one["subject"], &status) {
                    one["name"] = name.into();
                }
            }
        }
        // Everyone, the members in their order, then accounts.
        let order = |one: &Value| {
            let name = one["name"].as_str();
            let members = status["network"]["members"].as_array();
            let mut members = members.into_iter().flatten();
            let place = members.position(|member| member["name"].as_str() == name);
            (name.is_none(), name != Some(EVERYONE), place)
        };
        if let Some(subjects) = book["subjects"].as_array_mut() {
            subjects.sort_by_key(order);
        }
        if let Some(fields) = book.as_object_mut() {
            fields.remove("next");
        }
        Ok(Self(book))
    }

    /// The open motions.
    pub(super) fn open(&self) -> impl Iterator<Item = Open<'_>> {
        let all = self.0["motions"].as_array();
        all.into_iter().flatten().filter_map(|open| {
            Some(Open {
                motion: Motion {
                    subject: open["subject"].as_str()?.parse().ok()?,
                    round: open["round"].as_u64()?,
                    roles: parsed(&open["roles"])?,
                },
                voters: crate::commands::voices::names(&open["voters"]),
            })
        })
    }

    /// The names of those who have voted for a motion.
    pub(super) fn voters(&self, motion: &Motion) -> Vec<&str> {
        let open = self.open().find(|open| open.motion == *motion);
        open.map(|open| open.voters).unwrap_or_default()
    }

    /// The open motions whose identifiers begin so, in the network with that genesis: computed here, so that a node that
    /// lies can't have one thing approved for another.
    pub(super) fn beginning(&self, genesis: &Digest, digits: &str) -> Vec<Motion> {
        let all = self.open().map(|open| open.motion);
        all.filter(|motion| motion.id(genesis).to_hex().starts_with(digits))
            .collect()
    }

    /// The roles that somebody has itself.
    pub(super) fn roles(&self, subject: Subject) -> Roles {
        let text = subject.to_string();
        let mut all = self.0["subjects"].as_array().into_iter().flatten();
        let found = all.find(|one| one["subject"].as_str() == Some(&text));
        found
            .and_then(|one| parsed(&one["roles"]))
            .unwrap_or_default()
    }
}

/// How many motions about somebody have been decided.
pub(super) fn round(client: &Client, subject: Subject) -> Result<u64> {
    let standing: Value = client.get(&format!("/roles/{subject}"))?;
    standing["round"]
        .as_u64()
        .context("/roles: no round in it; is this a Hedgerow node?")
}

/// Whom a word names: everyone, a member by its name, or an account by its address.
pub(super) fn subject(word: &str, genesis: &Genesis) -> Result<Subject> {
    if word == EVERYONE {
        return Ok(Subject::EVERYONE);
    }
    let members = genesis.validators.iter().chain(&genesis.gateways);
    let mut named = members.zip(genesis.subjects());
    if let Some((_, (_, subject))) = named.find(|(member, _)| member.name == word) {
        return Ok(subject);
    }
    word.parse().with_context(|| {
        format!("{word}: neither {EVERYONE}, nor a member of this network by name, nor an address")
    })
}

/// What a subject is called by people.
pub(super) fn called(subject: Subject, genesis: &Genesis) -> String {
    if subject == Subject::EVERYONE {
        return EVERYONE.to_owned();
    }
    let members = genesis.validators.iter().chain(&genesis.gateways);
    let mut named = members.zip(genesis.subjects());
    let found = named.find(|(_, (_, one))| *one == subject);
    found.map_or_else(|| subject.to_string(), |(member, _)| member.name.clone())
}

/// What a node's status calls a subject.
fn name_of(subject: &Value, status: &Value) -> Option<String> {
    let subject = subject.as_str()?;
    if subject == Subject::EVERYONE.to_string() {
        return Some(EVERYONE.to_owned());
    }
    let mut members = status["network"]["members"].as_array()?.iter();
    let member = members.find(|member| member["subject"].as_str() == Some(subject))?;
    Some(member["name"].as_str()?.to_owned())
}

fn parsed(names: &Value) -> Option<Roles> {
    let names = names.as_array()?.iter().map(|name| {
        let role: Roles = name.as_str()?.parse().ok()?;
        Some(role)
    });
    names
        .into_iter()
        .try_fold(Roles::NONE, |all, role| Some(all.with(role?)))
}

/// A list of roles as people write it.
pub(super) fn roles(names: &Value) -> String {
    parsed(names).unwrap_or_default().to_string()
}

/// A set of roles as a list.
pub(super) fn list(roles: Roles) -> Value {
    json!(roles.names().collect::<Vec<_>>())
}

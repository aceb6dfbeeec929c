//! Who may do what at the beginning.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_crypto::VerifyingKey;
use hedgerow_records::{Roles, Subject};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{AccountAddress, Genesis, Seat};

/// Who has which roles in the genesis block. Everything has a default. Members have theirs by their seat: validators
/// `validate`, `gateway` and `register`, gateways the latter two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoleRules {
    /// What everyone may do: `call`, `deploy` and `subscribe` by default.
    pub everyone: RoleList,
    /// What accounts may do beyond that.
    pub accounts: BTreeMap<AccountAddress, RoleList>,
    /// How many validators' votes change somebody's roles; a quorum (2f + 1) by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u32>,
}

impl Default for RoleRules {
    fn default() -> Self {
        Self {
            everyone: RoleList(Roles::CALL.with(Roles::DEPLOY).with(Roles::SUBSCRIBE)),
            accounts: BTreeMap::new(),
            threshold: None,
        }
    }
}

/// Roles; in JSON a list of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RoleList(pub Roles);

impl Serialize for RoleList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.names())
    }
}

impl<'de> Deserialize<'de> for RoleList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = <Vec<String> as Deserialize>::deserialize(deserializer)?;
        let roles = names.iter().map(|name| name.parse::<Roles>());
        let all = roles.into_iter().try_fold(Roles::NONE, |all, one| {
            one.map(|one| all.with(one))
                .map_err(serde::de::Error::custom)
        });
        all.map(Self)
    }
}

impl Genesis {
    /// Who has roles at the beginning. A later entry adds to an earlier one of the same subject.
    pub(crate) fn first_roles(&self) -> BTreeMap<Subject, Roles> {
        let mut all = BTreeMap::new();
        let mut add = |subject, roles| {
            let own: &mut Roles = all.entry(subject).or_default();
            *own = own.with(roles);
        };
        add(Subject::EVERYONE, self.roles.everyone.0);
        for (account, roles) in &self.roles.accounts {
            add(Subject(account.0), roles.0);
        }
        let carries = Roles::GATEWAY.with(Roles::REGISTER);
        for (seat, subject) in self.subjects() {
            add(
                subject,
                match seat {
                    Seat::Validator => carries.with(Roles::VALIDATE),
                    Seat::Gateway => carries,
                },
            );
        }
        all
    }

    /// The members as subjects of roles, in the order of their identifiers.
    pub fn subjects(&self) -> impl Iterator<Item = (Seat, Subject)> + '_ {
        let validators = self.validators.iter().map(|one| (Seat::Validator, one));
        let gateways = self.gateways.iter().map(|one| (Seat::Gateway, one));
        validators
            .chain(gateways)
            .map(|(seat, member)| (seat, Subject::of_member(&VerifyingKey(member.key))))
    }

    /// How many validators' votes change somebody's roles.
    #[must_use]
    pub fn role_votes(&self) -> u32 {
        let validators = self.validators.len() as u32;
        let quorum = self
            .roster()
            .map_or(validators, |roster| roster.quorum() as u32);
        self.roles.threshold.unwrap_or(quorum)
    }
}

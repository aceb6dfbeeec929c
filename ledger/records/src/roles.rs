//! Roles: who may do what.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, str::FromStr};

use alloy_primitives::{Address, keccak256};
use borsh::{
    BorshDeserialize, BorshSerialize,
    io::{Error, ErrorKind, Read, Result as IoResult},
};
use hedgerow_crypto::VerifyingKey;

/// A set of roles. Encoded as its bits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize)]
pub struct Roles(u16);

/// Every role with its name, in the order of their bits.
const NAMES: [(Roles, &str); 6] = [
    (Roles::CALL, "call"),
    (Roles::DEPLOY, "deploy"),
    (Roles::SUBSCRIBE, "subscribe"),
    (Roles::REGISTER, "register"),
    (Roles::GATEWAY, "gateway"),
    (Roles::VALIDATE, "validate"),
];

/// Why a text is not a set of roles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a role: name some of call, deploy, subscribe, register, gateway and validate, with commas between them, or none"
)]
pub struct BadRoles(String);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);
    /// Send Ethereum's transactions. An account's.
    pub const CALL: Self = Self(1);
    /// Deploy contracts by them. An account's.
    pub const DEPLOY: Self = Self(1 << 1);
    /// Have contracts subscribe to streams, by a transaction of one's own. An account's.
    pub const SUBSCRIBE: Self = Self(1 << 2);
    /// Register devices. A member's.
    pub const REGISTER: Self = Self(1 << 3);
    /// Carry transactions. A member's.
    pub const GATEWAY: Self = Self(1 << 4);
    /// Order and execute. A member's, and the genesis' alone to give.
    pub const VALIDATE: Self = Self(1 << 5);

    /// Both's.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other`'s are among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These but for `other`'s.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The set with these bits; what has no meaning is left out.
    #[must_use]
    pub fn from_bits(bits: u16) -> Self {
        let known = NAMES.iter().fold(0, |known, (role, _)| known | role.0);
        Self(bits & known)
    }

    /// The roles' names, in their order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let has = move |entry: &&(Self, &str)| self.has(entry.0);
        NAMES.iter().filter(has).map(|(_, name)| *name)
    }
}

impl BorshDeserialize for Roles {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let bits = u16::deserialize_reader(reader)?;
        let roles = Self::from_bits(bits);
        if roles.0 != bits {
            let text = "bits of no known role";
            return Err(Error::new(ErrorKind::InvalidData, text));
        }
        Ok(roles)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        if names.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&names.join(","))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Roles {
    type Err = BadRoles;

    fn from_str(text: &str) -> Result<Self, BadRoles> {
        if text == "none" {
            return Ok(Self::NONE);
        }
        text.split(',').try_fold(Self::NONE, |roles, word| {
            let named = NAMES.iter().find(|(_, name)| *name == word.trim());
            let (role, _) = named.ok_or_else(|| BadRoles(word.trim().to_string()))?;
            Ok(roles.with(*role))
        })
    }
}

/// Who has roles: an account by its address, or a member by that of its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Subject(pub [u8; 20]);

impl Subject {
    /// Whoever it is: what everyone has, each has.
    pub const EVERYONE: Self = Self([0; 20]);

    /// A member: the last 20 bytes of keccak256 of its Ed25519 key.
    #[must_use]
    pub fn of_member(key: &VerifyingKey) -> Self {
        Self(Address::from_word(keccak256(key.0)).0.0)
    }
}

/// Why a text is not a [`Subject`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address: give 0x and 40 hexadecimal digits")]
pub struct BadSubject(String);

impl FromStr for Subject {
    type Err = BadSubject;

    fn from_str(text: &str) -> Result<Self, BadSubject> {
        let address: Result<Address, _> = text.parse();
        let address = address.map_err(|_| BadSubject(text.to_string()))?;
        Ok(Self(address.0.0))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_names_and_one_encoding() {
        for bits in 0..64 {
            let roles = Roles::from_bits(bits);
            assert_eq!(roles.bits(), bits);
            assert_eq!(roles.to_string().parse(), Ok(roles));
            let encoded = hedgerow_wire::encode(&roles);
            assert_eq!(hedgerow_wire::decode::<Roles>(&encoded, 2), Ok(roles));
        }
        let more = hedgerow_wire::encode(&64_u16);
        assert!(hedgerow_wire::decode::<Roles>(&more, 2).is_err());
        assert_eq!(Roles::from_bits(u16::MAX).bits(), 63);
        assert_eq!("deploy, call".parse(), Ok(Roles::CALL.with(Roles::DEPLOY)));
        for bad in ["", "admin", "call,", "call,none"] {
            assert!(bad.parse::<Roles>().is_err(), "{bad}");
        }
    }
}

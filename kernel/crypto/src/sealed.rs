use bytes::Bytes;
use core::fmt;

use borsh::{
    BorshDeserialize, BorshSerialize,
    io::{Error, ErrorKind, Read, Result as IoResult, Write},
};
use hedgerow_base::{Digest, NodeId, NodeSet};
use hedgerow_wire::{List, encode};

use crate::{Authenticator, Checks, Hasher, Keyring, Signature, Tag};

/// A kind of value that is sealed. The name separates it from all other kinds: a seal over one is worth nothing on another.
pub trait Domain {
    /// The name: different for each kind, without zero bytes.
    const DOMAIN: &'static str;
    /// How many bytes the encoding of one may have.
    const MAX: usize;
}

/// How a value is vouched for by its origin.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Seal {
    /// Not at all: it is evident, or checked otherwise.
    None,
    /// A MAC for one receiver.
    Mac(Tag),
    /// A MAC for each replica.
    Authenticator(Authenticator),
    /// A signature: whoever has it can show it to others.
    Signature(Signature),
    /// A MAC for each of some members: a chain authenticator.
    Macs(List<(NodeId, Tag), { NodeSet::CAPACITY as usize }>),
}

/// Which seal to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// None.
    None,
    /// A MAC for this member.
    MacFor(NodeId),
    /// A MAC for each replica.
    Authenticator,
    /// A MAC for each of these members.
    MacsFor(NodeSet),
    /// A signature.
    Signature,
}

/// A value with the exact bytes that it was sealed in: hashed, logged, forwarded and shown as evidence without
/// being encoded again. Cheap to clone. It exists only where its seal was made, or was checked.
#[derive(Clone)]
pub struct Sealed<T> {
    value: T,
    origin: NodeId,
    body: Bytes,
    seal: Seal,
    digest: Digest,
}

/// A value as it came in: who it claims to be from, and a seal that nobody has checked yet.
#[derive(Clone)]
pub struct Claimed<T> {
    value: T,
    origin: NodeId,
    body: Bytes,
    seal: Seal,
    digest: Digest,
}

/// Why a seal convinces nobody here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The claimed origin is not a member.
    #[error("its origin {0} is not a member")]
    Stranger(NodeId),
    /// The MAC, or my entry of the authenticator, is wrong or missing.
    #[error("its MAC is not {0}'s")]
    WrongMac(NodeId),
    /// Another kind of seal was needed.
    #[error("it is not sealed as its kind must be")]
    WrongKind,
}

fn digest<T: Domain>(origin: NodeId, body: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher
        .update(T::DOMAIN.as_bytes())
        .update(&[0])
        .update(&origin.0.to_le_bytes())
        .update(body);
    hasher.finish()
}

impl<T: BorshSerialize + Domain> Sealed<T> {
    /// Seals `value` with the keyring's secrets, in its context.
    #[must_use]
    pub fn new(value: T, sealing: Sealing, keyring: &Keyring) -> Self {
        let (origin, body) = (keyring.me(), Bytes::from(encode(&value)));
        let digest = digest::<T>(origin, &body);
        let seal = match sealing {
            Sealing::None => Seal::None,
            Sealing::MacFor(to) => Seal::Mac(keyring.tag_for(to, &digest)),
            Sealing::Authenticator => Seal::Authenticator(keyring.authenticator(&digest)),
            Sealing::MacsFor(set) => {
                let tags = set.iter().map(|to| (to, keyring.tag_for(to, &digest)));
                Seal::Macs(List::new(tags.collect()).unwrap_or_default())
            }
            Sealing::Signature => Seal::Signature(keyring.sign(&digest)),
        };
        Self {
            value,
            origin,
            body,
            seal,
            digest,
        }
    }
}

impl<T> Sealed<T> {
    /// The value.
    #[must_use]
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// Who sealed it.
    #[must_use]
    pub const fn origin(&self) -> NodeId {
        self.origin
    }

    /// The value's encoding, as sealed.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The seal.
    #[must_use]
    pub const fn seal(&self) -> &Seal {
        &self.seal
    }

    /// The digest over domain, origin and encoding: what the seal covers, with the keyring's context. The same in all
    /// contexts.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The value, without its seal.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }

    /// The same with another seal, right or wrong: for liars, and for whoever seals anew.
    #[must_use]
    pub fn resealed(self, seal: Seal) -> Self {
        Self { seal, ..self }
    }
}

impl<T> Claimed<T> {
    /// The value, which anyone may have made up.
    #[must_use]
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// Who is said to have sealed it.
    #[must_use]
    pub const fn origin(&self) -> NodeId {
        self.origin
    }

    /// The digest over domain, origin and encoding.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The unchecked seal.
    #[must_use]
    pub const fn seal(&self) -> &Seal {
        &self.seal
    }

    /// Checks a MAC at once and puts a signature among the `checks` that must hold before the value may be used.
    ///
    /// # Errors
    /// When the origin is no member, the MAC is wrong or of another context, or there is no seal.
    pub fn admit(self, keyring: &Keyring, checks: &mut Checks) -> Result<Sealed<T>, SealError> {
        match &self.seal {
            Seal::None => return Err(SealError::WrongKind),
            Seal::Mac(_) | Seal::Authenticator(_) | Seal::Macs(_) if self.mac_holds(keyring) => {}
            Seal::Mac(_) | Seal::Authenticator(_) | Seal::Macs(_) => {
                return Err(SealError::WrongMac(self.origin));
            }
            Seal::Signature(signature) => {
                let check = keyring
                    .check(self.origin, &self.digest, *signature)
                    .ok_or(SealError::Stranger(self.origin))?;
                checks.require(check);
            }
        }
        Ok(self.trusted())
    }

    /// Whether the MAC, or the keyring's owner's entry of the authenticator, is the origin's.
    #[must_use]
    pub fn mac_holds(&self, keyring: &Keyring) -> bool {
        let tag = match &self.seal {
            Seal::Mac(tag) => Some(*tag),
            Seal::Authenticator(tags) => tags.entry(keyring.me().index()),
            Seal::Macs(tags) => {
                let mine = tags.iter().find(|(to, _)| *to == keyring.me());
                mine.map(|(_, tag)| *tag)
            }
            Seal::None | Seal::Signature(_) => None,
        };
        tag.is_some_and(|tag| keyring.accepts(self.origin, &self.digest, tag))
    }

    /// Whether it carries the origin's signature; checked here and now.
    #[must_use]
    pub fn signature_holds(&self, keyring: &Keyring) -> bool {
        match &self.seal {
            Seal::Signature(signature) => keyring.verifies(self.origin, &self.digest, signature),
            Seal::None | Seal::Mac(_) | Seal::Authenticator(_) | Seal::Macs(_) => false,
        }
    }

    /// Takes it without a check: it is vouched for otherwise, or its doubtfulness is carried beside it.
    #[must_use]
    pub fn trusted(self) -> Sealed<T> {
        let Self {
            value,
            origin,
            body,
            seal,
            digest,
        } = self;
        Sealed {
            value,
            origin,
            body,
            seal,
            digest,
        }
    }
}

impl<T> BorshSerialize for Sealed<T> {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        self.origin.serialize(writer)?;
        self.seal.serialize(writer)?;
        self.body.serialize(writer)
    }
}

/// The origin, the seal, the encoding: nothing is checked but their form.
impl<T: BorshDeserialize + Domain> BorshDeserialize for Claimed<T> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let origin = NodeId::deserialize_reader(reader)?;
        let seal = Seal::deserialize_reader(reader)?;
        let length = u32::deserialize_reader(reader)? as usize;
        if length > T::MAX {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "a sealed value is larger than its kind may be",
            ));
        }
        let mut body = alloc::vec![0; length];
        reader.read_exact(&mut body)?;
        let value = T::try_from_slice(&body)?;
        let digest = digest::<T>(origin, &body);
        Ok(Self {
            value,
            origin,
            body: body.into(),
            seal,
            digest,
        })
    }
}

impl<T: fmt::Debug> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} by {}", self.value, self.origin)
    }
}

impl<T: fmt::Debug> fmt::Debug for Claimed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} claimed by {}", self.value, self.origin)
    }
}

/// Two sealed values are equal when they have the same origin and bytes; the seal may differ.
impl<T> PartialEq for Sealed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl<T> Eq for Sealed<T> {}

use alloc::vec::Vec;
use core::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, NodeSet};
use hedgerow_wire::List;

/// A message authentication code: the first 16 bytes of keyed BLAKE3 over a digest, and over its context where it has one.
#[derive(Clone, Copy, Eq, BorshSerialize, BorshDeserialize)]
pub struct Tag(pub [u8; 16]);

/// In constant time, so that a forger learns nothing from how long it takes.
impl PartialEq for Tag {
    fn eq(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(&other.0)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, ..] = self.0;
        write!(f, "tag {a:02x}{b:02x}")
    }
}

/// A key that two members share for one direction: what the first says to the second.
#[derive(Clone)]
pub struct MacKey([u8; 32]);

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MAC key")
    }
}

impl MacKey {
    /// This key.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The code of `digest` under this key.
    #[must_use]
    pub fn tag(&self, digest: &Digest) -> Tag {
        self.over(&digest.0)
    }

    /// The code of what a [`Keyring`](crate::Keyring) covers: a digest, or a digest and a context.
    pub(crate) fn over(&self, covered: &[u8]) -> Tag {
        let mac = blake3::keyed_hash(&self.0, covered);
        let (tag, _) = mac
            .as_bytes()
            .split_first_chunk()
            .unwrap_or((&[0; 16], &[]));
        Tag(*tag)
    }
}

/// A vector with one MAC per replica (OSDI '99 §4.1): entry i convinces replica i, and nobody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Authenticator(pub(crate) List<Tag, { NodeSet::CAPACITY as usize }>);

impl Authenticator {
    pub(crate) fn new(tags: Vec<Tag>) -> Self {
        Self(List::new(tags).unwrap_or_default())
    }

    /// Replica `index`'s entry.
    #[must_use]
    pub fn entry(&self, index: usize) -> Option<Tag> {
        self.0.get(index).copied()
    }

    /// The same vector with other bytes in the entries for which `choose` holds: what a liar sends.
    #[must_use]
    pub fn spoilt(&self, mut choose: impl FnMut(usize) -> bool) -> Self {
        let spoil = |(index, tag): (usize, &Tag)| {
            if choose(index) {
                Tag(tag.0.map(|byte| byte ^ 0x5a))
            } else {
                *tag
            }
        };
        Self::new(self.0.iter().enumerate().map(spoil).collect())
    }
}

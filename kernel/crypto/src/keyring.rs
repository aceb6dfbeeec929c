use alloc::vec::Vec;
use core::fmt;

use hedgerow_base::{Digest, NodeId, Roster};

use crate::{Authenticator, MacKey, Signature, SigningKey, Tag, VerifyingKey};

/// A member's secret for MACs: an X25519 key (RFC 7748).
#[derive(Clone)]
pub struct MacSecret(x25519_dalek::StaticSecret);

impl fmt::Debug for MacSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MAC secret")
    }
}

impl MacSecret {
    /// The secret made from 32 bytes that nobody else can guess.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed.into())
    }

    /// The public half, as the genesis lists it.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        x25519_dalek::PublicKey::from(&self.0).to_bytes()
    }
}

/// A member's public keys, as the genesis lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberKeys {
    /// Ed25519: the member's identity, on its sessions and under what it signs.
    pub verifying: VerifyingKey,
    /// X25519: from it and one's own secret each pair of members derives its MAC keys.
    pub mac: [u8; 32],
}

/// The secrets do not belong to the member that they were said to belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret keys are not those of member {0}: its public keys in the genesis are others")]
pub struct RosterMismatch(pub NodeId);

/// One member's secrets, and what it needs to check what the others say.
#[derive(Clone, Debug)]
pub struct Keyring {
    me: NodeId,
    roster: Roster,
    signing: SigningKey,
    verifying: Vec<VerifyingKey>,
    /// Per member: the key for what I say to it, and for what it says to me.
    macs: Vec<(MacKey, MacKey)>,
}

impl Keyring {
    /// The keyring of member `me`; the first `roster.n()` of `members` are the replicas.
    ///
    /// # Errors
    /// When the secrets do not match `members[me]`.
    pub fn new(
        me: NodeId,
        roster: Roster,
        signing: SigningKey,
        secret: &MacSecret,
        members: &[MemberKeys],
    ) -> Result<Self, RosterMismatch> {
        let mine = MemberKeys {
            verifying: signing.verifying_key(),
            mac: secret.public(),
        };
        if members.get(me.index()) != Some(&mine) || members.len() < roster.n() {
            return Err(RosterMismatch(me));
        }
        let macs = members.iter().map(|theirs| {
            let shared = secret.0.diffie_hellman(&theirs.mac.into()).to_bytes();
            (
                directed(&shared, &mine.mac, &theirs.mac),
                directed(&shared, &theirs.mac, &mine.mac),
            )
        });
        let verifying = members.iter().map(|member| member.verifying).collect();
        Ok(Self {
            me,
            roster,
            signing,
            verifying,
            macs: macs.collect(),
        })
    }

    /// Whose keyring this is.
    #[must_use]
    pub const fn me(&self) -> NodeId {
        self.me
    }

    /// The replicas.
    #[must_use]
    pub const fn roster(&self) -> Roster {
        self.roster
    }

    /// How many members there are: replicas and clients.
    #[must_use]
    pub fn members(&self) -> usize {
        self.verifying.len()
    }

    /// The public key of `member`.
    #[must_use]
    pub fn verifying_key(&self, member: NodeId) -> Option<VerifyingKey> {
        self.verifying.get(member.index()).copied()
    }

    /// My signature over a digest.
    #[must_use]
    pub fn sign(&self, digest: &Digest) -> Signature {
        self.signing.sign(&digest.0)
    }

    /// My MAC for `to` over a digest; for a stranger one that nobody accepts.
    #[must_use]
    pub fn tag_for(&self, to: NodeId, digest: &Digest) -> Tag {
        self.macs
            .get(to.index())
            .map_or(Tag([0; 16]), |(outgoing, _)| outgoing.tag(digest))
    }

    /// Whether `tag` is what `from` says to me over a digest.
    #[must_use]
    pub fn accepts(&self, from: NodeId, digest: &Digest, tag: Tag) -> bool {
        self.macs
            .get(from.index())
            .is_some_and(|(_, incoming)| incoming.tag(digest) == tag)
    }

    /// My MACs over a digest for every replica, myself included: by my own entry I know my own words again.
    #[must_use]
    pub fn authenticator(&self, digest: &Digest) -> Authenticator {
        Authenticator::new(
            self.roster
                .iter()
                .map(|replica| self.tag_for(replica, digest))
                .collect(),
        )
    }
}

/// Both ends derive the same key for a direction; what one says can't be sent back to it as the other's words.
fn directed(shared: &[u8; 32], from: &[u8; 32], to: &[u8; 32]) -> MacKey {
    let mut hasher = blake3::Hasher::new_derive_key("hedgerow 2026 pairwise MAC key");
    hasher.update(shared).update(from).update(to);
    MacKey::new(*hasher.finalize().as_bytes())
}

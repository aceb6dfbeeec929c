use alloc::{sync::Arc, vec::Vec};
use core::{fmt, ops::Deref};

use hedgerow_base::{Digest, NodeId, Roster};

use crate::{
    Authenticator, MacCount, MacKey, Signature, SignatureCheck, SigningKey, Tag, VerifyingKey,
    count::Counter,
};

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

/// One member's secrets, and what it needs to check what the others say, in one context. Cheap to clone and to scope:
/// the keys are shared.
///
/// A context is a number that every MAC and every signature is bound to: what is said in one is worth nothing in
/// another. Whoever runs several instances of a protocol with the same keys gives each a context of its own.
#[derive(Clone, Debug)]
pub struct Keyring {
    keys: Arc<Keys>,
    counts: Arc<Counts>,
    context: u64,
}

#[derive(Debug, Default)]
struct Counts {
    made: Counter,
    checked: Counter,
}

#[derive(Debug)]
struct Keys {
    me: NodeId,
    roster: Roster,
    signing: SigningKey,
    verifying: Vec<VerifyingKey>,
    /// Per member: the key for what I say to it, and for what it says to me.
    macs: Vec<(MacKey, MacKey)>,
}

impl Keyring {
    /// The keyring of member `me` in context 0; the first `roster.n()` of `members` are the replicas.
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
        let keys = Keys {
            me,
            roster,
            signing,
            verifying,
            macs: macs.collect(),
        };
        Ok(Self {
            keys: Arc::new(keys),
            counts: Arc::default(),
            context: 0,
        })
    }

    /// The same keys in another context, instead of this one. In context 0 a MAC or a signature covers a digest alone,
    /// in any other the digest and the context.
    #[must_use]
    pub fn scoped(&self, context: u64) -> Self {
        Self {
            keys: self.keys.clone(),
            counts: self.counts.clone(),
            context,
        }
    }

    /// The same keys in a context inside this one: each `part` has its own, and so has each of another context's parts.
    /// In context 0 it is [`Keyring::scoped`].
    #[must_use]
    pub fn within(&self, part: u64) -> Self {
        if self.context == 0 {
            return self.scoped(part);
        }
        let inner = crate::hash_parts(&[
            b"hedgerow context\0",
            &self.context.to_le_bytes(),
            &part.to_le_bytes(),
        ]);
        let first = inner.0.first_chunk().copied().unwrap_or_default();
        self.scoped(u64::from_le_bytes(first).max(1))
    }

    /// The same keys, whose MACs are counted apart from now on: for whoever shares keys between networks.
    #[must_use]
    pub fn counted_apart(&self) -> Self {
        Self {
            keys: self.keys.clone(),
            counts: Arc::default(),
            context: self.context,
        }
    }

    /// What everything that is made and accepted here is bound to.
    #[must_use]
    pub const fn context(&self) -> u64 {
        self.context
    }

    /// Whose keyring this is.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.keys.me
    }

    /// The replicas.
    #[must_use]
    pub fn roster(&self) -> Roster {
        self.keys.roster
    }

    /// How many members there are: replicas and clients.
    #[must_use]
    pub fn members(&self) -> usize {
        self.keys.verifying.len()
    }

    /// The public key of `member`. What it signs in a context is checked by [`Self::verifies`] and [`Self::check`].
    #[must_use]
    pub fn verifying_key(&self, member: NodeId) -> Option<VerifyingKey> {
        self.keys.verifying.get(member.index()).copied()
    }

    /// My signature over a digest, in this context.
    #[must_use]
    pub fn sign(&self, digest: &Digest) -> Signature {
        self.keys.signing.sign(&Covered::new(digest, self.context))
    }

    /// Whether `signature` is `from`'s over a digest, in this context; checked here and now.
    #[must_use]
    pub fn verifies(&self, from: NodeId, digest: &Digest, signature: &Signature) -> bool {
        self.verifying_key(from)
            .is_some_and(|key| key.verifies(&Covered::new(digest, self.context), signature))
    }

    /// That `signature` is `from`'s over a digest, in this context, as a check; none for a stranger.
    #[must_use]
    pub fn check(
        &self,
        from: NodeId,
        digest: &Digest,
        signature: Signature,
    ) -> Option<SignatureCheck> {
        let key = self.verifying_key(from)?;
        let covered = Covered::new(digest, self.context);
        Some(SignatureCheck::new(key, &covered, signature))
    }

    /// My MAC for `to` over a digest, in this context; for a stranger one that nobody accepts.
    #[must_use]
    pub fn tag_for(&self, to: NodeId, digest: &Digest) -> Tag {
        self.keys
            .macs
            .get(to.index())
            .map_or(Tag([0; 16]), |(outgoing, _)| {
                self.counts.made.add(1);
                outgoing.over(&Covered::new(digest, self.context))
            })
    }

    /// Whether `tag` is what `from` says to me over a digest, in this context.
    #[must_use]
    pub fn accepts(&self, from: NodeId, digest: &Digest, tag: Tag) -> bool {
        self.keys
            .macs
            .get(from.index())
            .is_some_and(|(_, incoming)| {
                self.counts.checked.add(1);
                incoming.over(&Covered::new(digest, self.context)) == tag
            })
    }

    /// My MACs over a digest, in this context, for every replica, myself included: by my own entry I know my own words
    /// again.
    #[must_use]
    pub fn authenticator(&self, digest: &Digest) -> Authenticator {
        let covered = Covered::new(digest, self.context);
        let keys = self.keys.macs.iter().take(self.keys.roster.n());
        let tags: Vec<_> = keys.map(|(outgoing, _)| outgoing.over(&covered)).collect();
        self.counts.made.add(tags.len());
        Authenticator::new(tags)
    }

    /// The MACs made and checked so far with these keys: by this keyring and by all its clones, in all contexts, but not
    /// by those that are [counted apart](Self::counted_apart).
    #[must_use]
    pub fn mac_count(&self) -> MacCount {
        MacCount {
            made: self.counts.made.get(),
            checked: self.counts.checked.get(),
        }
    }
}

/// What a MAC or a signature covers: the digest, then the context unless it is 0. The two have different lengths, so
/// nothing that is said in one context is anything in another.
struct Covered {
    bytes: [u8; 40],
    scoped: bool,
}

impl Covered {
    fn new(digest: &Digest, context: u64) -> Self {
        let mut bytes = [0; 40];
        let (front, back) = bytes.split_at_mut(32);
        front.copy_from_slice(&digest.0);
        back.copy_from_slice(&context.to_le_bytes());
        Self {
            bytes,
            scoped: context != 0,
        }
    }
}

impl Deref for Covered {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let (digest, _) = self.bytes.split_at(32);
        if self.scoped { &self.bytes } else { digest }
    }
}

/// Both ends derive the same key for a direction; what one says can't be sent back to it as the other's words.
fn directed(shared: &[u8; 32], from: &[u8; 32], to: &[u8; 32]) -> MacKey {
    let mut hasher = blake3::Hasher::new_derive_key("hedgerow 2026 pairwise MAC key");
    hasher.update(shared).update(from).update(to);
    MacKey::new(*hasher.finalize().as_bytes())
}

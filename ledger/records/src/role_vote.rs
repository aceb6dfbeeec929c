use alloc::vec::Vec;

use alloy_primitives::keccak256;
use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, NodeId};
use hedgerow_crypto::SigningKey;
use hedgerow_wire::{Blob, DecodeError, decode, encode};

use crate::{Roles, Subject};

/// What the signature of a vote on roles covers comes after these bytes.
pub const ROLE_VOTE_DOMAIN: &[u8] = b"hedgerow/role-vote/1\0";

/// What a motion's identifier is the hash of comes after these bytes.
const MOTION_DOMAIN: &[u8] = b"hedgerow/motion/1\0";

/// How many bytes the encoding of a [`RoleVote`] may have.
const MAX_ROLE_VOTE: usize = 128;

/// What is moved: that somebody have exactly these roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Motion {
    /// Who.
    pub subject: Subject,
    /// How many motions about it have been decided before. It stands in this round only: the next decision about the same
    /// subject ends it, and nobody can have it decided twice.
    pub round: u64,
    /// The roles that it is to have.
    pub roles: Roles,
}

impl Motion {
    /// Names it, in the network with that genesis: keccak256 of `"hedgerow/motion/1\0"` ++ genesis ++ its encoding.
    #[must_use]
    pub fn id(&self, genesis: &Digest) -> Digest {
        let parts = [MOTION_DOMAIN, genesis.as_ref(), &encode(self)];
        Digest(keccak256(parts.concat()).0)
    }
}

/// A validator's vote on a [`Motion`]. Whoever votes first for it has moved it; when as many have as the genesis wants, it is
/// decided, and holds from the next block on.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RoleVote {
    /// [`VERSION`](crate::VERSION).
    pub version: u8,
    /// The digest of the network's genesis.
    pub genesis: Digest,
    /// What is voted on.
    pub motion: Motion,
    /// Whether it votes for the motion; else it takes its vote back.
    pub approves: bool,
    /// The validator that votes.
    pub validator: NodeId,
}

impl RoleVote {
    /// The vote with the validator's signature.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> SignedRoleVote {
        let body = encode(self);
        let signature = key.sign(&SignedRoleVote::message(&body)).0;
        SignedRoleVote {
            // 68 bytes.
            body: Blob::new(body).unwrap_or_default(),
            signature,
        }
    }
}

/// A vote on roles signed by its validator.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedRoleVote {
    /// The encoding of a [`RoleVote`].
    pub body: Blob<MAX_ROLE_VOTE>,
    /// The validator's Ed25519 signature over [`ROLE_VOTE_DOMAIN`] ++ body.
    pub signature: [u8; 64],
}

impl SignedRoleVote {
    /// The message that the signature covers.
    #[must_use]
    pub fn message(body: &[u8]) -> Vec<u8> {
        [ROLE_VOTE_DOMAIN, body].concat()
    }

    /// What the body says; the signature is not verified.
    ///
    /// # Errors
    /// When it is not the encoding of a vote on roles.
    pub fn vote(&self) -> Result<RoleVote, DecodeError> {
        decode(&self.body, MAX_ROLE_VOTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Transaction, VERSION};

    fn vote() -> RoleVote {
        RoleVote {
            version: VERSION,
            genesis: Digest([7; 32]),
            motion: Motion {
                subject: Subject([9; 20]),
                round: 3,
                roles: Roles::CALL.with(Roles::SUBSCRIBE),
            },
            approves: true,
            validator: NodeId(2),
        }
    }

    /// The layout that other programs write: see docs/records.md.
    #[test]
    fn the_encoding_is_fixed() {
        let expected = [
            &[1][..],
            &[7; 32],
            &[9; 20],
            &3_u64.to_le_bytes(),
            &5_u16.to_le_bytes(),
            &[1],
            &2_u32.to_le_bytes(),
        ]
        .concat();
        assert_eq!(encode(&vote()), expected);
        let signed = vote().sign(&SigningKey::from_seed([1; 32]));
        assert_eq!(signed.vote(), Ok(vote()));
        let length = (expected.len() as u32).to_le_bytes();
        let transaction = Transaction::RoleVote(signed.clone());
        let bytes = [&[0x73][..], &length, &expected, &signed.signature].concat();
        assert_eq!(transaction.to_bytes(), bytes);
        assert_eq!(Transaction::from_bytes(&bytes), Ok(transaction));
    }

    #[test]
    fn a_motion_is_named_by_network_subject_round_and_roles() {
        let motion = vote().motion;
        let genesis = Digest([7; 32]);
        let others = [
            Motion {
                subject: Subject::EVERYONE,
                ..motion
            },
            Motion { round: 4, ..motion },
            Motion {
                roles: Roles::NONE,
                ..motion
            },
        ];
        for other in others {
            assert_ne!(other.id(&genesis), motion.id(&genesis));
        }
        assert_ne!(motion.id(&Digest([8; 32])), motion.id(&genesis));
    }
}

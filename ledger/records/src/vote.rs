use alloc::{string::String, vec::Vec};
use core::{fmt, ops::Deref, str::FromStr};

use alloy_primitives::keccak256;
use borsh::{
    BorshDeserialize, BorshSerialize,
    io::{Error, ErrorKind, Read, Result as IoResult, Write},
};
use hedgerow_base::{Digest, NodeId};
use hedgerow_crypto::SigningKey;
use hedgerow_wire::{Blob, DecodeError, Text, decode, encode};

/// What a vote's signature covers comes after these bytes.
pub const VOTE_DOMAIN: &[u8] = b"hedgerow/vote/1\0";

/// What a proposal's identifier is the hash of comes after these bytes.
const PROPOSAL_DOMAIN: &[u8] = b"hedgerow/proposal/1\0";

/// How many bytes the encoding of a [`Vote`] may have.
const MAX_VOTE: usize = 128;

/// The name of an ordering protocol, such as `pbft`: 1 to 32 of `a-z 0-9 -`. Encoded as Borsh's `String`. Whether a
/// node has a protocol of that name is not the ledger's to know.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolName(Text<32>);

/// Why a text is not a [`ProtocolName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProtocolName {
    /// No character, or more than 32 bytes.
    #[error("a protocol's name has 1 to 32 characters, this one has {0} bytes")]
    Length(usize),
    /// A character that no protocol's name has.
    #[error("{0:?} is not allowed in a protocol's name: use a-z, 0-9 and '-'")]
    Character(char),
}

impl ProtocolName {
    /// How many bytes a name may have.
    pub const MAX: usize = 32;

    /// The name `text`.
    ///
    /// # Errors
    /// When the text breaks a rule of these names; the error says which.
    pub fn new(text: impl Into<String>) -> Result<Self, BadProtocolName> {
        let text = text.into();
        check(&text)?;
        let length = text.len();
        Text::new(text)
            .map(Self)
            .map_err(|_| BadProtocolName::Length(length))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

fn check(text: &str) -> Result<(), BadProtocolName> {
    if text.is_empty() || text.len() > ProtocolName::MAX {
        return Err(BadProtocolName::Length(text.len()));
    }
    match text
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-'))
    {
        Some(odd) => Err(BadProtocolName::Character(odd)),
        None => Ok(()),
    }
}

impl Deref for ProtocolName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for ProtocolName {
    type Err = BadProtocolName;

    fn from_str(text: &str) -> Result<Self, BadProtocolName> {
        Self::new(text)
    }
}

impl BorshSerialize for ProtocolName {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        self.0.serialize(writer)
    }
}

impl BorshDeserialize for ProtocolName {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let text = Text::deserialize_reader(reader)?;
        check(&text)
            .map_err(|error| Error::new(ErrorKind::InvalidData, alloc::format!("{error}")))?;
        Ok(Self(text))
    }
}

/// A validator's wish that another protocol order. Whoever votes first for a protocol has proposed it; when a quorum of
/// the validators has voted for one, the next epoch begins, and it orders from there on.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// [`VERSION`](crate::VERSION).
    pub version: u8,
    /// The digest of the network's genesis, so that the vote can't be replayed on another network, not even on one with
    /// the same number and keys.
    pub genesis: Digest,
    /// The epoch in which it is cast. It counts in this one only.
    pub epoch: u64,
    /// The protocol that is to order in the next epoch.
    pub protocol: ProtocolName,
    /// The validator that votes.
    pub validator: NodeId,
}

impl Vote {
    /// The proposal that it is a vote for.
    #[must_use]
    pub fn proposal(&self) -> Digest {
        proposal_id(&self.genesis, self.epoch, &self.protocol)
    }

    /// The vote with the validator's signature.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> SignedVote {
        let body = encode(self);
        let signature = key.sign(&SignedVote::message(&body)).0;
        SignedVote {
            // 81 bytes at most.
            body: Blob::new(body).unwrap_or_default(),
            signature,
        }
    }
}

/// Names the proposal that `protocol` order in the epoch after `epoch`, in the network with that genesis: keccak256 of
/// `"hedgerow/proposal/1\0"` ++ genesis ++ epoch (8 bytes, little-endian) ++ name.
#[must_use]
pub fn proposal_id(genesis: &Digest, epoch: u64, protocol: &str) -> Digest {
    let parts = [
        PROPOSAL_DOMAIN,
        genesis.as_ref(),
        &epoch.to_le_bytes(),
        protocol.as_bytes(),
    ];
    Digest(keccak256(parts.concat()).0)
}

/// A vote signed by its validator.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedVote {
    /// The encoding of a [`Vote`].
    pub body: Blob<MAX_VOTE>,
    /// The validator's Ed25519 signature over [`VOTE_DOMAIN`] ++ body.
    pub signature: [u8; 64],
}

impl SignedVote {
    /// The message that the signature covers.
    #[must_use]
    pub fn message(body: &[u8]) -> Vec<u8> {
        [VOTE_DOMAIN, body].concat()
    }

    /// What the body says; the signature is not verified.
    ///
    /// # Errors
    /// When it is not the encoding of a vote.
    pub fn vote(&self) -> Result<Vote, DecodeError> {
        decode(&self.body, MAX_VOTE)
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_crypto::Signature;

    use super::*;
    use crate::{Transaction, VERSION};

    fn vote(protocol: &str) -> Vote {
        Vote {
            version: VERSION,
            genesis: Digest([7; 32]),
            epoch: 3,
            protocol: protocol.parse().unwrap(),
            validator: NodeId(2),
        }
    }

    #[test]
    fn protocol_names_have_rules_and_decoding_keeps_them() {
        for good in ["pbft", "r-aliph", "0", "-", &"n".repeat(32)] {
            let name = ProtocolName::new(good).unwrap();
            assert_eq!(decode(&encode(&name), 100), Ok(name));
        }
        let long = "n".repeat(33);
        let bad = [
            ("", BadProtocolName::Length(0)),
            (long.as_str(), BadProtocolName::Length(33)),
            ("Pbft", BadProtocolName::Character('P')),
            ("p_1", BadProtocolName::Character('_')),
            ("p\0", BadProtocolName::Character('\0')),
            ("\u{e9}", BadProtocolName::Character('\u{e9}')),
        ];
        for (text, error) in bad {
            assert_eq!(ProtocolName::new(text), Err(error));
            let encoded = encode(&String::from(text));
            assert!(decode::<ProtocolName>(&encoded, 100).is_err());
        }
    }

    #[test]
    fn a_vote_is_the_transaction_0x72_and_the_longest_one_fits() {
        let key = SigningKey::from_seed([1; 32]);
        let longest = vote(&"n".repeat(32));
        assert_eq!(encode(&longest).len(), 81);
        for vote in [vote("p"), longest] {
            let signed = vote.sign(&key);
            assert_eq!(signed.vote(), Ok(vote));
            let transaction = Transaction::Vote(signed);
            let bytes = transaction.to_bytes();
            assert_eq!(bytes[0], 0x72);
            assert_eq!(Transaction::from_bytes(&bytes), Ok(transaction));
        }
    }

    /// The layout that other programs write: see docs/records.md.
    #[test]
    fn the_encoding_is_fixed() {
        let expected = [
            &[1][..],
            &[7; 32],
            &3_u64.to_le_bytes(),
            &4_u32.to_le_bytes(),
            b"pbft",
            &2_u32.to_le_bytes(),
        ]
        .concat();
        assert_eq!(encode(&vote("pbft")), expected);
        let signed = vote("pbft").sign(&SigningKey::from_seed([1; 32]));
        let length = (expected.len() as u32).to_le_bytes();
        assert_eq!(
            Transaction::Vote(signed.clone()).to_bytes(),
            [&[0x72][..], &length, &expected, &signed.signature].concat()
        );
    }

    #[test]
    fn every_byte_of_body_and_signature_matters() {
        let key = SigningKey::from_seed([1; 32]);
        let signed = vote("pbft").sign(&key);
        let holds = |signed: &SignedVote| {
            let message = SignedVote::message(&signed.body);
            key.verifying_key()
                .verifies(&message, &Signature(signed.signature))
        };
        assert!(holds(&signed));
        for at in 0..64 {
            let mut other = signed.clone();
            other.signature[at] ^= 1;
            assert!(!holds(&other), "byte {at} of the signature");
        }
        for at in 0..signed.body.len() {
            let mut body = signed.body.to_vec();
            body[at] ^= 1;
            let other = SignedVote {
                body: Blob::new(body).unwrap(),
                ..signed.clone()
            };
            assert!(!holds(&other), "byte {at} of the body");
        }
        // A signature of the same bytes for another purpose is none.
        let bare = key.sign(&signed.body).0;
        assert!(!holds(&SignedVote {
            signature: bare,
            ..signed
        }));
    }

    #[test]
    fn a_proposal_is_named_by_network_epoch_and_protocol() {
        let one = vote("pbft");
        let by_another = Vote {
            validator: NodeId(0),
            ..one.clone()
        };
        assert_eq!(one.proposal(), by_another.proposal());
        let others = [
            vote("pbf"),
            Vote {
                epoch: 4,
                ..one.clone()
            },
            Vote {
                genesis: Digest([8; 32]),
                ..one.clone()
            },
        ];
        for other in others {
            assert_ne!(one.proposal(), other.proposal(), "{other:?}");
        }
    }
}

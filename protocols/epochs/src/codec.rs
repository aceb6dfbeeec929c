use alloc::{format, string::ToString, sync::Arc, vec::Vec};

use borsh::BorshDeserialize;
use bytes::Bytes;
use hedgerow_abstract::AbstractCodec;
use hedgerow_base::{NodeId, NodeSet};
use hedgerow_crypto::{Checks, Claimed, Keyring, Seal, SealError, Sealed};
use hedgerow_machine::{Codec, Reject, Target};
use hedgerow_pbft::PbftCodec;
use hedgerow_wire::{DecodeError, List, encode_into};

use crate::{
    Epochs, keyring_of,
    messages::{Epoch, Fetch, Fetched, Inner, MAX_FETCH, Message, Proof},
};

/// What a frame ends with: the epoch, and what it is. At the end, so that a hosted protocol's frame is not copied.
const TRAILER: usize = 9;
const PBFT: u8 = 0;
const ABSTRACT: u8 = 1;
const ENDED: u8 = 2;
const BEGUN: u8 = 3;
const NEWER: u8 = 4;
const FETCH: u8 = 5;
const FETCHED: u8 = 6;

/// From frames to messages and back, for one member.
#[derive(Clone, Debug)]
pub struct EpochsCodec {
    keyring: Arc<Keyring>,
}

impl EpochsCodec {
    /// The codec of the keyring's owner.
    #[must_use]
    pub const fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring }
    }

    fn keyring(&self, epoch: u64) -> Arc<Keyring> {
        Arc::new(keyring_of(&self.keyring, epoch))
    }

    /// A replica's word that convinces everyone.
    fn signed(&self, word: Claimed<Epoch>, checks: &mut Checks) -> Result<Sealed<Epoch>, Reject> {
        self.only_replica(word.origin())?;
        if !matches!(word.seal(), Seal::Signature(_)) {
            return Err(SealError::WrongKind.into());
        }
        Ok(word.admit(&self.keyring, checks)?)
    }

    fn only_replica(&self, link: NodeId) -> Result<(), Reject> {
        if self.keyring.roster().contains(link) {
            Ok(())
        } else {
            Err(Reject::Inadmissible(format!("{link} is not a replica")))
        }
    }
}

fn malformed(why: impl ToString) -> Reject {
    Reject::Malformed(DecodeError::Malformed(why.to_string()))
}

fn read<T: BorshDeserialize>(mut bytes: &[u8]) -> Result<T, Reject> {
    let value = T::deserialize_reader(&mut bytes).map_err(malformed)?;
    if bytes.is_empty() {
        Ok(value)
    } else {
        Err(malformed("trailing bytes"))
    }
}

impl Codec<Epochs> for EpochsCodec {
    fn admit(&self, link: NodeId, frame: &Bytes, checks: &mut Checks) -> Result<Message, Reject> {
        let Some((_, trailer)) = frame.split_last_chunk::<TRAILER>() else {
            return Err(malformed("shorter than its trailer"));
        };
        let (epoch, tag): (u64, u8) = read(trailer)?;
        let body = frame.slice(..frame.len() - TRAILER);
        match tag {
            PBFT => {
                let codec = PbftCodec::new(self.keyring(epoch));
                let message = codec.admit(link, &body, checks)?;
                return Ok(Message::Ordered(epoch, Inner::Pbft(message)));
            }
            ABSTRACT => {
                let codec = AbstractCodec::new(self.keyring(epoch));
                let message = codec.admit(link, &body, checks)?;
                return Ok(Message::Ordered(epoch, Inner::Abstract(message)));
            }
            _ if epoch != 0 => return Err(malformed("only hosted words name their epoch")),
            _ => self.only_replica(link)?,
        }
        match tag {
            ENDED => {
                let word = self.signed(read(&body)?, checks)?;
                if word.origin() == link {
                    Ok(Message::Ended(word))
                } else {
                    Err(Reject::Inadmissible(format!(
                        "{link} says another one's word"
                    )))
                }
            }
            BEGUN => {
                let words: List<Claimed<Epoch>, { NodeSet::CAPACITY as usize }> = read(&body)?;
                if words.len() != self.keyring.roster().quorum() {
                    return Err(malformed("a proof has 2f + 1 words"));
                }
                let words = words.into_vec().into_iter();
                let words = words.map(|word| self.signed(word, checks));
                let words = words.collect::<Result<Vec<_>, _>>()?;
                let proof = Proof::of(words, self.keyring.roster());
                let proof = proof.ok_or_else(|| {
                    Reject::Inadmissible(format!("{link} shows words that prove nothing"))
                })?;
                Ok(Message::Begun(Arc::new(proof)))
            }
            NEWER => Ok(Message::Newer(read(&body)?)),
            FETCH => Ok(Message::Fetch(read::<Fetch>(&body)?)),
            FETCHED => {
                let list: List<Fetched, { MAX_FETCH as usize }> = read(&body)?;
                Ok(Message::Fetched(list.into_vec()))
            }
            _ => Err(malformed("no such message")),
        }
    }

    fn seal(&self, message: &Message, to: Target) -> Bytes {
        let (mut bytes, epoch, tag): (Vec<u8>, u64, u8) = match message {
            Message::Ordered(epoch, Inner::Pbft(message)) => {
                let codec = PbftCodec::new(self.keyring(*epoch));
                (codec.seal(message, to).into(), *epoch, PBFT)
            }
            Message::Ordered(epoch, Inner::Abstract(message)) => {
                let codec = AbstractCodec::new(self.keyring(*epoch));
                (codec.seal(message, to).into(), *epoch, ABSTRACT)
            }
            Message::Ended(word) => (hedgerow_wire::encode(word), 0, ENDED),
            Message::Begun(proof) => (hedgerow_wire::encode(&proof.0), 0, BEGUN),
            Message::Newer(epoch) => (hedgerow_wire::encode(epoch), 0, NEWER),
            Message::Fetch(fetch) => (hedgerow_wire::encode(fetch), 0, FETCH),
            Message::Fetched(list) => (hedgerow_wire::encode(list), 0, FETCHED),
        };
        encode_into(&(epoch, tag), &mut bytes);
        bytes.into()
    }
}

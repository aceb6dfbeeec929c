use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, Height, NodeId};
use hedgerow_wire::{DecodeError, List, Text, decode, encode};

use crate::{Algorithm, DeviceId, MAX_TRANSACTIONS, Name, ProtocolName, Roles, StreamId, Subject};

/// How many bytes the reason may have for which a transaction is not executed.
pub const MAX_REASON: usize = 192;

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Receipt {
    /// The device is known from now on.
    Registered {
        /// The device.
        device: DeviceId,
    },
    /// Every reading of the record is in the stream, exactly once.
    Recorded {
        /// The stream.
        stream: StreamId,
        /// The block that executed the record.
        height: Height,
        /// Where the first of the appended readings is in the stream; the others follow it in the record's order.
        /// The stream's length when none was appended.
        first_position: u64,
        /// How many readings were new.
        appended: u32,
        /// How many were there already, with the same content: a device may send again what it is not sure of.
        duplicates: u32,
    },
    /// The transaction changed nothing.
    Rejected {
        /// Why.
        reason: Rejection,
    },
    /// The validator's vote counts, whether it was new or had been counted before.
    Voted {
        /// The proposal: [`Vote::proposal`](crate::Vote::proposal).
        proposal: Digest,
        /// The block that executed the vote.
        height: Height,
        /// How many validators have voted for the proposal by now.
        votes: u32,
        /// How many are needed.
        needed: u32,
        /// The number of the epoch that this vote began; `None` while votes are missing.
        began: Option<u64>,
    },
    /// The contract, or the transfer, was executed. What it logged is in the block's receipts.
    Executed {
        /// The block that executed it.
        height: Height,
        /// Whether its changes hold: it was not reverted, and not stopped.
        success: bool,
        /// How much gas it took.
        gas_used: u64,
    },
    /// The validator's vote on roles counts, or is taken back.
    RoleVoted {
        /// The motion: [`Motion::id`](crate::Motion::id).
        motion: Digest,
        /// The block that executed the vote.
        height: Height,
        /// How many validators are for the motion by now.
        votes: u32,
        /// How many are needed.
        needed: u32,
        /// Whether this vote decided it: it holds from the next block on.
        decided: bool,
    },
}

/// Why a transaction changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, thiserror::Error)]
pub enum Rejection {
    /// The request is not a bundle of transactions.
    #[error("the request is not a bundle of transactions")]
    NotABundle,
    /// Not the encoding of a transaction, or of the body that it signs.
    #[error("malformed: not the encoding of a transaction")]
    Malformed,
    /// A record without a reading.
    #[error("the record has no reading")]
    Empty,
    /// A version that this network doesn't know.
    #[error("version {found} is not known here: use version {known}")]
    UnknownVersion {
        /// The version in the body.
        found: u8,
        /// The version that is known.
        known: u8,
    },
    /// It is for another network.
    #[error("it is for network {found}, this is network {expected}")]
    WrongNetwork {
        /// The network in the body.
        found: u64,
        /// This network.
        expected: u64,
    },
    /// No such device has been registered.
    #[error("device {device} is not registered: ask a member to register it")]
    UnknownDevice {
        /// The device in the body.
        device: DeviceId,
    },
    /// The device is registered with a key of another algorithm.
    #[error("signed with {found}, but the device is registered with a key of {registered}")]
    WrongAlgorithm {
        /// The algorithm in the record.
        found: Algorithm,
        /// The algorithm of the registered key.
        registered: Algorithm,
    },
    /// The signature is not the device's, or not the member's.
    #[error("the signature is not valid for this key and these bytes")]
    BadSignature,
    /// There is a reading with this number already, and it says something else. Nothing of the record was kept.
    #[error("reading {sequence} is in the stream already, with another content")]
    Conflict {
        /// The number of the first such reading in the record.
        sequence: u64,
    },
    /// The numbers that the stream has would have too many gaps. Fill some of them first.
    #[error(
        "the stream's sequence numbers would have more than {max} gaps: send the missing ones first"
    )]
    TooManyGaps {
        /// How many gaps are allowed.
        max: u32,
    },
    /// The signer is not a member of the network.
    #[error("node {member} is not a member of this network")]
    NotAMember {
        /// The signer.
        member: NodeId,
    },
    /// Another device has this name.
    #[error("the name {name} belongs to device {device}")]
    NameTaken {
        /// The name.
        name: Name,
        /// The device that has it.
        device: DeviceId,
    },
    /// The key has been registered already.
    #[error("the key is registered already, as device {device}")]
    AlreadyRegistered {
        /// The device.
        device: DeviceId,
    },
    /// The bytes are not a public key of the algorithm.
    #[error("not a public key of {algorithm}")]
    BadPublicKey {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The vote is for a network with another genesis.
    #[error("the vote is for the network of genesis {found}")]
    WrongGenesis {
        /// The digest of the genesis in the vote.
        found: Digest,
    },
    /// Only validators vote.
    #[error("node {member} is not a validator of this network")]
    NotAValidator {
        /// Whoever voted.
        member: NodeId,
    },
    /// The vote was cast in another epoch: it has lapsed, or is too early.
    #[error(
        "the vote is of epoch {found}, this is epoch {current}: a vote counts in its own epoch only"
    )]
    WrongEpoch {
        /// The epoch in the vote.
        found: u64,
        /// The present epoch.
        current: u64,
    },
    /// The present epoch began in this very slot; only one can begin in a slot.
    #[error("epoch {epoch} began in this very slot: vote again after it")]
    EpochJustBegan {
        /// The present epoch.
        epoch: u64,
    },
    /// The protocol orders already.
    #[error("{protocol} orders already")]
    OrdersAlready {
        /// The protocol.
        protocol: ProtocolName,
    },
    /// The validator has voted for as many protocols in this epoch as it may.
    #[error("the validator has voted for {max} protocols in this epoch: more are not allowed")]
    TooManyVotes {
        /// How many are allowed.
        max: u32,
    },
    /// One of Ethereum's transactions that can't be executed, in the words that Ethereum's tools know.
    #[error("{0}")]
    NotExecutable(Text<MAX_REASON>),
    /// Who wants this lacks the role for it.
    #[error(
        "{subject} may not do this: it lacks the role `{role}`, which the validators give by their votes"
    )]
    NotAllowed {
        /// Who.
        subject: Subject,
        /// The role that is needed.
        role: Roles,
    },
    /// The vote is of a round that is over, or has not begun.
    #[error(
        "the vote is of round {found} about its subject, this is round {current}: it counts in its own round only"
    )]
    WrongRound {
        /// The round in the vote.
        found: u64,
        /// The present round.
        current: u64,
    },
    /// The subject has exactly these roles.
    #[error("{subject} has exactly these roles already: {roles}")]
    HasTheseRoles {
        /// The subject.
        subject: Subject,
        /// Its roles.
        roles: Roles,
    },
    /// Who validates is the genesis' to say.
    #[error("the role `validate` can neither be given nor taken: the genesis' validators stay")]
    ValidatorsStay,
    /// The validator has voted for as many open motions as it may.
    #[error(
        "the validator is for {max} open motions: it must take a vote back before it may be for another one"
    )]
    TooManyMotions {
        /// How many are allowed.
        max: u32,
    },
    /// The vote to be taken back was not cast.
    #[error("the validator is not for this motion, so there is no vote to be taken back")]
    NotVoted,
}

/// The receipts of a bundle's transactions, in their order. It is the reply to the bundle's request. A request that is
/// not a bundle has one receipt.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Receipts(pub List<Receipt, MAX_TRANSACTIONS>);

impl Receipts {
    /// How many bytes they may have when encoded.
    pub const MAX_BYTES: usize = 4 + MAX_TRANSACTIONS * (MAX_REASON + 16);

    /// The receipts that `bytes`, all of them, encode.
    ///
    /// # Errors
    /// When they are not such an encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, Self::MAX_BYTES)
    }

    /// Their encoding.
    #[must_use]
    pub fn to_bytes(&self) -> alloc::vec::Vec<u8> {
        encode(self)
    }
}

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, Height, NodeSet, Slot};
use hedgerow_evm::MAX_TRANSACTION;
use hedgerow_proofs::MAX_PROOF;
use hedgerow_records::{
    Description, DeviceId, DevicePublicKey, Motion, Name, ProtocolName, Reading, Roles, StreamId,
    StreamName, Subject,
};
use hedgerow_wire::{Blob, DecodeError, List, Text, decode, encode};

use crate::{ContractAnswer, ContractQuery, MAX_PROPOSALS};

/// How many items one answer lists at most; an answer may have fewer than asked for, to stay small.
pub const MAX_PAGE: usize = 1000;

/// A device, by its name or its identifier.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum DeviceRef {
    /// By name.
    Name(Name),
    /// By identifier.
    Id(DeviceId),
}

/// A question that the ledger answers from its stable state, without a block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Query {
    /// The newest stable block. Answered by [`Answer::Head`].
    Head,
    /// The block at a height. [`Answer::Block`].
    Block(Height),
    /// A device. [`Answer::Device`].
    Device(DeviceRef),
    /// The devices in the order of their names. [`Answer::Devices`].
    Devices {
        /// Only those after this one.
        after: Option<Name>,
        /// How many at most; never more than [`MAX_PAGE`].
        limit: u32,
    },
    /// The streams in the order of their names. [`Answer::Streams`].
    Streams {
        /// Only those after this one.
        after: Option<StreamName>,
        /// How many at most; never more than [`MAX_PAGE`].
        limit: u32,
    },
    /// A stream. [`Answer::Stream`].
    Stream(StreamName),
    /// A reading. [`Answer::Reading`].
    Reading {
        /// Its stream.
        stream: StreamName,
        /// Its number.
        sequence: u64,
    },
    /// The readings of a stream in the order of their numbers. [`Answer::Range`].
    Range {
        /// The stream.
        stream: StreamName,
        /// The least number.
        from: u64,
        /// How many at most; never more than [`MAX_PAGE`], and never more than fit into 1 MiB (but one at least).
        limit: u32,
    },
    /// The proof of a reading. [`Answer::Proof`].
    Prove {
        /// Its stream.
        stream: StreamName,
        /// Its number.
        sequence: u64,
    },
    /// Which protocol orders, since when, and what is voted for. [`Answer::Protocol`].
    Protocol,
    /// Something about contracts, accounts or Ethereum's transactions. [`Answer::Contracts`].
    Contracts(ContractQuery),
    /// Who has roles, in the order of their addresses, and what is moved. [`Answer::Roles`].
    Roles {
        /// Only those after this one.
        after: Option<Subject>,
        /// How many at most; never more than [`MAX_PAGE`].
        limit: u32,
    },
}

impl Query {
    /// How many bytes a query may have when encoded.
    pub const MAX_BYTES: usize = MAX_TRANSACTION + (16 << 10);

    /// Whether a contract runs for the answer, which may take long.
    #[must_use]
    pub const fn is_call(&self) -> bool {
        matches!(self, Self::Contracts(query) if query.is_call())
    }

    /// Whether that is traced: it takes even longer, and the answer may have megabytes.
    #[must_use]
    pub const fn is_trace(&self) -> bool {
        matches!(self, Self::Contracts(query) if query.is_trace())
    }

    /// The query that `bytes`, all of them, encode.
    ///
    /// # Errors
    /// When they are not such an encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, Self::MAX_BYTES)
    }

    /// Its encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }
}

/// A block in short.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockSummary {
    /// Its number.
    pub height: Height,
    /// The hash of its header.
    pub hash: Digest,
    /// The hash of the header before it.
    pub parent: Digest,
    /// Its place in the protocol's order.
    pub slot: Slot,
    /// Its time: milliseconds since the Unix epoch.
    pub time: u64,
    /// How many transactions it has, rejected ones too.
    pub transactions: u32,
    /// How many readings it appended.
    pub readings: u32,
    /// The root of the state after it.
    pub state_root: Digest,
    /// The root of its transactions.
    pub transactions_root: Digest,
    /// The root of its receipts.
    pub receipts_root: Digest,
    /// The root of the Merkle mountain range over all earlier headers.
    pub history_root: Digest,
}

/// The newest stable block, and totals up to it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HeadSummary {
    /// The block.
    pub block: BlockSummary,
    /// The network's number.
    pub network: u64,
    /// How many devices are registered.
    pub devices: u64,
    /// How many streams there are.
    pub streams: u64,
    /// How many readings all streams have together.
    pub readings: u64,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DeviceSummary {
    /// Its identifier.
    pub device: DeviceId,
    /// Its name.
    pub name: Name,
    /// The key that it signs with.
    pub public_key: DevicePublicKey,
    /// What it is, in words.
    pub description: Option<Description>,
    /// The block that registered it.
    pub height: Height,
}

/// A stream.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StreamSummary {
    /// Its name.
    pub name: StreamName,
    /// Its identifier.
    pub stream: StreamId,
    /// The device that owns it.
    pub owner: DeviceId,
    /// How many readings it has.
    pub length: u64,
    /// The root of its Merkle mountain range.
    pub root: Digest,
    /// The least number of a reading.
    pub first_sequence: u64,
    /// The greatest number of a reading.
    pub last_sequence: u64,
    /// How many numbers between these two are missing.
    pub missing: u64,
    /// The reading with the greatest number.
    pub latest: Option<RecordedReading>,
}

/// A reading as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RecordedReading {
    /// What the device said. `reading.time` is the device's clock.
    pub reading: Reading,
    /// Where it is in its stream.
    pub position: u64,
    /// The block that recorded it.
    pub height: Height,
    /// That block's time: milliseconds since the Unix epoch.
    pub block_time: u64,
    /// keccak256 of the signed record that brought it.
    pub record: Digest,
}

/// A stretch of the order that one protocol decides.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EpochSummary {
    /// Its number, from 0.
    pub number: u64,
    /// Its protocol.
    pub protocol: ProtocolName,
    /// The slot in which it was decided; 0 for epoch 0.
    pub base: Slot,
    /// The block in which it was decided; 0 for epoch 0.
    pub height: Height,
    /// That block's time: milliseconds since the Unix epoch.
    pub time: u64,
}

/// A protocol that validators want for the next epoch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ProposalSummary {
    /// Its identifier: [`proposal_id`](hedgerow_records::proposal_id) in the newest epoch.
    pub id: Digest,
    /// The protocol.
    pub protocol: ProtocolName,
    /// The validators that have voted for it.
    pub voters: NodeSet,
}

/// Which protocol orders, and which others are voted for.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ProtocolSummary {
    /// The epochs in order, the present one last; only the newest [`MAX_PAGE`].
    pub epochs: List<EpochSummary, MAX_PAGE>,
    /// The open proposals of the present epoch, in the order in which they were made.
    pub proposals: List<ProposalSummary, MAX_PROPOSALS>,
    /// How many votes begin the next epoch: a quorum of the validators.
    pub needed: u32,
}

/// Who has roles, and what is moved.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RolesSummary {
    /// Those who have roles of their own.
    pub subjects: List<SubjectSummary, MAX_PAGE>,
    /// The motions that are open, all of them.
    pub motions: List<MotionSummary, MAX_MOTIONS>,
    /// How many validators' votes decide.
    pub needed: u32,
}

/// Somebody who has roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SubjectSummary {
    /// Who.
    pub subject: Subject,
    /// Its own roles.
    pub roles: Roles,
}

/// A motion that is open.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MotionSummary {
    /// Its identifier.
    pub id: Digest,
    /// What is moved.
    pub motion: Motion,
    /// The roles that the subject has.
    pub now: Roles,
    /// The validators that are for it.
    pub voters: NodeSet,
}

/// How many motions can be open at a time.
pub const MAX_MOTIONS: usize = crate::MAX_OPEN_VOTES * NodeSet::CAPACITY as usize;

/// What the ledger says to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Answer {
    /// To [`Query::Head`].
    Head(HeadSummary),
    /// To [`Query::Block`].
    Block(BlockSummary),
    /// To [`Query::Device`].
    Device(DeviceSummary),
    /// To [`Query::Devices`].
    Devices(List<DeviceSummary, MAX_PAGE>),
    /// To [`Query::Streams`].
    Streams(List<StreamSummary, MAX_PAGE>),
    /// To [`Query::Stream`].
    Stream(StreamSummary),
    /// To [`Query::Reading`].
    Reading(RecordedReading),
    /// To [`Query::Range`].
    Range(List<RecordedReading, MAX_PAGE>),
    /// To [`Query::Prove`]: the bytes of a [`Proof`](hedgerow_proofs::Proof).
    Proof(Blob<MAX_PROOF>),
    /// There is no such thing.
    NotFound(Text<256>),
    /// The thing is there, but no certificate covers it yet. Ask again in a moment.
    NotYetFinal {
        /// The newest block with a certificate.
        certified: Height,
    },
    /// The bytes are not a query.
    Malformed,
    /// To [`Query::Protocol`].
    Protocol(ProtocolSummary),
    /// To [`Query::Contracts`].
    Contracts(ContractAnswer),
    /// To [`Query::Roles`].
    Roles(RolesSummary),
}

impl Answer {
    /// How many bytes an answer may have when encoded.
    pub const MAX_BYTES: usize = 4 << 20;

    /// The answer that `bytes`, all of them, encode.
    ///
    /// # Errors
    /// When they are not such an encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, Self::MAX_BYTES)
    }

    /// Its encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }
}

//! What can be asked about contracts, accounts and Ethereum's transactions: all that a JSON-RPC server needs. Each answer
//! depends on the question alone and on blocks that are final, so that validators answer alike.

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, Height};
use hedgerow_evm::{MAX_TRACE, MAX_TRANSACTION, Tracer};
use hedgerow_proofs::MAX_HEADER;
use hedgerow_wire::{Blob, List, Text};

use crate::{AccessItems, CallRequest, ContractReceipt, MAX_PAGE};

/// A word of the EVM, big-endian.
pub type Word = [u8; 32];

/// How many slots one question names at most.
pub const MAX_SLOTS: usize = 256;
/// How many addresses, or topics at one position, a question for events names at most.
pub const MAX_ALTERNATIVES: usize = 64;
/// Over how many blocks one question for events goes at most.
pub const MAX_LOG_BLOCKS: u64 = 10_000;
/// How many bytes of items one answer has at most, but for its first item.
pub const MAX_ITEM_BYTES: usize = 1 << 20;
/// How many bytes of output a call has at most; one with a longer one is refused.
pub const MAX_OUTPUT: usize = 1 << 20;
/// How many events one answer has at most.
pub const MAX_LOGS: usize = 20_000;
/// How many bytes an event's data has at most: more than any block's gas pays for.
pub const MAX_DATA: usize = 2 << 20;
/// How many bytes a contract's code has at most, twice what EIP-170 allows.
pub const MAX_CODE: usize = 48 << 10;

/// The nodes of a proof, each in RLP, from the root on.
pub type Nodes = List<Blob<1024>, 65>;

/// A question about contracts.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ContractQuery {
    /// The height of the block with that hash. [`ContractAnswer::Height`].
    BlockHash(Digest),
    /// Where the Ethereum transaction with that hash was executed. [`ContractAnswer::Place`].
    Transaction(Digest),
    /// A block's header, and its Ethereum transactions with their receipts. [`ContractAnswer::Block`].
    Block {
        /// The block.
        height: Height,
        /// Only transactions from this one on, counted among the block's executed Ethereum transactions.
        from: u32,
    },
    /// An account after a block. [`ContractAnswer::Account`].
    Account {
        /// The block, one of the newest ([`MAX_STATES`](crate::MAX_STATES)).
        height: Height,
        /// The account.
        address: [u8; 20],
        /// Whether its code is wanted.
        code: bool,
        /// The slots that are wanted.
        slots: List<Word, MAX_SLOTS>,
    },
    /// The same with proofs against the block's state root, as `eth_getProof` has them. [`ContractAnswer::Proof`].
    Proof {
        /// The block, one of the newest ([`MAX_STATES`](crate::MAX_STATES)).
        height: Height,
        /// The account.
        address: [u8; 20],
        /// The slots that are wanted.
        slots: List<Word, MAX_SLOTS>,
    },
    /// What a call would give after a block. [`ContractAnswer::Called`].
    Call {
        /// The block, one of the newest ([`MAX_STATES`](crate::MAX_STATES)).
        height: Height,
        /// The call.
        call: CallRequest,
    },
    /// How much gas a transaction like the call needs, after a block. [`ContractAnswer::Called`]: `gas` is the answer
    /// where it succeeds.
    Estimate {
        /// The block, one of the newest ([`MAX_STATES`](crate::MAX_STATES)).
        height: Height,
        /// The call.
        call: CallRequest,
    },
    /// The events of some blocks, in order. [`ContractAnswer::Logs`].
    Logs(LogQuery),
    /// What a call would touch after a block. [`ContractAnswer::Touched`].
    AccessList {
        /// The block, one of the newest ([`MAX_STATES`](crate::MAX_STATES)).
        height: Height,
        /// The call.
        call: CallRequest,
    },
    /// The trace of a call after a block. [`ContractAnswer::Trace`].
    TraceCall {
        /// The block, one of the newest ([`MAX_STATES`](crate::MAX_STATES)).
        height: Height,
        /// The call.
        call: CallRequest,
        /// What the trace shows.
        tracer: Tracer,
    },
    /// The trace of a transaction. [`ContractAnswer::Trace`].
    TraceTransaction {
        /// Its block, one of the newest ([`MAX_STATES`](crate::MAX_STATES)).
        height: Height,
        /// Its place among the transactions that made contracts run in the block.
        position: u32,
        /// What the trace shows.
        tracer: Tracer,
    },
}

impl ContractQuery {
    /// Whether a contract runs for the answer, which may take long.
    #[must_use]
    pub const fn is_call(&self) -> bool {
        match self {
            Self::Call { .. }
            | Self::Estimate { .. }
            | Self::AccessList { .. }
            | Self::TraceCall { .. }
            | Self::TraceTransaction { .. } => true,
            Self::BlockHash(_)
            | Self::Transaction(_)
            | Self::Block { .. }
            | Self::Account { .. }
            | Self::Proof { .. }
            | Self::Logs(_) => false,
        }
    }

    /// Whether that is traced.
    #[must_use]
    pub const fn is_trace(&self) -> bool {
        matches!(self, Self::TraceCall { .. } | Self::TraceTransaction { .. })
    }
}

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LogQuery {
    /// The first block.
    pub from: Height,
    /// In that block, only events from this one on.
    pub from_index: u32,
    /// The last block; at most [`MAX_LOG_BLOCKS`] are looked at.
    pub to: Height,
    /// Of one of these contracts; of any where there is none.
    pub addresses: List<[u8; 20], MAX_ALTERNATIVES>,
    /// At each position one of these topics; any where there is none.
    pub topics: List<List<Word, MAX_ALTERNATIVES>, 4>,
}

impl LogQuery {
    /// Whether an event of that contract with these topics is wanted, in whichever block.
    #[must_use]
    pub fn wants(&self, address: &[u8; 20], topics: &[Word]) -> bool {
        let address = self.addresses.is_empty() || self.addresses.contains(address);
        address
            && self.topics.len() <= topics.len()
            && self
                .topics
                .iter()
                .zip(topics)
                .all(|(any, topic)| any.is_empty() || any.contains(topic))
    }
}

/// What the ledger says to a [`ContractQuery`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ContractAnswer {
    /// To [`ContractQuery::BlockHash`].
    Height(Height),
    /// To [`ContractQuery::Transaction`].
    Place {
        /// The block.
        height: Height,
        /// Its place among the transactions that made contracts run in the block.
        position: u32,
    },
    /// To [`ContractQuery::Block`].
    Block(ContractBlock),
    /// To [`ContractQuery::Account`].
    Account(AccountSummary),
    /// To [`ContractQuery::Proof`].
    Proof(AccountEvidence),
    /// To [`ContractQuery::Call`] and [`ContractQuery::Estimate`].
    Called {
        /// How it ended.
        outcome: CallOutcome,
        /// How much gas it took; to an estimate that succeeds, how much a transaction needs.
        gas: u64,
    },
    /// To [`ContractQuery::Logs`].
    Logs {
        /// The events, in order, as many as fit.
        logs: List<FoundLog, MAX_LOGS>,
        /// Where the next question goes on: the block and the event in it. `None`: nothing is left.
        next: Option<(Height, u32)>,
    },
    /// To [`ContractQuery::AccessList`].
    Touched {
        /// What the call touches, in order.
        list: AccessItems,
        /// How the call ends that names it.
        outcome: CallOutcome,
        /// How much gas that takes.
        gas: u64,
    },
    /// To [`ContractQuery::TraceCall`] and [`ContractQuery::TraceTransaction`]: JSON, as geth has it.
    Trace(Blob<MAX_TRACE>),
    /// To the same: it is larger than a trace may be. In words, which say what helps.
    TooLarge(Text<256>),
    /// To [`ContractQuery::AccessList`] and [`ContractQuery::TraceCall`]: the call was not begun. In words.
    Refused(Text<256>),
    /// The block is not there, or its state is not kept any more; in words.
    Unknown(Text<256>),
}

/// A block as Ethereum's tools see it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ContractBlock {
    /// The header, encoded.
    pub header: Blob<MAX_HEADER>,
    /// How many transactions made contracts run.
    pub total: u32,
    /// The transactions from the wanted one on, as many as fit.
    pub transactions: List<ExecutedTransaction, MAX_PAGE>,
    /// How many events the block's transactions before these have.
    pub logs_before: u32,
    /// How much gas they took.
    pub gas_before: u64,
}

/// What made contracts run: an Ethereum transaction that was executed, or a record.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ExecutedTransaction {
    /// The transaction, as it was signed; a record's where it fits, else nothing.
    pub bytes: Blob<MAX_TRANSACTION>,
    /// What became of it.
    pub receipt: ContractReceipt,
}

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AccountSummary {
    /// How many transactions it has sent.
    pub nonce: u64,
    /// What it owns, in wei.
    pub balance: Word,
    /// keccak256 of its code.
    pub code_hash: Word,
    /// Its code, if that was wanted.
    pub code: Blob<MAX_CODE>,
    /// What the wanted slots hold.
    pub slots: List<Word, MAX_SLOTS>,
}

/// An account with its proofs.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AccountEvidence {
    /// The account; with nothing in it where there is none.
    pub account: AccountSummary,
    /// The root of its storage.
    pub storage_root: Word,
    /// From the state root to the account.
    pub nodes: Nodes,
    /// For each wanted slot, from the storage root to it.
    pub slots: List<Nodes, MAX_SLOTS>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum CallOutcome {
    /// Well, with this output.
    Success(Blob<MAX_OUTPUT>),
    /// The contract took everything back, and says why.
    Reverted(Blob<MAX_OUTPUT>),
    /// It was stopped: why, in words.
    Halted(Text<256>),
    /// It was not begun: why, in words.
    Refused(Text<256>),
}

/// An event, and where it was.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FoundLog {
    /// The block.
    pub height: Height,
    /// The block's hash.
    pub block: Digest,
    /// The block's time: milliseconds since the Unix epoch.
    pub time: u64,
    /// The transaction's hash.
    pub transaction: Digest,
    /// The transaction's place among those that made contracts run in the block.
    pub position: u32,
    /// The event's place among the block's.
    pub index: u32,
    /// The contract.
    pub address: [u8; 20],
    /// Its topics.
    pub topics: List<Word, 4>,
    /// Its data.
    pub data: Blob<MAX_DATA>,
}

//! Blocks, headers, the speculative head, attestations and proofs.
//!
//! A [`Ledger`] executes the batches that an ordering protocol has ordered. It is a pure function of the [`Genesis`] and
//! the batches: all validators get the same headers and receipts, and a validator that lost its disk gets them again by
//! executing the batches of others.
//!
//! ```text
//! store: genesis … stable block | layers: executed, can be rolled back … head
//!                                 └ stable(height) moves layers into the store; rollback(height) forgets them;
//!                                   stable_to(slot) and rollback_to(slot) do so by the protocol's slots
//! ```
//!
//! Validators sign the headers of stable blocks. [`Attestations`] collects the signatures; f + 1 of them are a
//! [`Certificate`](hedgerow_proofs::Certificate), under which [`Ledger::certify`] makes readings provable.

#[cfg(test)]
extern crate self as hedgerow_chain;

mod answer;
mod attestations;
mod batch;
mod call_request;
mod contract_query;
mod contracts;
mod deliveries;
mod epochs;
mod first_block;
mod genesis;
mod genesis_roles;
mod kept;
mod ledger;
mod moment;
mod open;
mod prove;
mod query;
mod recall;
mod replay;
mod roles;
mod tables;

pub use attestations::{Attestations, MAX_KEPT, Refused};
pub use batch::{Batch, Executed, Request};
pub use call_request::*;
pub use contract_query::*;
pub use contracts::ContractReceipt;
pub use hedgerow_evm::{MAX_TRACE, Tracer};
pub use hedgerow_streams::{Epoch, MAX_OPEN_VOTES};

pub use epochs::MAX_PROPOSALS;
pub use genesis::{
    AccountAddress, ContractRules, Genesis, GenesisError, Member, OptionValue, Ordering, Seat,
};
pub use genesis_roles::{RoleList, RoleRules};
pub use kept::{MAX_CHANGES, MAX_STATES};
pub use ledger::{Head, Ledger};
pub use moment::Moment;
pub use open::OpenError;
pub use prove::{HistoryNodes, Proved};
pub use query::{
    Answer, BlockSummary, DeviceRef, DeviceSummary, EpochSummary, HeadSummary, MAX_MOTIONS,
    MAX_PAGE, MotionSummary, ProposalSummary, ProtocolSummary, Query, RecordedReading,
    RolesSummary, StreamSummary, SubjectSummary,
};
pub use recall::Recalled;
pub use tables::tables;

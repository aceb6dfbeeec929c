//! Blocks, headers, the speculative head, attestations and proofs.

mod genesis;
mod query;

pub use genesis::{Genesis, GenesisError, Member, OptionValue, Ordering, Seat};
pub use query::{
    Answer, BlockSummary, DeviceRef, DeviceSummary, HeadSummary, MAX_PAGE, Query, RecordedReading,
    StreamSummary,
};

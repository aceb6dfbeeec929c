//! Contracts meet streams: what the ledger itself answers at [`STREAMS_ADDRESS`], and the calls of those who subscribed.

mod abi;
mod calls;
mod delivery;
mod reading;
mod subscriptions;

pub use delivery::Delivery;
pub(crate) use delivery::deliver;
pub use subscriptions::is_subscribed;

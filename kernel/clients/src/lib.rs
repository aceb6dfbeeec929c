//! Which of each client's numbers were executed, and the replies to the latest: at most once, with many requests of one
//! client under way.
//!
//! A client numbers its requests. In the literature (Castro and Liskov, OSDI '99 §4.1) it has one under way at a time,
//! and replicas remember its highest number and the reply to it. Here it has a whole window of them under way, which may
//! be executed in any order: [`Numbers`] remembers which numbers of the window were used, and [`Clients`] also the
//! replies, so that a client that lost one can ask for it again. Both are part of the replicated state: a deterministic
//! function of what was executed, in order, so equal at all correct replicas, byte for byte.
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc;

mod numbers;
mod outstanding;
mod replies;
mod table;

pub use numbers::Numbers;
pub use outstanding::Outstanding;
pub use table::{Clients, REPLY_OVERHEAD};

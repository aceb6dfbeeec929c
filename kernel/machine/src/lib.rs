//! The shape of a protocol participant.
//!
//! A replica, a client, a monitor, an attacker: each is a [`Machine`]. It takes one [`Input`], changes its state and
//! writes [`Effect`]s into an [`Outbox`] that the caller owns. The real driver and the simulator run the same
//! machines; neither knows the protocol.
//!
//! ```text
//!            frame ── Codec::admit ──┐                       ┌── Persist ── journal ──┐ durable
//!   link ──▶ (decode, checks)        ▼                       │                        ▼
//!            command ───────▶ Input ▶ step × burst ▶ settle ▶ Outbox ── Send, Emit ─▶ Gate ─▶ Codec::seal ─▶ links
//!            durable, deadline ──────┘                                                └──▶ application
//! ```
//!
//! Laws, each with a test in `tests/laws.rs` or in whoever implements it:
//!
//! 1. The same state and inputs give the same effects, byte for byte.
//! 2. Nothing leaves before the log position that it names is durable; what names none is never held back by what does.
//! 3. A deadline may fire late, never early.
//! 4. Stale, repeated and reordered messages are harmless.
//! 5. Links are best effort, in order within a session; sending again is the machine's business.
//! 6. Everything is bounded: windows, buffers, what one input may cause.
#![no_std]

extern crate alloc;

mod codec;
mod effect;
mod gate;
mod input;
mod outbox;
mod protocol;

pub use codec::{Codec, Reject};
pub use effect::{Effect, Target};
pub use gate::Gate;
pub use input::Input;
pub use outbox::Outbox;
pub use protocol::{Machine, Protocol};

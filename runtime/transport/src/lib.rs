//! Authenticated sessions between members, with bounded queues.
//!
//! Every pair of members has at most one session: TCP under TLS 1.3, both ends proving by their Ed25519 keys of the
//! genesis who they are. A session carries *frames* on *channels*, best effort and in order; a frame is lost when the
//! receiver can't be reached or does not keep up, and sending again is the business of whoever sent it.
//!
//! * The member with the greater identifier dials the one with the lesser: gateways dial validators, and no two
//!   members ever dial each other. A newer session of a member takes the place of its older one.
//! * Whatever is queued for a peer leaves in one write. [`Transport::post`] queues; [`Transport::flush`] sends.
//! * Each peer has its own queue in a [`Mailbox`], and they are served in turn. When a peer's queue is full its socket
//!   is not read any more: a peer that floods waits for itself.
//! * A consumer is a plain thread that sleeps on a [`Doorbell`].
//! * An idle session costs one small packet a second each way, and nothing on disk.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod accept;
mod config;
mod dial;
mod doorbell;
mod frame;
mod identity;
mod mailbox;
mod outbound;
mod peer;
mod session;
mod transport;

pub use config::{Limits, MemberAddress, TransportConfig, TransportError};
pub use doorbell::Doorbell;
pub use frame::Channel;
pub use mailbox::{Inbound, Mailbox, MailboxLimits, Overflow, Routes};
pub use outbound::Undelivered;
pub use peer::MemberStatus;
pub use transport::Transport;

use hedgerow_base::{Lsn, NodeId};

use crate::{Protocol, Reject};

/// What a machine is told.
#[derive(Debug)]
pub enum Input<P: Protocol> {
    /// A message that was decoded within its bounds and passed its checks.
    Message {
        /// The member at the other end of the link; not always the message's author.
        from: NodeId,
        /// What it says.
        message: P::Message,
    },
    /// A frame that did not pass, on a link that proves who sent it.
    Rejected {
        /// Who sent it.
        from: NodeId,
        /// What was wrong.
        reason: Reject,
    },
    /// The connection with a replica broke and did not come back at once; or it stands, for the first time or again. A hint
    /// of how soon to act, and no more than that: it may be late, wrong or missing, and whoever can cut a connection gives it.
    Link {
        /// Who is at the other end.
        peer: NodeId,
        /// Whether it stands.
        up: bool,
    },
    /// A command of the local application.
    Command(P::Command),
    /// Everything persisted up to this position survives a crash.
    Durable(Lsn),
    /// The machine's deadline has passed.
    Deadline,
}

use hedgerow_base::{Lsn, NodeId, NodeSet};

use crate::Protocol;

/// To whom a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One member, a replica or a client.
    Node(NodeId),
    /// Every replica but oneself.
    Others,
    /// Every replica, oneself included: one's own message comes back as it was sealed.
    All,
    /// These members.
    Set(NodeSet),
}

/// What a machine wants done. Carried out in order, except that an effect waits until `after` is durable and
/// does not hold back what does not wait.
#[derive(Debug)]
pub enum Effect<P: Protocol> {
    /// Send a message, best effort.
    Send {
        /// To whom.
        to: Target,
        /// What.
        message: P::Message,
        /// The log position that must be durable before it leaves: what the message promises is stored there.
        after: Lsn,
    },
    /// Append a record to the log.
    Persist {
        /// Its position: one after the record before it.
        lsn: Lsn,
        /// The record.
        record: P::Record,
    },
    /// Tell the application.
    Emit {
        /// What.
        event: P::Event,
        /// The log position that must be durable before the application hears of it.
        after: Lsn,
    },
    /// Records before this position are not needed for recovery any more.
    Release(Lsn),
}

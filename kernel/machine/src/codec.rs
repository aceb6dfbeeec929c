use alloc::string::String;

use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_crypto::{Checks, SealError};
use hedgerow_wire::DecodeError;

use crate::{Protocol, Target};

/// The stateless half of a participant: from bytes to messages that a machine may see, and back.
///
/// What was not admitted can't be stepped: outside this trait nothing makes a message out of bytes.
pub trait Codec<P: Protocol>: Send + Sync {
    /// Decodes a frame within bounds, checks its MACs, and adds to `checks` the signatures that must hold before a
    /// machine may see the message. The driver verifies those in batches, across messages and peers.
    ///
    /// `link` is the member at the other end of an authenticated link.
    ///
    /// # Errors
    /// When the frame can't be a message that `link` may have sent, whatever the machine's state is.
    fn admit(&self, link: NodeId, frame: &Bytes, checks: &mut Checks)
    -> Result<P::Message, Reject>;

    /// Encodes and seals a message, once for all receivers.
    fn seal(&self, message: &P::Message, to: Target) -> Bytes;
}

/// Why a frame is not shown to the machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// Not the encoding of a message within its bounds. The sender is provably faulty.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// Its seal convinces nobody here. Whoever relayed it need not be at fault.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A signature in it is not valid.
    #[error("a signature in it is not valid")]
    Signature,
    /// Well-formed and sealed, but its author may not say this. The author is provably faulty.
    #[error("{0}")]
    Inadmissible(String),
}

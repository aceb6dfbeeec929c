use std::{collections::BTreeMap, io, net::SocketAddr, time::Duration};

use hedgerow_base::{Digest, NodeId};

use crate::Channel;

/// A member as the genesis and the configuration have it.
#[derive(Clone, Debug)]
pub struct MemberAddress {
    /// Who.
    pub id: NodeId,
    /// Its Ed25519 public key, by which it is known.
    pub public_key: [u8; 32],
    /// Where it listens, as `host:port`. `None` for one that only dials.
    pub address: Option<String>,
}

/// Bounds on time and memory.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest frame on a channel that `channel_frame_bytes` does not name, in bytes.
    pub frame_bytes: usize,
    /// The largest frame on these channels, in bytes.
    pub channel_frame_bytes: BTreeMap<Channel, usize>,
    /// How many bytes may wait to be sent to one peer.
    pub outbound_bytes: usize,
    /// How many frames may wait to be sent to one peer.
    pub outbound_frames: usize,
    /// How long nothing is said before a sign of life is sent.
    pub ping_after: Duration,
    /// How long nothing is heard before the session is given up.
    pub dead_after: Duration,
    /// How long connecting, and then proving who one is, may take, each.
    pub handshake: Duration,
    /// How many strangers may be proving who they are at the same time; when another comes the oldest must go.
    pub pending_handshakes: usize,
    /// How long to wait at first before dialling again; it doubles with each failure.
    pub redial_first: Duration,
    /// How long to wait at most before dialling again.
    pub redial_last: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 8 << 20,
            channel_frame_bytes: BTreeMap::new(),
            outbound_bytes: 16 << 20,
            outbound_frames: 65_536,
            ping_after: Duration::from_secs(1),
            dead_after: Duration::from_secs(4),
            handshake: Duration::from_secs(3),
            pending_handshakes: 64,
            redial_first: Duration::from_millis(30),
            redial_last: Duration::from_secs(1),
        }
    }
}

impl Limits {
    pub(crate) fn frame_bytes_on(&self, channel: Channel) -> usize {
        self.channel_frame_bytes
            .get(&channel)
            .copied()
            .unwrap_or(self.frame_bytes)
    }
}

/// Who one is, whom one talks to, and within which bounds.
#[derive(Clone)]
pub struct TransportConfig {
    /// Names the network, usually the genesis' digest: members of two networks never talk, even with the same keys.
    pub network: Digest,
    /// Who one is.
    pub me: NodeId,
    /// The secret of one's Ed25519 key (RFC 8032).
    pub seed: [u8; 32],
    /// All members, oneself included.
    pub members: Vec<MemberAddress>,
    /// Where to listen; port 0 takes a free one. `None` for a member that only dials.
    pub listen: Option<SocketAddr>,
    /// Bounds on time and memory.
    pub limits: Limits,
}

/// Why the transport can't start.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(String),
    /// The address to listen on can't be had.
    #[error("can't listen on {address}: {source}. Stop what uses it, or choose another address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system gives no thread or socket poller.
    #[error("can't start the network thread: {0}")]
    Thread(io::Error),
}

use std::fmt;

use hedgerow_crypto::MacCount;

/// What computing costs a node, in nanoseconds of its one processor: performance mode's model of a machine.
///
/// What a node does is counted, not guessed: frames and bytes as they come and go, MACs by the count that its keyring
/// keeps, signatures as the codec asks for their checks. Making a signature is free: no protocol signs while all is
/// well. The application executes on a processor of its own, as in the real driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostModel {
    /// Per frame received: system call, decoding, dispatch.
    pub receive_ns: u64,
    /// Per frame and receiver sent.
    pub send_ns: u64,
    /// Per byte received, and per byte and receiver sent, in picoseconds: copying and hashing.
    pub byte_ps: u64,
    /// Per MAC made or checked.
    pub tag_ns: u64,
    /// Per signature checked.
    pub signature_ns: u64,
    /// Per burst: waking up, settling.
    pub burst_ns: u64,
    /// Per operation executed by the application.
    pub execute_ns: u64,
}

impl CostModel {
    /// Computing is free: what safety and liveness runs use, in which links and disks alone take time.
    pub const FREE: Self = Self {
        receive_ns: 0,
        send_ns: 0,
        byte_ps: 0,
        tag_ns: 0,
        signature_ns: 0,
        burst_ns: 0,
        execute_ns: 0,
    };

    /// One core of a small x86-64 server: BLAKE3 tags, batched Ed25519, loopback-like frames.
    pub const SERVER: Self = Self {
        receive_ns: 900,
        send_ns: 600,
        byte_ps: 700,
        tag_ns: 110,
        signature_ns: 35_000,
        burst_ns: 4_000,
        execute_ns: 300,
    };

    /// The cost of receiving a frame of `bytes` that demanded so many signatures.
    #[must_use]
    pub const fn receiving(&self, bytes: usize, signatures: usize) -> u64 {
        self.receive_ns
            + bytes as u64 * self.byte_ps / 1_000
            + signatures as u64 * self.signature_ns
    }

    /// The cost of making and checking so many MACs.
    #[must_use]
    pub const fn macs(&self, count: MacCount) -> u64 {
        count.total() as u64 * self.tag_ns
    }

    /// The cost of sending a frame of `bytes` to so many receivers.
    #[must_use]
    pub const fn sending(&self, bytes: usize, receivers: usize) -> u64 {
        receivers as u64 * self.send_ns + bytes as u64 * receivers as u64 * self.byte_ps / 1_000
    }
}

impl fmt::Display for CostModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ns per frame received, {} ns per frame and receiver sent, {} ps per byte either way, {} ns per MAC, {} ns \
             per signature checked, {} ns per burst; {} ns per operation executed",
            self.receive_ns,
            self.send_ns,
            self.byte_ps,
            self.tag_ns,
            self.signature_ns,
            self.burst_ns,
            self.execute_ns
        )
    }
}

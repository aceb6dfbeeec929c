/// What computing costs a node, in nanoseconds of its one processor: performance mode's model of a machine.
///
/// Codecs are opaque to the simulator, so the cost of cryptography is counted from outside: a frame to or from many
/// costs one tag per replica to make and one to check; signatures are counted as the codec asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostModel {
    /// Per frame received: system call, decoding, dispatch.
    pub receive_ns: u64,
    /// Per frame and receiver sent.
    pub send_ns: u64,
    /// Per byte received or sent: copying and hashing.
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
            + self.tag_ns
            + bytes as u64 * self.byte_ps / 1_000
            + signatures as u64 * self.signature_ns
    }

    /// The cost of sealing a frame of `bytes` with so many tags and sending it to so many receivers.
    #[must_use]
    pub const fn sending(&self, bytes: usize, tags: usize, receivers: usize) -> u64 {
        receivers as u64 * self.send_ns
            + tags as u64 * self.tag_ns
            + bytes as u64 * receivers as u64 * self.byte_ps / 1_000
    }
}

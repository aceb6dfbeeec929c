use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::Digest;
use hedgerow_wire::List;

/// How many validators a network may have.
pub const MAX_VALIDATORS: usize = 128;

/// What one must know of a network to check its proofs; it follows from the genesis.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TrustRoot {
    /// The network's number.
    pub network: u64,
    /// The hash of the genesis block's header.
    pub genesis: Digest,
    /// The validators' Ed25519 public keys, in the order of their identifiers.
    pub validators: List<[u8; 32], MAX_VALIDATORS>,
}

impl TrustRoot {
    /// How many validators must have signed: one more than may be faulty, f of n ≥ 3f + 1.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.validators.len().saturating_sub(1) / 3 + 1
    }
}

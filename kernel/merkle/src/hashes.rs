use alloy_primitives::Keccak256;
use hedgerow_base::Digest;

/// The hash of a leaf with this content.
#[must_use]
pub fn leaf_hash(content: &[u8]) -> Digest {
    let mut hasher = Keccak256::new();
    hasher.update([0]);
    hasher.update(content);
    Digest(hasher.finalize().0)
}

/// The hash of the node over `left` and `right`.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Keccak256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    Digest(hasher.finalize().0)
}

/// The root of a range of `length` leaves whose mountains have these tops.
#[must_use]
pub fn root_hash<'a>(length: u64, peaks: impl IntoIterator<Item = &'a Digest>) -> Digest {
    let mut hasher = Keccak256::new();
    hasher.update([2]);
    hasher.update(length.to_be_bytes());
    for peak in peaks {
        hasher.update(peak);
    }
    Digest(hasher.finalize().0)
}

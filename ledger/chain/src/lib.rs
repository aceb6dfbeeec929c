//! Blocks, headers, the speculative head, attestations and proofs.

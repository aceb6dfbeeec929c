//! Proofs of readings, checked with no network and no trust in the prover.

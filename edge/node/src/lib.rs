//! One member's node: ordering, ledger and attestation together.

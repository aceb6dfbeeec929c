//! The ledger's key-value store on disk.

//! Append-only Merkle mountain ranges: inclusion and consistency.

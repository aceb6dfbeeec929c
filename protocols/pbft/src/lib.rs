//! Practical Byzantine fault tolerance: replica and client.

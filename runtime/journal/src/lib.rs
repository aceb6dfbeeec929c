//! A durable log with group commit and recovery.

//! Streams of readings: exactly once, append only.

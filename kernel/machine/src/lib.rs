//! The shape of a protocol participant.

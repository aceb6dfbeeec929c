//! The protocols as the simulator sees them.

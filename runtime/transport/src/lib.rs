//! Authenticated sessions between members, with bounded queues.

//! What a device needs to sign records and keep them while offline.

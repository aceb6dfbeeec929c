//! The door for devices: MQTT, HTTP and store-and-forward.

pub mod broker;
pub mod codec;

//! MQTT packets: from bytes within bounds, and to bytes.
//!
//! The wire format is `mqtt-protocol-core`'s. This module joins its two families of packets (3.1.1 and 5) into one
//! model, and adds the checks of the standards that the crate leaves to its user.

mod decode;
mod encode;
mod frame;
mod packet;
mod reason;

pub use decode::{DecodeError, decode};
pub use encode::{
    Connack, connack, disconnect, pingresp, puback, pubcomp, publish, pubrec, pubrel, suback,
    unsuback,
};
pub use frame::Framer;
pub use packet::{
    Connect, Disconnect, Message, MessageProperties, Packet, Publish, Qos, RetainHandling,
    Subscribe, SubscribeRequest, Unsubscribe, Version, Will,
};
pub use reason::Reason;

#[cfg(test)]
mod tests;

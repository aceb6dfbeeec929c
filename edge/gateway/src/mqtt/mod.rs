//! MQTT on sockets: the broker on one task, a reader and a writer for each connection.

mod server;
mod socket;
mod topics;

pub(crate) use server::{MqttHandle, start};
pub use topics::{RECEIPTS, RECORDS, receipts_topic};

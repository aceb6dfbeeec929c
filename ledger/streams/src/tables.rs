use hedgerow_kv::Table;
use hedgerow_records::{StreamId, StreamName};

pub(crate) const DEVICES: Table = "devices";
pub(crate) const DEVICE_NAMES: Table = "device_names";
pub(crate) const STREAMS: Table = "streams";
pub(crate) const STREAM_NAMES: Table = "stream_names";
pub(crate) const RUNS: Table = "runs";
pub(crate) const NODES: Table = "nodes";
pub(crate) const ROLES: Table = "roles";

/// The tables that this crate writes.
pub const TABLES: [Table; 7] = [
    DEVICES,
    DEVICE_NAMES,
    STREAMS,
    STREAM_NAMES,
    RUNS,
    NODES,
    ROLES,
];

/// The key of what a stream has at a number.
pub(crate) fn at(stream: StreamId, number: u64) -> Vec<u8> {
    [stream.0.as_ref(), &number.to_be_bytes()].concat()
}

/// A key after all of a stream's.
pub(crate) fn end(stream: StreamId) -> Vec<u8> {
    let mut key = at(stream, u64::MAX);
    key.push(0);
    key
}

/// The key of a stream's name. Names have no zero byte, so the order is that of the names.
pub(crate) fn name(name: &StreamName) -> Vec<u8> {
    [name.device.as_bytes(), &[0], name.stream.as_bytes()].concat()
}

use std::time::Duration;

/// The bounds of the broker. Everything that a client can make the broker keep has one.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Network connections at a time; more are refused with "server busy".
    pub connections: usize,
    /// Sessions, connected or not; when all are taken, the one that was disconnected first makes room.
    pub sessions: usize,
    /// Subscriptions of one session; more are refused with "quota exceeded".
    pub subscriptions_per_session: usize,
    /// Levels of a topic name or filter.
    pub topic_levels: usize,
    /// Bytes of a client identifier.
    pub client_id_bytes: usize,
    /// Messages that wait for one client; further ones are dropped.
    pub queued_messages: usize,
    /// Bytes of messages that wait for one client.
    pub queued_bytes: usize,
    /// Bytes of messages that wait for all clients together.
    pub queued_bytes_total: usize,
    /// Unacknowledged messages towards one client.
    pub in_flight: u16,
    /// Bytes given to a connection and not yet written to its socket; QoS 0 messages beyond are dropped.
    pub unsent_bytes: usize,
    /// Retained messages.
    pub retained_messages: usize,
    /// Bytes of retained messages.
    pub retained_bytes: usize,
    /// Unacknowledged QoS > 0 messages from one client (Receive Maximum).
    pub receive_maximum: u16,
    /// The largest packet from a client (Maximum Packet Size), and the largest sent to one.
    pub packet_bytes: u32,
    /// Topic aliases in each direction (Topic Alias Maximum).
    pub topic_aliases: u16,
    /// The longest life of a session without a connection; a longer wish is cut to it.
    pub session_expiry_max: Duration,
    /// The longest keep-alive; a longer wish, or none, is cut to it under MQTT 5. `None` takes any.
    pub keep_alive_max: Option<u16>,
    /// How long a new connection may wait before its CONNECT.
    pub connect_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            sessions: 16_384,
            subscriptions_per_session: 128,
            topic_levels: 32,
            client_id_bytes: 256,
            queued_messages: 10_000,
            queued_bytes: 4 << 20,
            queued_bytes_total: 128 << 20,
            in_flight: 256,
            unsent_bytes: 1 << 20,
            retained_messages: 10_000,
            retained_bytes: 16 << 20,
            receive_maximum: 1024,
            packet_bytes: 256 << 10,
            topic_aliases: 32,
            session_expiry_max: Duration::from_secs(7 * 24 * 3600),
            keep_alive_max: None,
            connect_timeout: Duration::from_secs(10),
        }
    }
}

use std::sync::Arc;

use bytes::Bytes;

/// The two protocol versions that the gateway speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1 (protocol level 4).
    V3,
    /// MQTT 5 (protocol level 5).
    V5,
}

/// Quality of service (MQTT 5 §4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Qos {
    /// At most once.
    #[default]
    AtMostOnce = 0,
    /// At least once.
    AtLeastOnce = 1,
    /// Exactly once.
    ExactlyOnce = 2,
}

/// A packet from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// The first packet of a connection.
    Connect(Box<Connect>),
    /// An application message.
    Publish(Box<Publish>),
    /// The answer to a PUBLISH with QoS 1: packet identifier, reason code (0 under MQTT 3.1.1).
    Puback(u16, u8),
    /// The first answer to a PUBLISH with QoS 2.
    Pubrec(u16, u8),
    /// The sender of a QoS 2 message releases its packet identifier.
    Pubrel(u16, u8),
    /// The last answer to a PUBLISH with QoS 2.
    Pubcomp(u16, u8),
    /// A request for subscriptions.
    Subscribe(Subscribe),
    /// A request to end subscriptions.
    Unsubscribe(Unsubscribe),
    /// A sign of life.
    Pingreq,
    /// The last packet of a connection.
    Disconnect(Disconnect),
    /// Enhanced authentication, which the gateway does not offer.
    Auth,
}

/// CONNECT (§3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Which MQTT the client speaks.
    pub version: Version,
    /// Empty when the client wants one assigned.
    pub client_id: String,
    /// Clean Start (5), Clean Session (3.1.1).
    pub clean_start: bool,
    /// Seconds; 0 turns the mechanism off.
    pub keep_alive: u16,
    /// Seconds; `u32::MAX` is for ever. Under 3.1.1: 0 with a clean session, else for ever.
    pub session_expiry: u32,
    /// How many unacknowledged QoS > 0 messages the client takes.
    pub receive_maximum: u16,
    /// The largest packet that the client takes.
    pub maximum_packet_size: Option<u32>,
    /// How many topic aliases the client keeps.
    pub topic_alias_maximum: u16,
    /// Whether reason strings may be sent on other packets than CONNACK and DISCONNECT.
    pub problem_information: bool,
    /// Whether the client asked for response information.
    pub response_information: bool,
    /// Whether the client wants enhanced authentication.
    pub authentication_method: bool,
    /// The message to publish when the client is lost.
    pub will: Option<Will>,
    /// User name, when there is one.
    pub user_name: Option<String>,
    /// Password, when there is one.
    pub password: Option<Bytes>,
}

/// A will (§3.1.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Seconds between the loss and the message.
    pub delay: u32,
    /// Seconds after which the message is stale.
    pub expiry: Option<u32>,
    /// The message.
    pub message: Message,
}

/// An application message as it travels through the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Topic name.
    pub topic: Arc<str>,
    /// Application payload.
    pub payload: Bytes,
    /// Quality of service that the publisher chose.
    pub qos: Qos,
    /// Whether the message is to be retained.
    pub retain: bool,
    /// What is passed on unaltered; shared by all copies.
    pub properties: Arc<MessageProperties>,
}

impl Message {
    /// A message with neither properties nor the retain flag.
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, payload: impl Into<Bytes>, qos: Qos) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos,
            retain: false,
            properties: Arc::default(),
        }
    }

    /// What the message costs in memory, in bytes, about.
    #[must_use]
    pub fn cost(&self) -> usize {
        let properties = &self.properties;
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.topic.len()
            + self.payload.len()
            + optional(&properties.content_type)
            + optional(&properties.response_topic)
            + properties.correlation_data.as_ref().map_or(0, Bytes::len)
            + properties
                .user
                .iter()
                .map(|(name, value)| name.len() + value.len() + 16)
                .sum::<usize>()
            + 96
    }
}

/// The properties of a PUBLISH that a server passes on unaltered (§3.3.2.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageProperties {
    /// Payload Format Indicator.
    pub payload_format: Option<u8>,
    /// Content Type.
    pub content_type: Option<String>,
    /// Response Topic.
    pub response_topic: Option<String>,
    /// Correlation Data.
    pub correlation_data: Option<Bytes>,
    /// User Properties, in their order.
    pub user: Vec<(String, String)>,
}

/// PUBLISH (§3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Absent with QoS 0.
    pub packet_id: Option<u16>,
    /// Whether it may be a repetition.
    pub dup: bool,
    /// Topic Alias: stands for the topic name when that is empty.
    pub topic_alias: Option<u16>,
    /// Message Expiry Interval in seconds.
    pub expiry: Option<u32>,
    /// The message.
    pub message: Message,
}

/// What a server does with retained messages when a subscription is made (§3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetainHandling {
    /// 0: send them.
    #[default]
    Send,
    /// 1: send them if the subscription is new.
    SendIfNew,
    /// 2: do not send them.
    DoNotSend,
}

/// One topic filter of a SUBSCRIBE with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeRequest {
    /// Topic filter, with its `$share/…/` where it has one.
    pub filter: String,
    /// The greatest QoS that the client wants.
    pub qos: Qos,
    /// Not the client's own messages.
    pub no_local: bool,
    /// Keep the RETAIN flag as it was published.
    pub retain_as_published: bool,
    /// What to do with retained messages now.
    pub retain_handling: RetainHandling,
}

/// SUBSCRIBE (§3.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Packet identifier, to be repeated in the SUBACK.
    pub packet_id: u16,
    /// Subscription Identifier.
    pub identifier: Option<u32>,
    /// At least one.
    pub requests: Vec<SubscribeRequest>,
}

/// UNSUBSCRIBE (§3.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Packet identifier, to be repeated in the UNSUBACK.
    pub packet_id: u16,
    /// At least one.
    pub filters: Vec<String>,
}

/// DISCONNECT (§3.14).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disconnect {
    /// 0 is a normal disconnection; the will is dropped.
    pub reason: u8,
    /// A new Session Expiry Interval.
    pub session_expiry: Option<u32>,
}

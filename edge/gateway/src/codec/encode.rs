//! The packets that a server sends.
//!
//! The crate's builders check lengths of strings; what comes here came out of packets or out of our own short texts,
//! so a failure to build is our own bug, and is answered by sending nothing rather than by a crash of the gateway.

use bytes::Bytes;
use mqtt_protocol_core::mqtt::{
    packet::{self as wire, Property, v3_1_1 as v3, v5_0 as v5},
    result_code::{
        ConnectReasonCode, ConnectReturnCode, DisconnectReasonCode, MqttError, PubackReasonCode,
        PubcompReasonCode, PubrecReasonCode, PubrelReasonCode, SubackReasonCode, SubackReturnCode,
        UnsubackReasonCode,
    },
};

use super::{Message, Qos, Reason, Version};

/// What a CONNACK says (MQTT 5 §3.2).
#[derive(Clone, Debug, Default)]
pub struct Connack {
    /// Whether the server still had the session.
    pub session_present: bool,
    /// Why not, when the connection is refused.
    pub refusal: Option<(Reason, String)>,
    /// Session Expiry Interval, when it is not the one asked for.
    pub session_expiry: Option<u32>,
    /// Receive Maximum of the server.
    pub receive_maximum: u16,
    /// Maximum Packet Size of the server.
    pub maximum_packet_size: u32,
    /// Topic Alias Maximum of the server.
    pub topic_alias_maximum: u16,
    /// The identifier that the server chose.
    pub assigned_client_id: Option<String>,
    /// The keep-alive that the client must use.
    pub server_keep_alive: Option<u16>,
    /// Response Information (§3.2.2.3.15).
    pub response_information: Option<String>,
}

fn finished(name: &str, built: Result<Vec<u8>, MqttError>) -> Option<Bytes> {
    debug_assert!(built.is_ok(), "{name} could not be built");
    match built {
        Ok(bytes) => Some(bytes.into()),
        Err(error) => {
            tracing::error!(packet = name, %error, "a packet could not be built");
            None
        }
    }
}

/// CONNACK.
#[must_use]
pub fn connack(version: Version, connack: &Connack) -> Option<Bytes> {
    finished(
        "CONNACK",
        match version {
            Version::V3 => connack_v3(connack),
            Version::V5 => connack_v5(connack),
        },
    )
}

fn connack_v3(connack: &Connack) -> Result<Vec<u8>, MqttError> {
    let code = match connack.refusal.as_ref().map(|(reason, _)| *reason) {
        None => ConnectReturnCode::Accepted,
        Some(Reason::UnsupportedProtocolVersion) => ConnectReturnCode::UnacceptableProtocolVersion,
        Some(Reason::ClientIdentifierNotValid) => ConnectReturnCode::IdentifierRejected,
        Some(Reason::BadUserNameOrPassword) => ConnectReturnCode::BadUserNameOrPassword,
        Some(Reason::NotAuthorized) => ConnectReturnCode::NotAuthorized,
        Some(_) => ConnectReturnCode::ServerUnavailable,
    };
    let packet = v3::Connack::builder()
        .session_present(connack.session_present)
        .return_code(code)
        .build()?;
    Ok(packet.to_continuous_buffer())
}

fn connack_v5(connack: &Connack) -> Result<Vec<u8>, MqttError> {
    let mut properties: Vec<Property> = Vec::new();
    let mut code = ConnectReasonCode::Success;
    if let Some((reason, text)) = &connack.refusal {
        code = ConnectReasonCode::try_from(reason.code())
            .unwrap_or(ConnectReasonCode::UnspecifiedError);
        properties.push(wire::ReasonString::new(text.as_str())?.into());
    } else {
        if let Some(seconds) = connack.session_expiry {
            properties.push(wire::SessionExpiryInterval::new(seconds)?.into());
        }
        if connack.receive_maximum < u16::MAX {
            properties.push(wire::ReceiveMaximum::new(connack.receive_maximum)?.into());
        }
        properties.push(wire::MaximumPacketSize::new(connack.maximum_packet_size)?.into());
        if connack.topic_alias_maximum > 0 {
            properties.push(wire::TopicAliasMaximum::new(connack.topic_alias_maximum)?.into());
        }
        if let Some(id) = &connack.assigned_client_id {
            properties.push(wire::AssignedClientIdentifier::new(id.as_str())?.into());
        }
        if let Some(seconds) = connack.server_keep_alive {
            properties.push(wire::ServerKeepAlive::new(seconds)?.into());
        }
        if let Some(text) = &connack.response_information {
            properties.push(wire::ResponseInformation::new(text.as_str())?.into());
        }
    }
    let packet = v5::Connack::builder()
        .session_present(connack.session_present)
        .reason_code(code)
        .props(properties)
        .build()?;
    Ok(packet.to_continuous_buffer())
}

/// PUBLISH. `expiry` is what is left of the message's life, in seconds; an alias with an empty topic replaces it.
#[must_use]
pub fn publish(
    version: Version,
    message: &Message,
    packet_id: Option<u16>,
    dup: bool,
    expiry: Option<u32>,
    identifiers: &[u32],
    alias: Option<(u16, bool)>,
) -> Option<Bytes> {
    let build = || -> Result<Vec<u8>, MqttError> {
        let qos = match message.qos {
            Qos::AtMostOnce => wire::Qos::AtMostOnce,
            Qos::AtLeastOnce => wire::Qos::AtLeastOnce,
            Qos::ExactlyOnce => wire::Qos::ExactlyOnce,
        };
        if version == Version::V3 {
            let mut builder = v3::Publish::builder()
                .topic_name(&*message.topic)?
                .qos(qos)
                .retain(message.retain)
                .dup(dup)
                .payload(message.payload.as_ref());
            if let Some(id) = packet_id {
                builder = builder.packet_id(id);
            }
            return Ok(builder.build()?.to_continuous_buffer());
        }
        let forwarded = &message.properties;
        let mut properties: Vec<Property> = Vec::new();
        if let Some(format) = forwarded.payload_format {
            let format = if format == 1 {
                wire::PayloadFormat::String
            } else {
                wire::PayloadFormat::Binary
            };
            properties.push(wire::PayloadFormatIndicator::new(format)?.into());
        }
        if let Some(seconds) = expiry {
            properties.push(wire::MessageExpiryInterval::new(seconds)?.into());
        }
        if let Some(text) = &forwarded.content_type {
            properties.push(wire::ContentType::new(text.as_str())?.into());
        }
        if let Some(text) = &forwarded.response_topic {
            properties.push(wire::ResponseTopic::new(text.as_str())?.into());
        }
        if let Some(data) = &forwarded.correlation_data {
            properties.push(wire::CorrelationData::new(data.to_vec())?.into());
        }
        for (name, value) in &forwarded.user {
            properties.push(wire::UserProperty::new(name.as_str(), value.as_str())?.into());
        }
        for &identifier in identifiers {
            properties.push(wire::SubscriptionIdentifier::new(identifier)?.into());
        }
        let mut topic = &*message.topic;
        if let Some((alias, known)) = alias {
            properties.push(wire::TopicAlias::new(alias)?.into());
            if known {
                topic = "";
            }
        }
        let mut builder = v5::Publish::builder()
            .topic_name(topic)?
            .qos(qos)
            .retain(message.retain)
            .dup(dup)
            .props(properties)
            .payload(message.payload.as_ref());
        if let Some(id) = packet_id {
            builder = builder.packet_id(id);
        }
        Ok(builder.build()?.to_continuous_buffer())
    };
    finished("PUBLISH", build())
}

macro_rules! acknowledgement {
    ($(#[$doc:meta])* $name:ident, $packet:ident, $code:ident, $otherwise:expr) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(version: Version, packet_id: u16, reason: Reason, text: Option<&str>) -> Option<Bytes> {
            let build = || -> Result<Vec<u8>, MqttError> {
                if version == Version::V3 {
                    return Ok(v3::$packet::builder().packet_id(packet_id).build()?.to_continuous_buffer());
                }
                let mut builder = v5::$packet::builder().packet_id(packet_id);
                if reason != Reason::Success {
                    builder = builder.reason_code($code::try_from(reason.code()).unwrap_or($otherwise));
                    if let Some(text) = text {
                        builder = builder.props(vec![wire::ReasonString::new(text)?.into()]);
                    }
                }
                Ok(builder.build()?.to_continuous_buffer())
            };
            finished(stringify!($packet), build())
        }
    };
}

acknowledgement! {
    /// PUBACK: a QoS 1 message has been taken, or not.
    puback, Puback, PubackReasonCode, PubackReasonCode::UnspecifiedError
}
acknowledgement! {
    /// PUBREC: a QoS 2 message has been taken, or not.
    pubrec, Pubrec, PubrecReasonCode, PubrecReasonCode::UnspecifiedError
}
acknowledgement! {
    /// PUBREL: the packet identifier of a QoS 2 message that we sent is released.
    pubrel, Pubrel, PubrelReasonCode, PubrelReasonCode::PacketIdentifierNotFound
}
acknowledgement! {
    /// PUBCOMP: the exchange of a QoS 2 message is complete.
    pubcomp, Pubcomp, PubcompReasonCode, PubcompReasonCode::PacketIdentifierNotFound
}

/// SUBACK: one reason per topic filter, in their order.
#[must_use]
pub fn suback(
    version: Version,
    packet_id: u16,
    reasons: &[Reason],
    text: Option<&str>,
) -> Option<Bytes> {
    let build = || -> Result<Vec<u8>, MqttError> {
        if version == Version::V3 {
            let codes = reasons
                .iter()
                .map(|reason| {
                    SubackReturnCode::try_from(reason.code()).unwrap_or(SubackReturnCode::Failure)
                })
                .collect();
            return Ok(v3::Suback::builder()
                .packet_id(packet_id)
                .return_codes(codes)
                .build()?
                .to_continuous_buffer());
        }
        let codes = reasons
            .iter()
            .map(|reason| {
                SubackReasonCode::try_from(reason.code())
                    .unwrap_or(SubackReasonCode::UnspecifiedError)
            })
            .collect();
        let properties: Vec<Property> = match text {
            Some(text) => vec![wire::ReasonString::new(text)?.into()],
            None => Vec::new(),
        };
        let packet = v5::Suback::builder()
            .packet_id(packet_id)
            .reason_codes(codes)
            .props(properties)
            .build()?;
        Ok(packet.to_continuous_buffer())
    };
    finished("SUBACK", build())
}

/// UNSUBACK: one reason per topic filter, in their order; 3.1.1 has none.
#[must_use]
pub fn unsuback(version: Version, packet_id: u16, reasons: &[Reason]) -> Option<Bytes> {
    let build = || -> Result<Vec<u8>, MqttError> {
        if version == Version::V3 {
            return Ok(v3::Unsuback::builder()
                .packet_id(packet_id)
                .build()?
                .to_continuous_buffer());
        }
        let codes = reasons
            .iter()
            .map(|reason| {
                UnsubackReasonCode::try_from(reason.code())
                    .unwrap_or(UnsubackReasonCode::UnspecifiedError)
            })
            .collect();
        Ok(v5::Unsuback::builder()
            .packet_id(packet_id)
            .reason_codes(codes)
            .build()?
            .to_continuous_buffer())
    };
    finished("UNSUBACK", build())
}

/// PINGRESP.
#[must_use]
pub const fn pingresp() -> Bytes {
    Bytes::from_static(&[0xd0, 0x00])
}

/// DISCONNECT from the server, which only MQTT 5 has.
#[must_use]
pub fn disconnect(reason: Reason, text: Option<&str>) -> Option<Bytes> {
    let build = || -> Result<Vec<u8>, MqttError> {
        let code = DisconnectReasonCode::try_from(reason.code())
            .unwrap_or(DisconnectReasonCode::UnspecifiedError);
        let mut builder = v5::Disconnect::builder().reason_code(code);
        if let Some(text) = text {
            builder = builder.props(vec![wire::ReasonString::new(text)?.into()]);
        }
        Ok(builder.build()?.to_continuous_buffer())
    };
    finished("DISCONNECT", build())
}

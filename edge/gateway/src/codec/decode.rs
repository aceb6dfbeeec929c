use std::sync::Arc;

use bytes::Bytes;
use mqtt_protocol_core::mqtt::{
    packet::{self as wire, MqttBinary, Property, v3_1_1 as v3, v5_0 as v5},
    result_code::MqttError,
};

use super::{
    Connect, Disconnect, Message, MessageProperties, Packet, Publish, Qos, Reason, RetainHandling,
    Subscribe, SubscribeRequest, Unsubscribe, Version, Will,
};

/// Why bytes are not a packet, and what the client is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct DecodeError {
    /// The reason code for the DISCONNECT or CONNACK.
    pub reason: Reason,
    /// What is wrong with which packet.
    pub text: String,
}

impl DecodeError {
    pub(super) fn malformed(text: impl Into<String>) -> Self {
        Self {
            reason: Reason::MalformedPacket,
            text: text.into(),
        }
    }

    fn protocol(text: impl Into<String>) -> Self {
        Self {
            reason: Reason::ProtocolError,
            text: text.into(),
        }
    }

    fn wire(packet: &str, error: MqttError) -> Self {
        let reason = match error {
            MqttError::ProtocolError => Reason::ProtocolError,
            MqttError::UnsupportedProtocolVersion => Reason::UnsupportedProtocolVersion,
            MqttError::ClientIdentifierNotValid => Reason::ClientIdentifierNotValid,
            MqttError::BadUserNameOrPassword => Reason::BadUserNameOrPassword,
            _ => Reason::MalformedPacket,
        };
        Self {
            reason,
            text: format!("{packet}: {error}"),
        }
    }
}

type Decoded<T> = Result<T, DecodeError>;

/// The packet of a client in `body`. `version` is the connection's, unknown before its CONNECT.
///
/// # Errors
/// When the bytes are not exactly one packet as the standard of that version has it.
pub fn decode(version: Option<Version>, header: u8, body: &Bytes) -> Decoded<Packet> {
    let (kind, flags) = (header >> 4, header & 0x0f);
    let expected_flags = match kind {
        3 => flags,
        6 | 8 | 10 => 0b0010,
        _ => 0,
    };
    if flags != expected_flags {
        return Err(DecodeError::malformed(format!(
            "packet type {kind} with the reserved flags {flags:#06b}"
        )));
    }
    let Some(version) = version else {
        // [MQTT-3.1.0-1]
        return if kind == 1 {
            connect(body)
        } else {
            Err(DecodeError::protocol("the first packet is not a CONNECT"))
        };
    };
    match kind {
        1 => connect(body),
        3 => publish(version, flags, body),
        4..=7 => acknowledgement(version, kind, body),
        8 => subscribe(version, body),
        10 => unsubscribe(version, body),
        12 => empty("PINGREQ", body, Packet::Pingreq),
        14 => disconnect(version, body),
        15 if version == Version::V5 => Ok(Packet::Auth),
        _ => Err(DecodeError::protocol(format!(
            "packet type {kind} is not one that a client sends"
        ))),
    }
}

fn empty(name: &str, body: &Bytes, packet: Packet) -> Decoded<Packet> {
    if body.is_empty() {
        Ok(packet)
    } else {
        Err(DecodeError::malformed(format!("{name} with a body")))
    }
}

fn whole(name: &str, consumed: usize, body: &[u8]) -> Decoded<()> {
    if consumed == body.len() {
        Ok(())
    } else {
        Err(DecodeError::malformed(format!(
            "{name}: {} bytes too many",
            body.len() - consumed.min(body.len())
        )))
    }
}

/// [MQTT-1.5.4-2]: a UTF-8 string has no U+0000.
fn text(name: &str, value: &str) -> Decoded<String> {
    if value.contains('\0') {
        return Err(DecodeError::malformed(format!("{name} contains U+0000")));
    }
    Ok(value.to_owned())
}

/// [MQTT-2.2.1-3]: a packet identifier is not zero.
fn packet_id(name: &str, id: u16) -> Decoded<u16> {
    if id == 0 {
        Err(DecodeError::protocol(format!(
            "{name} with packet identifier 0"
        )))
    } else {
        Ok(id)
    }
}

fn qos(bits: u8) -> Decoded<Qos> {
    match bits {
        0 => Ok(Qos::AtMostOnce),
        1 => Ok(Qos::AtLeastOnce),
        2 => Ok(Qos::ExactlyOnce),
        _ => Err(DecodeError::malformed("QoS 3")),
    }
}

/// Where the connect flags are: after the protocol's name (6 bytes) and level.
const FLAGS_AT: usize = 7;

fn connect(body: &Bytes) -> Decoded<Packet> {
    let (Some(name), Some(&level)) = (body.get(..6), body.get(6)) else {
        return Err(DecodeError::malformed("CONNECT is cut short"));
    };
    if name != b"\0\x04MQTT" {
        let old = name == b"\0\x06MQIs";
        return Err(if old {
            DecodeError {
                reason: Reason::UnsupportedProtocolVersion,
                text: "MQTT 3.1 is not spoken here".into(),
            }
        } else {
            DecodeError::protocol("the protocol name is not MQTT")
        });
    }
    let version = match level {
        4 => Version::V3,
        5 => Version::V5,
        _ => {
            let text = format!("protocol level {level}: 4 (MQTT 3.1.1) and 5 are spoken here");
            return Err(DecodeError {
                reason: Reason::UnsupportedProtocolVersion,
                text,
            });
        }
    };
    let Some(&flags) = body.get(FLAGS_AT) else {
        return Err(DecodeError::malformed("CONNECT is cut short"));
    };
    let (will_flag, will_qos, will_retain) = (flags & 4 != 0, flags >> 3 & 3, flags & 0x20 != 0);
    let (has_password, has_user) = (flags & 0x40 != 0, flags & 0x80 != 0);
    if flags & 1 != 0 {
        return Err(DecodeError::malformed("CONNECT: the reserved flag is set")); // [MQTT-3.1.2-3]
    }
    if !will_flag && (will_qos != 0 || will_retain) {
        return Err(DecodeError::malformed("CONNECT: will flags without a will")); // [MQTT-3.1.2-11], [-13]
    }
    if version == Version::V3 && has_password && !has_user {
        return Err(DecodeError::malformed(
            "CONNECT: a password without a user name",
        )); // 3.1.1 [MQTT-3.1.2-22]
    }
    let will_qos = qos(will_qos)?;

    // The crate refuses a password without a user name, which MQTT 5 allows (§3.1.2.9). The password is the last
    // field, so it is cut off here and the crate reads the rest.
    let mut rest = body.to_vec();
    if let Some(byte) = rest.get_mut(FLAGS_AT) {
        *byte &= !0x40;
    }
    let error = |error| DecodeError::wire("CONNECT", error);
    let (mut connect, mut consumed) = match version {
        Version::V3 => {
            let (packet, consumed) = v3::Connect::parse(&rest).map_err(error)?;
            (connect_v3(&packet, will_qos)?, consumed)
        }
        Version::V5 => {
            let (packet, consumed) = v5::Connect::parse(&rest).map_err(error)?;
            (connect_v5(&packet, will_qos)?, consumed)
        }
    };
    if has_password {
        let (password, length) =
            MqttBinary::decode(rest.get(consumed..).unwrap_or_default()).map_err(error)?;
        connect.password = Some(Bytes::copy_from_slice(password.as_slice()));
        consumed += length;
    }
    whole("CONNECT", consumed, body)?;
    Ok(Packet::Connect(Box::new(connect)))
}

fn connect_v3(packet: &v3::Connect, will_qos: Qos) -> Decoded<Connect> {
    let will = match (packet.will_topic(), packet.will_payload()) {
        (Some(topic), Some(payload)) => Some(Will {
            delay: 0,
            expiry: None,
            message: Message {
                retain: packet.will_retain(),
                ..Message::new(
                    text("the will's topic", topic)?,
                    Bytes::copy_from_slice(payload),
                    will_qos,
                )
            },
        }),
        _ => None,
    };
    Ok(Connect {
        version: Version::V3,
        client_id: text("the client identifier", packet.client_id())?,
        clean_start: packet.clean_session(),
        keep_alive: packet.keep_alive(),
        session_expiry: if packet.clean_session() { 0 } else { u32::MAX },
        receive_maximum: u16::MAX,
        maximum_packet_size: None,
        topic_alias_maximum: 0,
        problem_information: false,
        response_information: false,
        authentication_method: false,
        will,
        user_name: packet
            .user_name()
            .map(|name| text("the user name", name))
            .transpose()?,
        password: None,
    })
}

fn connect_v5(packet: &v5::Connect, will_qos: Qos) -> Decoded<Connect> {
    let will = match (packet.will_topic(), packet.will_payload()) {
        (Some(topic), Some(payload)) => {
            let properties = message_properties(&packet.will_props)?;
            Some(Will {
                delay: properties.will_delay,
                expiry: properties.expiry,
                message: Message {
                    topic: text("the will's topic", topic)?.into(),
                    payload: Bytes::copy_from_slice(payload),
                    qos: will_qos,
                    retain: packet.will_retain(),
                    properties: Arc::new(properties.forwarded),
                },
            })
        }
        _ => None,
    };
    let mut connect = Connect {
        version: Version::V5,
        client_id: text("the client identifier", packet.client_id())?,
        clean_start: packet.clean_start(),
        keep_alive: packet.keep_alive(),
        session_expiry: 0,
        receive_maximum: u16::MAX,
        maximum_packet_size: None,
        topic_alias_maximum: 0,
        problem_information: true,
        response_information: false,
        authentication_method: false,
        will,
        user_name: packet
            .user_name()
            .map(|name| text("the user name", name))
            .transpose()?,
        password: None,
    };
    for property in &packet.props {
        match property {
            Property::SessionExpiryInterval(p) => connect.session_expiry = p.val(),
            Property::ReceiveMaximum(p) => connect.receive_maximum = p.val(),
            Property::MaximumPacketSize(p) => connect.maximum_packet_size = Some(p.val()),
            Property::TopicAliasMaximum(p) => connect.topic_alias_maximum = p.val(),
            Property::RequestProblemInformation(p) => connect.problem_information = p.val() != 0,
            Property::RequestResponseInformation(p) => connect.response_information = p.val() != 0,
            Property::AuthenticationMethod(_) => connect.authentication_method = true,
            _ => {}
        }
    }
    Ok(connect)
}

#[derive(Default)]
struct PublishProperties {
    forwarded: MessageProperties,
    topic_alias: Option<u16>,
    expiry: Option<u32>,
    will_delay: u32,
}

fn message_properties(properties: &[Property]) -> Decoded<PublishProperties> {
    let mut read = PublishProperties::default();
    for property in properties {
        match property {
            Property::PayloadFormatIndicator(p) => {
                read.forwarded.payload_format = Some(p.val());
            }
            Property::ContentType(p) => {
                read.forwarded.content_type = Some(text("the content type", p.val())?)
            }
            Property::ResponseTopic(p) => {
                // [MQTT-3.3.2-14]: no wildcard in a response topic.
                if p.val().is_empty() || p.val().contains(['+', '#']) {
                    return Err(DecodeError::protocol(
                        "the response topic is empty or has a wildcard",
                    ));
                }
                read.forwarded.response_topic = Some(text("the response topic", p.val())?);
            }
            Property::CorrelationData(p) => {
                read.forwarded.correlation_data = Some(Bytes::copy_from_slice(p.val()));
            }
            Property::UserProperty(p) => {
                let pair = (
                    text("a user property", p.key())?,
                    text("a user property", p.val())?,
                );
                read.forwarded.user.push(pair);
            }
            Property::MessageExpiryInterval(p) => read.expiry = Some(p.val()),
            Property::TopicAlias(p) => read.topic_alias = Some(p.val()),
            Property::WillDelayInterval(p) => read.will_delay = p.val(),
            Property::SubscriptionIdentifier(_) => {
                // [MQTT-3.3.4-6]
                return Err(DecodeError::protocol(
                    "PUBLISH from a client with a subscription identifier",
                ));
            }
            _ => {}
        }
    }
    Ok(read)
}

fn publish(version: Version, flags: u8, body: &Bytes) -> Decoded<Packet> {
    let (level, dup, retain) = (qos(flags >> 1 & 3)?, flags & 8 != 0, flags & 1 != 0);
    if dup && level == Qos::AtMostOnce {
        return Err(DecodeError::malformed("PUBLISH: DUP with QoS 0")); // [MQTT-3.3.1-2]
    }
    let error = |error| DecodeError::wire("PUBLISH", error);
    let shared: mqtt_protocol_core::mqtt::Arc<[u8]> = body.as_ref().into();
    let (topic, id, payload, properties) = match version {
        Version::V3 => {
            let (packet, _) = v3::Publish::parse(flags, shared).map_err(error)?;
            let topic = text("the topic name", packet.topic_name())?;
            (
                topic,
                packet.packet_id(),
                packet.payload().len(),
                PublishProperties::default(),
            )
        }
        Version::V5 => {
            let (packet, _) = v5::Publish::parse(flags, shared).map_err(error)?;
            let head = 2 + packet.topic_name().len() + if level == Qos::AtMostOnce { 0 } else { 2 };
            if body.len() <= head {
                return Err(DecodeError::malformed(
                    "PUBLISH without the length of its properties",
                ));
            }
            let topic = text("the topic name", packet.topic_name())?;
            (
                topic,
                packet.packet_id(),
                packet.payload().len(),
                message_properties(&packet.props)?,
            )
        }
    };
    let id = id.map(|id| packet_id("PUBLISH", id)).transpose()?;
    Ok(Packet::Publish(Box::new(Publish {
        packet_id: id,
        dup,
        topic_alias: properties.topic_alias,
        expiry: properties.expiry,
        message: Message {
            topic: topic.into(),
            payload: body.slice(body.len() - payload..), // the payload is what comes last (§3.3.3)
            qos: level,
            retain,
            properties: Arc::new(properties.forwarded),
        },
    })))
}

fn acknowledgement(version: Version, kind: u8, body: &Bytes) -> Decoded<Packet> {
    macro_rules! parse {
        ($family:ident, $packet:ident) => {{
            let name = stringify!($packet);
            let (packet, consumed) =
                $family::$packet::parse(body).map_err(|error| DecodeError::wire(name, error))?;
            whole(name, consumed, body)?;
            packet
        }};
    }
    macro_rules! both {
        ($packet:ident) => {
            match version {
                Version::V3 => (parse!(v3, $packet).packet_id(), 0),
                Version::V5 => {
                    let packet = parse!(v5, $packet);
                    (
                        packet.packet_id(),
                        packet.reason_code().map_or(0, |reason| reason as u8),
                    )
                }
            }
        };
    }
    let ((id, reason), make): (_, fn(u16, u8) -> Packet) = match kind {
        4 => (both!(Puback), Packet::Puback),
        5 => (both!(Pubrec), Packet::Pubrec),
        6 => (both!(Pubrel), Packet::Pubrel),
        _ => (both!(Pubcomp), Packet::Pubcomp),
    };
    Ok(make(packet_id("an acknowledgement", id)?, reason))
}

fn subscribe(version: Version, body: &Bytes) -> Decoded<Packet> {
    let error = |error| DecodeError::wire("SUBSCRIBE", error);
    let mut identifier = None;
    let (id, consumed, entries) = match version {
        Version::V3 => {
            let (packet, consumed) = v3::Subscribe::parse(body).map_err(error)?;
            (packet.packet_id(), consumed, packet.entries().clone())
        }
        Version::V5 => {
            let (packet, consumed) = v5::Subscribe::parse(body).map_err(error)?;
            for property in &packet.props {
                if let Property::SubscriptionIdentifier(p) = property {
                    if identifier.replace(p.val()).is_some() {
                        return Err(DecodeError::protocol(
                            "SUBSCRIBE with two subscription identifiers",
                        ));
                    }
                    if p.val() == 0 {
                        return Err(DecodeError::protocol(
                            "SUBSCRIBE with subscription identifier 0",
                        ));
                    }
                }
            }
            (packet.packet_id(), consumed, packet.entries().clone())
        }
    };
    whole("SUBSCRIBE", consumed, body)?;
    let mut requests = Vec::with_capacity(entries.len());
    for entry in entries {
        let options = entry.sub_opts();
        if version == Version::V3 && options.to_buffer()[0] > 2 {
            return Err(DecodeError::malformed("SUBSCRIBE: reserved bits are set")); // 3.1.1 [MQTT-3.8.3-4]
        }
        requests.push(SubscribeRequest {
            filter: text("a topic filter", entry.topic_filter())?,
            qos: qos(options.qos() as u8)?,
            no_local: options.nl(),
            retain_as_published: options.rap(),
            retain_handling: match options.rh() {
                wire::RetainHandling::SendRetained => RetainHandling::Send,
                wire::RetainHandling::SendRetainedIfNotExists => RetainHandling::SendIfNew,
                wire::RetainHandling::DoNotSendRetained => RetainHandling::DoNotSend,
            },
        });
    }
    Ok(Packet::Subscribe(Subscribe {
        packet_id: packet_id("SUBSCRIBE", id)?,
        identifier,
        requests,
    }))
}

fn unsubscribe(version: Version, body: &Bytes) -> Decoded<Packet> {
    let error = |error| DecodeError::wire("UNSUBSCRIBE", error);
    let (id, consumed, filters) = match version {
        Version::V3 => {
            let (packet, consumed) = v3::Unsubscribe::parse(body).map_err(error)?;
            (packet.packet_id(), consumed, packet.entries().clone())
        }
        Version::V5 => {
            let (packet, consumed) = v5::Unsubscribe::parse(body).map_err(error)?;
            (packet.packet_id(), consumed, packet.entries().clone())
        }
    };
    whole("UNSUBSCRIBE", consumed, body)?;
    let filters = filters
        .iter()
        .map(|filter| text("a topic filter", filter.as_str()))
        .collect::<Decoded<Vec<_>>>()?;
    Ok(Packet::Unsubscribe(Unsubscribe {
        packet_id: packet_id("UNSUBSCRIBE", id)?,
        filters,
    }))
}

fn disconnect(version: Version, body: &Bytes) -> Decoded<Packet> {
    if version == Version::V3 {
        return empty(
            "DISCONNECT",
            body,
            Packet::Disconnect(Disconnect::default()),
        );
    }
    let (packet, consumed) =
        v5::Disconnect::parse(body).map_err(|error| DecodeError::wire("DISCONNECT", error))?;
    whole("DISCONNECT", consumed, body)?;
    let session_expiry = packet
        .props
        .iter()
        .flatten()
        .find_map(|property| match property {
            Property::SessionExpiryInterval(p) => Some(p.val()),
            _ => None,
        });
    Ok(Packet::Disconnect(Disconnect {
        reason: packet.reason_code().map_or(0, |reason| reason as u8),
        session_expiry,
    }))
}

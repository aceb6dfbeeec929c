//! The broker's rules, one test each, as transcripts: what clients send, what they are told.

mod bounds;
mod connections;
mod delivery;
mod publishing;
mod sequences;
mod sessions;
mod subscribing;
mod wills;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use hedgerow_base::Time;
use mqtt_protocol_core::mqtt::packet::{Property, v3_1_1 as v3, v5_0 as v5};

use super::{Authority, Broker, ConnectionId, Identity, Limits, Output, PublicationId, Verdict};
use crate::codec::{
    Connect, Disconnect, Message, MessageProperties, Packet, Publish, Qos, Reason, RetainHandling,
    Subscribe, SubscribeRequest, Unsubscribe, Version, Will,
};

/// Topics under `app/` are the application's; `secret` is nobody's.
struct Rules;

impl Authority for Rules {
    fn connect(&self, _: Option<&Identity>, connect: &Connect) -> Result<(), (Reason, String)> {
        match connect.client_id.as_str() {
            "stranger" => Err((Reason::NotAuthorized, "no strangers".into())),
            _ => Ok(()),
        }
    }

    fn publish(&self, _: Option<&Identity>, topic: &str) -> Result<(), (Reason, String)> {
        if topic == "secret" {
            Err((Reason::NotAuthorized, "it is secret".into()))
        } else {
            Ok(())
        }
    }

    fn subscribe(&self, identity: Option<&Identity>, filter: &str) -> Result<(), (Reason, String)> {
        self.publish(identity, filter)
    }

    fn is_for_application(&self, topic: &str) -> bool {
        topic.starts_with("app/")
    }
}

/// A broker with clients and a clock that the test moves.
struct Bench {
    broker: Broker,
    now: Time,
    connections: u64,
    versions: BTreeMap<ConnectionId, Version>,
    heard: BTreeMap<ConnectionId, Vec<String>>,
    closed: BTreeSet<ConnectionId>,
    paused: BTreeSet<ConnectionId>,
    publications: Vec<(PublicationId, String)>,
}

fn connect(version: Version, client_id: &str) -> Connect {
    Connect {
        version,
        client_id: client_id.into(),
        clean_start: true,
        keep_alive: 0,
        session_expiry: 0,
        receive_maximum: u16::MAX,
        maximum_packet_size: None,
        topic_alias_maximum: 0,
        problem_information: true,
        response_information: false,
        authentication_method: false,
        will: None,
        user_name: None,
        password: None,
    }
}

fn v5(client_id: &str) -> Connect {
    connect(Version::V5, client_id)
}

fn v3(client_id: &str) -> Connect {
    connect(Version::V3, client_id)
}

/// A session that outlives its connection.
fn lasting(client_id: &str) -> Connect {
    Connect {
        clean_start: false,
        session_expiry: 3600,
        ..v5(client_id)
    }
}

fn publish(topic: &str, payload: &str, packet_id: u16, qos: Qos) -> Publish {
    Publish {
        packet_id: (qos != Qos::AtMostOnce).then_some(packet_id),
        dup: false,
        topic_alias: None,
        expiry: None,
        message: Message::new(topic, payload.to_owned(), qos),
    }
}

fn retained(topic: &str, payload: &str) -> Publish {
    let mut publish = publish(topic, payload, 0, Qos::AtMostOnce);
    publish.message.retain = true;
    publish
}

fn request(filter: &str, qos: Qos) -> SubscribeRequest {
    SubscribeRequest {
        filter: filter.into(),
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Send,
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self {
            broker: Broker::new(limits, Box::new(Rules), 0xabc),
            now: Time::from_millis(1_000_000),
            connections: 0,
            versions: BTreeMap::new(),
            heard: BTreeMap::new(),
            closed: BTreeSet::new(),
            paused: BTreeSet::new(),
            publications: Vec::new(),
        }
    }

    fn does(&mut self, act: impl FnOnce(&mut Broker, Time, &mut Vec<Output>)) {
        let mut out = Vec::new();
        act(&mut self.broker, self.now, &mut out);
        for output in out {
            match output {
                Output::Send { to, packet } => {
                    let version = self.versions.get(&to).copied().unwrap_or(Version::V5);
                    self.heard
                        .entry(to)
                        .or_default()
                        .push(show(version, &packet));
                    self.broker.sent(to, packet.len());
                }
                Output::Close { connection } => {
                    self.closed.insert(connection);
                }
                Output::Throttle {
                    connection,
                    paused: true,
                } => {
                    self.paused.insert(connection);
                }
                Output::Throttle {
                    connection,
                    paused: false,
                } => {
                    self.paused.remove(&connection);
                }
                Output::Publication { id, message, .. } => {
                    let text = String::from_utf8_lossy(&message.payload).into_owned();
                    self.publications
                        .push((id, format!("{} {text}", message.topic)));
                }
            }
        }
    }

    fn socket(&mut self) -> ConnectionId {
        self.connections += 1;
        let id = ConnectionId(self.connections);
        self.does(|broker, now, out| broker.connected(now, id, None, out));
        id
    }

    fn connect(&mut self, connect: Connect) -> ConnectionId {
        let id = self.socket();
        self.versions.insert(id, connect.version);
        self.send(id, Packet::Connect(Box::new(connect)));
        id
    }

    /// Connects, and forgets the CONNACK.
    fn client(&mut self, connect: Connect) -> ConnectionId {
        let id = self.connect(connect);
        self.heard(id);
        assert!(!self.closed.contains(&id));
        id
    }

    fn send(&mut self, id: ConnectionId, packet: Packet) {
        self.does(|broker, now, out| broker.packet(now, id, packet, out));
    }

    fn publish(&mut self, id: ConnectionId, publish: Publish) {
        self.send(id, Packet::Publish(Box::new(publish)));
    }

    fn subscribe(&mut self, id: ConnectionId, requests: Vec<SubscribeRequest>) {
        self.send(
            id,
            Packet::Subscribe(Subscribe {
                packet_id: 900,
                identifier: None,
                requests,
            }),
        );
    }

    /// Subscribes, and forgets the SUBACK.
    fn listen(&mut self, id: ConnectionId, filter: &str, qos: Qos) {
        self.subscribe(id, vec![request(filter, qos)]);
        self.heard(id);
    }

    fn lose(&mut self, id: ConnectionId) {
        self.does(|broker, now, out| broker.closed(now, id, out));
    }

    fn disconnect(&mut self, id: ConnectionId, reason: u8) {
        self.send(
            id,
            Packet::Disconnect(Disconnect {
                reason,
                session_expiry: None,
            }),
        );
    }

    fn resolve(&mut self, publication: PublicationId, verdict: &Verdict) {
        self.does(|broker, now, out| broker.resolve(now, publication, verdict, out));
    }

    /// Time passes; what is due is done when it is due.
    fn pass(&mut self, seconds: u64) {
        let end = self.now.plus(Duration::from_secs(seconds));
        while let Some(due) = self.broker.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.does(Broker::expire);
        }
        self.now = end;
    }

    /// What the client was told since it was last asked.
    fn heard(&mut self, id: ConnectionId) -> Vec<String> {
        self.heard.remove(&id).unwrap_or_default()
    }

    fn is_closed(&self, id: ConnectionId) -> bool {
        self.closed.contains(&id)
    }
}

fn show(version: Version, packet: &[u8]) -> String {
    let (header, body) = (packet[0], &packet[2 + usize::from(packet[1] >= 0x80)..]);
    match (header >> 4, version) {
        (2, Version::V3) => format!("CONNACK present={} code={}", body[0], body[1]),
        (2, Version::V5) => {
            let (connack, _) = v5::Connack::parse(body).unwrap();
            let mut text = format!("CONNACK present={} code={:#04x}", body[0], body[1]);
            for property in &connack.props {
                match property {
                    Property::SessionExpiryInterval(p) => text += &format!(" expiry={}", p.val()),
                    Property::AssignedClientIdentifier(p) => text += &format!(" id={}", p.val()),
                    Property::ServerKeepAlive(p) => text += &format!(" keep-alive={}", p.val()),
                    Property::ReasonString(p) => text += &format!(" ({})", p.val()),
                    _ => {}
                }
            }
            text
        }
        (3, _) => show_publish(version, header, body),
        (kind @ (4..=7 | 9 | 11 | 14), _) => show_answer(version, kind, body),
        (13, _) => "PINGRESP".into(),
        (kind, _) => panic!("packet type {kind} from a server"),
    }
}

fn show_publish(version: Version, header: u8, body: &[u8]) -> String {
    let flags = header & 15;
    let (topic, id, payload, properties) = match version {
        Version::V3 => {
            let (packet, _) = v3::Publish::parse(flags, body.into()).unwrap();
            (
                packet.topic_name().to_owned(),
                packet.packet_id(),
                packet.payload().as_slice().to_vec(),
                Vec::new(),
            )
        }
        Version::V5 => {
            let (packet, _) = v5::Publish::parse(flags, body.into()).unwrap();
            let properties = packet.props.clone();
            (
                packet.topic_name().to_owned(),
                packet.packet_id(),
                packet.payload().as_slice().to_vec(),
                properties,
            )
        }
    };
    let mut text = format!("PUBLISH {topic} {}", String::from_utf8_lossy(&payload));
    if let Some(id) = id {
        text += &format!(" qos{} #{id}", flags >> 1 & 3);
    }
    if flags & 8 != 0 {
        text += " dup";
    }
    if flags & 1 != 0 {
        text += " retain";
    }
    for property in properties {
        match property {
            Property::MessageExpiryInterval(p) => text += &format!(" expiry={}", p.val()),
            Property::TopicAlias(p) => text += &format!(" alias={}", p.val()),
            Property::SubscriptionIdentifier(p) => text += &format!(" sub={}", p.val()),
            Property::UserProperty(p) => text += &format!(" {}={}", p.key(), p.val()),
            Property::ContentType(p) => text += &format!(" type={}", p.val()),
            Property::ResponseTopic(p) => text += &format!(" response={}", p.val()),
            Property::CorrelationData(p) => {
                text += &format!(" correlation={}", hex::encode(p.val()))
            }
            Property::PayloadFormatIndicator(p) => text += &format!(" format={}", p.val()),
            _ => {}
        }
    }
    text
}

/// `NAME #id code…`, as far as the packet has them; a reason string in brackets.
fn show_answer(version: Version, kind: u8, body: &[u8]) -> String {
    let name = [
        "PUBACK",
        "PUBREC",
        "PUBREL",
        "PUBCOMP",
        "",
        "SUBACK",
        "",
        "UNSUBACK",
        "",
        "",
        "DISCONNECT",
    ][usize::from(kind) - 4];
    let mut text = name.to_owned();
    let mut rest = body;
    if kind != 14 {
        text += &format!(" #{}", u16::from_be_bytes([body[0], body[1]]));
        rest = &body[2..];
    }
    if version == Version::V3 {
        rest.iter()
            .for_each(|code| text += &format!(" {code:#04x}"));
        return text;
    }
    let reason_string = |properties: &[u8]| {
        // length, 0x1f, two bytes of length, text
        (properties.len() > 4).then(|| String::from_utf8_lossy(&properties[4..]).into_owned())
    };
    if matches!(kind, 9 | 11) {
        let length = usize::from(rest[0]);
        rest[1 + length..]
            .iter()
            .for_each(|code| text += &format!(" {code:#04x}"));
        if length > 0 {
            text += &format!(" ({})", String::from_utf8_lossy(&rest[4..1 + length]));
        }
        return text;
    }
    if let Some((code, properties)) = rest.split_first() {
        text += &format!(" {code:#04x}");
        if let Some(reason) = reason_string(properties) {
            text += &format!(" ({reason})");
        }
    }
    text
}

fn properties() -> Arc<MessageProperties> {
    Arc::new(MessageProperties {
        payload_format: Some(1),
        content_type: Some("text/plain".into()),
        response_topic: Some("answers/7".into()),
        correlation_data: Some(Bytes::from_static(&[1, 2])),
        user: vec![
            ("b".into(), "2".into()),
            ("a".into(), "1".into()),
            ("b".into(), "3".into()),
        ],
    })
}

fn unsubscribe(filters: &[&str]) -> Packet {
    let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
    Packet::Unsubscribe(Unsubscribe {
        packet_id: 901,
        filters,
    })
}

fn will(topic: &str, payload: &str, delay: u32) -> Option<Will> {
    Some(Will {
        delay,
        expiry: None,
        message: Message::new(topic, payload.to_owned(), Qos::AtLeastOnce),
    })
}

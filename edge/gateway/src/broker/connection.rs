use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use hedgerow_base::Time;
use mqtt_protocol_core::mqtt::packet::TopicAliasSend;

use super::{Identity, PublicationId, SessionKey};
use crate::codec::{Qos, Reason, Version};

/// A network connection.
pub(super) struct Connection {
    pub(super) identity: Option<Arc<Identity>>,
    /// What its CONNECT settled; nothing before it.
    pub(super) open: Option<Open>,
    /// Bytes that the socket has not yet taken.
    pub(super) unsent: usize,
    /// Whether the socket was told to read no more for now.
    pub(super) throttled: bool,
}

/// A connection after its CONNACK.
pub(super) struct Open {
    pub(super) version: Version,
    pub(super) session: SessionKey,
    /// One and a half times the keep-alive ([MQTT-3.1.2-22]).
    pub(super) silence_max: Option<Duration>,
    pub(super) heard: Time,
    /// The session expiry of the CONNECT: a DISCONNECT cannot make 0 into something else.
    pub(super) session_expiry: u32,
    pub(super) problem_information: bool,
    pub(super) packet_max: usize,
    /// Unacknowledged messages that the client takes.
    pub(super) quota: usize,
    pub(super) aliases_in: BTreeMap<u16, Arc<str>>,
    pub(super) aliases_out: Option<TopicAliasSend>,
    /// Packet identifiers of QoS > 0 messages that we have not finished answering (§4.9).
    pub(super) unanswered: BTreeSet<u16>,
    /// PUBACKs and PUBRECs that wait for the application, or behind one that does.
    pub(super) answers: VecDeque<Answer>,
}

/// A PUBACK or PUBREC to be sent.
pub(super) struct Answer {
    pub(super) packet_id: u16,
    pub(super) qos: Qos,
    /// The publication that the application has yet to answer, or had.
    pub(super) publication: Option<PublicationId>,
    /// The reason and its text, once they are known.
    pub(super) ready: Option<(Reason, Option<String>)>,
}

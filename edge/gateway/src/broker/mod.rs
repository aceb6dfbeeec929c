//! An MQTT broker as a state machine: packets, losses and deadlines in; packets, closes and publications for the
//! application out. No socket, clock or thread: the caller brings the time and carries out the [`Output`]s.
//!
//! Sessions, retained messages and subscriptions live in memory. What must survive a crash (device records) goes to
//! the application, which answers each publication when it is durable ([`Broker::resolve`]); PUBACK and PUBREC wait
//! for that answer.

mod authority;
mod connect;
mod connection;
mod deliver;
mod limits;
mod publish;
mod retained;
mod session;
mod subscribe;
mod subscriptions;
mod timers;
pub mod topic;
mod will;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use hedgerow_base::Time;

pub use authority::{Authority, Identity};
pub use limits::Limits;

use crate::codec::{self, DecodeError, Message, Packet, Qos, Reason, Version};
use connection::{Connection, Open};
use retained::Retained;
use session::Session;
use subscriptions::Subscriptions;
use timers::{Timer, Timers};

/// A network connection, numbered by the caller; a number is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A message that was handed to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicationId(pub u64);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct SessionKey(u64);

impl SessionKey {
    const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Who published a message that goes to the application.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// The client's identifier.
    pub client_id: Arc<str>,
    /// Who it is, when its certificate says so.
    pub identity: Option<Arc<Identity>>,
}

/// What the caller must do, in this order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Write these bytes, a whole packet, to the connection; then say [`Broker::sent`].
    Send {
        /// To whom.
        to: ConnectionId,
        /// The packet.
        packet: Bytes,
    },
    /// Close the connection after what was sent to it. The broker has forgotten it already.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// Stop reading from the connection, or go on.
    Throttle {
        /// Which.
        connection: ConnectionId,
        /// Whether to stop.
        paused: bool,
    },
    /// A message for the application, to be answered with [`Broker::resolve`].
    Publication {
        /// What to answer to.
        id: PublicationId,
        /// Who published.
        from: Publisher,
        /// What.
        message: Message,
    },
}

/// What the application says about a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable.
    Accepted,
    /// It never will be: sending it again does not help. MQTT 3.1.1 has no way to say so: the client gets a plain
    /// acknowledgement (3.1.1 [MQTT-3.3.5-2]).
    Refused(Reason, String),
    /// It is not taken now, but may be later. An MQTT 3.1.1 client is disconnected without an acknowledgement
    /// (3.1.1 [MQTT-3.3.5-2]), so that it keeps the message.
    Later(Reason, String),
}

/// How much the broker holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Network connections.
    pub connections: usize,
    /// Sessions, connected or not.
    pub sessions: usize,
    /// Retained messages.
    pub retained: usize,
    /// Bytes of messages that wait for clients.
    pub queued_bytes: usize,
    /// Messages dropped because a bound was reached, since the start.
    pub dropped: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    session: SessionKey,
    connection: ConnectionId,
    packet_id: u16,
    qos: Qos,
}

/// The broker.
pub struct Broker {
    limits: Limits,
    authority: Box<dyn Authority>,
    /// Makes assigned client identifiers different from those of an earlier run.
    run: u64,
    connections: BTreeMap<ConnectionId, Connection>,
    sessions: BTreeMap<SessionKey, Session>,
    clients: BTreeMap<Arc<str>, SessionKey>,
    subscriptions: Subscriptions,
    retained: Retained,
    timers: Timers,
    pending: BTreeMap<PublicationId, Pending>,
    queued_bytes: usize,
    dropped: u64,
    last_session: SessionKey,
    last_publication: u64,
}

type Outbox = Vec<Output>;

impl Broker {
    /// A broker without sessions. `run` differs from run to run: client identifiers are made of it.
    #[must_use]
    pub fn new(limits: Limits, authority: Box<dyn Authority>, run: u64) -> Self {
        Self {
            limits,
            authority,
            run,
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            clients: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            retained: Retained::default(),
            timers: Timers::default(),
            pending: BTreeMap::new(),
            queued_bytes: 0,
            dropped: 0,
            last_session: SessionKey::default(),
            last_publication: 0,
        }
    }

    /// A network connection was made. Beyond the limit it is closed at once.
    pub fn connected(
        &mut self,
        now: Time,
        id: ConnectionId,
        identity: Option<Arc<Identity>>,
        out: &mut Outbox,
    ) {
        if self.connections.len() >= self.limits.connections {
            // No CONNECT was read, so neither version's CONNACK may be sent.
            out.push(Output::Close { connection: id });
            return;
        }
        self.connections.insert(
            id,
            Connection {
                identity,
                open: None,
                unsent: 0,
                throttled: false,
            },
        );
        self.timers
            .set(now.plus(self.limits.connect_timeout), Timer::Connect(id));
    }

    /// Which MQTT the connection speaks, once its CONNECT was taken.
    #[must_use]
    pub fn version(&self, id: ConnectionId) -> Option<Version> {
        Some(self.connections.get(&id)?.open.as_ref()?.version)
    }

    /// A packet came.
    pub fn packet(&mut self, now: Time, id: ConnectionId, packet: Packet, out: &mut Outbox) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(open) = connection.open.as_mut() else {
            match packet {
                Packet::Connect(connect) => self.on_connect(now, id, *connect, out),
                _ => self.drop_connection(now, id, out), // [MQTT-3.1.0-1]
            }
            return;
        };
        open.heard = now;
        let session = open.session;
        match packet {
            Packet::Connect(_) => {
                self.fail(now, id, Reason::ProtocolError, "a second CONNECT", out); // [MQTT-3.1.0-2]
            }
            Packet::Publish(publish) => self.on_publish(now, id, *publish, out),
            Packet::Puback(packet_id, _) => self.on_puback(now, session, packet_id, out),
            Packet::Pubrec(packet_id, reason) => {
                self.on_pubrec(now, session, packet_id, reason, out)
            }
            Packet::Pubrel(packet_id, _) => self.on_pubrel(id, packet_id, out),
            Packet::Pubcomp(packet_id, _) => self.on_pubcomp(now, session, packet_id, out),
            Packet::Subscribe(subscribe) => self.on_subscribe(now, id, subscribe, out),
            Packet::Unsubscribe(unsubscribe) => self.on_unsubscribe(id, &unsubscribe, out),
            Packet::Pingreq => self.send(id, Some(codec::pingresp()), out),
            Packet::Disconnect(disconnect) => self.on_disconnect(now, id, &disconnect, out),
            Packet::Auth => {
                self.fail(
                    now,
                    id,
                    Reason::ProtocolError,
                    "AUTH without an authentication method",
                    out,
                );
            }
        }
    }

    /// Bytes came that are not a packet: the connection ends, and the client is told why where its version can.
    pub fn malformed(
        &mut self,
        now: Time,
        id: ConnectionId,
        error: &DecodeError,
        out: &mut Outbox,
    ) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if connection.open.is_some() {
            self.fail(now, id, error.reason, &error.text, out);
            return;
        }
        // [MQTT-3.1.2-2]: to an unknown level the server may answer in its own, with "unsupported".
        if error.reason == Reason::UnsupportedProtocolVersion {
            self.send(id, Some(Bytes::from_static(&[0x20, 2, 0, 1])), out);
        }
        self.drop_connection(now, id, out);
    }

    /// The socket took `bytes` that were sent to the connection.
    pub fn sent(&mut self, id: ConnectionId, bytes: usize) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.unsent = connection.unsent.saturating_sub(bytes);
        }
    }

    /// The network connection was lost.
    pub fn closed(&mut self, now: Time, id: ConnectionId, out: &mut Outbox) {
        self.forget_connection(now, id, out);
    }

    /// When [`Self::expire`] is next to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Does what is due at `now`.
    pub fn expire(&mut self, now: Time, out: &mut Outbox) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Connect(id) => {
                    if self
                        .connections
                        .get(&id)
                        .is_some_and(|connection| connection.open.is_none())
                    {
                        self.drop_connection(now, id, out);
                    }
                }
                Timer::KeepAlive(id) => self.on_keep_alive(now, id, out),
                Timer::Will(session) => self.on_will_due(now, session, out),
                Timer::SessionEnd(key) => {
                    let due = |session: &Session| {
                        session.connection.is_none() && session.ends.is_some_and(|ends| ends <= now)
                    };
                    if self.sessions.get(&key).is_some_and(due) {
                        self.end_session(now, key, out);
                    }
                }
            }
        }
    }

    /// The application publishes.
    pub fn publish(&mut self, now: Time, message: &Message, out: &mut Outbox) {
        self.route(now, None, message, None, out);
    }

    /// Tells every client that the server goes down, and closes all connections.
    pub fn shut_down(&mut self, now: Time, out: &mut Outbox) {
        let all: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in all {
            self.fail(
                now,
                id,
                Reason::ServerShuttingDown,
                "the gateway is shutting down",
                out,
            );
        }
    }

    /// Whether a message to this topic would go to anyone.
    #[must_use]
    pub fn is_listened_to(&self, topic: &str) -> bool {
        self.subscriptions.any(topic)
    }

    /// How much the broker holds now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            connections: self.connections.len(),
            sessions: self.sessions.len(),
            retained: self.retained.len(),
            queued_bytes: self.queued_bytes,
            dropped: self.dropped,
        }
    }

    fn open(&self, id: ConnectionId) -> Option<&Open> {
        self.connections.get(&id)?.open.as_ref()
    }

    fn open_mut(&mut self, id: ConnectionId) -> Option<&mut Open> {
        self.connections.get_mut(&id)?.open.as_mut()
    }

    /// Sends a packet, unless it is larger than the client takes ([MQTT-3.1.2-24], [MQTT-3.1.2-25]).
    /// Says whether it went out.
    fn try_send(&mut self, id: ConnectionId, packet: Option<Bytes>, out: &mut Outbox) -> bool {
        let (Some(packet), Some(connection)) = (packet, self.connections.get_mut(&id)) else {
            return false;
        };
        if connection
            .open
            .as_ref()
            .is_some_and(|open| packet.len() > open.packet_max)
        {
            return false;
        }
        connection.unsent += packet.len();
        out.push(Output::Send { to: id, packet });
        true
    }

    fn send(&mut self, id: ConnectionId, packet: Option<Bytes>, out: &mut Outbox) {
        self.try_send(id, packet, out);
    }

    /// Sends a packet that may carry a reason string; without it if the client does not want it
    /// ([MQTT-3.1.2-29]) or the packet gets too large for it ([MQTT-3.4.2-2]).
    fn send_with_text(
        &mut self,
        id: ConnectionId,
        text: Option<&str>,
        make: impl Fn(Version, Option<&str>) -> Option<Bytes>,
        out: &mut Outbox,
    ) {
        let Some(open) = self.open(id) else { return };
        let version = open.version;
        let text = text.filter(|_| open.problem_information);
        if !self.try_send(id, make(version, text), out) && text.is_some() {
            self.send(id, make(version, None), out);
        }
    }

    /// Ends a connection for a reason, which MQTT 5 tells the client (§4.13).
    fn fail(&mut self, now: Time, id: ConnectionId, reason: Reason, text: &str, out: &mut Outbox) {
        if self
            .open(id)
            .is_some_and(|open| open.version == Version::V5)
            && !self.try_send(id, codec::disconnect(reason, Some(text)), out)
        {
            self.send(id, codec::disconnect(reason, None), out);
        }
        self.drop_connection(now, id, out);
    }

    /// Closes a connection without a word.
    fn drop_connection(&mut self, now: Time, id: ConnectionId, out: &mut Outbox) {
        if self.connections.contains_key(&id) {
            out.push(Output::Close { connection: id });
            self.forget_connection(now, id, out);
        }
    }
}

#[cfg(test)]
mod tests;

//! Messages from clients (MQTT 5 §3.3 to §3.7, §4.3).

use std::{sync::Arc, time::Duration};

use hedgerow_base::Time;

use super::{
    Broker, ConnectionId, Outbox, Output, Pending, PublicationId, Publisher, SessionKey, Verdict,
    connection::Answer, session::Incoming, topic,
};
use crate::codec::{self, Message, Publish, Qos, Reason, Version};

impl Broker {
    pub(super) fn on_publish(
        &mut self,
        now: Time,
        id: ConnectionId,
        mut publish: Publish,
        out: &mut Outbox,
    ) {
        let max_unanswered = usize::from(self.limits.receive_maximum);
        let alias_max = self.limits.topic_aliases;
        let Some(open) = self.open_mut(id) else {
            return;
        };
        let (version, key) = (open.version, open.session);
        if let Some(alias) = publish.topic_alias {
            if alias == 0 || alias > alias_max {
                let text = format!("topic alias {alias}: 1 to {alias_max} are allowed"); // [MQTT-3.3.2-9]
                self.fail(now, id, Reason::TopicAliasInvalid, &text, out);
                return;
            }
            if publish.message.topic.is_empty() {
                let Some(topic) = open.aliases_in.get(&alias) else {
                    let text = format!("topic alias {alias} stands for nothing yet");
                    self.fail(now, id, Reason::ProtocolError, &text, out);
                    return;
                };
                publish.message.topic = topic.clone();
            } else {
                open.aliases_in.insert(alias, publish.message.topic.clone());
            }
        }
        if !topic::is_name(&publish.message.topic, self.limits.topic_levels) {
            let text = "the topic name is empty, has a wildcard or too many levels"; // [MQTT-3.3.2-2]
            self.fail(now, id, Reason::TopicNameInvalid, text, out);
            return;
        }
        if let Some(packet_id) = publish.packet_id {
            let Some(open) = self.open_mut(id) else {
                return;
            };
            open.unanswered.insert(packet_id);
            if version == Version::V5 && open.unanswered.len() > max_unanswered {
                let text = format!("more than {max_unanswered} unacknowledged messages"); // [MQTT-3.3.4-7], -9
                self.fail(now, id, Reason::ReceiveMaximumExceeded, &text, out);
                return;
            }
            if publish.message.qos == Qos::ExactlyOnce {
                // [MQTT-4.3.3-10], [-11]: until PUBREL it is the same message, and is not taken again.
                match self
                    .sessions
                    .get(&key)
                    .and_then(|session| session.incoming.get(&packet_id))
                {
                    Some(Incoming::Pending(publication)) => {
                        let publication = *publication;
                        if let Some(pending) = self.pending.get_mut(&publication) {
                            pending.connection = id;
                        }
                        return;
                    }
                    Some(Incoming::Received) => {
                        self.answer(id, packet_id, Qos::ExactlyOnce, Reason::Success, None, out);
                        return;
                    }
                    None => {}
                }
            }
        }
        self.accept(now, id, key, publish, out);
    }

    fn accept(
        &mut self,
        now: Time,
        id: ConnectionId,
        key: SessionKey,
        publish: Publish,
        out: &mut Outbox,
    ) {
        let Publish {
            packet_id,
            message,
            expiry,
            ..
        } = publish;
        let qos = message.qos;
        let identity = self
            .connections
            .get(&id)
            .and_then(|connection| connection.identity.clone());
        if let Err((reason, text)) = self.authority.publish(identity.as_deref(), &message.topic) {
            if let Some(packet_id) = packet_id {
                self.answer(id, packet_id, qos, reason, Some(&text), out);
            }
            return;
        }
        if self.authority.is_for_application(&message.topic) {
            self.hand_over(
                key,
                packet_id.map(|packet_id| (id, packet_id)),
                message,
                out,
            );
            return;
        }
        let expires = expiry.map(|seconds| now.plus(Duration::from_secs(u64::from(seconds))));
        // The state of an exchange comes before what it causes: a subscriber may be the publisher.
        if qos == Qos::ExactlyOnce
            && let (Some(packet_id), Some(session)) = (packet_id, self.sessions.get_mut(&key))
        {
            session.incoming.insert(packet_id, Incoming::Received);
        }
        let (reason, text) = match self.route(now, Some(key), &message, expires, out) {
            Routed::Nowhere => (Reason::NoMatchingSubscribers, None),
            Routed::Somewhere => (Reason::Success, None),
            Routed::NotRetained => (
                Reason::QuotaExceeded,
                Some("there is no room for another retained message"),
            ),
        };
        if let Some(packet_id) = packet_id {
            self.answer(id, packet_id, qos, reason, text, out);
        }
    }

    /// Gives a message to the application; `from` is the connection and packet identifier to answer to.
    pub(super) fn hand_over(
        &mut self,
        key: SessionKey,
        from: Option<(ConnectionId, u16)>,
        message: Message,
        out: &mut Outbox,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        self.last_publication += 1;
        let id = PublicationId(self.last_publication);
        let publisher = Publisher {
            client_id: Arc::clone(&session.client_id),
            identity: session.identity.clone(),
        };
        if let Some((connection, packet_id)) = from {
            let qos = message.qos;
            self.pending.insert(
                id,
                Pending {
                    session: key,
                    connection,
                    packet_id,
                    qos,
                },
            );
            if qos == Qos::ExactlyOnce {
                session.incoming.insert(packet_id, Incoming::Pending(id));
            }
            if let Some(open) = self.open_mut(connection) {
                open.answers.push_back(Answer {
                    packet_id,
                    qos,
                    publication: Some(id),
                    ready: None,
                });
            }
            self.throttle(connection, out);
        }
        out.push(Output::Publication {
            id,
            from: publisher,
            message,
        });
    }

    /// The application's answer to a publication; PUBACK or PUBREC goes out now. An answer to a connection that is
    /// gone is kept for QoS 2 only: a QoS 1 message comes again ([MQTT-4.4.0-1]).
    pub fn resolve(&mut self, now: Time, id: PublicationId, verdict: &Verdict, out: &mut Outbox) {
        let Some(pending) = self.pending.remove(&id) else {
            return;
        };
        let exactly_once = pending.qos == Qos::ExactlyOnce;
        if exactly_once && let Some(session) = self.sessions.get_mut(&pending.session) {
            match verdict {
                Verdict::Accepted => session
                    .incoming
                    .insert(pending.packet_id, Incoming::Received),
                Verdict::Refused(..) | Verdict::Later(..) => {
                    session.incoming.remove(&pending.packet_id)
                }
            };
        }
        let Some(open) = self.open(pending.connection) else {
            return;
        };
        let v3 = open.version == Version::V3;
        let (connection, packet_id, qos) = (pending.connection, pending.packet_id, pending.qos);
        let to = Answer {
            packet_id,
            qos,
            publication: Some(id),
            ready: None,
        };
        match verdict {
            Verdict::Accepted => self.reply(connection, to, Reason::Success, None, out),
            Verdict::Later(..) if v3 => self.drop_connection(now, connection, out),
            Verdict::Refused(..) if v3 => {
                // A plain PUBREC starts the second half, whose PUBREL must find the identifier.
                if exactly_once && let Some(session) = self.sessions.get_mut(&pending.session) {
                    session.incoming.insert(packet_id, Incoming::Received);
                }
                self.reply(connection, to, Reason::Success, None, out);
            }
            Verdict::Refused(reason, text) | Verdict::Later(reason, text) => {
                self.reply(connection, to, *reason, Some(text), out);
            }
        }
    }

    /// An MQTT 3.1.1 client knows no Receive Maximum: when too much of what it sent waits, we stop reading.
    fn throttle(&mut self, id: ConnectionId, out: &mut Outbox) {
        let max = usize::from(self.limits.receive_maximum);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(open) = connection.open.as_ref() else {
            return;
        };
        let waiting = open.answers.len();
        let paused = if connection.throttled {
            waiting > max / 2
        } else {
            waiting >= max
        };
        if open.version == Version::V3 && paused != connection.throttled {
            connection.throttled = paused;
            out.push(Output::Throttle {
                connection: id,
                paused,
            });
        }
    }

    /// PUBACK or PUBREC, now or after those to earlier messages.
    fn answer(
        &mut self,
        id: ConnectionId,
        packet_id: u16,
        qos: Qos,
        reason: Reason,
        text: Option<&str>,
        out: &mut Outbox,
    ) {
        let to = Answer {
            packet_id,
            qos,
            publication: None,
            ready: None,
        };
        self.reply(id, to, reason, text, out);
    }

    /// Puts an answer into its place and sends all that are not behind one that is still to come: PUBACKs and
    /// PUBRECs have the order of their PUBLISHes ([MQTT-4.6.0-2], [MQTT-4.6.0-3]).
    fn reply(
        &mut self,
        id: ConnectionId,
        to: Answer,
        reason: Reason,
        text: Option<&str>,
        out: &mut Outbox,
    ) {
        let Some(open) = self
            .connections
            .get_mut(&id)
            .and_then(|connection| connection.open.as_mut())
        else {
            return;
        };
        if to.qos == Qos::ExactlyOnce
            && reason.is_error()
            && let Some(session) = self.sessions.get_mut(&open.session)
        {
            // A PUBREC with an error ends the exchange; 3.1.1 cannot say so, and its PUBREL will come.
            match open.version {
                Version::V5 => session.incoming.remove(&to.packet_id),
                Version::V3 => session.incoming.insert(to.packet_id, Incoming::Received),
            };
        }
        let ready = Some((reason, text.map(str::to_owned)));
        let same =
            |answer: &&mut Answer| to.publication.is_some() && answer.publication == to.publication;
        match open.answers.iter_mut().find(same) {
            Some(place) => place.ready = ready,
            None => open.answers.push_back(Answer { ready, ..to }),
        }
        while let Some(open) = self.open_mut(id)
            && open
                .answers
                .front()
                .is_some_and(|first| first.ready.is_some())
            && let Some(Answer {
                packet_id,
                qos,
                ready: Some((reason, text)),
                ..
            }) = open.answers.pop_front()
        {
            if qos == Qos::AtLeastOnce || reason.is_error() {
                open.unanswered.remove(&packet_id);
            }
            let make = |version, text: Option<&str>| match qos {
                Qos::ExactlyOnce => codec::pubrec(version, packet_id, reason, text),
                _ => codec::puback(version, packet_id, reason, text),
            };
            self.send_with_text(id, text.as_deref(), make, out);
        }
        self.throttle(id, out);
    }

    /// The sender releases its packet identifier ([MQTT-4.3.3-11]).
    pub(super) fn on_pubrel(&mut self, id: ConnectionId, packet_id: u16, out: &mut Outbox) {
        let Some(open) = self.open_mut(id) else {
            return;
        };
        let (version, key) = (open.version, open.session);
        open.unanswered.remove(&packet_id);
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let known = session.incoming.get(&packet_id) == Some(&Incoming::Received);
        if known {
            session.incoming.remove(&packet_id);
        }
        let reason = if known {
            Reason::Success
        } else {
            Reason::PacketIdentifierNotFound
        };
        self.send(id, codec::pubcomp(version, packet_id, reason, None), out);
    }
}

/// Where a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Routed {
    /// No subscription matched.
    Nowhere,
    /// At least one did.
    Somewhere,
    /// There was no room to retain it, so it went nowhere.
    NotRetained,
}

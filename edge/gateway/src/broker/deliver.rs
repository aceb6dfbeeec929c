//! Messages to clients (MQTT 5 §3.3.4, §4.3, §4.4, §4.6, §4.9).

use std::time::Duration;

use bytes::Bytes;
use hedgerow_base::Time;

use super::{
    Broker, ConnectionId, Outbox, SessionKey,
    publish::Routed,
    session::{InFlight, Outgoing, Stage},
    subscriptions::Delivery,
};
use crate::codec::{self, Message, Qos, Reason, Version};

impl Broker {
    /// Retains the message if it says so, and gives it to all whose subscriptions match.
    pub(super) fn route(
        &mut self,
        now: Time,
        origin: Option<SessionKey>,
        message: &Message,
        expires: Option<Time>,
        out: &mut Outbox,
    ) -> Routed {
        if message.retain && !self.retained.put(now, message, expires, &self.limits) {
            self.dropped += 1;
            return Routed::NotRetained;
        }
        let sessions = &self.sessions;
        let online = |key| {
            sessions
                .get(&key)
                .is_some_and(|session| session.connection.is_some())
        };
        let matching = self.subscriptions.matching(&message.topic, origin, online);
        if matching.is_empty() {
            return Routed::Nowhere;
        }
        for (key, delivery) in matching {
            let retain = delivery.retain(message.retain);
            self.deliver(now, key, message, expires, retain, delivery, out);
        }
        Routed::Somewhere
    }

    /// Gives one client its copy, now or when it can take it.
    #[expect(clippy::too_many_arguments, reason = "the parts of one delivery")]
    pub(super) fn deliver(
        &mut self,
        now: Time,
        key: SessionKey,
        message: &Message,
        expires: Option<Time>,
        retain: bool,
        delivery: Delivery,
        out: &mut Outbox,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let mut message = message.clone();
        message.qos = message.qos.min(delivery.qos); // §3.8.4: the lesser of the two
        message.retain = retain;
        let outgoing = Outgoing {
            message,
            expires,
            identifiers: delivery.identifiers,
        };
        if outgoing.message.qos == Qos::AtMostOnce {
            let Some(id) = session.connection else { return }; // not kept for one who is away (§4.1)
            let full = |unsent| unsent > self.limits.unsent_bytes;
            if self
                .connections
                .get(&id)
                .is_none_or(|connection| full(connection.unsent))
            {
                self.dropped += 1;
            } else {
                self.transmit(now, id, &outgoing, None, false, out);
            }
            return;
        }
        let cost = outgoing.message.cost();
        if session.queue.len() >= self.limits.queued_messages
            || session.queued_bytes + cost > self.limits.queued_bytes
            || self.queued_bytes + cost > self.limits.queued_bytes_total
        {
            self.dropped += 1;
            return;
        }
        session.queue.push_back(outgoing);
        session.queued_bytes += cost;
        self.queued_bytes += cost;
        self.pump(now, key, out);
    }

    /// Sends what waits, within the client's Receive Maximum ([MQTT-3.3.4-7], [MQTT-4.9.0-2]).
    pub(super) fn pump(&mut self, now: Time, key: SessionKey, out: &mut Outbox) {
        loop {
            let Some(session) = self.sessions.get_mut(&key) else {
                return;
            };
            let Some(id) = session.connection else { return };
            let Some(open) = self
                .connections
                .get(&id)
                .and_then(|connection| connection.open.as_ref())
            else {
                return;
            };
            let version = open.version;
            if let Some(sent) = session
                .in_flight
                .iter_mut()
                .find(|sent| sent.stage == Stage::UnsentRelease)
            {
                sent.stage = Stage::Released;
                let packet = codec::pubrel(version, sent.id, Reason::Success, None);
                self.send(id, packet, out);
                continue;
            }
            if session.unacknowledged() >= open.quota {
                return;
            }
            if let Some(at) = session
                .in_flight
                .iter()
                .position(|sent| sent.stage == Stage::Unsent)
            {
                let Some(sent) = session.in_flight.get_mut(at) else {
                    return;
                };
                sent.stage = Stage::Sent;
                let (packet_id, dup, outgoing) = (sent.id, sent.sent_before, sent.outgoing.clone());
                sent.sent_before = true;
                if !self.transmit(now, id, &outgoing, Some(packet_id), dup, out)
                    && let Some(session) = self.sessions.get_mut(&key)
                {
                    session.in_flight.retain(|sent| sent.id != packet_id); // as if sent (§3.1.2.11.4)
                }
                continue;
            }
            let Some(outgoing) = session.queue.pop_front() else {
                return;
            };
            let cost = outgoing.message.cost();
            session.queued_bytes -= cost;
            self.queued_bytes -= cost;
            if outgoing.expires.is_some_and(|at| at <= now) {
                continue; // [MQTT-3.3.2-5]
            }
            let packet_id = session.next_packet_id();
            session.in_flight.push_back(InFlight {
                id: packet_id,
                outgoing,
                stage: Stage::Unsent,
                sent_before: false,
            });
        }
    }

    /// Writes one PUBLISH; says false when it is larger than the client takes.
    fn transmit(
        &mut self,
        now: Time,
        id: ConnectionId,
        outgoing: &Outgoing,
        packet_id: Option<u16>,
        dup: bool,
        out: &mut Outbox,
    ) -> bool {
        let Some(open) = self.open_mut(id) else {
            return false;
        };
        let message = &outgoing.message;
        // [MQTT-3.3.2-6]: what is left of the message's life, at least a second if it is still alive.
        let left = |at: Time| at.since(now).max(Duration::from_secs(1)).as_secs();
        let expiry = outgoing
            .expires
            .map(|at| u32::try_from(left(at)).unwrap_or(u32::MAX));
        let alias =
            open.aliases_out
                .as_mut()
                .map(|aliases| match aliases.find_by_topic(&message.topic) {
                    Some(known) => {
                        aliases.get(known);
                        (known, true)
                    }
                    None => (aliases.get_lru_alias(), false),
                });
        let packet: Option<Bytes> = codec::publish(
            open.version,
            message,
            packet_id,
            dup,
            expiry,
            &outgoing.identifiers,
            alias,
        );
        let went = self.try_send(id, packet, out);
        if went
            && let Some((number, false)) = alias
            && let Some(aliases) = self.open_mut(id).and_then(|open| open.aliases_out.as_mut())
        {
            aliases.insert_or_update(&message.topic, number);
        }
        if !went {
            self.dropped += 1;
        }
        went
    }

    pub(super) fn on_puback(
        &mut self,
        now: Time,
        key: SessionKey,
        packet_id: u16,
        out: &mut Outbox,
    ) {
        if self
            .sessions
            .get_mut(&key)
            .is_some_and(|session| session.acknowledge(packet_id))
        {
            self.pump(now, key, out);
        }
    }

    pub(super) fn on_pubrec(
        &mut self,
        now: Time,
        key: SessionKey,
        packet_id: u16,
        reason: u8,
        out: &mut Outbox,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let Some(id) = session.connection else { return };
        let of_this = |sent: &&mut InFlight| {
            sent.id == packet_id && sent.outgoing.message.qos == Qos::ExactlyOnce
        };
        let found = session.in_flight.iter_mut().find(of_this);
        let Some(sent) = found else {
            let version = self.open(id).map_or(Version::V5, |open| open.version);
            self.send(
                id,
                codec::pubrel(version, packet_id, Reason::PacketIdentifierNotFound, None),
                out,
            );
            return;
        };
        if reason >= 0x80 {
            session.complete(packet_id); // [MQTT-4.3.3-4]: no PUBREL; the exchange is over
        } else {
            sent.stage = Stage::UnsentRelease;
            sent.outgoing.message.payload = Bytes::new(); // the message is the receiver's now (§4.3.3)
        }
        self.pump(now, key, out);
    }

    pub(super) fn on_pubcomp(
        &mut self,
        now: Time,
        key: SessionKey,
        packet_id: u16,
        out: &mut Outbox,
    ) {
        if self
            .sessions
            .get_mut(&key)
            .is_some_and(|session| session.complete(packet_id))
        {
            self.pump(now, key, out);
        }
    }
}

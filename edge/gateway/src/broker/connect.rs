//! The beginning and the end of connections and sessions (MQTT 5 §3.1, §3.2, §3.14, §4.1).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use hedgerow_base::Time;
use mqtt_protocol_core::mqtt::packet::TopicAliasSend;

use super::{
    Broker, ConnectionId, Open, Outbox, Output, SessionKey, session::Session, subscriptions,
    timers::Timer, topic,
};
use crate::codec::{self, Connack, Connect, Disconnect, Reason, Version};

impl Broker {
    pub(super) fn on_connect(
        &mut self,
        now: Time,
        id: ConnectionId,
        mut connect: Connect,
        out: &mut Outbox,
    ) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let identity = connection.identity.clone();
        if let Err((reason, text)) = self.admit(identity.as_deref(), &connect) {
            let refusal = Connack {
                refusal: Some((reason, text)),
                ..Connack::default()
            };
            self.send(id, codec::connack(connect.version, &refusal), out);
            self.drop_connection(now, id, out); // [MQTT-3.1.4-2], [MQTT-3.2.0-2]
            return;
        }
        let mut connack = Connack {
            receive_maximum: self.limits.receive_maximum,
            maximum_packet_size: self.limits.packet_bytes,
            topic_alias_maximum: self.limits.topic_aliases,
            ..Connack::default()
        };
        if connect.client_id.is_empty() {
            connect.client_id = format!("hedgerow-{:x}-{}", self.run, id.0); // [MQTT-3.1.3-6], [MQTT-3.1.3-7]
            connack.assigned_client_id = Some(connect.client_id.clone());
        }
        let longest = u32::try_from(self.limits.session_expiry_max.as_secs()).unwrap_or(u32::MAX);
        let expiry = connect.session_expiry.min(longest);
        if expiry != connect.session_expiry {
            connack.session_expiry = Some(expiry);
        }
        let mut keep_alive = connect.keep_alive;
        if connect.version == Version::V5
            && let Some(max) = self.limits.keep_alive_max
            && (keep_alive == 0 || keep_alive > max)
        {
            keep_alive = max; // [MQTT-3.1.2-21]
            connack.server_keep_alive = Some(max);
        }
        if connect.response_information {
            connack.response_information = Some(format!("hedgerow/v1/responses/{}", id.0));
        }

        let client_id: Arc<str> = connect.client_id.as_str().into();
        let mut existing = self.clients.get(&client_id).copied();
        if let Some(key) = existing {
            self.take_over(now, key, connect.clean_start, out);
            if connect.clean_start {
                self.end_session(now, key, out); // [MQTT-3.1.2-4]
            }
            existing = self.sessions.contains_key(&key).then_some(key); // [MQTT-3.1.2-5], [MQTT-3.1.2-6]
        }
        if existing.is_none() && !self.has_room_for_a_session() {
            let text = "all sessions are in use: connect again later";
            let refusal = Some((Reason::QuotaExceeded, text.to_owned()));
            let refusal = Connack {
                refusal,
                ..Connack::default()
            };
            self.send(id, codec::connack(connect.version, &refusal), out);
            self.drop_connection(now, id, out);
            return;
        }
        connack.session_present = existing.is_some(); // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
        let key = existing.unwrap_or_else(|| self.create_session(now, &client_id, out));
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        session.identity.clone_from(&identity);
        session.connection = Some(id);
        session.expiry = expiry;
        if let Some(ends) = session.ends.take() {
            self.timers.cancel(ends, Timer::SessionEnd(key));
        }
        if let Some(due) = session.will_due.take() {
            self.timers.cancel(due, Timer::Will(key)); // [MQTT-3.1.3-9]
        }
        session.will = connect.will;
        session.resume();

        let silence_max =
            (keep_alive > 0).then(|| Duration::from_millis(u64::from(keep_alive) * 1500));
        let aliases = connect.topic_alias_maximum.min(self.limits.topic_aliases);
        let open = Open {
            version: connect.version,
            session: key,
            silence_max,
            heard: now,
            session_expiry: connect.session_expiry,
            problem_information: connect.problem_information,
            packet_max: connect
                .maximum_packet_size
                .map_or(usize::MAX, |max| max as usize),
            quota: usize::from(connect.receive_maximum.min(self.limits.in_flight)),
            aliases_in: BTreeMap::new(),
            aliases_out: (aliases > 0).then(|| TopicAliasSend::new(aliases)),
            unanswered: BTreeSet::new(),
            answers: VecDeque::new(),
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.open = Some(open);
        }
        if let Some(silence) = silence_max {
            self.timers.set(now.plus(silence), Timer::KeepAlive(id));
        }
        self.send(id, codec::connack(connect.version, &connack), out);
        self.pump(now, key, out);
    }

    fn admit(
        &self,
        identity: Option<&super::Identity>,
        connect: &Connect,
    ) -> Result<(), (Reason, String)> {
        if connect.authentication_method {
            let text = "no enhanced authentication is offered: leave out the authentication method";
            return Err((Reason::BadAuthenticationMethod, text.into()));
        }
        if connect.client_id.len() > self.limits.client_id_bytes {
            let text = format!(
                "the client identifier has {} bytes: at most {} are allowed",
                connect.client_id.len(),
                self.limits.client_id_bytes
            );
            return Err((Reason::ClientIdentifierNotValid, text));
        }
        if connect.client_id.is_empty() && connect.version == Version::V3 && !connect.clean_start {
            let text = "an empty client identifier needs a clean session"; // 3.1.1 [MQTT-3.1.3-8]
            return Err((Reason::ClientIdentifierNotValid, text.into()));
        }
        self.authority.connect(identity, connect)?;
        if let Some(will) = &connect.will {
            if !topic::is_name(&will.message.topic, self.limits.topic_levels) {
                return Err((
                    Reason::TopicNameInvalid,
                    "the will's topic is not a topic name".into(),
                ));
            }
            self.authority.publish(identity, &will.message.topic)?;
        }
        Ok(())
    }

    /// The client connects a second time: the first connection ends ([MQTT-3.1.4-3]).
    fn take_over(&mut self, now: Time, key: SessionKey, clean: bool, out: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let Some(old) = session.connection else {
            return;
        };
        // The session goes on, whatever expiry the old connection had, unless the new one starts clean
        // (§3.1.4: the Session State is taken over before the old connection is closed).
        if !clean {
            session.expiry = session.expiry.max(1);
        }
        self.fail(
            now,
            old,
            Reason::SessionTakenOver,
            "another connection uses this client identifier",
            out,
        );
    }

    /// Whether a session can be made, in the place of one without a connection if need be.
    fn has_room_for_a_session(&self) -> bool {
        let idle = |session: &Session| session.connection.is_none();
        self.sessions.len() < self.limits.sessions || self.sessions.values().any(idle)
    }

    fn create_session(&mut self, now: Time, client_id: &Arc<str>, out: &mut Outbox) -> SessionKey {
        if self.sessions.len() >= self.limits.sessions {
            let idle = self
                .sessions
                .iter()
                .filter(|(_, session)| session.connection.is_none());
            if let Some(oldest) = idle
                .min_by_key(|(_, session)| session.disconnected)
                .map(|(&key, _)| key)
            {
                self.end_session(now, oldest, out);
            }
        }
        self.last_session = self.last_session.next();
        self.sessions
            .insert(self.last_session, Session::new(client_id.clone(), None));
        self.clients.insert(client_id.clone(), self.last_session);
        self.last_session
    }

    /// Ends a session: its will is due ([MQTT-3.1.2-8]), all else is forgotten.
    pub(super) fn end_session(&mut self, now: Time, key: SessionKey, out: &mut Outbox) {
        self.publish_will(now, key, out);
        let Some(session) = self.sessions.remove(&key) else {
            return;
        };
        self.clients.remove(&session.client_id);
        self.queued_bytes -= session.queued_bytes;
        for filter in &session.filters {
            if let Ok(filter) = topic::Filter::parse(filter, usize::MAX) {
                self.subscriptions.remove(filter, key);
            }
        }
        if let Some(ends) = session.ends {
            self.timers.cancel(ends, Timer::SessionEnd(key));
        }
        if let Some(due) = session.will_due {
            self.timers.cancel(due, Timer::Will(key));
        }
    }

    /// The connection is no more: its session waits, or ends.
    pub(super) fn forget_connection(&mut self, now: Time, id: ConnectionId, out: &mut Outbox) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        let Some(open) = connection.open else { return };
        let key = open.session;
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if session.connection != Some(id) {
            return;
        }
        session.connection = None;
        session.disconnected = now;
        let expiry = session.expiry;
        if expiry == 0 {
            self.end_session(now, key, out); // [MQTT-3.1.2-23]
            return;
        }
        if expiry < u32::MAX {
            let ends = now.plus(Duration::from_secs(u64::from(expiry)));
            session.ends = Some(ends);
            self.timers.set(ends, Timer::SessionEnd(key));
        }
        self.schedule_will(now, key, out);
    }

    pub(super) fn on_disconnect(
        &mut self,
        now: Time,
        id: ConnectionId,
        disconnect: &Disconnect,
        out: &mut Outbox,
    ) {
        let Some(open) = self.open(id) else { return };
        let (key, first) = (open.session, open.session_expiry);
        if let Some(wish) = disconnect.session_expiry {
            if first == 0 && wish != 0 {
                let text = "DISCONNECT with a session expiry after a CONNECT with none"; // §3.14.2.2.2
                self.fail(now, id, Reason::ProtocolError, text, out);
                return;
            }
            let longest =
                u32::try_from(self.limits.session_expiry_max.as_secs()).unwrap_or(u32::MAX);
            if let Some(session) = self.sessions.get_mut(&key) {
                session.expiry = wish.min(longest);
            }
        }
        if disconnect.reason == Reason::Success.code()
            && let Some(session) = self.sessions.get_mut(&key)
        {
            session.will = None; // [MQTT-3.14.4-3]
        }
        out.push(Output::Close { connection: id });
        self.forget_connection(now, id, out);
    }

    pub(super) fn on_keep_alive(&mut self, now: Time, id: ConnectionId, out: &mut Outbox) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let throttled = connection.throttled;
        let Some(open) = &connection.open else { return };
        let Some(silence) = open.silence_max else {
            return;
        };
        // While we do not read, the client's silence is ours.
        let due = if throttled {
            now.plus(silence)
        } else {
            open.heard.plus(silence)
        };
        if due > now {
            self.timers.set(due, Timer::KeepAlive(id));
        } else {
            let text = "nothing was heard for one and a half times the keep-alive";
            self.fail(now, id, Reason::KeepAliveTimeout, text, out); // [MQTT-3.1.2-22]
        }
    }
}

impl subscriptions::Delivery {
    /// The RETAIN flag of the copy ([MQTT-3.3.1-12], [MQTT-3.3.1-13]).
    pub(super) const fn retain(&self, published: bool) -> bool {
        self.retain_as_published && published
    }
}

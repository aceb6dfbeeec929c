//! SUBSCRIBE and UNSUBSCRIBE (MQTT 5 §3.8 to §3.11).

use hedgerow_base::Time;

use super::{
    Broker, ConnectionId, Outbox, SessionKey,
    subscriptions::{Delivery, Subscription},
    topic::Filter,
};
use crate::codec::{self, Qos, Reason, RetainHandling, Subscribe, SubscribeRequest, Unsubscribe};

impl Broker {
    pub(super) fn on_subscribe(
        &mut self,
        now: Time,
        id: ConnectionId,
        subscribe: Subscribe,
        out: &mut Outbox,
    ) {
        let Some(key) = self.open(id).map(|open| open.session) else {
            return;
        };
        let Subscribe {
            packet_id,
            identifier,
            requests,
        } = subscribe;
        if requests
            .iter()
            .any(|request| request.no_local && request.filter.starts_with("$share/"))
        {
            let text = "No Local on a shared subscription"; // [MQTT-3.8.3-4]
            self.fail(now, id, Reason::ProtocolError, text, out);
            return;
        }
        let mut reasons = Vec::with_capacity(requests.len());
        let mut complaint = None;
        let mut wanted: Vec<(&SubscribeRequest, &str)> = Vec::new();
        for request in &requests {
            match self.subscribe(id, key, identifier, request) {
                Ok((reason, new)) => {
                    reasons.push(reason);
                    let send = match request.retain_handling {
                        RetainHandling::Send => true,
                        RetainHandling::SendIfNew => new,
                        RetainHandling::DoNotSend => false,
                    };
                    if send && !request.filter.starts_with("$share/") {
                        wanted.push((request, &request.filter)); // [MQTT-3.3.1-9] to [-11]
                    }
                }
                Err((reason, text)) => {
                    reasons.push(reason);
                    complaint.get_or_insert(text);
                }
            }
        }
        let make = |version, text: Option<&str>| codec::suback(version, packet_id, &reasons, text);
        self.send_with_text(id, complaint.as_deref(), make, out); // [MQTT-3.8.4-1], [MQTT-3.8.4-6]
        for (request, filter) in wanted {
            for kept in self.retained.matching(now, filter) {
                let delivery = Delivery {
                    qos: request.qos,
                    retain_as_published: true,
                    identifiers: identifier.into_iter().collect(),
                };
                self.deliver(now, key, &kept.message, kept.expires, true, delivery, out); // [MQTT-3.3.1-8]
            }
        }
    }

    /// Makes one subscription; says what is granted and whether the subscription is new.
    fn subscribe(
        &mut self,
        id: ConnectionId,
        key: SessionKey,
        identifier: Option<u32>,
        request: &SubscribeRequest,
    ) -> Result<(Reason, bool), (Reason, String)> {
        let filter = Filter::parse(&request.filter, self.limits.topic_levels)
            .map_err(|text| (Reason::TopicFilterInvalid, text.to_owned()))?;
        let identity = self
            .connections
            .get(&id)
            .and_then(|connection| connection.identity.as_deref());
        self.authority.subscribe(identity, filter.pattern)?;
        let max = self.limits.subscriptions_per_session;
        let Some(session) = self.sessions.get_mut(&key) else {
            return Err((Reason::UnspecifiedError, "the session is gone".into()));
        };
        if session.filters.len() >= max && !session.filters.contains(&request.filter) {
            return Err((
                Reason::QuotaExceeded,
                format!("a session has at most {max} subscriptions"),
            ));
        }
        session.filters.insert(request.filter.clone());
        let new = self.subscriptions.insert(
            filter,
            key,
            Subscription {
                qos: request.qos,
                no_local: request.no_local,
                retain_as_published: request.retain_as_published,
                identifier,
            },
        );
        let granted = match request.qos {
            Qos::AtMostOnce => Reason::Success,
            Qos::AtLeastOnce => Reason::GrantedQos1,
            Qos::ExactlyOnce => Reason::GrantedQos2,
        };
        Ok((granted, new))
    }

    pub(super) fn on_unsubscribe(
        &mut self,
        id: ConnectionId,
        unsubscribe: &Unsubscribe,
        out: &mut Outbox,
    ) {
        let Some(open) = self.open(id) else { return };
        let (version, key) = (open.version, open.session);
        let mut reasons = Vec::with_capacity(unsubscribe.filters.len());
        for text in &unsubscribe.filters {
            let reason = match Filter::parse(text, usize::MAX) {
                Err(_) => Reason::TopicFilterInvalid,
                Ok(filter) => {
                    if let Some(session) = self.sessions.get_mut(&key) {
                        session.filters.remove(text);
                    }
                    if self.subscriptions.remove(filter, key) {
                        Reason::Success // [MQTT-3.10.4-1]
                    } else {
                        Reason::NoSubscriptionExisted
                    }
                }
            };
            reasons.push(reason);
        }
        self.send(
            id,
            codec::unsuback(version, unsubscribe.packet_id, &reasons),
            out,
        ); // [MQTT-3.10.4-4]
    }
}

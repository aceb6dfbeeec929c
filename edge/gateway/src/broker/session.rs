use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use hedgerow_base::Time;

use super::{ConnectionId, Identity, PublicationId};
use crate::codec::{Message, Qos, Will};

/// A message on its way to one client.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    /// With the QoS and the RETAIN flag of this delivery.
    pub(super) message: Message,
    pub(super) expires: Option<Time>,
    pub(super) identifiers: Vec<u32>,
}

/// How far the exchange of a QoS > 0 message to the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// To be sent (again) on this connection.
    Unsent,
    /// Sent; waits for PUBACK or PUBREC.
    Sent,
    /// PUBREC came; PUBREL is to be sent (again) on this connection.
    UnsentRelease,
    /// PUBREL sent; waits for PUBCOMP.
    Released,
}

#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) id: u16,
    pub(super) outgoing: Outgoing,
    pub(super) stage: Stage,
    /// Whether it was sent before, on any connection: the next time has DUP ([MQTT-3.3.1-1]).
    pub(super) sent_before: bool,
}

/// A QoS 2 message from the client whose packet identifier is not yet released ([MQTT-4.3.3-10]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// The application has not answered.
    Pending(PublicationId),
    /// PUBREC was (or would have been) sent.
    Received,
}

/// What the broker keeps for a client, connected or not (§4.1).
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client_id: Arc<str>,
    pub(super) identity: Option<Arc<Identity>>,
    pub(super) connection: Option<ConnectionId>,
    /// Seconds that it outlives its connection; `u32::MAX` is for ever.
    pub(super) expiry: u32,
    /// When it ends, if it stays without a connection.
    pub(super) ends: Option<Time>,
    /// When the connection was lost.
    pub(super) disconnected: Time,
    pub(super) will: Option<Will>,
    pub(super) will_due: Option<Time>,
    pub(super) filters: BTreeSet<String>,
    pub(super) incoming: BTreeMap<u16, Incoming>,
    /// In the order in which they were first sent ([MQTT-4.6.0-1]).
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) queue: VecDeque<Outgoing>,
    pub(super) queued_bytes: usize,
    next_id: u16,
}

impl Session {
    pub(super) const fn new(client_id: Arc<str>, identity: Option<Arc<Identity>>) -> Self {
        Self {
            client_id,
            identity,
            connection: None,
            expiry: 0,
            ends: None,
            disconnected: Time::ZERO,
            will: None,
            will_due: None,
            filters: BTreeSet::new(),
            incoming: BTreeMap::new(),
            in_flight: VecDeque::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            next_id: 0,
        }
    }

    /// A packet identifier that is not in use; `in_flight` is bounded far below their number.
    pub(super) fn next_packet_id(&mut self) -> u16 {
        loop {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if self.in_flight.iter().all(|sent| sent.id != self.next_id) {
                return self.next_id;
            }
        }
    }

    /// How many messages wait for the client's acknowledgement on this connection (§4.9).
    pub(super) fn unacknowledged(&self) -> usize {
        self.in_flight
            .iter()
            .filter(|sent| matches!(sent.stage, Stage::Sent | Stage::Released))
            .count()
    }

    /// On a new connection, everything in flight is sent again, in its order ([MQTT-4.4.0-1]).
    pub(super) fn resume(&mut self) {
        for sent in &mut self.in_flight {
            sent.stage = match sent.stage {
                Stage::Unsent | Stage::Sent => Stage::Unsent,
                Stage::UnsentRelease | Stage::Released => Stage::UnsentRelease,
            };
        }
    }

    /// The client acknowledges a QoS 1 message; says whether there was one.
    pub(super) fn acknowledge(&mut self, id: u16) -> bool {
        self.settle(id, |sent| sent.outgoing.message.qos == Qos::AtLeastOnce)
    }

    /// The client completes, or refuses, a QoS 2 message; says whether there was one.
    pub(super) fn complete(&mut self, id: u16) -> bool {
        self.settle(id, |sent| sent.outgoing.message.qos == Qos::ExactlyOnce)
    }

    fn settle(&mut self, id: u16, which: impl Fn(&InFlight) -> bool) -> bool {
        let Some(at) = self
            .in_flight
            .iter()
            .position(|sent| sent.id == id && which(sent))
        else {
            return false;
        };
        self.in_flight.remove(at);
        true
    }
}

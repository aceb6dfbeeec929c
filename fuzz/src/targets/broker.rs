//! The MQTT broker under whatever some clients send, in any interleaving: it stays within its bounds.
//!
//! The input is a list of actions: a byte says what to do and for which of four clients, then come its bytes.

use std::time::Duration;

use hedgerow_base::Time;
use hedgerow_gateway::{
    broker::{Authority, Broker, ConnectionId, Identity, Limits, Output, Verdict},
    codec::{Connect, Framer, Reason, decode},
};

struct Anyone;

type Refusal = (Reason, String);

impl Authority for Anyone {
    fn connect(&self, _: Option<&Identity>, _: &Connect) -> Result<(), Refusal> {
        Ok(())
    }

    fn publish(&self, _: Option<&Identity>, topic: &str) -> Result<(), Refusal> {
        if topic.starts_with('$') {
            Err((Reason::NotAuthorized, "not yours".to_owned()))
        } else {
            Ok(())
        }
    }

    fn subscribe(&self, _: Option<&Identity>, _: &str) -> Result<(), Refusal> {
        Ok(())
    }

    fn is_for_application(&self, topic: &str) -> bool {
        topic.starts_with("app/")
    }
}

const LIMITS: fn() -> Limits = || Limits {
    connections: 6,
    sessions: 5,
    subscriptions_per_session: 4,
    topic_levels: 8,
    client_id_bytes: 16,
    queued_messages: 8,
    queued_bytes: 4 << 10,
    queued_bytes_total: 8 << 10,
    in_flight: 4,
    unsent_bytes: 16 << 10,
    retained_messages: 4,
    retained_bytes: 4 << 10,
    receive_maximum: 4,
    packet_bytes: 4 << 10,
    topic_aliases: 4,
    ..Limits::default()
};

struct Client {
    id: ConnectionId,
    framer: Framer,
}

struct Scene {
    broker: Broker,
    clients: [Option<Client>; 4],
    connections: u64,
    now: Time,
}

impl Scene {
    fn new() -> Self {
        Self {
            broker: Broker::new(LIMITS(), Box::new(Anyone), 1),
            clients: [None, None, None, None],
            connections: 0,
            now: Time::default(),
        }
    }

    /// Lets the time go on, and whatever was due happen.
    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        let mut out = Vec::new();
        self.broker.expire(self.now, &mut out);
        self.carry_out(out, 0);
    }

    fn bytes(&mut self, client: usize, bytes: &[u8]) {
        if self.clients[client].is_none() {
            self.connections += 1;
            let id = ConnectionId(self.connections);
            let mut out = Vec::new();
            self.broker.connected(self.now, id, None, &mut out);
            self.clients[client] = Some(Client {
                id,
                framer: Framer::new(LIMITS().packet_bytes as usize),
            });
            self.carry_out(out, 0);
        }
        let Some(client) = &mut self.clients[client] else {
            return;
        };
        client.framer.buffer().extend_from_slice(bytes);
        let id = client.id;
        let mut out = Vec::new();
        loop {
            let packet = client.framer.next_packet().and_then(|cut| match cut {
                None => Ok(None),
                Some((header, body)) => decode(self.broker.version(id), header, &body).map(Some),
            });
            match packet {
                Ok(None) => break,
                Ok(Some(packet)) => self.broker.packet(self.now, id, packet, &mut out),
                Err(error) => {
                    self.broker.malformed(self.now, id, &error, &mut out);
                    break;
                }
            }
        }
        self.carry_out(out, bytes.len());
    }

    fn lose(&mut self, client: usize) {
        if let Some(client) = self.clients[client].take() {
            let mut out = Vec::new();
            self.broker.closed(self.now, client.id, &mut out);
            self.carry_out(out, 0);
        }
    }

    /// Does what the broker says. The application accepts, refuses or delays by `whim`.
    fn carry_out(&mut self, mut outputs: Vec<Output>, whim: usize) {
        while !outputs.is_empty() {
            let mut more = Vec::new();
            for output in outputs.drain(..) {
                match output {
                    Output::Send { to, packet } => {
                        assert!(packet.len() >= 2, "not a packet");
                        self.broker.sent(to, packet.len());
                    }
                    Output::Close { connection } => {
                        for client in &mut self.clients {
                            client.take_if(|client| client.id == connection);
                        }
                    }
                    Output::Throttle { .. } => {}
                    Output::Publication { id, .. } => {
                        let verdict = match whim % 3 {
                            0 => Verdict::Accepted,
                            1 => Verdict::Refused(Reason::PayloadFormatInvalid, "no".to_owned()),
                            _ => Verdict::Later(Reason::QuotaExceeded, "not now".to_owned()),
                        };
                        self.broker.resolve(self.now, id, &verdict, &mut more);
                    }
                }
            }
            outputs = more;
        }
    }

    fn check(&self) {
        let (limits, stats) = (LIMITS(), self.broker.stats());
        assert!(stats.connections <= limits.connections, "{stats:?}");
        assert!(stats.sessions <= limits.sessions, "{stats:?}");
        assert!(stats.retained <= limits.retained_messages, "{stats:?}");
        assert!(stats.queued_bytes <= limits.queued_bytes_total, "{stats:?}");
    }
}

pub(crate) fn run(data: &[u8]) {
    let mut scene = Scene::new();
    let mut left = data;
    while let Some((&action, rest)) = left.split_first() {
        let client = usize::from(action & 3);
        left = rest;
        match action >> 2 & 7 {
            0 => scene.lose(client),
            1 => scene.pass(Duration::from_secs(u64::from(action >> 5) * 50)),
            _ => {
                let length = rest.first().map_or(0, |&length| usize::from(length));
                let (bytes, after) = rest
                    .get(1..)
                    .unwrap_or_default()
                    .split_at_checked(length)
                    .unwrap_or((rest, &[]));
                scene.bytes(client, bytes);
                left = after;
            }
        }
        scene.check();
    }
    let mut out = Vec::new();
    scene.broker.shut_down(scene.now, &mut out);
    assert_eq!(
        scene.broker.stats().connections,
        0,
        "a connection outlives the broker"
    );
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let play = |levels: [u8; 2]| {
        let mut input = Vec::new();
        let parts = [
            super::mqtt::conversation(levels[0], 0),
            super::mqtt::conversation(levels[1], 1),
        ];
        for (one, other) in parts[0].iter().zip(&parts[1]) {
            for (client, packet) in [(0, one), (1, other)] {
                input.extend([0b1000 | client, packet.len() as u8]);
                input.extend(packet);
            }
            input.push(0b10_0100);
        }
        input.push(0);
        input
    };
    vec![play([4, 5]), play([5, 5])]
}

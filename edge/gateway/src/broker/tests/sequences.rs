//! Any sequence of what clients, networks and time can do: nothing crashes, the books stay right, bounds hold.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    Connect {
        client: u8,
        clean: bool,
        expiry: u32,
        v3: bool,
        quota: u16,
        will: Option<u32>,
        keep_alive: u16,
    },
    Publish {
        client: u8,
        topic: u8,
        id: u16,
        qos: u8,
        retain: bool,
        empty: bool,
        expiry: Option<u32>,
        alias: Option<u16>,
    },
    Subscribe {
        client: u8,
        filter: u8,
        qos: u8,
        no_local: bool,
    },
    Unsubscribe {
        client: u8,
        filter: u8,
    },
    Answer {
        client: u8,
        kind: u8,
        id: u16,
        error: bool,
    },
    Disconnect {
        client: u8,
        reason: u8,
    },
    Lose {
        client: u8,
    },
    Resolve {
        verdict: u8,
    },
    Pass {
        seconds: u64,
    },
    Shout,
}

const TOPICS: [&str; 6] = ["a", "a/b", "app/x", "secret", "$x/y", "a/+"];
const FILTERS: [&str; 8] = [
    "a",
    "a/#",
    "#",
    "+/b",
    "$share/g/a/#",
    "$share/g/#",
    "$x/#",
    "a#",
];

fn act() -> impl Strategy<Value = Act> {
    let client = 0_u8..4;
    prop_oneof![
        2 => (client.clone(), any::<bool>(), 0_u32..20, any::<bool>(), 1_u16..4, prop::option::of(0_u32..5), 0_u16..5)
            .prop_map(|(client, clean, expiry, v3, quota, will, keep_alive)| Act::Connect {
                client, clean, expiry, v3, quota, will, keep_alive
            }),
        6 => (client.clone(), 0_u8..6, 1_u16..5, 0_u8..3, any::<bool>(), any::<bool>(),
              prop::option::of(1_u32..5), prop::option::of(0_u16..4))
            .prop_map(|(client, topic, id, qos, retain, empty, expiry, alias)| Act::Publish {
                client, topic, id, qos, retain, empty, expiry, alias
            }),
        4 => (client.clone(), 0_u8..8, 0_u8..3, any::<bool>())
            .prop_map(|(client, filter, qos, no_local)| Act::Subscribe { client, filter, qos, no_local }),
        1 => (client.clone(), 0_u8..8).prop_map(|(client, filter)| Act::Unsubscribe { client, filter }),
        6 => (client.clone(), 0_u8..4, 1_u16..5, any::<bool>())
            .prop_map(|(client, kind, id, error)| Act::Answer { client, kind, id, error }),
        1 => (client.clone(), prop_oneof![Just(0_u8), Just(4)])
            .prop_map(|(client, reason)| Act::Disconnect { client, reason }),
        1 => client.prop_map(|client| Act::Lose { client }),
        2 => (0_u8..3).prop_map(|verdict| Act::Resolve { verdict }),
        1 => (0_u64..6).prop_map(|seconds| Act::Pass { seconds }),
        1 => Just(Act::Shout),
    ]
}

fn qos(level: u8) -> Qos {
    [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][usize::from(level)]
}

fn carry_out(bench: &mut Bench, sockets: &mut [Option<ConnectionId>; 4], act: Act) {
    match act {
        Act::Connect {
            client,
            clean,
            expiry,
            v3,
            quota,
            will: delay,
            keep_alive,
        } => {
            let connect = Connect {
                clean_start: clean,
                session_expiry: expiry,
                receive_maximum: quota,
                keep_alive,
                topic_alias_maximum: 2,
                will: delay.and_then(|delay| will("a/b", "will", delay)),
                ..connect(
                    if v3 { Version::V3 } else { Version::V5 },
                    &client.to_string(),
                )
            };
            sockets[usize::from(client)] = Some(bench.connect(connect));
        }
        Act::Publish {
            client,
            topic,
            id,
            qos: level,
            retain,
            empty,
            expiry,
            alias,
        } => {
            let Some(socket) = sockets[usize::from(client)] else {
                return;
            };
            let mut message = publish(
                TOPICS[usize::from(topic)],
                if empty { "" } else { "x" },
                id,
                qos(level),
            );
            message.message.retain = retain;
            message.expiry = expiry;
            message.topic_alias = alias;
            bench.publish(socket, message);
        }
        Act::Subscribe {
            client,
            filter,
            qos: level,
            no_local,
        } => {
            let Some(socket) = sockets[usize::from(client)] else {
                return;
            };
            let filter = request(FILTERS[usize::from(filter)], qos(level));
            bench.subscribe(socket, vec![SubscribeRequest { no_local, ..filter }]);
        }
        Act::Unsubscribe { client, filter } => {
            let Some(socket) = sockets[usize::from(client)] else {
                return;
            };
            bench.send(socket, unsubscribe(&[FILTERS[usize::from(filter)]]));
        }
        Act::Answer {
            client,
            kind,
            id,
            error,
        } => {
            let Some(socket) = sockets[usize::from(client)] else {
                return;
            };
            let reason = if error { 0x97 } else { 0 };
            let packets = [
                Packet::Puback,
                Packet::Pubrec,
                Packet::Pubrel,
                Packet::Pubcomp,
            ];
            bench.send(socket, packets[usize::from(kind)](id, reason));
        }
        Act::Disconnect { client, reason } => {
            if let Some(socket) = sockets[usize::from(client)] {
                bench.disconnect(socket, reason);
            }
        }
        Act::Lose { client } => {
            if let Some(socket) = sockets[usize::from(client)].take() {
                bench.lose(socket);
            }
        }
        Act::Resolve { verdict } => {
            let Some((publication, _)) = bench.publications.pop() else {
                return;
            };
            let refused = (Reason::PayloadFormatInvalid, "no".to_owned());
            let verdict = match verdict {
                0 => Verdict::Accepted,
                1 => Verdict::Refused(refused.0, refused.1),
                _ => Verdict::Later(refused.0, refused.1),
            };
            bench.resolve(publication, &verdict);
        }
        Act::Pass { seconds } => bench.pass(seconds),
        Act::Shout => {
            let message = Message::new("a/b", "news", Qos::AtLeastOnce);
            bench.does(|broker, now, out| broker.publish(now, &message, out));
        }
    }
}

fn check(bench: &Bench) {
    let broker = &bench.broker;
    let queued: usize = broker
        .sessions
        .values()
        .map(|session| session.queued_bytes)
        .sum();
    assert_eq!(broker.queued_bytes, queued);
    assert_eq!(broker.sessions.len(), broker.clients.len());
    assert!(broker.sessions.len() <= 3 && broker.retained.len() <= 2);
    for (key, session) in &broker.sessions {
        let costs: usize = session
            .queue
            .iter()
            .map(|outgoing| outgoing.message.cost())
            .sum();
        assert_eq!(session.queued_bytes, costs);
        assert!(session.queue.len() <= 5);
        assert!(
            session.in_flight.len() <= 3 + 3,
            "those of an earlier connection, and new ones"
        );
        let mut ids: Vec<u16> = session.in_flight.iter().map(|sent| sent.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(
            ids.len(),
            session.in_flight.len(),
            "a packet identifier is in use once"
        );
        if let Some(id) = session.connection {
            let open = broker.open(id).expect("a session's connection is there");
            assert_eq!(open.session, *key);
            assert!(session.unacknowledged() <= open.quota);
            assert!(
                session.queue.is_empty() || session.unacknowledged() == open.quota,
                "what can go, goes"
            );
            assert!(session.will_due.is_none() && session.ends.is_none());
        }
    }
    for connection in broker.connections.values() {
        if let Some(open) = &connection.open {
            assert!(broker.sessions.contains_key(&open.session));
            assert!(
                open.answers
                    .front()
                    .is_none_or(|first| first.ready.is_none()),
                "what can go, goes"
            );
        }
    }
}

proptest! {
    #[test]
    fn the_books_stay_right(acts in prop::collection::vec(act(), 1..200)) {
        let mut bench = Bench::with(Limits {
            sessions: 3,
            queued_messages: 5,
            in_flight: 3,
            retained_messages: 2,
            receive_maximum: 3,
            topic_aliases: 2,
            session_expiry_max: Duration::from_secs(10),
            ..Limits::default()
        });
        let mut sockets = [None; 4];
        for act in acts {
            carry_out(&mut bench, &mut sockets, act);
            check(&bench);
        }
        // When all are gone for long enough, nothing is left but retained messages.
        for socket in sockets.into_iter().flatten() {
            bench.lose(socket);
        }
        let all: Vec<ConnectionId> = bench.broker.connections.keys().copied().collect();
        for id in all {
            bench.lose(id);
        }
        bench.pass(100);
        prop_assert!(bench.broker.sessions.is_empty());
        prop_assert!(!bench.broker.subscriptions.any("a/b") && !bench.broker.subscriptions.any("$x/y"));
        prop_assert_eq!(bench.broker.queued_bytes, 0);
        prop_assert_eq!(bench.broker.deadline(), None);
    }
}

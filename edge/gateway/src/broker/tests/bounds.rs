//! Nothing that a client does makes the broker keep more than its limits.

use super::*;

#[test]
fn connections_are_bounded() {
    let mut bench = Bench::with(Limits {
        connections: 2,
        ..Limits::default()
    });
    let (a, b, c) = (bench.socket(), bench.socket(), bench.socket());
    assert_eq!(
        (bench.is_closed(a), bench.is_closed(b), bench.is_closed(c)),
        (false, false, true)
    );
    bench.lose(a);
    let d = bench.socket();
    assert!(!bench.is_closed(d));
}

#[test]
fn sessions_are_bounded_and_the_longest_absent_goes_first() {
    let mut bench = Bench::with(Limits {
        sessions: 2,
        ..Limits::default()
    });
    for name in ["a", "b"] {
        let id = bench.client(lasting(name));
        bench.lose(id);
        bench.pass(1);
    }
    bench.client(lasting("c"));
    assert_eq!(bench.broker.stats().sessions, 2);
    let b = bench.connect(lasting("b"));
    assert_eq!(bench.heard(b), ["CONNACK present=1 code=0x00"]);
    bench.lose(b);
    let a = bench.connect(lasting("a"));
    assert_eq!(bench.heard(a), ["CONNACK present=0 code=0x00"]);
}

#[test]
fn when_all_sessions_are_connected_a_new_one_is_refused() {
    let mut bench = Bench::with(Limits {
        sessions: 2,
        ..Limits::default()
    });
    bench.client(v5("a"));
    let b = bench.client(v5("b"));
    let c = bench.connect(v5("c"));
    assert_eq!(
        bench.heard(c),
        ["CONNACK present=0 code=0x97 (all sessions are in use: connect again later)"]
    );
    assert!(bench.is_closed(c));
    bench.client(v5("b")); // a take-over needs no room
    assert!(bench.is_closed(b));
}

#[test]
fn subscriptions_are_bounded() {
    let mut bench = Bench::with(Limits {
        subscriptions_per_session: 2,
        ..Limits::default()
    });
    let a = bench.client(v5("a"));
    let filters = ["1", "2", "3", "2"].map(|filter| request(filter, Qos::AtMostOnce));
    bench.subscribe(a, filters.to_vec());
    assert_eq!(
        bench.heard(a),
        ["SUBACK #900 0x00 0x00 0x97 0x00 (a session has at most 2 subscriptions)"]
    );
}

#[test]
fn queues_are_bounded_by_number_and_bytes() {
    for limits in [
        Limits {
            queued_messages: 3,
            ..Limits::default()
        },
        Limits {
            queued_bytes: 3 * 100,
            ..Limits::default()
        },
        Limits {
            queued_bytes_total: 3 * 100,
            ..Limits::default()
        },
    ] {
        let mut bench = Bench::with(limits);
        let (a, b) = (bench.client(lasting("a")), bench.client(v5("b")));
        bench.listen(a, "t", Qos::AtLeastOnce);
        bench.lose(a);
        for id in 1..=10 {
            bench.publish(b, publish("t", "x", id, Qos::AtLeastOnce));
        }
        assert_eq!(bench.broker.stats().dropped, 7);
        let a = bench.connect(lasting("a"));
        assert_eq!(bench.heard(a).len(), 1 + 3);
        assert_eq!(bench.broker.stats().queued_bytes, 0);
    }
}

#[test]
fn a_client_that_does_not_read_loses_qos_0_messages() {
    let mut bench = Bench::with(Limits {
        unsent_bytes: 1000,
        ..Limits::default()
    });
    let (a, b) = (bench.client(v5("a")), bench.client(v5("b")));
    bench.listen(a, "t", Qos::AtMostOnce);
    let mut out = Vec::new();
    for _ in 0..100 {
        let packet = Packet::Publish(Box::new(publish("t", &"x".repeat(100), 0, Qos::AtMostOnce)));
        bench.broker.packet(bench.now, b, packet, &mut out); // nothing is written to a's socket
    }
    assert!(out.len() < 12, "{}", out.len());
    assert!(bench.broker.stats().dropped > 80);
}

#[test]
fn messages_in_flight_are_bounded_even_if_the_client_wants_more() {
    let mut bench = Bench::with(Limits {
        in_flight: 5,
        ..Limits::default()
    });
    let (a, b) = (bench.client(v5("a")), bench.client(v5("b")));
    bench.listen(a, "t", Qos::AtLeastOnce);
    for id in 1..=20 {
        bench.publish(b, publish("t", "x", id, Qos::AtLeastOnce));
    }
    assert_eq!(bench.heard(a).len(), 5);
}

/// A retained message that does not fit is refused, and the topic's earlier one stays.
#[test]
fn retained_messages_are_bounded() {
    let mut bench = Bench::with(Limits {
        retained_messages: 2,
        ..Limits::default()
    });
    let a = bench.client(v5("a"));
    for (id, topic) in [(1, "t/1"), (2, "t/2"), (3, "t/3"), (4, "t/1")] {
        let mut message = publish(topic, "x", id, Qos::AtLeastOnce);
        message.message.retain = true;
        bench.publish(a, message);
    }
    assert_eq!(
        bench.heard(a),
        [
            "PUBACK #1 0x10",
            "PUBACK #2 0x10",
            "PUBACK #3 0x97 (there is no room for another retained message)",
            "PUBACK #4 0x10",
        ]
    );
    assert_eq!(bench.broker.stats().retained, 2);
}

#[test]
fn topics_and_identifiers_are_bounded() {
    let mut bench = Bench::new();
    let a = bench.connect(v5(&"x".repeat(257)));
    assert!(bench.heard(a)[0].starts_with("CONNACK present=0 code=0x85"));
    let b = bench.client(v5("b"));
    bench.subscribe(b, vec![request(&"a/".repeat(40), Qos::AtMostOnce)]);
    assert!(bench.heard(b)[0].starts_with("SUBACK #900 0x8f"));
    bench.publish(b, publish(&"a/".repeat(40), "x", 1, Qos::AtLeastOnce));
    assert!(bench.heard(b)[0].starts_with("DISCONNECT 0x90"));
}

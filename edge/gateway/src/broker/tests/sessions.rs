use super::*;

/// [MQTT-3.1.2-4], [MQTT-3.1.2-5], [MQTT-3.1.2-6], [MQTT-3.2.2-2], [MQTT-3.2.2-3]
#[test]
fn a_session_is_resumed_or_begun_anew() {
    let mut bench = Bench::new();
    let first = bench.connect(lasting("a"));
    assert_eq!(bench.heard(first), ["CONNACK present=0 code=0x00"]);
    bench.listen(first, "t", Qos::AtLeastOnce);
    bench.disconnect(first, 0);
    let second = bench.connect(lasting("a"));
    assert_eq!(bench.heard(second), ["CONNACK present=1 code=0x00"]);
    bench.disconnect(second, 0);
    let third = bench.connect(Connect {
        clean_start: true,
        ..lasting("a")
    });
    assert_eq!(bench.heard(third), ["CONNACK present=0 code=0x00"]);
    let b = bench.client(v5("b"));
    bench.publish(b, publish("t", "x", 0, Qos::AtMostOnce));
    assert!(
        bench.heard(third).is_empty(),
        "the subscription went with the old session"
    );
}

/// [MQTT-3.1.2-23]: the session is kept for its expiry interval after the connection.
#[test]
fn a_session_ends_after_its_expiry() {
    let mut bench = Bench::new();
    for (wait, present) in [(3599, 1), (3601, 0)] {
        let a = bench.client(lasting("a"));
        bench.lose(a);
        bench.pass(wait);
        let again = bench.connect(lasting("a"));
        assert_eq!(
            bench.heard(again),
            [format!("CONNACK present={present} code=0x00")]
        );
        bench.lose(again);
    }
    assert_eq!(bench.broker.stats().sessions, 1);
    bench.pass(4000);
    assert_eq!(bench.broker.stats().sessions, 0);
}

/// 3.1.1 §3.1.2.4: a session without the clean flag is kept; with it, it ends with the connection.
#[test]
fn old_clients_have_sessions_too() {
    let mut bench = Bench::new();
    let keep = Connect {
        clean_start: false,
        session_expiry: u32::MAX,
        ..v3("a")
    };
    let a = bench.client(keep.clone());
    bench.listen(a, "t", Qos::AtLeastOnce);
    bench.lose(a);
    let b = bench.client(v3("b"));
    bench.publish(b, publish("t", "x", 1, Qos::AtLeastOnce));
    assert_eq!(bench.heard(b), ["PUBACK #1"]);
    let a = bench.connect(keep);
    assert_eq!(
        bench.heard(a),
        ["CONNACK present=1 code=0", "PUBLISH t x qos1 #1"]
    );
    bench.lose(b);
    let b = bench.connect(v3("b"));
    assert_eq!(bench.heard(b), ["CONNACK present=0 code=0"]);
}

/// §3.2.2.3.2: the server says so when it keeps the session for less than asked.
#[test]
fn a_long_expiry_is_cut() {
    let mut bench = Bench::with(Limits {
        session_expiry_max: Duration::from_secs(100),
        ..Limits::default()
    });
    let a = bench.connect(lasting("a"));
    assert_eq!(bench.heard(a), ["CONNACK present=0 code=0x00 expiry=100"]);
    bench.lose(a);
    bench.pass(101);
    assert_eq!(bench.broker.stats().sessions, 0);
}

/// §3.14.2.2.2
#[test]
fn disconnect_may_change_the_expiry_but_not_from_zero() {
    let mut bench = Bench::new();
    let a = bench.client(lasting("a"));
    bench.send(
        a,
        Packet::Disconnect(Disconnect {
            reason: 0,
            session_expiry: Some(0),
        }),
    );
    assert_eq!(bench.broker.stats().sessions, 0);
    let b = bench.client(v5("b"));
    bench.send(
        b,
        Packet::Disconnect(Disconnect {
            reason: 0,
            session_expiry: Some(5),
        }),
    );
    assert!(bench.heard(b)[0].starts_with("DISCONNECT 0x82"));
}

/// [MQTT-4.4.0-1], [MQTT-3.3.1-1]: what was not acknowledged comes again, with DUP, in its order.
#[test]
fn unacknowledged_messages_are_sent_again_on_the_next_connection() {
    let mut bench = Bench::new();
    let a = bench.client(lasting("a"));
    bench.listen(a, "t", Qos::ExactlyOnce);
    let b = bench.client(v5("b"));
    bench.publish(b, publish("t", "one", 1, Qos::AtLeastOnce));
    bench.publish(b, publish("t", "two", 2, Qos::ExactlyOnce));
    bench.publish(b, publish("t", "three", 3, Qos::ExactlyOnce));
    assert_eq!(
        bench.heard(a),
        [
            "PUBLISH t one qos1 #1",
            "PUBLISH t two qos2 #2",
            "PUBLISH t three qos2 #3"
        ]
    );
    bench.send(a, Packet::Pubrec(2, 0));
    assert_eq!(bench.heard(a), ["PUBREL #2"]);
    bench.lose(a);
    bench.publish(b, publish("t", "four", 4, Qos::AtLeastOnce));
    let a = bench.connect(lasting("a"));
    let mut heard = bench.heard(a);
    assert_eq!(heard.remove(0), "CONNACK present=1 code=0x00");
    heard.sort(); // a PUBREL may overtake a PUBLISH; messages keep their order
    assert_eq!(
        heard,
        [
            "PUBLISH t four qos1 #4",
            "PUBLISH t one qos1 #1 dup",
            "PUBLISH t three qos2 #3 dup",
            "PUBREL #2"
        ]
    );
    // §4.3.3: a message whose PUBREC came is not sent again.
    bench.send(a, Packet::Pubcomp(2, 0));
    bench.send(a, Packet::Puback(1, 0));
    bench.lose(a);
    let a = bench.connect(lasting("a"));
    let heard = bench.heard(a);
    assert_eq!(
        heard[1..],
        ["PUBLISH t three qos2 #3 dup", "PUBLISH t four qos1 #4 dup"]
    );
}

/// §4.1: QoS 0 messages are not kept for a client that is away.
#[test]
fn what_waits_for_a_client_comes_when_it_comes() {
    let mut bench = Bench::new();
    let a = bench.client(lasting("a"));
    bench.listen(a, "t", Qos::AtLeastOnce);
    bench.lose(a);
    let b = bench.client(v5("b"));
    bench.publish(b, publish("t", "zero", 0, Qos::AtMostOnce));
    bench.publish(b, publish("t", "one", 1, Qos::AtLeastOnce));
    assert!(bench.broker.stats().queued_bytes > 0);
    let a = bench.connect(lasting("a"));
    assert_eq!(
        bench.heard(a),
        ["CONNACK present=1 code=0x00", "PUBLISH t one qos1 #1"]
    );
    assert_eq!(bench.broker.stats().queued_bytes, 0);
}

use super::*;
use crate::codec::DecodeError;

/// [MQTT-3.1.0-1]
#[test]
fn the_first_packet_is_a_connect() {
    let mut bench = Bench::new();
    let socket = bench.socket();
    bench.send(socket, Packet::Pingreq);
    assert!(bench.is_closed(socket));
    assert!(bench.heard(socket).is_empty());
}

/// [MQTT-3.1.0-2]
#[test]
fn a_second_connect_is_a_protocol_error() {
    let mut bench = Bench::new();
    let a = bench.client(v5("a"));
    bench.send(a, Packet::Connect(Box::new(v5("a"))));
    assert_eq!(bench.heard(a), ["DISCONNECT 0x82 (a second CONNECT)"]);
    assert!(bench.is_closed(a));
}

/// [MQTT-3.1.4-2], [MQTT-3.2.2-7]: refused with a code, then closed; 3.1.1 has its own codes.
#[test]
fn a_refusal_says_why() {
    let mut bench = Bench::new();
    let five = bench.connect(v5("stranger"));
    assert_eq!(
        bench.heard(five),
        ["CONNACK present=0 code=0x87 (no strangers)"]
    );
    let three = bench.connect(v3("stranger"));
    assert_eq!(bench.heard(three), ["CONNACK present=0 code=5"]);
    assert!(bench.is_closed(five) && bench.is_closed(three));
}

/// [MQTT-3.1.3-6], [MQTT-3.1.3-7]; 3.1.1 [MQTT-3.1.3-8]
#[test]
fn an_empty_identifier_gets_one() {
    let mut bench = Bench::new();
    let a = bench.connect(v5(""));
    assert_eq!(
        bench.heard(a),
        ["CONNACK present=0 code=0x00 id=hedgerow-abc-1"]
    );
    let b = bench.connect(v3(""));
    assert_eq!(bench.heard(b), ["CONNACK present=0 code=0"]);
    let c = bench.connect(Connect {
        clean_start: false,
        ..v3("")
    });
    assert_eq!(bench.heard(c), ["CONNACK present=0 code=2"]);
    assert!(bench.is_closed(c));
}

/// [MQTT-4.12.0-1]
#[test]
fn enhanced_authentication_is_refused() {
    let mut bench = Bench::new();
    let a = bench.connect(Connect {
        authentication_method: true,
        ..v5("a")
    });
    assert!(bench.heard(a)[0].starts_with("CONNACK present=0 code=0x8c"));
    let b = bench.client(v5("b"));
    bench.send(b, Packet::Auth);
    assert!(bench.heard(b)[0].starts_with("DISCONNECT 0x82"));
}

/// [MQTT-3.1.4-3]
#[test]
fn a_second_connection_takes_the_session_over() {
    let mut bench = Bench::new();
    let first = bench.client(lasting("a"));
    bench.listen(first, "t", Qos::AtLeastOnce);
    let second = bench.connect(lasting("a"));
    assert_eq!(
        bench.heard(first),
        ["DISCONNECT 0x8e (another connection uses this client identifier)"]
    );
    assert!(bench.is_closed(first));
    assert_eq!(bench.heard(second), ["CONNACK present=1 code=0x00"]);
    // The end of the first socket does not disturb the second.
    bench.lose(first);
    let b = bench.client(v5("b"));
    bench.publish(b, publish("t", "x", 0, Qos::AtMostOnce));
    assert_eq!(bench.heard(second), ["PUBLISH t x"]);
}

/// [MQTT-3.1.2-22]: one and a half times; any packet counts.
#[test]
fn a_silent_client_is_disconnected() {
    let mut bench = Bench::new();
    let a = bench.client(Connect {
        keep_alive: 10,
        ..v5("a")
    });
    bench.pass(14);
    bench.send(a, Packet::Pingreq);
    assert_eq!(bench.heard(a), ["PINGRESP"]); // [MQTT-3.12.4-1]
    bench.pass(14);
    assert!(!bench.is_closed(a));
    bench.pass(2);
    assert!(bench.is_closed(a));
    assert!(bench.heard(a)[0].starts_with("DISCONNECT 0x8d"));
}

/// §3.1.2.10: 0 turns keep-alive off.
#[test]
fn keep_alive_zero_lasts_for_ever() {
    let mut bench = Bench::new();
    let a = bench.client(v5("a"));
    bench.pass(1_000_000);
    assert!(!bench.is_closed(a));
}

/// [MQTT-3.1.2-21], [MQTT-3.2.2-22]
#[test]
fn the_server_may_shorten_keep_alive() {
    let mut bench = Bench::with(Limits {
        keep_alive_max: Some(60),
        ..Limits::default()
    });
    let a = bench.connect(Connect {
        keep_alive: 600,
        ..v5("a")
    });
    assert_eq!(
        bench.heard(a),
        ["CONNACK present=0 code=0x00 keep-alive=60"]
    );
    let b = bench.connect(v5("b"));
    assert_eq!(
        bench.heard(b),
        ["CONNACK present=0 code=0x00 keep-alive=60"]
    );
    let c = bench.connect(Connect {
        keep_alive: 30,
        ..v5("c")
    });
    assert_eq!(bench.heard(c), ["CONNACK present=0 code=0x00"]);
    bench.pass(91);
    assert!(bench.is_closed(a) && bench.is_closed(b) && bench.is_closed(c));
}

/// §3.1.4: a server closes a connection that does not send its CONNECT in a reasonable time.
#[test]
fn a_connection_without_connect_does_not_stay() {
    let mut bench = Bench::new();
    let socket = bench.socket();
    bench.pass(9);
    assert!(!bench.is_closed(socket));
    bench.pass(2);
    assert!(bench.is_closed(socket));
}

/// §4.13.1
#[test]
fn a_malformed_packet_ends_the_connection_with_its_reason() {
    let mut bench = Bench::new();
    let error = DecodeError {
        reason: Reason::PacketTooLarge,
        text: "too large".into(),
    };
    let (five, three, none) = (bench.client(v5("a")), bench.client(v3("b")), bench.socket());
    for id in [five, three, none] {
        bench.does(|broker, now, out| broker.malformed(now, id, &error, out));
        assert!(bench.is_closed(id));
    }
    assert_eq!(bench.heard(five), ["DISCONNECT 0x95 (too large)"]);
    assert!(bench.heard(three).is_empty()); // 3.1.1 has no DISCONNECT from a server
    assert!(bench.heard(none).is_empty());
}

/// [MQTT-3.1.2-2]
#[test]
fn an_unknown_protocol_level_is_answered() {
    let mut bench = Bench::new();
    let socket = bench.socket();
    bench.versions.insert(socket, Version::V3);
    let error = DecodeError {
        reason: Reason::UnsupportedProtocolVersion,
        text: "level 3".into(),
    };
    bench.does(|broker, now, out| broker.malformed(now, socket, &error, out));
    assert_eq!(bench.heard(socket), ["CONNACK present=0 code=1"]);
    assert!(bench.is_closed(socket));
}

/// §4.13.2: server shutting down.
#[test]
fn clients_are_told_that_the_server_goes_down() {
    let mut bench = Bench::new();
    let (five, three) = (bench.client(v5("a")), bench.client(v3("b")));
    bench.does(Broker::shut_down);
    assert_eq!(
        bench.heard(five),
        ["DISCONNECT 0x8b (the gateway is shutting down)"]
    );
    assert!(bench.heard(three).is_empty());
    assert!(bench.is_closed(five) && bench.is_closed(three));
}

use super::*;

/// [MQTT-3.3.2-15] to [MQTT-3.3.2-20]: properties are passed on unaltered and in their order.
#[test]
fn properties_are_forwarded() {
    let mut bench = Bench::new();
    let (a, b, old) = (
        bench.client(v5("a")),
        bench.client(v5("b")),
        bench.client(v3("c")),
    );
    bench.listen(b, "t", Qos::AtMostOnce);
    bench.listen(old, "t", Qos::AtMostOnce);
    let mut message = publish("t", "x", 0, Qos::AtMostOnce);
    message.message.properties = properties();
    bench.publish(a, message);
    assert_eq!(
        bench.heard(b),
        ["PUBLISH t x format=1 type=text/plain response=answers/7 correlation=0102 b=2 a=1 b=3"]
    );
    assert_eq!(bench.heard(old), ["PUBLISH t x"]);
}

/// §3.8.4: the lesser of the published and the granted QoS.
#[test]
fn qos_is_the_lesser_of_two() {
    let mut bench = Bench::new();
    let a = bench.client(v5("a"));
    let listeners: Vec<ConnectionId> = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]
        .into_iter()
        .enumerate()
        .map(|(at, qos)| {
            let id = bench.client(v5(&format!("b{at}")));
            bench.listen(id, "t", qos);
            id
        })
        .collect();
    bench.publish(a, publish("t", "x", 1, Qos::ExactlyOnce));
    let heard: Vec<String> = listeners.iter().flat_map(|id| bench.heard(*id)).collect();
    assert_eq!(
        heard,
        ["PUBLISH t x", "PUBLISH t x qos1 #1", "PUBLISH t x qos2 #1"]
    );
}

/// [MQTT-3.3.4-2], [MQTT-3.3.4-3], [MQTT-3.3.4-4]: once, with the greatest QoS and all identifiers.
#[test]
fn overlapping_subscriptions_give_one_copy() {
    let mut bench = Bench::new();
    let (a, b) = (bench.client(v5("a")), bench.client(v5("b")));
    for (identifier, filter, qos) in [(11, "t/#", Qos::AtMostOnce), (12, "t/+", Qos::AtLeastOnce)] {
        let requests = vec![request(filter, qos)];
        bench.send(
            b,
            Packet::Subscribe(Subscribe {
                packet_id: 5,
                identifier: Some(identifier),
                requests,
            }),
        );
    }
    bench.heard(b);
    bench.publish(a, publish("t/1", "x", 1, Qos::AtLeastOnce));
    let heard = bench.heard(b);
    assert_eq!(heard, ["PUBLISH t/1 x qos1 #1 sub=11 sub=12"]);
}

/// [MQTT-3.3.4-7], [MQTT-4.9.0-2]: never more unacknowledged than the client takes.
#[test]
fn the_clients_receive_maximum_holds_messages_back() {
    let mut bench = Bench::new();
    let (a, b) = (
        bench.client(v5("a")),
        bench.client(Connect {
            receive_maximum: 2,
            ..v5("b")
        }),
    );
    bench.listen(b, "t", Qos::ExactlyOnce);
    for (id, qos) in [
        (1, Qos::AtLeastOnce),
        (2, Qos::ExactlyOnce),
        (3, Qos::AtLeastOnce),
        (4, Qos::AtLeastOnce),
    ] {
        bench.publish(a, publish("t", &id.to_string(), id, qos));
    }
    bench.publish(a, publish("t", "zero", 0, Qos::AtMostOnce)); // QoS 0 is not held back
    assert_eq!(
        bench.heard(b),
        [
            "PUBLISH t 1 qos1 #1",
            "PUBLISH t 2 qos2 #2",
            "PUBLISH t zero"
        ]
    );
    bench.send(b, Packet::Pubrec(2, 0));
    assert_eq!(bench.heard(b), ["PUBREL #2"]);
    bench.send(b, Packet::Pubcomp(2, 0));
    assert_eq!(bench.heard(b), ["PUBLISH t 3 qos1 #3"]);
    bench.send(b, Packet::Puback(1, 0));
    assert_eq!(bench.heard(b), ["PUBLISH t 4 qos1 #4"]);
}

/// [MQTT-4.3.3-4]: after a PUBREC with an error there is no PUBREL.
#[test]
fn a_refused_qos_2_message_is_over() {
    let mut bench = Bench::new();
    let (a, b) = (
        bench.client(v5("a")),
        bench.client(Connect {
            receive_maximum: 1,
            ..v5("b")
        }),
    );
    bench.listen(b, "t", Qos::ExactlyOnce);
    bench.publish(a, publish("t", "1", 1, Qos::ExactlyOnce));
    bench.publish(a, publish("t", "2", 2, Qos::ExactlyOnce));
    bench.heard(b);
    bench.send(b, Packet::Pubrec(1, 0x97));
    assert_eq!(bench.heard(b), ["PUBLISH t 2 qos2 #2"]);
}

/// [MQTT-3.1.2-24], [MQTT-3.1.2-25]: a packet too large for the client is as good as sent.
#[test]
fn the_clients_maximum_packet_size_is_kept() {
    let mut bench = Bench::new();
    let (a, b) = (
        bench.client(v5("a")),
        bench.client(Connect {
            maximum_packet_size: Some(40),
            ..v5("b")
        }),
    );
    bench.listen(b, "t", Qos::AtLeastOnce);
    bench.publish(a, publish("t", &"x".repeat(60), 1, Qos::AtLeastOnce));
    bench.publish(a, publish("t", &"y".repeat(60), 0, Qos::AtMostOnce));
    bench.publish(a, publish("t", "z", 2, Qos::AtLeastOnce));
    assert_eq!(bench.heard(b), ["PUBLISH t z qos1 #2"]);
    assert_eq!(bench.broker.stats().dropped, 2);
}

/// [MQTT-3.4.2-2]: a reason string that makes the packet too large is left out.
#[test]
fn a_reason_string_is_left_out_where_it_does_not_fit() {
    let mut bench = Bench::new();
    let a = bench.client(Connect {
        maximum_packet_size: Some(20),
        ..v5("a")
    });
    bench.publish(a, publish("secret", "x", 1, Qos::AtLeastOnce));
    assert_eq!(bench.heard(a), ["PUBACK #1 0x87"]);
}

/// [MQTT-3.3.2-5], [MQTT-3.3.2-6]
#[test]
fn messages_expire_and_their_time_runs() {
    let mut bench = Bench::new();
    let a = bench.client(v5("a"));
    let b = bench.client(lasting("b"));
    bench.listen(b, "t", Qos::AtLeastOnce);
    bench.lose(b);
    bench.publish(
        a,
        Publish {
            expiry: Some(10),
            ..publish("t", "short", 1, Qos::AtLeastOnce)
        },
    );
    bench.publish(
        a,
        Publish {
            expiry: Some(100),
            ..publish("t", "long", 2, Qos::AtLeastOnce)
        },
    );
    bench.pass(30);
    let b = bench.connect(lasting("b"));
    assert_eq!(bench.heard(b)[1..], ["PUBLISH t long qos1 #1 expiry=70"]);
}

/// §3.3.2.3.4: aliases towards a client, never more than it takes; the oldest is given away.
#[test]
fn topic_aliases_towards_a_client() {
    let mut bench = Bench::new();
    let (a, b) = (
        bench.client(v5("a")),
        bench.client(Connect {
            topic_alias_maximum: 2,
            ..v5("b")
        }),
    );
    bench.listen(b, "#", Qos::AtMostOnce);
    for topic in ["x", "x", "y", "x", "z", "x", "y"] {
        bench.publish(a, publish(topic, "-", 0, Qos::AtMostOnce));
    }
    assert_eq!(
        bench.heard(b),
        [
            "PUBLISH x - alias=1",
            "PUBLISH  - alias=1",
            "PUBLISH y - alias=2",
            "PUBLISH  - alias=1",
            "PUBLISH z - alias=2",
            "PUBLISH  - alias=1",
            "PUBLISH y - alias=2",
        ]
    );
}

/// [MQTT-4.6.0-5], [MQTT-4.6.0-6]: the order of each topic's messages is kept.
#[test]
fn order_is_kept() {
    let mut bench = Bench::new();
    let (a, b) = (bench.client(v5("a")), bench.client(v5("b")));
    bench.listen(b, "t", Qos::AtLeastOnce);
    for id in 1..=300 {
        bench.publish(a, publish("t", &id.to_string(), id, Qos::AtLeastOnce));
    }
    let mut heard = bench.heard(b);
    for id in 1..=300 {
        bench.send(b, Packet::Puback(id, 0));
        heard.extend(bench.heard(b));
    }
    let expected: Vec<String> = (1..=300)
        .map(|id| format!("PUBLISH t {id} qos1 #{id}"))
        .collect();
    assert_eq!(heard, expected);
}

/// The application is a publisher too; its topics are read like all others.
#[test]
fn the_application_publishes() {
    let mut bench = Bench::new();
    let a = bench.client(v5("a"));
    assert!(!bench.broker.is_listened_to("news/1"));
    bench.listen(a, "news/+", Qos::AtLeastOnce);
    assert!(bench.broker.is_listened_to("news/1"));
    let message = Message::new("news/1", "x", Qos::AtLeastOnce);
    bench.does(|broker, now, out| broker.publish(now, &message, out));
    assert_eq!(bench.heard(a), ["PUBLISH news/1 x qos1 #1"]);
}

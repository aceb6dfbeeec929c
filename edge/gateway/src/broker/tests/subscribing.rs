use super::*;

const AT_MOST: Qos = Qos::AtMostOnce;

/// [MQTT-3.8.4-1], [MQTT-3.8.4-5], [MQTT-3.8.4-6], [MQTT-3.9.3-1]: one code for each filter, in order.
#[test]
fn every_filter_gets_its_answer() {
    let mut bench = Bench::new();
    let (five, three) = (bench.client(v5("a")), bench.client(v3("b")));
    let requests = || {
        vec![
            request("a", AT_MOST),
            request("b/#", Qos::AtLeastOnce),
            request("c/+", Qos::ExactlyOnce),
            request("d#", AT_MOST),
            request("secret", AT_MOST),
        ]
    };
    bench.subscribe(five, requests());
    assert_eq!(
        bench.heard(five),
        ["SUBACK #900 0x00 0x01 0x02 0x8f 0x87 (a wildcard must stand alone in its level)"]
    );
    bench.subscribe(three, requests());
    assert_eq!(bench.heard(three), ["SUBACK #900 0x00 0x01 0x02 0x80 0x80"]);
}

/// [MQTT-3.10.4-1], [MQTT-3.10.4-4], [MQTT-3.11.3-1]
#[test]
fn subscriptions_end() {
    let mut bench = Bench::new();
    let a = bench.client(v5("a"));
    bench.listen(a, "t/+", AT_MOST);
    bench.send(a, unsubscribe(&["t/1", "t/+", "+x"]));
    assert_eq!(bench.heard(a), ["UNSUBACK #901 0x11 0x00 0x8f"]);
    bench.publish(a, publish("t/1", "x", 0, AT_MOST));
    assert!(bench.heard(a).is_empty());
    let old = bench.client(v3("b"));
    bench.send(old, unsubscribe(&["t"]));
    assert_eq!(bench.heard(old), ["UNSUBACK #901"]);
}

/// [MQTT-3.3.1-5] to [MQTT-3.3.1-8]: the last retained message of a topic, RETAIN set; an empty one deletes.
#[test]
fn retained_messages_come_with_a_subscription() {
    let mut bench = Bench::new();
    let (a, b) = (bench.client(v5("a")), bench.client(v5("b")));
    bench.publish(a, retained("t/1", "old"));
    bench.publish(a, retained("t/1", "new"));
    bench.publish(a, retained("t/2", "gone"));
    bench.publish(a, retained("t/2", ""));
    bench.publish(a, retained("$x/1", "hidden"));
    bench.subscribe(b, vec![request("#", AT_MOST)]);
    assert_eq!(
        bench.heard(b),
        ["SUBACK #900 0x00", "PUBLISH t/1 new retain"]
    );
}

/// [MQTT-3.3.1-12], [MQTT-3.3.1-13]: to a subscription that is there, RETAIN as published only where asked for.
#[test]
fn retain_as_published() {
    let mut bench = Bench::new();
    let (a, b, c) = (
        bench.client(v5("a")),
        bench.client(v5("b")),
        bench.client(v5("c")),
    );
    bench.listen(b, "t", AT_MOST);
    bench.subscribe(
        c,
        vec![SubscribeRequest {
            retain_as_published: true,
            ..request("t", AT_MOST)
        }],
    );
    bench.heard(c);
    bench.publish(a, retained("t", "x"));
    bench.publish(a, publish("t", "y", 0, AT_MOST));
    assert_eq!(bench.heard(b), ["PUBLISH t x", "PUBLISH t y"]);
    assert_eq!(bench.heard(c), ["PUBLISH t x retain", "PUBLISH t y"]);
}

/// [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11], [MQTT-3.8.4-4]
#[test]
fn retain_handling() {
    let mut bench = Bench::new();
    let a = bench.client(v5("a"));
    bench.publish(a, retained("t", "x"));
    let with = |retain_handling| {
        vec![SubscribeRequest {
            retain_handling,
            ..request("t", AT_MOST)
        }]
    };
    let suback = "SUBACK #900 0x00";
    bench.subscribe(a, with(RetainHandling::DoNotSend));
    assert_eq!(bench.heard(a), [suback]);
    bench.subscribe(a, with(RetainHandling::SendIfNew));
    assert_eq!(bench.heard(a), [suback], "the subscription was there");
    bench.subscribe(a, with(RetainHandling::Send));
    assert_eq!(bench.heard(a), [suback, "PUBLISH t x retain"]);
    bench.send(a, unsubscribe(&["t"]));
    bench.subscribe(a, with(RetainHandling::SendIfNew));
    assert_eq!(bench.heard(a)[1..], [suback, "PUBLISH t x retain"]);
}

/// [MQTT-3.3.2-5] for retained messages
#[test]
fn retained_messages_expire() {
    let mut bench = Bench::new();
    let a = bench.client(v5("a"));
    bench.publish(
        a,
        Publish {
            expiry: Some(60),
            ..retained("t", "x")
        },
    );
    bench.pass(20);
    bench.subscribe(a, vec![request("t", AT_MOST)]);
    assert_eq!(bench.heard(a)[1..], ["PUBLISH t x retain expiry=40"]);
    bench.pass(50);
    bench.subscribe(a, vec![request("t", AT_MOST)]);
    assert_eq!(bench.heard(a).len(), 1);
}

/// [MQTT-3.8.3-3]
#[test]
fn no_local() {
    let mut bench = Bench::new();
    let (a, b) = (bench.client(v5("a")), bench.client(v5("b")));
    bench.subscribe(
        a,
        vec![SubscribeRequest {
            no_local: true,
            ..request("t", AT_MOST)
        }],
    );
    bench.heard(a);
    bench.publish(a, publish("t", "own", 0, AT_MOST));
    bench.publish(b, publish("t", "other", 0, AT_MOST));
    assert_eq!(bench.heard(a), ["PUBLISH t other"]);
}

/// [MQTT-3.8.3-4]
#[test]
fn no_local_on_a_shared_subscription_is_a_protocol_error() {
    let mut bench = Bench::new();
    let a = bench.client(v5("a"));
    bench.subscribe(
        a,
        vec![SubscribeRequest {
            no_local: true,
            ..request("$share/g/t", AT_MOST)
        }],
    );
    assert!(bench.heard(a)[0].starts_with("DISCONNECT 0x82"));
}

/// [MQTT-3.8.4-3]: a second SUBSCRIBE with the same filter replaces the first.
#[test]
fn a_subscription_is_replaced() {
    let mut bench = Bench::new();
    let a = bench.client(v5("a"));
    for (identifier, qos) in [(1, AT_MOST), (2, Qos::AtLeastOnce)] {
        let requests = vec![request("t", qos)];
        bench.send(
            a,
            Packet::Subscribe(Subscribe {
                packet_id: 5,
                identifier: Some(identifier),
                requests,
            }),
        );
    }
    bench.heard(a);
    bench.publish(a, publish("t", "x", 3, Qos::AtLeastOnce));
    assert_eq!(bench.heard(a), ["PUBLISH t x qos1 #1 sub=2", "PUBACK #3"]);
}

/// §4.8.2: each message to one member of the share, and to every other subscriber.
#[test]
fn shared_subscriptions_share() {
    let mut bench = Bench::new();
    let publisher = bench.client(v5("p"));
    let members: Vec<ConnectionId> = (0..3)
        .map(|at| bench.client(v5(&format!("m{at}"))))
        .collect();
    for member in &members {
        bench.listen(*member, "$share/g/t/+", AT_MOST);
    }
    let alone = bench.client(v5("alone"));
    bench.listen(alone, "t/#", AT_MOST);
    for at in 0..6 {
        bench.publish(publisher, publish("t/1", &at.to_string(), 0, AT_MOST));
    }
    let counts: Vec<usize> = members
        .iter()
        .map(|member| bench.heard(*member).len())
        .collect();
    assert_eq!(counts, [2, 2, 2]);
    assert_eq!(bench.heard(alone).len(), 6);
    // Who is away gets none as long as another is there.
    bench.lose(members[0]);
    bench.lose(members[1]);
    bench.publish(publisher, publish("t/1", "last", 0, AT_MOST));
    assert_eq!(bench.heard(members[2]), ["PUBLISH t/1 last"]);
    bench.send(members[2], unsubscribe(&["$share/g/t/+"]));
    assert_eq!(bench.heard(members[2]), ["UNSUBACK #901 0x00"]);
}

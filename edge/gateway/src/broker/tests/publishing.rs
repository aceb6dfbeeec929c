use super::*;

const AT: Qos = Qos::AtLeastOnce;

/// [MQTT-4.3.2-4], [MQTT-4.3.3-8]: acknowledged by QoS; nobody listens, which MQTT 5 says.
#[test]
fn messages_are_acknowledged_by_their_qos() {
    let mut bench = Bench::new();
    let (five, three) = (bench.client(v5("a")), bench.client(v3("b")));
    for (id, one, two) in [
        (five, "PUBACK #1 0x10", "PUBREC #2 0x10"),
        (three, "PUBACK #1", "PUBREC #2"),
    ] {
        bench.publish(id, publish("t", "x", 0, Qos::AtMostOnce));
        bench.publish(id, publish("t", "x", 1, AT));
        bench.publish(id, publish("t", "x", 2, Qos::ExactlyOnce));
        bench.send(id, Packet::Pubrel(2, 0));
        assert_eq!(bench.heard(id), [one, two, "PUBCOMP #2"]);
    }
}

/// [MQTT-4.3.3-10], [MQTT-4.3.3-12]: until PUBREL the identifier names one message; after it, a new one.
#[test]
fn a_qos_2_message_is_taken_once() {
    let mut bench = Bench::new();
    let (a, b) = (bench.client(lasting("a")), bench.client(v5("b")));
    bench.listen(b, "t", Qos::AtMostOnce);
    bench.publish(a, publish("t", "x", 7, Qos::ExactlyOnce));
    bench.publish(
        a,
        Publish {
            dup: true,
            ..publish("t", "x", 7, Qos::ExactlyOnce)
        },
    );
    bench.lose(a);
    let a = bench.client(lasting("a"));
    bench.publish(
        a,
        Publish {
            dup: true,
            ..publish("t", "x", 7, Qos::ExactlyOnce)
        },
    );
    assert_eq!(bench.heard(b), ["PUBLISH t x"]);
    assert_eq!(bench.heard(a), ["PUBREC #7"]);
    bench.send(a, Packet::Pubrel(7, 0));
    bench.send(a, Packet::Pubrel(7, 0));
    assert_eq!(bench.heard(a), ["PUBCOMP #7", "PUBCOMP #7 0x92"]);
    bench.publish(a, publish("t", "y", 7, Qos::ExactlyOnce));
    assert_eq!(bench.heard(b), ["PUBLISH t y"]);
}

/// [MQTT-3.3.2-2]: no wildcard in a topic name.
#[test]
fn a_wildcard_in_a_topic_name_ends_the_connection() {
    let mut bench = Bench::new();
    let a = bench.client(v5("a"));
    bench.publish(a, publish("t/+", "x", 1, AT));
    assert!(bench.heard(a)[0].starts_with("DISCONNECT 0x90"));
    assert!(bench.is_closed(a));
}

/// [MQTT-3.3.5-2] of 3.1.1, §4.13.2 of 5
#[test]
fn what_is_not_allowed_is_said_where_it_can_be() {
    let mut bench = Bench::new();
    let (five, three) = (bench.client(v5("a")), bench.client(v3("b")));
    bench.publish(five, publish("secret", "x", 1, AT));
    bench.publish(five, publish("secret", "x", 2, Qos::ExactlyOnce));
    assert_eq!(
        bench.heard(five),
        [
            "PUBACK #1 0x87 (it is secret)",
            "PUBREC #2 0x87 (it is secret)"
        ]
    );
    bench.send(five, Packet::Pubrel(2, 0));
    assert_eq!(bench.heard(five), ["PUBCOMP #2 0x92"]);
    bench.publish(three, publish("secret", "x", 1, AT));
    assert_eq!(bench.heard(three), ["PUBACK #1"]);
}

/// [MQTT-3.1.2-29]: no reason strings for a client that does not want them.
#[test]
fn problem_information_can_be_turned_off() {
    let mut bench = Bench::new();
    let a = bench.client(Connect {
        problem_information: false,
        ..v5("a")
    });
    bench.publish(a, publish("secret", "x", 1, AT));
    assert_eq!(bench.heard(a), ["PUBACK #1 0x87"]);
}

/// [MQTT-3.3.2-8], [MQTT-3.3.2-9], §3.3.2.3.4
#[test]
fn topic_aliases_from_a_client() {
    let mut bench = Bench::with(Limits {
        topic_aliases: 2,
        ..Limits::default()
    });
    let (a, b) = (bench.client(v5("a")), bench.client(v5("b")));
    bench.listen(b, "#", Qos::AtMostOnce);
    let alias = |topic: &str, payload: &str, alias| Publish {
        topic_alias: Some(alias),
        ..publish(topic, payload, 0, Qos::AtMostOnce)
    };
    bench.publish(a, alias("t", "1", 1));
    bench.publish(a, alias("", "2", 1));
    bench.publish(a, alias("u", "3", 1));
    bench.publish(a, alias("", "4", 1));
    assert_eq!(
        bench.heard(b),
        ["PUBLISH t 1", "PUBLISH t 2", "PUBLISH u 3", "PUBLISH u 4"]
    );
    bench.publish(a, alias("", "5", 2));
    assert!(bench.heard(a)[0].starts_with("DISCONNECT 0x82"));
    let a = bench.client(v5("a"));
    bench.publish(a, alias("", "6", 1)); // aliases end with the connection
    assert!(bench.heard(a)[0].starts_with("DISCONNECT 0x82"));
    let a = bench.client(v5("a"));
    bench.publish(a, alias("t", "7", 3));
    assert!(bench.heard(a)[0].starts_with("DISCONNECT 0x94"));
}

/// [MQTT-3.3.4-7], [MQTT-3.3.4-9]
#[test]
fn the_receive_maximum_is_enforced() {
    let mut bench = Bench::with(Limits {
        receive_maximum: 2,
        ..Limits::default()
    });
    let a = bench.client(v5("a"));
    bench.publish(a, publish("app/x", "1", 1, AT));
    bench.publish(a, publish("app/x", "2", 2, AT));
    let (first, _) = bench.publications[0].clone();
    bench.resolve(first, &Verdict::Accepted);
    bench.publish(a, publish("app/x", "3", 3, AT));
    assert_eq!(bench.heard(a), ["PUBACK #1"]);
    bench.publish(a, publish("app/x", "4", 4, AT));
    assert!(bench.heard(a)[0].starts_with("DISCONNECT 0x93"));
}

/// §4.9: QoS 2 counts until PUBCOMP.
#[test]
fn a_qos_2_exchange_counts_until_its_end() {
    let mut bench = Bench::with(Limits {
        receive_maximum: 1,
        ..Limits::default()
    });
    let a = bench.client(v5("a"));
    bench.publish(a, publish("t", "1", 1, Qos::ExactlyOnce));
    bench.send(a, Packet::Pubrel(1, 0));
    bench.publish(a, publish("t", "2", 2, Qos::ExactlyOnce));
    assert!(!bench.is_closed(a));
    bench.publish(a, publish("t", "3", 3, AT));
    assert!(bench.is_closed(a));
}

/// The acknowledgement waits for the application: PUBACK and PUBREC mean "durable".
#[test]
fn the_application_decides_when_a_message_is_acknowledged() {
    let mut bench = Bench::new();
    let a = bench.client(v5("a"));
    bench.publish(a, publish("app/x", "1", 1, AT));
    bench.publish(a, publish("app/x", "2", 2, Qos::ExactlyOnce));
    bench.publish(
        a,
        Publish {
            dup: true,
            ..publish("app/x", "2", 2, Qos::ExactlyOnce)
        },
    );
    bench.publish(a, publish("app/x", "3", 3, AT));
    bench.publish(a, publish("app/x", "4", 4, AT));
    assert!(bench.heard(a).is_empty());
    let texts: Vec<&str> = bench
        .publications
        .iter()
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(texts, ["app/x 1", "app/x 2", "app/x 3", "app/x 4"]);
    let ids: Vec<PublicationId> = bench.publications.iter().map(|(id, _)| *id).collect();
    bench.resolve(ids[0], &Verdict::Accepted);
    bench.resolve(ids[1], &Verdict::Accepted);
    bench.resolve(
        ids[2],
        &Verdict::Refused(Reason::PayloadFormatInvalid, "malformed".into()),
    );
    bench.resolve(
        ids[3],
        &Verdict::Later(Reason::QuotaExceeded, "full".into()),
    );
    assert_eq!(
        bench.heard(a),
        [
            "PUBACK #1",
            "PUBREC #2",
            "PUBACK #3 0x99 (malformed)",
            "PUBACK #4 0x97 (full)"
        ]
    );
    bench.send(a, Packet::Pubrel(2, 0));
    assert_eq!(bench.heard(a), ["PUBCOMP #2"]);
}

/// 3.1.1 [MQTT-3.3.5-2]: acknowledge what never will be taken, close where it may be taken later.
#[test]
fn an_old_client_is_acknowledged_or_disconnected() {
    let mut bench = Bench::new();
    let a = bench.client(v3("a"));
    bench.publish(a, publish("app/x", "1", 1, AT));
    bench.publish(a, publish("app/x", "2", 2, Qos::ExactlyOnce));
    bench.publish(a, publish("app/x", "3", 3, AT));
    let ids: Vec<PublicationId> = bench.publications.iter().map(|(id, _)| *id).collect();
    let refused = Verdict::Refused(Reason::PayloadFormatInvalid, "malformed".into());
    bench.resolve(ids[0], &refused);
    bench.resolve(ids[1], &refused);
    bench.send(a, Packet::Pubrel(2, 0));
    assert_eq!(bench.heard(a), ["PUBACK #1", "PUBREC #2", "PUBCOMP #2"]);
    bench.resolve(
        ids[2],
        &Verdict::Later(Reason::QuotaExceeded, "full".into()),
    );
    assert!(bench.heard(a).is_empty());
    assert!(bench.is_closed(a));
}

/// The answer to a QoS 2 message that comes while the client is away is not lost.
#[test]
fn an_answer_for_a_client_that_was_away() {
    let mut bench = Bench::new();
    let a = bench.client(lasting("a"));
    bench.publish(a, publish("app/x", "1", 1, AT));
    bench.publish(a, publish("app/x", "2", 2, Qos::ExactlyOnce));
    bench.publish(a, publish("app/x", "3", 3, Qos::ExactlyOnce));
    bench.lose(a);
    let ids: Vec<PublicationId> = bench.publications.iter().map(|(id, _)| *id).collect();
    bench.resolve(ids[0], &Verdict::Accepted);
    bench.resolve(ids[1], &Verdict::Accepted);
    let a = bench.client(lasting("a"));
    for (payload, id, qos) in [
        ("1", 1, AT),
        ("2", 2, Qos::ExactlyOnce),
        ("3", 3, Qos::ExactlyOnce),
    ] {
        bench.publish(
            a,
            Publish {
                dup: true,
                ..publish("app/x", payload, id, qos)
            },
        );
    }
    assert_eq!(
        bench.publications.len(),
        4,
        "only the QoS 1 message came again"
    );
    bench.resolve(ids[2], &Verdict::Accepted);
    bench.resolve(bench.publications[3].0, &Verdict::Accepted);
    assert_eq!(bench.heard(a), ["PUBACK #1", "PUBREC #2", "PUBREC #3"]);
}

/// An old client knows no Receive Maximum: it is read no further while too much waits.
#[test]
fn an_old_client_that_sends_too_much_is_not_read() {
    let mut bench = Bench::with(Limits {
        receive_maximum: 2,
        ..Limits::default()
    });
    let a = bench.client(Connect {
        keep_alive: 10,
        ..v3("a")
    });
    bench.publish(a, publish("app/x", "1", 1, AT));
    assert!(bench.paused.is_empty());
    bench.publish(a, publish("app/x", "2", 2, AT));
    assert!(bench.paused.contains(&a));
    bench.pass(100); // its silence is ours
    assert!(!bench.is_closed(a));
    let (first, _) = bench.publications[0].clone();
    bench.resolve(first, &Verdict::Accepted);
    assert!(bench.paused.is_empty());
}

/// [MQTT-4.6.0-2], [MQTT-4.6.0-3]: acknowledgements have the order of the messages.
#[test]
fn acknowledgements_keep_the_order_of_the_messages() {
    for (client, nobody) in [(v5("a"), " 0x10"), (v3("a"), "")] {
        let mut bench = Bench::new();
        let a = bench.client(client);
        bench.publish(a, publish("app/x", "1", 1, AT));
        bench.publish(a, publish("t", "2", 2, AT));
        bench.publish(a, publish("app/x", "3", 3, Qos::ExactlyOnce));
        bench.publish(a, publish("t", "4", 4, Qos::ExactlyOnce));
        let ids: Vec<PublicationId> = bench.publications.iter().map(|(id, _)| *id).collect();
        bench.resolve(ids[1], &Verdict::Accepted);
        assert!(bench.heard(a).is_empty());
        bench.resolve(ids[0], &Verdict::Accepted);
        let expected = [
            "PUBACK #1".into(),
            format!("PUBACK #2{nobody}"),
            "PUBREC #3".into(),
            format!("PUBREC #4{nobody}"),
        ];
        assert_eq!(bench.heard(a), expected);
    }
}

/// An old client's plain messages wait behind a record's answer within the same bound.
#[test]
fn answers_that_wait_are_bounded() {
    let mut bench = Bench::with(Limits {
        receive_maximum: 3,
        ..Limits::default()
    });
    let a = bench.client(v3("a"));
    bench.publish(a, publish("app/x", "1", 1, AT));
    bench.publish(a, publish("t", "2", 2, AT));
    assert!(bench.paused.is_empty());
    bench.publish(a, publish("t", "3", 3, AT));
    assert!(bench.paused.contains(&a));
    let (first, _) = bench.publications[0].clone();
    bench.resolve(first, &Verdict::Accepted);
    assert_eq!(bench.heard(a), ["PUBACK #1", "PUBACK #2", "PUBACK #3"]);
    assert!(bench.paused.is_empty());
}

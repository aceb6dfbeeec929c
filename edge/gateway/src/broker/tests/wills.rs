use super::*;

fn watcher(bench: &mut Bench) -> ConnectionId {
    let watcher = bench.client(v5("watcher"));
    bench.listen(watcher, "wills/#", Qos::AtMostOnce);
    watcher
}

/// [MQTT-3.1.2-8], [MQTT-3.1.2-10], [MQTT-3.14.4-3]
#[test]
fn a_will_is_published_on_loss_and_dropped_on_a_normal_end() {
    let mut bench = Bench::new();
    let watcher = watcher(&mut bench);
    let with_will = || Connect {
        will: will("wills/a", "lost", 0),
        ..v5("a")
    };
    let a = bench.client(with_will());
    bench.disconnect(a, 0);
    bench.lose(a);
    assert!(bench.heard(watcher).is_empty());
    let a = bench.client(with_will());
    bench.lose(a);
    assert_eq!(bench.heard(watcher), ["PUBLISH wills/a lost"]);
    let a = bench.client(with_will());
    bench.disconnect(a, 0x04); // §3.14.2.1: disconnect with will message
    assert_eq!(bench.heard(watcher), ["PUBLISH wills/a lost"]);
    let a = bench.client(Connect {
        keep_alive: 1,
        ..with_will()
    });
    bench.pass(2);
    assert!(bench.is_closed(a));
    assert_eq!(bench.heard(watcher), ["PUBLISH wills/a lost"]);
    let a = bench.client(with_will());
    bench.publish(a, publish("+", "x", 1, Qos::AtLeastOnce));
    assert_eq!(
        bench.heard(watcher),
        ["PUBLISH wills/a lost"],
        "closed for a protocol error"
    );
}

/// §3.1.3.2.2, [MQTT-3.1.3-9]: after the delay, or when the session ends; not when the client is back in time.
#[test]
fn a_will_can_wait() {
    let mut bench = Bench::new();
    let watcher = watcher(&mut bench);
    let with_will = |delay| Connect {
        will: will("wills/a", "lost", delay),
        ..lasting("a")
    };
    let a = bench.client(with_will(60));
    bench.lose(a);
    bench.pass(59);
    assert!(bench.heard(watcher).is_empty());
    let a = bench.client(with_will(60));
    bench.pass(10);
    assert!(bench.heard(watcher).is_empty(), "back in time");
    bench.lose(a);
    bench.pass(61);
    assert_eq!(bench.heard(watcher), ["PUBLISH wills/a lost"]);
    // The session ends first.
    let a = bench.client(Connect {
        session_expiry: 10,
        ..with_will(60)
    });
    bench.lose(a);
    bench.pass(11);
    assert_eq!(bench.heard(watcher), ["PUBLISH wills/a lost"]);
    // A clean start ends the session.
    let a = bench.client(with_will(60));
    bench.lose(a);
    bench.client(Connect {
        clean_start: true,
        ..lasting("a")
    });
    assert_eq!(bench.heard(watcher), ["PUBLISH wills/a lost"]);
}

/// §3.1.4, §3.1.3.2.2: a take-over is a loss of the first connection.
#[test]
fn a_take_over_publishes_the_will_unless_it_waits() {
    let mut bench = Bench::new();
    let watcher = watcher(&mut bench);
    bench.client(Connect {
        will: will("wills/a", "lost", 0),
        ..lasting("a")
    });
    bench.client(lasting("a"));
    assert_eq!(bench.heard(watcher), ["PUBLISH wills/a lost"]);
    bench.client(Connect {
        will: will("wills/a", "lost", 60),
        ..lasting("a")
    });
    bench.client(lasting("a"));
    bench.pass(100);
    assert!(bench.heard(watcher).is_empty());
}

/// [MQTT-3.1.2-14], [MQTT-3.1.2-15]
#[test]
fn a_will_can_be_retained() {
    let mut bench = Bench::new();
    let mut last = will("wills/a", "lost", 0);
    last.as_mut().unwrap().message.retain = true;
    let a = bench.client(Connect {
        will: last,
        ..v5("a")
    });
    bench.lose(a);
    let b = bench.client(v5("b"));
    bench.subscribe(b, vec![request("wills/+", Qos::AtMostOnce)]);
    assert_eq!(bench.heard(b)[1..], ["PUBLISH wills/a lost retain"]);
}

/// A will to a topic that the client may not publish to is refused with the connection.
#[test]
fn a_will_needs_permission() {
    let mut bench = Bench::new();
    let a = bench.connect(Connect {
        will: will("secret", "x", 0),
        ..v5("a")
    });
    assert_eq!(
        bench.heard(a),
        ["CONNACK present=0 code=0x87 (it is secret)"]
    );
    let b = bench.connect(Connect {
        will: will("a/#", "x", 0),
        ..v5("b")
    });
    assert!(bench.heard(b)[0].starts_with("CONNACK present=0 code=0x90"));
}

/// A will may be a record for the application.
#[test]
fn a_will_can_go_to_the_application() {
    let mut bench = Bench::new();
    let a = bench.client(Connect {
        will: will("app/x", "bye", 0),
        ..v5("a")
    });
    bench.lose(a);
    assert_eq!(bench.publications.len(), 1);
    let (id, text) = bench.publications[0].clone();
    assert_eq!(text, "app/x bye");
    bench.resolve(id, &Verdict::Accepted);
}

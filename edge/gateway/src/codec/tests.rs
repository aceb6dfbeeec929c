//! Bytes that are not MQTT, and bytes that are.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn body(hexadecimal: &str) -> Bytes {
    hex::decode(hexadecimal.replace(' ', "")).unwrap().into()
}

fn read(version: Version, header: u8, hexadecimal: &str) -> Result<Packet, DecodeError> {
    decode(Some(version), header, &body(hexadecimal))
}

fn reason(version: Version, header: u8, hexadecimal: &str) -> Reason {
    read(version, header, hexadecimal)
        .expect_err("it is wrong")
        .reason
}

const MALFORMED: Reason = Reason::MalformedPacket;
const PROTOCOL: Reason = Reason::ProtocolError;

/// The variable header of a CONNECT of MQTT 5 with these flags, keep-alive 60, no properties, identifier "a".
fn connect_5(flags: &str, rest: &str) -> String {
    format!("0004 4d515454 05 {flags} 003c 00 0001 61 {rest}")
}

fn connect(hexadecimal: &str) -> Result<Connect, DecodeError> {
    match decode(None, 0x10, &body(hexadecimal))? {
        Packet::Connect(connect) => Ok(*connect),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connect_is_read() {
    let plain = connect(&connect_5("02", "")).unwrap();
    assert_eq!(
        (plain.version, plain.client_id.as_str(), plain.keep_alive),
        (Version::V5, "a", 60)
    );
    assert!(plain.clean_start);
    // Will with QoS 1 and retain, a delay of 5 s, user name "u", password "p".
    let full = connect(&connect_5(
        "ee",
        "05 18 00000005 0001 74 0001 6d 0001 75 0001 70",
    ))
    .unwrap();
    let will = full.will.unwrap();
    assert_eq!(
        (will.delay, &*will.message.topic, will.message.qos),
        (5, "t", Qos::AtLeastOnce)
    );
    assert!(will.message.retain);
    assert_eq!(
        (full.user_name.as_deref(), full.password.as_deref()),
        (Some("u"), Some(&b"p"[..]))
    );
    // MQTT 5 §3.1.2.9: a password without a user name.
    let token = connect(&connect_5("42", "0001 70")).unwrap();
    assert_eq!(
        (token.user_name, token.password.as_deref()),
        (None, Some(&b"p"[..]))
    );
}

/// [MQTT-3.1.2-1] to [MQTT-3.1.2-3], [MQTT-3.1.2-11] to [MQTT-3.1.2-13]; 3.1.1 [MQTT-3.1.2-22]
#[test]
fn a_wrong_connect_is_refused() {
    let wrong = |text: &str| connect(text).expect_err("it is wrong").reason;
    assert_eq!(wrong(&connect_5("03", "")), MALFORMED); // reserved flag
    assert_eq!(wrong(&connect_5("0a", "")), MALFORMED); // will QoS without a will
    assert_eq!(wrong(&connect_5("22", "")), MALFORMED); // will retain without a will
    assert_eq!(wrong(&connect_5("1e", "00 0001 74 0000")), MALFORMED); // will QoS 3
    assert_eq!(wrong(&connect_5("02", "00")), MALFORMED); // a byte too many
    assert_eq!(wrong("0004 4d515454 04 42 003c 0001 61 0001 70"), MALFORMED); // 3.1.1: password without user name
    assert_eq!(
        wrong("0004 4d515454 06 02 003c 0001 61"),
        Reason::UnsupportedProtocolVersion
    );
    assert_eq!(
        wrong("0006 4d514973 6470 03 02 003c 0001 61"),
        Reason::UnsupportedProtocolVersion
    );
    assert_eq!(wrong("0004 58585858 05 02 003c 00 0001 61"), PROTOCOL);
    assert_eq!(wrong("0004"), MALFORMED);
    assert_eq!(
        decode(None, 0xc0, &Bytes::new()).unwrap_err().reason,
        PROTOCOL
    ); // [MQTT-3.1.0-1]
    // Receive Maximum 0 (§3.1.2.11.3), and a property twice.
    assert!(connect("0004 4d515454 05 02 003c 03 210000 0001 61").is_err());
    assert_eq!(
        wrong("0004 4d515454 05 02 003c 06 210001 210001 0001 61"),
        PROTOCOL
    );
}

/// [MQTT-2.1.3-1]: reserved flags
#[test]
fn reserved_flags_are_checked() {
    for header in [0x11, 0x41, 0x60, 0x80, 0xa0, 0xc1, 0xe8] {
        assert_eq!(
            reason(Version::V5, header, "0001"),
            MALFORMED,
            "{header:#x}"
        );
    }
}

/// [MQTT-2.2.1-3], [MQTT-3.3.1-2], [MQTT-3.3.1-4], [MQTT-3.3.2-14], [MQTT-3.3.4-6]
#[test]
fn a_wrong_publish_is_refused() {
    let Packet::Publish(publish) = read(Version::V5, 0x3b, "0001 74 0007 00 6869").unwrap() else {
        panic!()
    };
    assert_eq!(
        (publish.packet_id, publish.dup, publish.message.retain),
        (Some(7), true, true)
    );
    assert_eq!(&publish.message.payload[..], b"hi");
    let Packet::Publish(publish) = read(Version::V3, 0x30, "0001 74").unwrap() else {
        panic!()
    };
    assert!(publish.message.payload.is_empty());
    assert_eq!(reason(Version::V5, 0x36, "0001 74 0007 00"), MALFORMED); // QoS 3
    assert_eq!(reason(Version::V5, 0x38, "0001 74 00"), MALFORMED); // DUP with QoS 0
    assert_eq!(reason(Version::V5, 0x32, "0001 74 0000 00"), PROTOCOL); // packet identifier 0
    assert_eq!(reason(Version::V5, 0x30, "0001 74"), MALFORMED); // no property length
    assert_eq!(reason(Version::V5, 0x30, "0001 74 02 0b05"), PROTOCOL); // subscription identifier
    assert_eq!(reason(Version::V5, 0x30, "0001 74 04 0800012b"), PROTOCOL); // response topic "+"
    assert_eq!(reason(Version::V5, 0x30, "0001 00 00"), MALFORMED); // U+0000
    assert_eq!(reason(Version::V5, 0x30, "0001 ff 00"), MALFORMED); // not UTF-8
    assert_eq!(reason(Version::V5, 0x30, "0009 74"), MALFORMED);
    assert!(read(Version::V5, 0x30, "0001 74 03 230000").is_err()); // topic alias 0
}

/// [MQTT-3.8.3-2], [MQTT-3.8.3-5], §3.8.2.1.2; 3.1.1 [MQTT-3.8.3-4]
#[test]
fn a_wrong_subscribe_is_refused() {
    let Packet::Subscribe(subscribe) = read(Version::V5, 0x82, "0007 02 0b05 0001 74 2d").unwrap()
    else {
        panic!()
    };
    let request = &subscribe.requests[0];
    assert_eq!(
        (subscribe.identifier, request.qos, request.no_local),
        (Some(5), Qos::AtLeastOnce, true)
    );
    assert!(request.retain_as_published);
    assert_eq!(request.retain_handling, RetainHandling::DoNotSend);
    assert_eq!(reason(Version::V5, 0x82, "0007 00"), PROTOCOL); // no filter
    assert_eq!(reason(Version::V5, 0x82, "0000 00 0001 74 00"), PROTOCOL);
    assert_eq!(reason(Version::V5, 0x82, "0007 00 0001 74 03"), MALFORMED); // QoS 3
    assert_eq!(reason(Version::V5, 0x82, "0007 00 0001 74 40"), MALFORMED); // reserved
    assert_eq!(reason(Version::V5, 0x82, "0007 00 0001 74 30"), MALFORMED); // retain handling 3
    assert_eq!(
        reason(Version::V5, 0x82, "0007 04 0b05 0b06 0001 74 00"),
        PROTOCOL
    );
    assert_eq!(reason(Version::V3, 0x82, "0007 0001 74 04"), MALFORMED);
    assert_eq!(reason(Version::V5, 0xa2, "0007 00"), PROTOCOL); // UNSUBSCRIBE without a filter
}

#[test]
fn the_rest_is_read() {
    assert_eq!(
        read(Version::V3, 0x40, "0007").unwrap(),
        Packet::Puback(7, 0)
    );
    assert_eq!(
        read(Version::V5, 0x50, "0007 97").unwrap(),
        Packet::Pubrec(7, 0x97)
    );
    assert_eq!(
        read(Version::V5, 0x62, "0007").unwrap(),
        Packet::Pubrel(7, 0)
    );
    assert_eq!(
        read(Version::V5, 0x70, "0007 92 00").unwrap(),
        Packet::Pubcomp(7, 0x92)
    );
    assert_eq!(read(Version::V5, 0xc0, "").unwrap(), Packet::Pingreq);
    let Packet::Disconnect(disconnect) = read(Version::V5, 0xe0, "04 05 1100000009").unwrap()
    else {
        panic!()
    };
    assert_eq!((disconnect.reason, disconnect.session_expiry), (4, Some(9)));
    assert_eq!(reason(Version::V3, 0xe0, "00"), MALFORMED);
    assert_eq!(reason(Version::V3, 0xf0, ""), PROTOCOL); // AUTH is MQTT 5's
    assert_eq!(reason(Version::V5, 0x20, "0000"), PROTOCOL); // a server's packet
    assert_eq!(reason(Version::V5, 0x00, ""), PROTOCOL);
}

/// [MQTT-1.5.5-1], §3.1.2.11.4
#[test]
fn frames_are_cut_within_bounds() {
    let mut framer = Framer::new(100);
    framer
        .buffer()
        .extend_from_slice(&[0xc0, 0x00, 0x30, 0x03, 0x00]);
    assert_eq!(framer.next_packet().unwrap(), Some((0xc0, Bytes::new())));
    assert_eq!(framer.next_packet().unwrap(), None);
    framer.buffer().extend_from_slice(&[0x01, 0x74, 0xc0]);
    assert_eq!(
        framer.next_packet().unwrap(),
        Some((0x30, Bytes::from_static(&[0, 1, 0x74])))
    );
    assert_eq!(framer.next_packet().unwrap(), None);
    let wrong = |bytes: &[u8]| {
        let mut framer = Framer::new(100);
        framer.buffer().extend_from_slice(bytes);
        framer.next_packet().unwrap_err().reason
    };
    assert_eq!(wrong(&[0x30, 99]), Reason::PacketTooLarge); // before it has come
    assert_eq!(
        wrong(&[0x30, 0xff, 0xff, 0xff, 0x7f]),
        Reason::PacketTooLarge
    );
    assert_eq!(wrong(&[0x30, 0xff, 0xff, 0xff, 0xff]), MALFORMED);
    assert_eq!(wrong(&[0xc0, 0x80, 0x00]), MALFORMED);
    let mut framer = Framer::new(100);
    framer.buffer().extend_from_slice(&[0x30, 98]);
    assert_eq!(framer.next_packet().unwrap(), None); // 100 bytes are allowed
}

proptest! {
    /// Whatever comes, it is a packet or an error.
    #[test]
    fn nothing_crashes_the_decoder(header: u8, bytes in prop::collection::vec(any::<u8>(), 0..200), five: bool) {
        let version = if five { Version::V5 } else { Version::V3 };
        let body = Bytes::from(bytes);
        let _ = decode(Some(version), header, &body);
        let _ = decode(Some(version), 0x82, &body);
        let _ = decode(Some(version), 0x32, &body);
        let _ = decode(None, 0x10, &body);
    }

    /// A CONNECT with its bytes changed: the fields behind the beginning are reached, too.
    #[test]
    fn nothing_crashes_the_reading_of_a_connect(
        rest in prop::collection::vec(any::<u8>(), 0..100), flags: u8, five: bool,
    ) {
        let mut bytes = b"\0\x04MQTT".to_vec();
        bytes.extend([if five { 5 } else { 4 }, flags, 0, 60]);
        bytes.extend(rest);
        let _ = decode(None, 0x10, &Bytes::from(bytes));
    }

    /// However the stream is split, the packets are the same.
    #[test]
    fn frames_do_not_depend_on_reads(lengths in prop::collection::vec(0_usize..300, 1..10), step in 1_usize..50) {
        let mut stream = Vec::new();
        for (at, length) in lengths.iter().enumerate() {
            stream.push(0x30);
            if *length < 128 {
                stream.push(*length as u8);
            } else {
                stream.extend([(*length % 128) as u8 | 0x80, (*length / 128) as u8]);
            }
            stream.extend(vec![at as u8; *length]);
        }
        let mut framer = Framer::new(1000);
        let mut found = Vec::new();
        for part in stream.chunks(step) {
            framer.buffer().extend_from_slice(part);
            while let Some((_, body)) = framer.next_packet().unwrap() {
                found.push(body.len());
            }
        }
        prop_assert_eq!(found, lengths);
    }
}

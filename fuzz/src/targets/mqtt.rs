//! A stream of bytes cut into MQTT packets, of both versions.

use hedgerow_gateway::codec::{Framer, Version, decode};

/// The largest packet.
const MAX: usize = 4096;

pub(crate) fn run(data: &[u8]) {
    for version in [None, Some(Version::V3), Some(Version::V5)] {
        let whole = packets(version, data, data.len().max(1));
        assert_eq!(
            whole,
            packets(version, data, 7),
            "how the bytes are cut makes a difference"
        );
    }
}

/// The packets as text, up to the first error, when the bytes come `step` at a time.
fn packets(mut version: Option<Version>, data: &[u8], step: usize) -> Vec<String> {
    let mut framer = Framer::new(MAX);
    let mut packets = Vec::new();
    for chunk in data.chunks(step) {
        framer.buffer().extend_from_slice(chunk);
        loop {
            match framer.next_packet() {
                Ok(None) => break,
                Err(error) => {
                    packets.push(error.to_string());
                    return packets;
                }
                Ok(Some((header, body))) => match decode(version, header, &body) {
                    Ok(packet) => {
                        version = version.or(Some(Version::V5));
                        packets.push(format!("{packet:?}"));
                    }
                    Err(error) => {
                        packets.push(error.to_string());
                        return packets;
                    }
                },
            }
        }
    }
    packets
}

/// A CONNECT, a SUBSCRIBE to everything, publications of each quality, an UNSUBSCRIBE and a DISCONNECT.
pub(crate) fn conversation(level: u8, client: u8) -> Vec<Vec<u8>> {
    let properties: &[u8] = if level == 5 { &[0] } else { &[] };
    let packet = |header: u8, parts: &[&[u8]]| {
        let body = parts.concat();
        [&[header, body.len() as u8], &body[..]].concat()
    };
    let connect = packet(
        0x10,
        &[
            &[
                0,
                4,
                b'M',
                b'Q',
                b'T',
                b'T',
                level,
                0b1100_0110 & 0b0000_0110,
                0,
                60,
            ],
            properties,
            &[0, 1, b'a' + client],
            properties,
            &[0, 1, b'w', 0, 3, b'b', b'y', b'e'],
        ],
    );
    vec![
        connect,
        packet(
            0x82,
            &[
                &[0, 1],
                properties,
                &[0, 1, b'#', 2, 0, 5, b'r', b'/', b'+', b'/', b'x', 1],
            ],
        ),
        packet(0x31, &[&[0, 3, b'r', b'/', b't'], properties, b"hello"]),
        packet(
            0x32,
            &[&[0, 3, b'r', b'/', b't', 0, 2], properties, b"hello"],
        ),
        packet(
            0x34,
            &[&[0, 3, b'r', b'/', b't', 0, 3], properties, b"hello"],
        ),
        packet(0x62, &[&[0, 3]]),
        packet(0x40, &[&[0, 1]]),
        packet(0xc0, &[]),
        packet(0xa2, &[&[0, 4], properties, &[0, 1, b'#']]),
        packet(0xe0, &[]),
    ]
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![conversation(4, 0).concat(), conversation(5, 0).concat()]
}

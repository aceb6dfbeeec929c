use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

/// As much of an MQTT 3.1.1 client as a small device has: it publishes with QoS 1, one message at a time, and waits
/// for the PUBACK. What real clients do is tested in `e2e/mqtt.sh`.
#[derive(Debug)]
pub struct Mqtt {
    stream: TcpStream,
    packet: u16,
}

/// The encoding of the remaining length (§2.2.3); ours are below 256 KiB.
fn length(mut bytes: usize) -> Vec<u8> {
    let mut digits = Vec::new();
    loop {
        let digit = (bytes % 128) as u8;
        bytes /= 128;
        if bytes == 0 {
            digits.push(digit);
            return digits;
        }
        digits.push(digit | 0x80);
    }
}

fn packet(header: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    [&[header][..], &length(body.len()), &body].concat()
}

fn text(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

impl Mqtt {
    /// Connects with a session that outlives the connection.
    ///
    /// # Errors
    /// When there is no broker, or it does not want this client.
    pub fn connect(broker: SocketAddr, client: &str, patience: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&broker, patience).context("no broker")?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        let mut mqtt = Self { stream, packet: 0 };
        let keep_alive = 60_u16.to_be_bytes();
        let connect = packet(0x10, &[&text("MQTT"), &[4, 0], &keep_alive, &text(client)]);
        mqtt.stream.write_all(&connect)?;
        let (header, body) = mqtt.read()?;
        ensure!(
            header == 0x20 && body.get(1) == Some(&0),
            "the broker refused: {header:#x} {body:?}"
        );
        Ok(mqtt)
    }

    /// Publishes with QoS 1; returns when the broker has acknowledged.
    ///
    /// # Errors
    /// When it did not: then nobody knows whether it has the message.
    pub fn publish(&mut self, topic: &str, payload: &[u8], again: bool) -> Result<()> {
        self.packet = self.packet % u16::MAX + 1;
        let id = self.packet.to_be_bytes();
        let header = 0x32 | u8::from(again) << 3;
        self.stream
            .write_all(&packet(header, &[&text(topic), &id, payload]))?;
        loop {
            match self.read()? {
                (0x40, body) if body == id => return Ok(()),
                (0x40, _) => {} // Of an earlier connection's message.
                (header, _) => bail!("an unexpected packet {header:#x}"),
            }
        }
    }

    fn read(&mut self) -> Result<(u8, Vec<u8>)> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte)?;
        let header = byte[0];
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            self.stream.read_exact(&mut byte)?;
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
            ensure!(shift < 28, "a remaining length of more than four bytes");
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((header, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_encoded_as_the_standard_says() {
        assert_eq!(length(0), [0]);
        assert_eq!(length(127), [127]);
        assert_eq!(length(128), [0x80, 1]);
        assert_eq!(length(16_384), [0x80, 0x80, 1]);
    }
}

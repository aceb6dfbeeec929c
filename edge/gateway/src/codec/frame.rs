use bytes::{Buf, Bytes, BytesMut};
use mqtt_protocol_core::mqtt::packet::{DecodeResult, VariableByteInteger};

use super::{DecodeError, Reason};

/// How much room is made at once for a packet that has begun to come.
const RESERVED: usize = 64 << 10;

/// Cuts a stream of bytes into MQTT packets; keeps at most one packet's bytes.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    max: usize,
}

impl Framer {
    /// A framer for packets of at most `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            buffer: BytesMut::with_capacity(4096),
            max,
        }
    }

    /// Where to read more bytes into.
    pub const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next packet: the first byte of its fixed header, and all after the remaining length.
    ///
    /// # Errors
    /// When the packet is larger than allowed, or its length is not encoded as §1.5.5 says.
    pub fn next_packet(&mut self) -> Result<Option<(u8, Bytes)>, DecodeError> {
        let Some((&header, rest)) = self.buffer.split_first() else {
            return Ok(None);
        };
        let (remaining, consumed) = match VariableByteInteger::decode_stream(rest) {
            DecodeResult::Ok(length, consumed) => (length.to_u32() as usize, consumed),
            DecodeResult::Incomplete if rest.len() < 4 => return Ok(None),
            DecodeResult::Incomplete | DecodeResult::Err(_) => {
                return Err(DecodeError::malformed(
                    "the remaining length has more than four bytes",
                ));
            }
        };
        // [MQTT-1.5.5-1]: the least number of bytes.
        if consumed > 1 && rest.get(consumed - 1) == Some(&0) {
            return Err(DecodeError::malformed(
                "the remaining length is not encoded in the fewest bytes",
            ));
        }
        let total = 1 + consumed + remaining;
        if total > self.max {
            return Err(DecodeError {
                reason: Reason::PacketTooLarge,
                text: format!(
                    "a packet of {total} bytes: at most {} are allowed",
                    self.max
                ),
            });
        }
        if self.buffer.len() < total {
            // A claimed length costs little before the bytes come.
            self.buffer
                .reserve((total - self.buffer.len()).min(RESERVED));
            return Ok(None);
        }
        let mut packet = self.buffer.split_to(total).freeze();
        packet.advance(1 + consumed);
        Ok(Some((header, packet)))
    }
}

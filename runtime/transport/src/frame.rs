//! Frames as they go through a session: `length 4 (little-endian) · channel 1 · payload`.

use bytes::{Buf, Bytes, BytesMut};

use crate::Limits;

/// What a frame is for. Each has its consumer and its largest frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(pub u8);

impl Channel {
    /// The transport's own: signs of life.
    pub(crate) const PING: Self = Self(u8::MAX);
}

/// Bytes before each payload.
pub(crate) const HEADER: usize = 5;

/// A frame claims more than its channel allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes on channel {}, which allows {max}", channel.0)]
pub(crate) struct Oversized {
    pub(crate) channel: Channel,
    pub(crate) length: usize,
    pub(crate) max: usize,
}

pub(crate) fn header(channel: Channel, length: usize) -> [u8; HEADER] {
    // The queue refuses what does not fit into 32 bits.
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    [a, b, c, d, channel.0]
}

/// Takes the first frame off the front of `buffer` when all of it is there, without copying it. Otherwise says how
/// many bytes the frame has in all, as far as that is known.
pub(crate) fn take(
    buffer: &mut BytesMut,
    limits: &Limits,
) -> Result<Result<(Channel, Bytes), usize>, Oversized> {
    let Some(&[a, b, c, d, channel]) = buffer.first_chunk::<HEADER>() else {
        return Ok(Err(HEADER));
    };
    let (channel, length) = (Channel(channel), u32::from_le_bytes([a, b, c, d]) as usize);
    let max = if channel == Channel::PING {
        0
    } else {
        limits.frame_bytes_on(channel)
    };
    if length > max {
        return Err(Oversized {
            channel,
            length,
            max,
        });
    }
    if buffer.len() < HEADER + length {
        return Ok(Err(HEADER + length));
    }
    buffer.advance(HEADER);
    Ok(Ok((channel, buffer.split_to(length).freeze())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_however_the_bytes_are_cut() {
        let limits = Limits {
            frame_bytes: 100,
            ..Limits::default()
        };
        let payloads: [&[u8]; 4] = [b"", b"one", &[7; 100], b"z"];
        let mut stream = Vec::new();
        for payload in payloads {
            stream.extend_from_slice(&header(Channel(3), payload.len()));
            stream.extend_from_slice(payload);
        }
        for step in 1..stream.len() {
            let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
            for chunk in stream.chunks(step) {
                buffer.extend_from_slice(chunk);
                while let Ok((channel, payload)) = take(&mut buffer, &limits).unwrap() {
                    assert_eq!(channel, Channel(3));
                    frames.push(payload);
                }
            }
            assert!(buffer.is_empty());
            assert_eq!(frames, payloads);
        }
    }

    #[test]
    fn an_oversized_frame_is_refused_by_its_header() {
        let mut limits = Limits {
            frame_bytes: 100,
            ..Limits::default()
        };
        limits.channel_frame_bytes.insert(Channel(1), 10);
        let claim =
            |channel, length| take(&mut BytesMut::from(&header(channel, length)[..]), &limits);
        assert_eq!(claim(Channel(0), 100), Ok(Err(105)));
        assert_eq!(
            claim(Channel(0), 101),
            Err(Oversized {
                channel: Channel(0),
                length: 101,
                max: 100
            })
        );
        assert_eq!(
            claim(Channel(1), 11),
            Err(Oversized {
                channel: Channel(1),
                length: 11,
                max: 10
            })
        );
        assert_eq!(
            claim(Channel::PING, 1),
            Err(Oversized {
                channel: Channel::PING,
                length: 1,
                max: 0
            })
        );
        assert!(claim(Channel(0), usize::MAX).is_err());
    }
}

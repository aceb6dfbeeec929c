//! The bytes of a segment file, little-endian throughout.
//!
//! ```text
//! segment: magic 8 · version 4 · checksum 4 · salt 8 · first 8            then frames
//! frame:   magic 4 · checksum of the header 4 · of the body 4 · length of the body 4
//!          · records 4 · first 8 · durable 8                              then the body
//! body:    records × (length 4 · bytes)
//! ```
//!
//! Checksums are CRC-32C and begin with the segment's salt, which is random: bytes that a stranger had us store can't
//! look like a frame of ours.

use hedgerow_base::Lsn;

pub(crate) const VERSION: u32 = 1;
pub(crate) const SEGMENT_HEADER: usize = 32;
pub(crate) const FRAME_HEADER: usize = 36;
const SEGMENT_MAGIC: [u8; 8] = *b"hedgerow";
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"\xf5HJ\x01";

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) salt: u64,
    /// The position of its first record.
    pub(crate) first: Lsn,
}

pub(crate) enum HeaderError {
    Malformed,
    Version(u32),
}

/// Reads fixed-width fields off the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

impl SegmentHeader {
    fn checksum(self) -> u32 {
        let crc = crc32c::crc32c(&SEGMENT_MAGIC);
        let crc = crc32c::crc32c_append(crc, &VERSION.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &self.salt.to_le_bytes());
        crc32c::crc32c_append(crc, &self.first.0.to_le_bytes())
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER);
        bytes.extend_from_slice(&SEGMENT_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.checksum().to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.first.0.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut fields = Fields(bytes);
        let magic = fields.take::<8>().ok_or(HeaderError::Malformed)?;
        let version = fields.u32().ok_or(HeaderError::Malformed)?;
        let checksum = fields.u32().ok_or(HeaderError::Malformed)?;
        let salt = fields.u64().ok_or(HeaderError::Malformed)?;
        let first = Lsn(fields.u64().ok_or(HeaderError::Malformed)?);
        let header = Self { salt, first };
        if magic != SEGMENT_MAGIC {
            return Err(HeaderError::Malformed);
        }
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        if checksum != header.checksum() {
            Err(HeaderError::Malformed)
        } else {
            Ok(header)
        }
    }
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    body_checksum: u32,
    pub(crate) body_length: u32,
    pub(crate) records: u32,
    /// The position of its first record.
    pub(crate) first: Lsn,
    /// Up to where the log was known to be durable when this frame was written.
    pub(crate) durable: Lsn,
}

fn body_checksum(salt: u64, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), body)
}

impl FrameHeader {
    pub(crate) fn new(salt: u64, body: &[u8], records: u32, first: Lsn, durable: Lsn) -> Self {
        // The journal bounds a frame far below 4 GiB.
        let body_length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        Self {
            body_checksum: body_checksum(salt, body),
            body_length,
            records,
            first,
            durable,
        }
    }

    pub(crate) fn encode(self, salt: u64) -> [u8; FRAME_HEADER] {
        let mut fields = Vec::with_capacity(FRAME_HEADER - 8);
        fields.extend_from_slice(&self.body_checksum.to_le_bytes());
        fields.extend_from_slice(&self.body_length.to_le_bytes());
        fields.extend_from_slice(&self.records.to_le_bytes());
        fields.extend_from_slice(&self.first.0.to_le_bytes());
        fields.extend_from_slice(&self.durable.0.to_le_bytes());
        let checksum = body_checksum(salt, &fields).to_le_bytes();
        let mut bytes = [0; FRAME_HEADER];
        let source = FRAME_MAGIC.iter().chain(&checksum).chain(&fields);
        for (byte, &value) in bytes.iter_mut().zip(source) {
            *byte = value;
        }
        bytes
    }

    /// The header at the front of `bytes`, if there is a sound one.
    pub(crate) fn decode(salt: u64, bytes: &[u8]) -> Option<Self> {
        let covered = bytes.get(8..FRAME_HEADER)?;
        let mut fields = Fields(bytes);
        let magic = fields.take::<4>()?;
        let checksum = fields.u32()?;
        if magic != FRAME_MAGIC || checksum != body_checksum(salt, covered) {
            return None;
        }
        Some(Self {
            body_checksum: fields.u32()?,
            body_length: fields.u32()?,
            records: fields.u32()?,
            first: Lsn(fields.u64()?),
            durable: Lsn(fields.u64()?),
        })
    }

    /// The body that follows this header at the front of `rest`, if it is whole and sound.
    pub(crate) fn body(self, salt: u64, rest: &[u8]) -> Option<&[u8]> {
        let body = rest.get(..self.body_length as usize)?;
        (body_checksum(salt, body) == self.body_checksum).then_some(body)
    }
}

/// Appends a record to a frame's body.
pub(crate) fn push_record(body: &mut Vec<u8>, record: &[u8]) {
    let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(record);
}

/// The records of a frame's body; `None` in the place of one that is cut short.
pub(crate) fn records(mut body: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    core::iter::from_fn(move || {
        if body.is_empty() {
            return None;
        }
        let record = body.split_first_chunk::<4>().and_then(|(length, rest)| {
            let length = u32::from_le_bytes(*length) as usize;
            rest.split_at_checked(length)
        });
        body = record.map_or(&[], |(_, rest)| rest);
        Some(record.map(|(record, _)| record))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_the_way_there_and_back_and_no_changed_bit_does() {
        let body = b"some records";
        let header = FrameHeader::new(7, body, 2, Lsn(5), Lsn(4));
        let bytes = header.encode(7);
        assert_eq!(FrameHeader::decode(7, &bytes), Some(header));
        assert_eq!(
            FrameHeader::decode(8, &bytes),
            None,
            "another segment's salt"
        );
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(7, &bad), None);
        }
        let segment = SegmentHeader {
            salt: 9,
            first: Lsn(3),
        };
        let bytes = segment.encode();
        assert_eq!(bytes.len(), SEGMENT_HEADER);
        assert!(SegmentHeader::decode(&bytes).is_ok_and(|decoded| decoded == segment));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bad).is_err());
        }
    }
}

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use hedgerow_base::Lsn;

use crate::{
    JournalError,
    format::{
        FRAME_HEADER, FRAME_MAGIC, FrameHeader, HeaderError, SEGMENT_HEADER, SegmentHeader,
        VERSION, records,
    },
    segment::{self, Active, Segment},
};

/// What opening a journal found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The position of the first record that is there; one past `last` when there is none.
    pub first: Lsn,
    /// The position of the last record: [`Lsn::ZERO`] for a new journal.
    pub last: Lsn,
    /// How many bytes of records were cut off: they were being written when the process or the power stopped, and
    /// were never said to be durable.
    pub torn_bytes: u64,
}

/// The log as it was found on disk.
pub(crate) struct Found {
    pub(crate) segments: Vec<Segment>,
    pub(crate) active: Option<Active>,
    pub(crate) recovery: Recovery,
}

/// Reads all segments of `dir`, shows each record to `visit` in order, and cuts off a torn tail.
pub(crate) fn recover(
    dir: &Path,
    mut visit: impl FnMut(Lsn, &[u8]),
) -> Result<Found, JournalError> {
    let mut segments = segment::list(dir).map_err(JournalError::io("listing", dir))?;
    let mut torn_bytes = remove_unborn(dir, &mut segments)?;
    let mut next = segments.first().map_or(Lsn(1), |segment| segment.first);
    let first = next;
    let mut active = None;
    let count = segments.len();
    for (index, segment) in segments.iter().enumerate() {
        if segment.first != next {
            let (dir, file) = (dir.to_path_buf(), segment.path.clone());
            return Err(JournalError::Missing {
                dir,
                file,
                expected: next,
                found: segment.first,
            });
        }
        let (mut file, length) = open(&segment.path)?;
        let mut bytes = Vec::new();
        let read = Read::by_ref(&mut file).take(length).read_to_end(&mut bytes);
        read.map_err(JournalError::io("reading", &segment.path))?;
        let scan = scan(segment, &bytes, index + 1 == count, &mut visit)?;
        next = scan.next;
        let torn = bytes.len() as u64 - scan.length;
        if torn > 0 {
            torn_bytes += torn;
            file.set_len(scan.length)
                .and_then(|()| file.sync_all())
                .map_err(JournalError::io("cutting the torn tail off", &segment.path))?;
        }
        file.seek(SeekFrom::Start(scan.length))
            .map_err(JournalError::io("reading", &segment.path))?;
        active = Some(Active {
            file,
            salt: scan.salt,
            length: scan.length,
        });
    }
    Ok(Found {
        segments,
        active,
        recovery: Recovery {
            first,
            last: next.previous(),
            torn_bytes,
        },
    })
}

/// The file and its length. What is not a regular file is refused before it is read.
fn open(path: &Path) -> Result<(File, u64), JournalError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(JournalError::io("opening", path))?;
    let metadata = file.metadata().map_err(JournalError::io("opening", path))?;
    if !metadata.is_file() {
        return Err(JournalError::io("opening", path)(io::Error::other(
            "not a regular file",
        )));
    }
    Ok((file, metadata.len()))
}

/// A crash while the last segment was being made leaves a file without a whole header, and without frames.
fn remove_unborn(dir: &Path, segments: &mut Vec<Segment>) -> Result<u64, JournalError> {
    let Some(last) = segments.last() else {
        return Ok(0);
    };
    let mut header = Vec::new();
    let (file, _) = open(&last.path)?;
    let read = file
        .take(SEGMENT_HEADER as u64 + 1)
        .read_to_end(&mut header);
    read.map_err(JournalError::io("reading", &last.path))?;
    if header.len() > SEGMENT_HEADER
        || !matches!(SegmentHeader::decode(&header), Err(HeaderError::Malformed))
    {
        return Ok(0);
    }
    fs::remove_file(&last.path)
        .and_then(|()| segment::sync_dir(dir))
        .map_err(JournalError::io("removing the unfinished", &last.path))?;
    segments.pop();
    Ok(header.len() as u64)
}

struct Scan {
    salt: u64,
    /// The position after the last sound record.
    next: Lsn,
    /// Where the last sound frame ends.
    length: u64,
}

fn scan(
    segment: &Segment,
    bytes: &[u8],
    last: bool,
    visit: &mut impl FnMut(Lsn, &[u8]),
) -> Result<Scan, JournalError> {
    let damaged = |offset: usize, lsn, what| JournalError::Damaged {
        file: segment.path.clone(),
        offset: offset as u64,
        lsn,
        what,
    };
    let header = SegmentHeader::decode(bytes).map_err(|error| match error {
        HeaderError::Malformed => damaged(0, segment.first, "its header is not a journal's"),
        HeaderError::Version(version) => JournalError::Version {
            file: segment.path.clone(),
            version,
            known: VERSION,
        },
    })?;
    if header.first != segment.first {
        return Err(damaged(
            0,
            segment.first,
            "its header names another first record than its name does",
        ));
    }
    let (mut next, mut offset) = (header.first, SEGMENT_HEADER);
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let Some((frame, body)) = sound_frame(header.salt, rest) else {
            if !last {
                return Err(damaged(
                    offset,
                    next,
                    "a checksum is wrong, and a later segment follows",
                ));
            }
            if promised_later(header.salt, rest, next) {
                return Err(damaged(
                    offset,
                    next,
                    "a checksum is wrong, and later records say that these were durable",
                ));
            }
            break;
        };
        if frame.first != next {
            return Err(damaged(offset, next, "records are missing before it"));
        }
        let mut count = 0;
        for record in records(body) {
            let record =
                record.ok_or_else(|| damaged(offset, next, "a record is longer than its frame"))?;
            visit(next, record);
            next = next.next();
            count += 1;
        }
        if count != frame.records {
            return Err(damaged(offset, next, "the number of records is wrong"));
        }
        offset += FRAME_HEADER + body.len();
    }
    Ok(Scan {
        salt: header.salt,
        next,
        length: offset as u64,
    })
}

fn sound_frame(salt: u64, rest: &[u8]) -> Option<(FrameHeader, &[u8])> {
    let frame = FrameHeader::decode(salt, rest)?;
    let body = frame.body(salt, rest.get(FRAME_HEADER..)?)?;
    Some((frame, body))
}

/// Whether a frame somewhere in `rest` says that the log was durable up to `lsn` when it was written.
fn promised_later(salt: u64, rest: &[u8], lsn: Lsn) -> bool {
    rest.windows(FRAME_HEADER)
        .filter(|window| window.starts_with(&FRAME_MAGIC))
        .filter_map(|window| FrameHeader::decode(salt, window))
        .any(|frame| frame.durable >= lsn)
}

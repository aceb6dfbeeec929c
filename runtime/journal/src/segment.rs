//! Segment files: their names, making one, deleting one.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use hedgerow_base::Lsn;

use crate::{
    Durability, JournalError,
    format::{SEGMENT_HEADER, SegmentHeader},
};

const SUFFIX: &str = ".log";

/// A segment file that is complete or being written.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) first: Lsn,
}

/// The segment that is being written.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) file: File,
    pub(crate) salt: u64,
    /// Bytes in the file.
    pub(crate) length: u64,
}

/// Named by its first record in 20 digits, so that names sort as positions do.
pub(crate) fn path(dir: &Path, first: Lsn) -> PathBuf {
    dir.join(format!("{:020}{SUFFIX}", first.0))
}

/// The segment files in `dir`, in ascending order; other files are left alone.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in dir.read_dir()? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let first = name
            .strip_suffix(SUFFIX)
            .filter(|digits| digits.len() == 20)
            .and_then(|digits| digits.parse().ok());
        if let Some(first) = first {
            segments.push(Segment {
                path,
                first: Lsn(first),
            });
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// Makes a segment file. With [`Durability::Group`] the file and its name survive a crash before this returns:
/// recovery counts on it that a segment with frames has a whole header.
pub(crate) fn create(
    dir: &Path,
    first: Lsn,
    durability: Durability,
) -> Result<(Segment, Active), JournalError> {
    let path = path(dir, first);
    let salt = rand::random();
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        file.write_all(&SegmentHeader { salt, first }.encode())?;
        if durability == Durability::Group {
            file.sync_data()?;
            sync_dir(dir)?;
        }
        Ok(file)
    };
    let file = write().map_err(JournalError::io("creating", &path))?;
    Ok((
        Segment { path, first },
        Active {
            file,
            salt,
            length: SEGMENT_HEADER as u64,
        },
    ))
}

/// Makes the names in a folder survive a crash.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

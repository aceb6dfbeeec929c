use std::{io, path::PathBuf};

use hedgerow_base::Lsn;

/// Why the journal can't go on.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has the folder open.
    #[error("{} is in use by another process: stop it first, or give each node a folder of its own", dir.display())]
    InUse {
        /// The journal's folder.
        dir: PathBuf,
    },
    /// The disk lost or changed what it had promised to keep.
    #[error(
        "{} is damaged at byte {offset}: {what}. Records from {lsn} on can't be trusted. \
         Check the disk, then move the node's folder away and start again: it rejoins from its peers",
        file.display()
    )]
    Damaged {
        /// The segment file.
        file: PathBuf,
        /// Where in it, in bytes from its start.
        offset: u64,
        /// The first record that is lost.
        lsn: Lsn,
        /// What is wrong there.
        what: &'static str,
    },
    /// A segment file is missing from the middle of the log.
    #[error(
        "{} is incomplete: no segment file holds record {expected}, but {} begins with record {found}. \
         Put the missing file back, or move the node's folder away and start again: it rejoins from its peers",
        dir.display(), file.display()
    )]
    Missing {
        /// The journal's folder.
        dir: PathBuf,
        /// The segment file after the gap.
        file: PathBuf,
        /// The first record that is missing.
        expected: Lsn,
        /// The first record after the gap.
        found: Lsn,
    },
    /// The file is of a version that this program does not know.
    #[error("{} has format version {version}; this program knows version {known} only", file.display())]
    Version {
        /// The segment file.
        file: PathBuf,
        /// Its version.
        version: u32,
        /// The version that is known.
        known: u32,
    },
    /// A record is larger than the options allow.
    #[error("a record of {length} bytes: the journal takes at most {max}")]
    TooLarge {
        /// The record's length in bytes.
        length: usize,
        /// What is allowed, in bytes.
        max: usize,
    },
    /// The operating system reported an error. After an error while writing the journal takes nothing more.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
    /// An earlier write failed, so what is on the disk is not known. Only a restart helps.
    #[error("the journal failed earlier and takes nothing more: restart the node")]
    Poisoned,
}

impl JournalError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

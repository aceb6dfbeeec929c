use std::{
    collections::VecDeque,
    fs::{self, File, TryLockError},
    io::Write,
    path::{Path, PathBuf},
};

use hedgerow_base::Lsn;

use crate::{
    JournalError, Recovery,
    format::{FRAME_HEADER, FrameHeader, push_record},
    recovery::{Found, recover},
    segment::{self, Active, Segment},
};

/// What "durable" means for a deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Survives a loss of power: one `fdatasync` for all records of a commit.
    #[default]
    Group,
    /// Survives the end of the process, but not a loss of power: nothing waits for the disk. For benchmarks, and for
    /// machines whose memory does not lose power.
    Volatile,
}

/// How a journal is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What [`Journal::sync`] promises.
    pub durability: Durability,
    /// A new file is begun when one has this many bytes; freed space comes back in these units.
    pub segment_bytes: u64,
    /// The largest record, in bytes.
    pub max_record: usize,
}

impl Default for Options {
    /// Durable; segments of 16 MiB; records of up to 16 MiB.
    fn default() -> Self {
        Self {
            durability: Durability::Group,
            segment_bytes: 16 << 20,
            max_record: 16 << 20,
        }
    }
}

/// Records with their positions, in order.
pub type Records = Vec<(Lsn, Vec<u8>)>;

/// Appended records are written, not yet durably, when there are this many bytes of them: a bound on memory.
const SPILL: usize = 1 << 20;

/// A durable log in a folder of its own. See the crate's page for the laws.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    options: Options,
    /// Held locked as long as the journal is open; the operating system frees it when the process ends.
    _lock: File,
    /// All files, the one that is being written last.
    segments: VecDeque<Segment>,
    /// None as long as there is no file.
    active: Option<Active>,
    /// The frame that is being filled: room for its header, then its records.
    pending: Vec<u8>,
    pending_records: u32,
    last: Lsn,
    durable: Lsn,
    poisoned: bool,
}

impl Journal {
    /// Opens the journal in `dir`, which is made when it is not there, and shows each record to `visit` in order.
    /// All of them are durable when this returns, also those that an earlier process wrote but did not sync.
    ///
    /// After an error, what `visit` saw is worth nothing.
    ///
    /// # Errors
    /// When another process has the journal open, when it is damaged, or when the disk fails.
    pub fn open_with(
        dir: impl Into<PathBuf>,
        options: Options,
        visit: impl FnMut(Lsn, &[u8]),
    ) -> Result<(Self, Recovery), JournalError> {
        let dir = dir.into();
        create_dir(&dir)?;
        let lock = lock(&dir)?;
        let Found {
            segments,
            active,
            recovery,
        } = recover(&dir, visit)?;
        if options.durability == Durability::Group {
            for segment in &segments {
                File::open(&segment.path)
                    .and_then(|file| file.sync_data())
                    .map_err(JournalError::io("syncing", &segment.path))?;
            }
            segment::sync_dir(&dir).map_err(JournalError::io("syncing", &dir))?;
        }
        if recovery.torn_bytes > 0 {
            tracing::warn!(
                dir = %dir.display(), bytes = recovery.torn_bytes, last = recovery.last.0,
                "cut off records that were being written when the node stopped; they had not been acknowledged"
            );
        }
        let journal = Self {
            dir,
            options,
            _lock: lock,
            segments: segments.into(),
            active,
            pending: Vec::new(),
            pending_records: 0,
            last: recovery.last,
            durable: recovery.last,
            poisoned: false,
        };
        Ok((journal, recovery))
    }

    /// As [`Journal::open_with`], with the records in a vector.
    ///
    /// # Errors
    /// As there.
    pub fn open(
        dir: impl Into<PathBuf>,
        options: Options,
    ) -> Result<(Self, Records, Recovery), JournalError> {
        let mut records = Vec::new();
        let (journal, recovery) = Self::open_with(dir, options, |lsn, record| {
            records.push((lsn, record.to_vec()))
        })?;
        Ok((journal, records, recovery))
    }

    /// Takes a record in; it is durable after the next [`Journal::sync`].
    ///
    /// # Errors
    /// When it is larger than the options allow (then nothing happened), or when the disk fails or has failed before.
    pub fn append(&mut self, record: &[u8]) -> Result<Lsn, JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        let max = self.options.max_record.min(MAX_RECORD);
        if record.len() > max {
            return Err(JournalError::TooLarge {
                length: record.len(),
                max,
            });
        }
        if self.pending.is_empty() {
            self.pending.resize(FRAME_HEADER, 0);
        }
        push_record(&mut self.pending, record);
        self.pending_records += 1;
        self.last = self.last.next();
        if self.pending.len() >= SPILL {
            self.guarded(Self::write_pending)?;
        }
        Ok(self.last)
    }

    /// Makes every record so far durable, and gives the position of the last one. Touches no disk when there is
    /// nothing new.
    ///
    /// # Errors
    /// When the disk fails or has failed before. After a failure the journal takes nothing more.
    pub fn sync(&mut self) -> Result<Lsn, JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        if self.durable < self.last {
            self.guarded(|journal| {
                journal.write_pending()?;
                journal.sync_active()
            })?;
        }
        Ok(self.durable)
    }

    /// Gives up records before `below`: deletes the files that hold no others. The file that is being written stays.
    ///
    /// # Errors
    /// When a file can't be deleted.
    pub fn release(&mut self, below: Lsn) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        while self
            .segments
            .get(1)
            .is_some_and(|second| second.first <= below)
        {
            let Some(oldest) = self.segments.pop_front() else {
                break;
            };
            // One at a time and oldest first, so that a crash leaves no gap.
            self.guarded(|journal| {
                fs::remove_file(&oldest.path)
                    .map_err(JournalError::io("deleting", &oldest.path))?;
                match journal.options.durability {
                    Durability::Group => segment::sync_dir(&journal.dir)
                        .map_err(JournalError::io("syncing", &journal.dir)),
                    Durability::Volatile => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    /// The position of the last record that was appended.
    #[must_use]
    pub const fn last(&self) -> Lsn {
        self.last
    }

    /// Up to where the log is durable.
    #[must_use]
    pub const fn durable(&self) -> Lsn {
        self.durable
    }

    /// The journal's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs `write`; when it fails the journal is poisoned for good.
    fn guarded<T>(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let result = write(self);
        self.poisoned |= result.is_err();
        result
    }

    /// Writes the pending records as one frame.
    fn write_pending(&mut self) -> Result<(), JournalError> {
        if self.pending_records == 0 {
            return Ok(());
        }
        let first = Lsn(self.last.0 + 1 - u64::from(self.pending_records));
        let bytes = self.pending.len() as u64;
        let full = |active: &Active| active.length + bytes > self.options.segment_bytes;
        let active = match self.active.take() {
            // A file is begun at the first record, and when the frame would overfill a file that already has frames.
            Some(active)
                if self.segments.back().is_some_and(|last| last.first == first)
                    || !full(&active) =>
            {
                active
            }
            other => {
                if let Some(full) = other {
                    self.active = Some(full);
                    self.sync_file()?;
                    self.durable = first.previous();
                }
                let (segment, active) = segment::create(&self.dir, first, self.options.durability)?;
                self.segments.push_back(segment);
                active
            }
        };
        let active = self.active.insert(active);
        let promised = match self.options.durability {
            Durability::Group => self.durable,
            Durability::Volatile => Lsn::ZERO,
        };
        if let Some((header, body)) = self.pending.split_first_chunk_mut::<FRAME_HEADER>() {
            *header = FrameHeader::new(active.salt, body, self.pending_records, first, promised)
                .encode(active.salt);
        }
        let path = self
            .segments
            .back()
            .map_or(&self.dir, |segment| &segment.path);
        // One write, so that the end of the process leaves the whole frame or a torn tail that is cut off.
        active
            .file
            .write_all(&self.pending)
            .map_err(JournalError::io("writing to", path))?;
        active.length += bytes;
        self.pending.clear();
        // The room of an ordinary commit is used again; that of a large record is given back.
        self.pending.shrink_to(SPILL / 4);
        self.pending_records = 0;
        Ok(())
    }

    fn sync_active(&mut self) -> Result<(), JournalError> {
        self.sync_file()?;
        self.durable = self.last;
        Ok(())
    }

    fn sync_file(&mut self) -> Result<(), JournalError> {
        let (Some(active), Durability::Group) = (&mut self.active, self.options.durability) else {
            return Ok(());
        };
        let path = self
            .segments
            .back()
            .map_or(&self.dir, |segment| &segment.path);
        active
            .file
            .sync_data()
            .map_err(JournalError::io("syncing", path))
    }
}

/// Lengths are stored in 32 bits; a frame holds at most [`SPILL`] bytes and one more record.
const MAX_RECORD: usize = 1 << 30;

fn create_dir(dir: &Path) -> Result<(), JournalError> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(JournalError::io("creating", dir))?;
    let parent = dir
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    segment::sync_dir(parent).map_err(JournalError::io("syncing", parent))
}

fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(JournalError::io("opening", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse {
            dir: dir.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(JournalError::io("locking", path)(error)),
    }
}

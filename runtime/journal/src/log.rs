use hedgerow_base::Lsn;

use crate::{Journal, JournalError};

/// What a driver needs of a log. [`Journal`] is the one on disk; tests have others that fail on purpose.
pub trait Log: Send {
    /// Takes a record in; it may be lost in a crash until [`Log::sync`] has returned. The first record of a new log
    /// has position 1, and each further one the position after the last.
    ///
    /// # Errors
    /// When the record is too large, or the log has failed.
    fn append(&mut self, record: &[u8]) -> Result<Lsn, JournalError>;

    /// Makes every record so far survive a crash; gives the position of the last one. Does nothing when there is
    /// nothing new.
    ///
    /// # Errors
    /// When the disk fails. Then the log takes nothing more: after a failed `fsync` it is not known what the disk
    /// holds, and a second one may claim success without having written anything.
    fn sync(&mut self) -> Result<Lsn, JournalError>;

    /// Gives up records before `below`. Their space is freed some time later; recovery may still show some of them.
    ///
    /// # Errors
    /// When files can't be deleted.
    fn release(&mut self, below: Lsn) -> Result<(), JournalError>;
}

impl Log for Journal {
    fn append(&mut self, record: &[u8]) -> Result<Lsn, JournalError> {
        Self::append(self, record)
    }

    fn sync(&mut self) -> Result<Lsn, JournalError> {
        Self::sync(self)
    }

    fn release(&mut self, below: Lsn) -> Result<(), JournalError> {
        Self::release(self, below)
    }
}

impl<L: Log + ?Sized> Log for Box<L> {
    fn append(&mut self, record: &[u8]) -> Result<Lsn, JournalError> {
        (**self).append(record)
    }

    fn sync(&mut self) -> Result<Lsn, JournalError> {
        (**self).sync()
    }

    fn release(&mut self, below: Lsn) -> Result<(), JournalError> {
        (**self).release(below)
    }
}

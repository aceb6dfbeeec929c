use alloc::{collections::VecDeque, vec::Vec};

/// Where a device keeps what it could not send yet: a file, a flash page, memory. A queue of byte strings.
pub trait Storage {
    /// Why it fails.
    type Error;

    /// Puts bytes at the end; they survive a loss of power when this returns.
    ///
    /// # Errors
    /// When the storage fails.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// The bytes at place `index` from the front.
    ///
    /// # Errors
    /// When the storage fails.
    fn get(&self, index: usize) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Takes the bytes at the front away.
    ///
    /// # Errors
    /// When the storage fails.
    fn pop(&mut self) -> Result<(), Self::Error>;

    /// How many byte strings it has.
    fn len(&self) -> usize;

    /// How many bytes they have together.
    fn bytes(&self) -> usize;

    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a record can't be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BufferError<E> {
    /// The buffer is full. The device decides what to do: wait, thin out, or drop the new one.
    #[error("the buffer has {bytes} of {max} bytes: the next record does not fit")]
    Full {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// The storage fails.
    #[error(transparent)]
    Storage(E),
}

/// Signed records that wait to be final, in their order, in bounded storage.
///
/// A record stays until the device knows that it is final, so it may be sent several times, also after a restart: the
/// ledger takes each reading once. What was signed is kept as it was signed, so that a repetition is an exact one.
#[derive(Debug)]
pub struct OfflineBuffer<S> {
    storage: S,
    max_bytes: usize,
    /// How many of the records at the front have been sent since the connection was made.
    sent: usize,
    /// Which of those are final, the front first; the front one never is.
    settled: VecDeque<bool>,
}

impl<S: Storage> OfflineBuffer<S> {
    /// A buffer of at most `max_bytes` in `storage`, with what that still has.
    #[must_use]
    pub const fn new(storage: S, max_bytes: usize) -> Self {
        Self {
            storage,
            max_bytes,
            sent: 0,
            settled: VecDeque::new(),
        }
    }

    /// Keeps a signed record until it is final.
    ///
    /// # Errors
    /// When the buffer is full or the storage fails.
    pub fn push(&mut self, record: &[u8]) -> Result<(), BufferError<S::Error>> {
        let bytes = self.storage.bytes();
        if record.len() > self.max_bytes.saturating_sub(bytes) {
            return Err(BufferError::Full {
                bytes,
                max: self.max_bytes,
            });
        }
        self.storage.push(record).map_err(BufferError::Storage)
    }

    /// The next record to send, if there is one that has not been sent since the connection was made.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn next_to_send(&mut self) -> Result<Option<Vec<u8>>, S::Error> {
        let next = self.storage.get(self.sent)?;
        if next.is_some() {
            self.sent += 1;
            self.settled.push_back(false);
        }
        Ok(next)
    }

    /// The connection was lost, or an answer is overdue: everything that is not final is to be sent again.
    pub fn resend(&mut self) {
        self.sent = 0;
        self.settled.clear();
    }

    /// The record with these bytes is final, or rejected for good: it need not be sent again. Answers may come in any
    /// order; one to a record that is not there is ignored. Says whether it was there.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn settle(&mut self, record: &[u8]) -> Result<bool, S::Error> {
        for (place, settled) in self.settled.iter_mut().enumerate() {
            if !*settled && self.storage.get(place)?.as_deref() == Some(record) {
                *settled = true;
                self.drop_settled()?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn drop_settled(&mut self) -> Result<(), S::Error> {
        while self.settled.front() == Some(&true) {
            self.storage.pop()?;
            self.settled.pop_front();
            self.sent -= 1;
        }
        Ok(())
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.storage.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.storage.is_empty()
    }

    /// Gives the storage back.
    pub fn into_storage(self) -> S {
        self.storage
    }
}

/// Storage in memory: for tests, and for devices that may forget.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage(VecDeque<Vec<u8>>);

impl Storage for MemoryStorage {
    type Error = core::convert::Infallible;

    fn push(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.push_back(bytes.to_vec());
        Ok(())
    }

    fn get(&self, index: usize) -> Result<Option<Vec<u8>>, Self::Error> {
        Ok(self.0.get(index).cloned())
    }

    fn pop(&mut self) -> Result<(), Self::Error> {
        self.0.pop_front();
        Ok(())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

use std::fmt;

type Line = Box<dyn FnMut(&str) + Send>;

/// A readable account of a run, line by line, and a hash of everything that happened in it.
pub struct Transcript {
    hash: u64,
    line: Option<Line>,
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transcript {:016x}", self.hash)
    }
}

impl Transcript {
    /// Only the hash.
    #[must_use]
    pub const fn silent() -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            line: None,
        }
    }

    /// The hash, and each line to `line`.
    #[must_use]
    pub fn to(line: impl FnMut(&str) + Send + 'static) -> Self {
        Self {
            line: Some(Box::new(line)),
            ..Self::silent()
        }
    }

    /// The hash so far.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) const fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value)
            .rotate_left(23)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    pub(crate) fn mix_bytes(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.mix(u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
        }
        for byte in chunks.remainder() {
            self.mix(u64::from(*byte));
        }
        self.mix(bytes.len() as u64);
    }

    /// Writes a line, made only if someone reads it.
    pub(crate) fn say(&mut self, at: u64, what: impl FnOnce() -> String) {
        if let Some(line) = &mut self.line {
            line(&format!(
                "{:>6}.{:06} {}",
                at / 1_000_000_000,
                at / 1_000 % 1_000_000,
                what()
            ));
        }
    }
}

use alloc::{vec, vec::Vec};

use borsh::{
    BorshDeserialize, BorshSerialize,
    io::{Error, ErrorKind, Read, Result as IoResult},
};

/// A sliding window over one client's numbers: which of the last ones, up to the highest used, were used. What has
/// fallen out of the window counts as used.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct Numbers {
    highest: u64,
    /// A ring of bits, in words: number `x` is bit `x mod bits`. Never empty.
    used: Vec<u64>,
}

impl Numbers {
    /// Nothing is used. The window is `window` numbers wide, rounded up to a multiple of 64 and at least that.
    #[must_use]
    pub fn new(window: u64) -> Self {
        Self {
            highest: 0,
            used: vec![0; window.div_ceil(64).max(1) as usize],
        }
    }

    /// The highest number that was used; 0 when none was.
    #[must_use]
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// How many numbers the window is wide: up to the highest, so many are told apart.
    #[must_use]
    pub const fn window(&self) -> u64 {
        self.used.len() as u64 * 64
    }

    fn place(&self, number: u64) -> (usize, u64) {
        let at = number % self.window();
        ((at / 64) as usize, 1 << (at % 64))
    }

    /// Whether `number` was not used and has not fallen out of the window: it may be executed.
    #[must_use]
    pub fn is_fresh(&self, number: u64) -> bool {
        if number > self.highest {
            return true;
        }
        let (word, bit) = self.place(number);
        self.highest - number < self.window()
            && self.used.get(word).is_some_and(|used| used & bit == 0)
    }

    /// Uses `number`; says whether it was fresh. A number above the highest moves the window up to it: a client that
    /// leaps has given up what it leaves behind.
    pub fn take(&mut self, number: u64) -> bool {
        if !self.is_fresh(number) {
            return false;
        }
        if number > self.highest {
            if number - self.highest >= self.window() {
                self.used.fill(0);
            } else {
                for skipped in self.highest + 1..=number {
                    let (word, bit) = self.place(skipped);
                    if let Some(used) = self.used.get_mut(word) {
                        *used &= !bit;
                    }
                }
            }
            self.highest = number;
        }
        let (word, bit) = self.place(number);
        if let Some(used) = self.used.get_mut(word) {
            *used |= bit;
        }
        true
    }
}

/// A window of no width is refused: it could not tell anything.
impl BorshDeserialize for Numbers {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let highest = u64::deserialize_reader(reader)?;
        let used = Vec::<u64>::deserialize_reader(reader)?;
        if used.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "a client's window of used numbers has no width",
            ));
        }
        Ok(Self { highest, used })
    }
}

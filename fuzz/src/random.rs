/// Random numbers from a seed (SplitMix64): good enough to make up inputs.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of that seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Changes `input` a little: bits, bytes, length, a piece of `other`.
    pub fn mutate(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            match self.below(7) {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 if at < input.len() => input[at] = self.next() as u8,
                2 if at < input.len() => input[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                3 => input.insert(at, self.next() as u8),
                4 => input.truncate(at),
                5 if at < input.len() => {
                    let end = at + self.below(input.len() - at);
                    input.drain(at..end);
                }
                _ if !other.is_empty() => {
                    let from = self.below(other.len());
                    let to = from + self.below((other.len() - from).min(64));
                    let cut = at.min(input.len());
                    input.splice(cut..cut, other[from..to].iter().copied());
                }
                _ => {}
            }
            input.truncate(1 << 16);
        }
    }
}

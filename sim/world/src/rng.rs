/// A stream of pseudo-random numbers from a seed: `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014). Small, fast, and the
/// same on every machine for ever, which is all that a simulation asks of it.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of `seed`. Neighbouring seeds give unrelated streams.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream, decided by this one and a label.
    #[must_use]
    pub fn fork(&mut self, label: u64) -> Self {
        Self(self.draw() ^ label.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    /// 64 random bits.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when the bound is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.draw() as u128 * bound as u128) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// A number from `low` to `high` whose logarithm is evenly spread: as often between 1 and 10 as between 10 and 100.
    pub fn spread(&mut self, low: u64, high: u64) -> u64 {
        let octaves = (high.max(1) as f64 / low.max(1) as f64).log2();
        let part = self.below(1 << 20) as f64 / f64::from(1 << 20);
        ((low.max(1) as f64 * (octaves * part).exp2()) as u64).clamp(low, high)
    }

    /// True `ppm` times in a million.
    pub const fn chance(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.below(1_000_000) < ppm as u64
    }

    /// One of the items.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        assert!(!items.is_empty(), "picked from nothing");
        &items[self.below(items.len() as u64) as usize]
    }

    /// One of the items, by weight.
    ///
    /// # Panics
    /// When there are none.
    pub fn weighted<T: Copy>(&mut self, items: &[(u64, T)]) -> T {
        let mut at = self.below(items.iter().map(|(weight, _)| weight).sum());
        for (weight, item) in items {
            if at < *weight {
                return *item;
            }
            at -= weight;
        }
        unreachable!("picked from nothing")
    }
}

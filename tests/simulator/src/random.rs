//! Small generators. Nothing here is secret: the same seed gives the same store.

/// Scrambles a number (the finaliser of SplitMix64, Steele, Lea and Flood 2014). Different
/// inputs give different outputs.
#[must_use]
pub const fn split_mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// xorshift64* (Marsaglia 2003, Vigna 2016).
#[derive(Debug, Clone)]
pub struct XorShift64Star(u64);

impl XorShift64Star {
    /// From any seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // The generator stands still at zero.
        Self(split_mix(seed) | 1)
    }

    /// The next number.
    #[must_use]
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from 0 to `bound` − 1; 0 when `bound` is 0. The slight bias of the remainder
    /// does not matter here.
    #[must_use]
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or(0)
    }

    /// One element; `None` of an empty slice.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.below(from.len() as u64);
        usize::try_from(index).ok().and_then(|i| from.get(i))
    }
}

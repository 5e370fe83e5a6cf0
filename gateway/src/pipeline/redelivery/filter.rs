//! A Bloom filter over event ids that forgets by age: says *never* or *maybe*.

use super::{Key, MEMORY_NS, age_ns};
use std::collections::VecDeque;
use tillwatch_protocol::Stamp;

/// Bits of one generation: 512 KiB. With 100,000 ids one new id in 50,000 is *maybe*, with a million
/// one in seven; more only costs time.
const BITS: u64 = 1 << 22;
/// Bits per id.
const HASHES: u64 = 4;
/// Ids of this much time share a generation …
const GENERATION_NS: u64 = MEMORY_NS / 2;
/// … and so many generations cover the memory, whatever the clock does.
const GENERATIONS: usize = 4;

/// Nothing is set aside before the first id comes.
#[derive(Default)]
pub struct Filter(VecDeque<Generation>);

struct Generation {
    first: Stamp,
    last: Stamp,
    bits: Box<[u64]>,
}

fn places(key: &Key) -> impl Iterator<Item = (usize, u64)> {
    // The key is a hash already: two halves give all the places.
    let all = u128::from_le_bytes(*key);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let (start, step) = (all as u64, (all >> 64) as u64 | 1);
    (0..HASHES).map(move |n| {
        let bit = start.wrapping_add(step.wrapping_mul(n)) % BITS;
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}

impl Filter {
    /// Adds an id that was seen at `stamp`. Comes in order of time.
    pub fn add(&mut self, key: &Key, stamp: &Stamp) {
        while self
            .0
            .front()
            .is_some_and(|g| age_ns(&g.last, stamp) >= MEMORY_NS)
        {
            self.0.pop_front();
        }
        let begin = match self.0.back() {
            None => true,
            Some(g) => self.0.len() < GENERATIONS && age_ns(&g.first, stamp) >= GENERATION_NS,
        };
        if begin {
            self.0.push_back(Generation {
                first: *stamp,
                last: *stamp,
                bits: vec![0; (BITS / 64) as usize].into(),
            });
        }
        if let Some(newest) = self.0.back_mut() {
            newest.last = *stamp;
            for (word, bit) in places(key) {
                newest.bits[word] |= bit;
            }
        }
    }

    /// False: it was never added, or too long ago.
    pub fn may_hold(&self, key: &Key) -> bool {
        let held = |g: &Generation| places(key).all(|(word, bit)| g.bits[word] & bit != 0);
        self.0.iter().any(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_protocol::Clock;
    use tillwatch_protocol::time::SECOND_NS;

    fn at(hours: u64) -> Stamp {
        Stamp {
            boot: 1,
            monotonic_ns: hours * 3_600 * SECOND_NS,
            utc_us: 0,
            clock: Clock::Synced,
        }
    }

    fn key(n: u64) -> Key {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(n.to_le_bytes());
        digest.first_chunk().copied().unwrap()
    }

    #[test]
    fn what_was_added_is_held_for_a_day_and_what_was_not_hardly_ever() {
        let mut filter = Filter::default();
        assert!(!filter.may_hold(&key(0)));
        for hour in 0..200 {
            for n in 0..100 {
                filter.add(&key(hour * 1_000 + n), &at(hour));
            }
            for kept in hour.saturating_sub(23)..=hour {
                assert!(filter.may_hold(&key(kept * 1_000)), "{kept} at {hour}");
            }
            assert!(filter.0.len() <= GENERATIONS);
        }
        assert!(!filter.may_hold(&key(100_000)), "a hundred hours ago");
        let wrong = (0..100_000).filter(|n| filter.may_hold(&key(1_000_000 + n)));
        assert!(wrong.count() < 10);
    }
}

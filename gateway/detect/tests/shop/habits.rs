//! What differs between shops: devices, tills and networks.

/// SplitMix64: the same shop for the same seed, for ever.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    #[allow(clippy::cast_precision_loss)]
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    pub fn in_thousand(&mut self, n: u64) -> bool {
        self.next() % 1_000 < n
    }

    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.next() % choices.len() as u64).unwrap()]
    }
}

/// Rates are in a thousand.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)]
pub struct Habits {
    /// Receipts carry a number.
    pub numbers: bool,
    /// Till events name a ticket …
    pub ids: bool,
    /// … which they call an order.
    pub orders: bool,
    /// Till events say when they happened.
    pub times: bool,
    /// One receipt in so many is a picture.
    pub pictures_one_in: u64,
    pub losses: u64,
    pub loses_first: bool,
    pub delays: u64,
    pub longest_delay_s: f64,
    pub repeats: u64,
    pub mishaps: u64,
    pub frauds: u64,
    pub policy_changes: bool,
    pub kick_line: bool,
    /// When somebody sets our clock; not a number where it is right from the beginning.
    pub clock_set_at_s: f64,
    /// Our wall clock is wrong by this until then; a few weeks reach over the end of summer time.
    pub our_clock_s: f64,
}

impl Habits {
    /// Everything that can be wrong with a shop, by its seed.
    pub fn of_any_shop(seed: u64) -> Habits {
        let mut chance = Chance(seed ^ 0x5EED_0F5B);
        Habits {
            numbers: !chance.one_in(3),
            ids: !chance.one_in(5),
            orders: chance.one_in(4),
            times: !chance.one_in(4),
            pictures_one_in: chance.of(&[40, 40, 40, 2]),
            losses: chance.of(&[0, 2, 5, 10, 10, 20, 50]),
            loses_first: chance.one_in(4),
            delays: chance.of(&[0, 5, 20, 20, 100]),
            longest_delay_s: chance.of(&[60.0, 200.0, 400.0, 580.0]),
            repeats: chance.of(&[0, 5, 20]),
            mishaps: 20,
            frauds: 0,
            policy_changes: chance.one_in(4),
            kick_line: !chance.one_in(4),
            clock_set_at_s: chance.of(&[f64::NAN, f64::NAN, 500.0, 90_000.0]),
            our_clock_s: chance.of(&[0.0, 17.0 * 86_400.0, -40_000_000.0]),
        }
    }

    /// A shop whose feed loses nothing and is prompt: whatever happens there can be known, but for
    /// what falls into a mishap.
    pub fn of_a_good_shop(seed: u64) -> Habits {
        Habits {
            numbers: true,
            ids: true,
            times: true,
            pictures_one_in: 200,
            losses: 0,
            loses_first: false,
            delays: 0,
            repeats: 0,
            mishaps: 5,
            policy_changes: false,
            clock_set_at_s: f64::NAN,
            our_clock_s: 0.0,
            ..Habits::of_any_shop(seed)
        }
    }
}

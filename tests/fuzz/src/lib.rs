//! What must hold for every byte that comes from outside, one module per way in.
//!
//! Each module has a `run`, which panics when something does not hold. `fuzz_targets/` hands it
//! what libFuzzer makes up; a test hands it every committed seed.
#![warn(missing_docs)]

pub mod camera_jpeg;
pub mod drawer_edges;
pub mod escpos;
pub mod log_recovery;
pub mod media_recovery;
pub mod money;
pub mod pos_event;
pub mod receipt_tap;
pub mod receipt_transaction;
pub mod record;
pub mod timestamp;

/// A target: takes an input and panics when something does not hold.
pub type Target = fn(&[u8]);

/// Every target with its name.
pub const TARGETS: [(&str, Target); 11] = [
    ("camera_jpeg", camera_jpeg::run),
    ("drawer_edges", drawer_edges::run),
    ("escpos", escpos::run),
    ("log_recovery", log_recovery::run),
    ("media_recovery", media_recovery::run),
    ("money", money::run),
    ("pos_event", pos_event::run),
    ("receipt_tap", receipt_tap::run),
    ("receipt_transaction", receipt_transaction::run),
    ("record", record::run),
    ("timestamp", timestamp::run),
];

/// Numbers that depend on the input alone: a found input stays found. (SplitMix64.)
struct Numbers(u64);

impl Numbers {
    /// Seeded with a hash of the input (FNV-1a).
    fn of(input: &[u8]) -> Self {
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
        Self(input.iter().fold(0xCBF2_9CE4_8422_2325, mix))
    }

    /// From 0 up to, not including, `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

#[cfg(test)]
mod replay;

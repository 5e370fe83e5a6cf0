//! Pictures to measure with.

use anyhow::Result;
use jpeg_encoder::{ColorType, Encoder};
use std::path::{Path, PathBuf};

/// Recorded footage: beside the checkout, or in the folder that `TILLWATCH_TEST_DATA` names.
pub fn recorded() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("TILLWATCH_TEST_DATA").map_or(beside, PathBuf::from);
    Some(data.join("camera/walkers-768x576-10fps.mjpeg")).filter(|file| file.is_file())
}

/// JPEGs one after another: each begins where the end of one and the start of another meet.
pub fn split(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut jpegs = Vec::new();
    let mut begin = 0;
    for (at, bytes) in stream.windows(4).enumerate() {
        if bytes == [0xFF, 0xD9, 0xFF, 0xD8] {
            jpegs.push(stream[begin..at + 2].to_vec());
            begin = at + 2;
        }
    }
    jpegs.push(stream[begin..].to_vec());
    jpegs
}

/// A picture of 640 × 480 with something everywhere.
pub fn drawn(number: u32) -> Result<Vec<u8>> {
    let mut random = tillwatch_simulator::random::XorShift64Star::new(u64::from(number) + 1);
    let rgb: Vec<u8> = (0_u32..640 * 480 * 3)
        .map(|at| {
            let level = (at / 40 + number * 5) % 224;
            u8::try_from(u64::from(level) + random.below(32)).unwrap_or(u8::MAX)
        })
        .collect();
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, 80).encode(&rgb, 640, 480, ColorType::Rgb)?;
    Ok(jpeg)
}

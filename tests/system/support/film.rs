//! What cameras play: recorded footage where it is present, else pictures that are drawn.

use jpeg_encoder::{ColorType, Encoder};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tillwatch_drivers::camera::jpeg::{MAX_BYTES, Splitter};

const WIDTH: u16 = 384;
const HEIGHT: u16 = 288;
/// Pictures that are drawn.
const DRAWN: usize = 60;

pub type Hash = [u8; 32];

pub fn hash(jpeg: &[u8]) -> Hash {
    Sha256::digest(jpeg).into()
}

/// Pictures that a camera shows one after another, in a circle; no two are the same.
pub struct Film {
    pictures: Vec<Vec<u8>>,
    places: HashMap<Hash, usize>,
}

impl Film {
    /// Real surveillance footage beside the checkout or below `TILLWATCH_TEST_DATA`, else drawn.
    pub fn new() -> Self {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        let data = std::env::var_os("TILLWATCH_TEST_DATA").map_or(beside, PathBuf::from);
        let recorded = data.join("camera/walkers-768x576-10fps.mjpeg");
        match std::fs::read(&recorded) {
            Ok(bytes) => Self::of(split(&bytes)),
            Err(_) => {
                eprintln!("drawn pictures: no footage at {}", recorded.display());
                Self::of((0..DRAWN).map(draw).collect())
            }
        }
    }

    fn of(pictures: Vec<Vec<u8>>) -> Self {
        let places: HashMap<Hash, usize> =
            pictures.iter().map(|jpeg| hash(jpeg)).zip(0..).collect();
        assert_eq!(places.len(), pictures.len(), "no picture is there twice");
        Self { pictures, places }
    }

    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }

    /// Where a picture stands in the circle.
    pub fn place(&self, jpeg: &[u8]) -> usize {
        let place = self.places.get(&hash(jpeg));
        *place.expect("a picture that the camera showed, byte for byte")
    }

    /// A file that plays the circle from picture `first` on.
    pub fn write(&self, path: &Path, first: usize) {
        let (before, after) = self.pictures.split_at(first);
        std::fs::write(path, [after, before].concat().concat()).unwrap();
    }
}

fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut pictures = Vec::new();
    Splitter::new(MAX_BYTES).feed(bytes, &mut |jpeg| pictures.push(jpeg.unwrap().to_vec()));
    pictures
}

/// A bar that wanders over coarse noise, which makes a picture as large as a real one.
fn draw(number: usize) -> Vec<u8> {
    let mut noise = 0x9e37_79b9_u32 ^ u32::try_from(number).unwrap();
    let luma: Vec<u8> = (0..usize::from(WIDTH) * usize::from(HEIGHT))
        .map(|at| {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            let bar = at % usize::from(WIDTH) / 8 == number % 48;
            let level = if bar { 200 } else { 60 };
            level + u8::try_from(noise % 48).unwrap()
        })
        .collect();
    let mut jpeg = Vec::new();
    let encoder = Encoder::new(&mut jpeg, 85);
    encoder
        .encode(&luma, WIDTH, HEIGHT, ColorType::Luma)
        .unwrap();
    jpeg
}

//! A camera's bytes, or those of a recording: cut into JPEGs, completed, and their brightness read.

use crate::Numbers;
use std::sync::OnceLock;
use tillwatch_drivers::camera::Region;
use tillwatch_drivers::camera::blinding::{BlindingDetector, Look};
use tillwatch_drivers::camera::jpeg::{
    MAX_PIXELS, Refused, STANDARD_HUFFMAN, Splitter, check, fingerprint, take,
};
use tillwatch_drivers::camera::luma::{Luma, LumaReader, SCALE};
use tillwatch_drivers::camera::motion::{MotionConfig, MotionDetector};

/// A whole picture, read after each one that was tried.
const GOOD: &[u8] = include_bytes!("../seeds/camera_jpeg/restarts");

type Found = Vec<Result<Vec<u8>, Refused>>;

/// The input is what a driver's buffer holds, and a stream as well.
pub fn run(input: &[u8]) {
    let mut reader = LumaReader::new();
    buffer(input, &mut reader);

    let mut numbers = Numbers::of(input);
    let max_bytes = match numbers.below(4) {
        0 => 2 + numbers.below(input.len() as u64) as usize,
        _ => 1 << 20,
    };
    let whole = split(input, max_bytes, |_| usize::MAX);
    assert_eq!(split(input, max_bytes, |_| 1), whole, "byte by byte");
    let pieces = split(input, max_bytes, |left| {
        1 + numbers.below(left.min(64)) as usize
    });
    assert_eq!(pieces, whole, "in pieces");
    for jpeg in whole.0.iter().flatten() {
        assert!(jpeg.len() <= max_bytes);
        match check(jpeg) {
            Ok(_) => buffer(jpeg, &mut reader),
            Err(reason) => assert!(
                matches!(reason, Refused::Damaged | Refused::Size { .. }),
                "{reason}"
            ),
        }
    }
}

/// What was found, and how many bytes lie outside.
fn split(input: &[u8], max_bytes: usize, mut piece: impl FnMut(u64) -> usize) -> (Found, u64) {
    let mut splitter = Splitter::new(max_bytes);
    let mut found = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece(rest.len() as u64).min(rest.len()));
        splitter.feed(now, &mut |one| found.push(one.map(|jpeg| jpeg.to_vec())));
        assert!(splitter.held() <= max_bytes);
        rest = later;
    }
    splitter.end(&mut |one| found.push(one.map(|jpeg| jpeg.to_vec())));
    let kept: u64 = found.iter().flatten().map(|jpeg| jpeg.len() as u64).sum();
    assert_eq!(
        kept + splitter.skipped(),
        input.len() as u64,
        "every byte has a place"
    );
    (found, splitter.skipped())
}

fn buffer(bytes: &[u8], reader: &mut LumaReader) {
    let taken = take(bytes);
    let mut luma = Luma::default();
    if let Ok(taken) = taken {
        let put_in = if taken.repaired {
            STANDARD_HUFFMAN.len()
        } else {
            0
        };
        assert!(taken.jpeg.len() <= bytes.len() + put_in);
        let again = take(&taken.jpeg).expect("what was taken can be taken again");
        assert!(!again.repaired && again.jpeg == taken.jpeg);
        if !taken.repaired {
            assert!(bytes.starts_with(&taken.jpeg));
        }
        // With the tables or without, the same is seen.
        let read = LumaReader::new().read(&taken.jpeg, &mut luma);
        let mut bare = Luma::default();
        assert_eq!(LumaReader::new().read(bytes, &mut bare), read);
        if read.is_ok() {
            assert_eq!(bare, luma);
            assert_eq!(luma.columns(), usize::from(taken.width).div_ceil(SCALE));
            assert_eq!(luma.rows(), usize::from(taken.height).div_ceil(SCALE));
        }
    }
    if reader.read(bytes, &mut luma).is_ok() {
        judge(&luma, fingerprint(bytes));
    }
    assert!(luma.cells().len() <= MAX_PIXELS as usize);
    reader.read(GOOD, &mut luma).expect("a whole picture");
    static EXPECTED: OnceLock<Luma> = OnceLock::new();
    let expected = EXPECTED.get_or_init(|| {
        let mut luma = Luma::default();
        LumaReader::new()
            .read(GOOD, &mut luma)
            .expect("a whole picture");
        luma
    });
    assert_eq!(&luma, expected, "as if nothing had been");
}

fn judge(luma: &Luma, fingerprint: u64) {
    let look = Look::of(luma);
    assert!(look.edges <= 1000);
    let mut motion = MotionDetector::new(&[Region::WHOLE], MotionConfig::default());
    let mut sight = BlindingDetector::new();
    let dark = Luma::new(luma.columns(), luma.rows(), Vec::new());
    for (number, picture) in [luma, &dark, luma, luma].into_iter().enumerate() {
        let now_ns = number as u64 * 1_000_000_000;
        motion.observe(picture, now_ns, &mut |change| assert!(change.score <= 1000));
        sight.observe(picture, fingerprint, now_ns);
    }
}

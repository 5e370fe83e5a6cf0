//! Motion and blinding on real surveillance footage, and on what becomes of it when somebody
//! darkens, covers, freezes or turns the camera. The footage is not part of this repository;
//! without it these tests say so and pass.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test's helpers may fail it, and say that it was skipped"
)]

use std::path::Path;

use jpeg_encoder::{ColorType, Encoder};
use tillwatch_drivers::camera::Region;
use tillwatch_drivers::camera::blinding::{BlindingDetector, Look, Sight};
use tillwatch_drivers::camera::jpeg::{MAX_BYTES, Splitter, fingerprint};
use tillwatch_drivers::camera::luma::{Luma, LumaReader};
use tillwatch_drivers::camera::motion::{Motion, MotionConfig, MotionDetector};

const FOOTAGE: &str = "../../shared/data/camera/walkers-768x576-10fps.mjpeg";
const SECOND: u64 = 1_000_000_000;

/// People cross a yard for a minute; nobody walks on the lawn before the last ten seconds.
const LAWN: Region = Region {
    left: 0,
    top: 620,
    width: 300,
    height: 380,
};
/// There somebody is always on the way.
const PATH: Region = Region {
    left: 250,
    top: 250,
    width: 600,
    height: 400,
};

fn footage() -> Option<Vec<Vec<u8>>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOOTAGE);
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("SKIPPED: no footage at {}", path.display());
        return None;
    };
    let mut splitter = Splitter::new(MAX_BYTES);
    let mut frames = Vec::new();
    splitter.feed(&bytes, &mut |jpeg| {
        frames.push(jpeg.expect("whole JPEGs").to_vec())
    });
    assert_eq!(frames.len(), 600);
    Some(frames)
}

/// A grey picture of half the size, to be edited.
#[derive(Clone)]
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn of(jpeg: &[u8]) -> Self {
        let mut decoder = jpeg_decoder::Decoder::new(jpeg);
        let (width, height) = decoder.scale(384, 288).expect("a header");
        let pixels = decoder.decode().expect("it decodes");
        let (width, height) = (usize::from(width), usize::from(height));
        let step = pixels.len() / (width * height);
        Self {
            width,
            height,
            pixels: pixels.into_iter().skip(step / 2).step_by(step).collect(),
        }
    }

    fn jpeg(&self, quality: u8) -> Vec<u8> {
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, quality)
            .encode(
                &self.pixels,
                self.width as u16,
                self.height as u16,
                ColorType::Luma,
            )
            .expect("it encodes");
        jpeg
    }

    /// Every pixel, with its column and row.
    fn map(mut self, mut edit: impl FnMut(usize, usize, u8) -> i32) -> Self {
        for (at, pixel) in self.pixels.iter_mut().enumerate() {
            *pixel = edit(at % self.width, at / self.width, *pixel).clamp(0, 255) as u8;
        }
        self
    }

    fn light(self, per_cent: i32) -> Self {
        self.map(|_, _, pixel| i32::from(pixel) * per_cent / 100)
    }

    /// A sensor's noise: the sum of some numbers is about normal.
    fn noise(self, numbers: &mut Numbers, deviation: i32) -> Self {
        self.map(|_, _, pixel| {
            let sum: i32 = (0..6).map(|_| numbers.below(256) - 128).sum();
            i32::from(pixel) + sum * deviation / 181
        })
    }

    /// The mean of so many pixels around each, in both directions.
    fn blur(self, radius: usize) -> Self {
        let across = |picture: &Self, columns: bool| {
            let (width, height) = (picture.width, picture.height);
            let mut pixels = picture.pixels.clone();
            for row in 0..height {
                for column in 0..width {
                    let (at, end) = if columns {
                        (column, width)
                    } else {
                        (row, height)
                    };
                    let range = at.saturating_sub(radius)..(at + radius + 1).min(end);
                    let count = range.len() as u32;
                    let sum: u32 = range
                        .map(|one| {
                            if columns {
                                row * width + one
                            } else {
                                one * width + column
                            }
                        })
                        .map(|one| u32::from(picture.pixels[one]))
                        .sum();
                    pixels[row * width + column] = (sum / count) as u8;
                }
            }
            Self {
                pixels,
                width,
                height,
            }
        };
        let blurred = across(&self, true);
        across(&blurred, false)
    }
}

struct Numbers(u32);

impl Numbers {
    fn below(&mut self, bound: i32) -> i32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as i32 % bound
    }
}

/// A camera with its judges: what the lawn and the path do, and what can be seen.
struct Watched {
    reader: LumaReader,
    luma: Luma,
    motion: MotionDetector,
    sight: BlindingDetector,
    now_ns: u64,
    told: Vec<(u64, u8, Motion)>,
}

impl Watched {
    fn new() -> Self {
        Self {
            reader: LumaReader::new(),
            luma: Luma::default(),
            motion: MotionDetector::new(&[LAWN, PATH], MotionConfig::default()),
            sight: BlindingDetector::new(),
            now_ns: 0,
            told: Vec::new(),
        }
    }

    fn look(&mut self, jpeg: &[u8], after_ns: u64) {
        self.now_ns += after_ns;
        self.reader.read(jpeg, &mut self.luma).expect("a JPEG");
        let told = &mut self.told;
        self.motion.observe(&self.luma, self.now_ns, &mut |change| {
            told.push((change.at_ns, change.region, change.motion));
        });
        self.sight
            .observe(&self.luma, fingerprint(jpeg), self.now_ns);
    }

    fn lawn(&self) -> Option<Motion> {
        self.motion.motion(0)
    }
}

/// What is seen after twelve seconds of pictures, edited, one a second.
fn sight(frames: &[Vec<u8>], edit: impl Fn(Picture) -> Picture) -> (Option<Sight>, Look) {
    let mut watched = Watched::new();
    let mut numbers = Numbers(7);
    for frame in frames.iter().step_by(10).take(12) {
        let picture = edit(Picture::of(frame)).noise(&mut numbers, 2);
        watched.look(&picture.jpeg(75), SECOND);
    }
    (watched.sight.sight(), Look::of(&watched.luma))
}

#[test]
fn who_walks_is_seen_and_an_empty_lawn_is_still() {
    let Some(frames) = footage() else { return };
    let mut watched = Watched::new();
    for frame in frames[..500].iter().step_by(2) {
        watched.look(frame, SECOND / 5);
        if watched.now_ns > 3 * SECOND {
            assert_eq!(watched.lawn(), Some(Motion::Still), "at {}", watched.now_ns);
            assert_eq!(
                watched.motion.motion(1),
                Some(Motion::Moving),
                "at {}",
                watched.now_ns
            );
        }
    }
    assert_eq!(watched.told.len(), 2, "{:?}", watched.told);
    // Then somebody crosses the lawn.
    for frame in frames[500..].iter().step_by(2) {
        watched.look(frame, SECOND / 5);
    }
    assert_eq!(watched.lawn(), Some(Motion::Moving));
    assert_eq!(watched.sight.sight(), Some(Sight::Clear));
    assert_eq!(watched.motion.whole_changes(), 0);
}

#[test]
fn a_sensors_noise_and_the_compression_of_a_still_picture_are_neither_motion_nor_frozen() {
    let Some(frames) = footage() else { return };
    let still = Picture::of(&frames[0]);
    for (deviation, light) in [(1, 100), (4, 100), (8, 40)] {
        let mut watched = Watched::new();
        let mut numbers = Numbers(3);
        for number in 0..75 {
            let picture = still.clone().light(light).noise(&mut numbers, deviation);
            // A camera that keeps its rate of bytes changes its quality.
            watched.look(&picture.jpeg(40 + number % 5 * 10), SECOND / 5);
        }
        assert_eq!(watched.lawn(), Some(Motion::Still), "deviation {deviation}");
        assert_eq!(
            watched.motion.motion(1),
            Some(Motion::Still),
            "deviation {deviation}"
        );
        assert_eq!(
            watched.sight.sight(),
            Some(Sight::Clear),
            "deviation {deviation}"
        );
    }
}

#[test]
fn a_dark_picture_is_dark_and_dusk_is_not() {
    let Some(frames) = footage() else { return };
    for (per_cent, wanted) in [(3, Sight::Dark), (12, Sight::Dark), (35, Sight::Clear)] {
        let (seen, look) = sight(&frames, |picture| picture.light(per_cent));
        assert_eq!(seen, Some(wanted), "{per_cent} %: {look:?}");
    }
}

/// Lights off, but an emergency lamp shines and the sensor's gain is up.
#[test]
fn a_shop_at_night_is_dark_and_nothing_moves_in_its_noise() {
    let Some(frames) = footage() else { return };
    let night = Picture::of(&frames[0]).light(8).map(|column, row, pixel| {
        let lamp = (180..192).contains(&column) && (20..26).contains(&row);
        if lamp { 220 } else { i32::from(pixel) + 4 }
    });
    let mut watched = Watched::new();
    let mut numbers = Numbers(5);
    for _ in 0..50 {
        let picture = night.clone().noise(&mut numbers, 9);
        watched.look(&picture.jpeg(60), SECOND / 5);
    }
    assert_eq!(watched.sight.sight(), Some(Sight::Dark));
    assert_eq!(watched.lawn(), Some(Motion::Still));
}

#[test]
fn a_covered_lens_is_covered_however_it_is_done() {
    let Some(frames) = footage() else { return };
    type Edit = fn(Picture) -> Picture;
    let edits: [(&str, Edit); 5] = [
        ("a bag", |picture| picture.map(|_, _, _| 70)),
        ("white tape", |picture| {
            picture.map(|column, row, _| 120 + column as i32 / 8 - row as i32 / 10)
        }),
        ("a hand", |picture| {
            picture.map(|column, row, _| {
                let off = (column as i32 - 260).pow(2) + (row as i32 - 60).pow(2);
                40 + 60 * 20_000 / (20_000 + off)
            })
        }),
        ("grease", |picture| picture.blur(40)),
        ("paint", |picture| picture.blur(30).light(60)),
    ];
    for (how, edit) in edits {
        let (seen, look) = sight(&frames, edit);
        assert_eq!(seen, Some(Sight::Covered), "{how}: {look:?}");
    }
}

#[test]
fn a_camera_that_still_sees_something_is_not_blinded() {
    let Some(frames) = footage() else { return };
    type Edit = fn(Picture) -> Picture;
    let edits: [(&str, Edit); 4] = [
        ("half covered", |picture| {
            picture.map(|column, _, pixel| if column < 192 { 50 } else { i32::from(pixel) })
        }),
        ("out of focus", |picture| picture.blur(3)),
        ("little contrast", |picture| {
            picture.map(|_, _, pixel| 128 + (i32::from(pixel) - 128) / 3)
        }),
        ("upside down", |mut picture| {
            picture.pixels.reverse();
            picture
        }),
    ];
    for (how, edit) in edits {
        let (seen, look) = sight(&frames, edit);
        assert_eq!(seen, Some(Sight::Clear), "{how}: {look:?}");
    }
}

/// A stuck driver or camera repeats the very bytes; some put another header before them.
#[test]
fn a_frozen_picture_is_frozen_until_it_moves_again() {
    let Some(frames) = footage() else { return };
    let mut watched = Watched::new();
    for frame in frames[..80].iter().step_by(2) {
        watched.look(frame, SECOND / 5);
    }
    assert_eq!(watched.sight.sight(), Some(Sight::Clear));
    let mut comment = frames[80].clone();
    comment.splice(2..2, [0xFF, 0xFE, 0, 4, b'n', b'o']);
    for number in 0..55 {
        let frame = if number % 2 == 0 {
            &frames[80]
        } else {
            &comment
        };
        watched.look(frame, SECOND / 5);
    }
    assert_eq!(watched.sight.sight(), Some(Sight::Frozen));
    for frame in frames[80..140].iter().step_by(2) {
        watched.look(frame, SECOND / 5);
    }
    assert_eq!(watched.sight.sight(), Some(Sight::Clear));
}

#[test]
fn a_camera_knocked_into_another_direction_is_unjudged_for_a_moment_and_not_blind() {
    let Some(frames) = footage() else { return };
    let still = Picture::of(&frames[0]);
    let (width, height) = (still.width, still.height);
    let turned = still.clone().map(|column, row, _| {
        let (from, below) = ((column + 150) % width, (row + 60) % height);
        i32::from(still.pixels[below * width + from])
    });
    let mut watched = Watched::new();
    let mut numbers = Numbers(11);
    for _ in 0..30 {
        watched.look(&still.clone().noise(&mut numbers, 2).jpeg(75), SECOND / 5);
    }
    assert_eq!(watched.lawn(), Some(Motion::Still));
    watched.look(&turned.jpeg(75), SECOND / 5);
    assert_eq!(watched.lawn(), Some(Motion::Unjudged));
    for _ in 0..30 {
        watched.look(&turned.clone().noise(&mut numbers, 2).jpeg(75), SECOND / 5);
    }
    assert_eq!(watched.lawn(), Some(Motion::Still));
    assert_eq!(watched.sight.sight(), Some(Sight::Clear));
}

#[test]
fn a_switched_light_moves_nobody() {
    let Some(frames) = footage() else { return };
    let mut watched = Watched::new();
    // Off, on, half of the lamps, and a camera that then corrects its exposure.
    let light = |number: usize| match number {
        0..30 => 100,
        30..60 => 25,
        60..90 => 100,
        90..95 => 55,
        95..115 => 55 + (number as i32 - 95) * 2,
        _ => 95,
    };
    for (number, frame) in frames.iter().step_by(2).take(140).enumerate() {
        let picture = Picture::of(frame).light(light(number));
        watched.look(&picture.jpeg(75), SECOND / 5);
        assert_ne!(watched.lawn(), Some(Motion::Moving), "at {number}");
        if matches!(number, 30..37 | 60..67 | 90..97) {
            assert_eq!(watched.lawn(), Some(Motion::Unjudged), "at {number}");
        }
    }
    assert_eq!(watched.lawn(), Some(Motion::Still));
    assert!(watched.motion.whole_changes() >= 3);
    for region in [0, 1] {
        let told: Vec<_> = watched
            .told
            .iter()
            .filter(|told| told.1 == region)
            .collect();
        assert!(
            told.windows(2).all(|two| two[1].0 - two[0].0 >= 2 * SECOND),
            "{told:?}"
        );
    }
}

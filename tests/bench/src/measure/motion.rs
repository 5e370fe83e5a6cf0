//! Seeing in a camera's pictures whether somebody moves, and whether the camera sees at all.
//!
//! Beside it: the same pictures decoded whole. Both take every picture, in turns; a camera's are
//! looked at five times a second at most.

use crate::figures::{Report, Samples, count};
use crate::pictures::{drawn, recorded, split};
use anyhow::Result;
use std::time::{Duration, Instant};
use tillwatch_drivers::camera::Region;
use tillwatch_drivers::camera::blinding::BlindingDetector;
use tillwatch_drivers::camera::jpeg::fingerprint;
use tillwatch_drivers::camera::luma::{Luma, LumaReader};
use tillwatch_drivers::camera::motion::{MotionConfig, MotionDetector};

#[derive(clap::Args)]
pub struct Options {
    /// Rounds over all pictures.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Pictures of a round, at most.
    #[arg(long, default_value_t = 300)]
    pictures: usize,
}

/// Time between two pictures that are looked at, in nanoseconds.
const PERIOD_NS: u64 = 200_000_000;

pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    let pictures = match recorded() {
        Some(file) => split(&std::fs::read(file)?),
        None => (0..60).map(drawn).collect::<Result<_>>()?,
    };
    let pictures: Vec<_> = pictures.into_iter().take(options.pictures).collect();
    let bytes: usize = pictures.iter().map(Vec::len).sum();
    report.note(&format!(
        "{} {} pictures of {} bytes on average, {} rounds",
        pictures.len(),
        if recorded().is_some() {
            "recorded"
        } else {
            "drawn"
        },
        bytes / pictures.len(),
        options.rounds
    ));
    let whole = Region {
        left: 0,
        top: 0,
        width: 1_000,
        height: 1_000,
    };
    let mut reader = LumaReader::new();
    let mut luma = Luma::default();
    let (mut read, mut seen, mut full) =
        (Samples::default(), Samples::default(), Samples::default());
    let mut changes = 0_u64;
    for _ in 0..options.rounds {
        let start = Instant::now();
        for jpeg in &pictures {
            reader.read(jpeg, &mut luma)?;
        }
        read.push_ms(each(start.elapsed(), pictures.len()));

        let mut motion = MotionDetector::new(&[whole], MotionConfig::default());
        let mut blinding = BlindingDetector::new();
        let start = Instant::now();
        for (jpeg, at) in pictures.iter().zip(1_u64..) {
            reader.read(jpeg, &mut luma)?;
            motion.observe(&luma, at * PERIOD_NS, &mut |_| changes += 1);
            let sight = blinding.observe(&luma, fingerprint(jpeg), at * PERIOD_NS);
            changes += u64::from(sight.is_some());
        }
        seen.push_ms(each(start.elapsed(), pictures.len()));

        let start = Instant::now();
        for jpeg in &pictures {
            std::hint::black_box(jpeg_decoder::Decoder::new(jpeg.as_slice()).decode()?);
        }
        full.push_ms(each(start.elapsed(), pictures.len()));
    }
    report.note(&format!("{changes} changes were seen"));
    report.figure(
        "brightness at an eighth of the size",
        read.median(),
        "ms a picture",
    );
    report.figure("  and motion, and blinding", seen.median(), "ms a picture");
    report.figure(
        "full decode (`jpeg-decoder`)",
        full.median(),
        "ms a picture",
    );
    report.figure(
        "ratio of brightness to full decode",
        read.median() / full.median(),
        "",
    );
    report.at_most(
        "ratio of all of it to full decode",
        seen.median() / full.median(),
        0.3,
        "",
    );
    report.figure(
        "of a core, at five pictures a second",
        seen.median() * 5.0 / 10.0,
        "%",
    );
    Ok(())
}

fn each(time: Duration, pictures: usize) -> Duration {
    time.div_f64(count(pictures))
}

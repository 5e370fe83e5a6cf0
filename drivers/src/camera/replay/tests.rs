//! Files and channels that are played.

use super::*;
use crate::ErrorKind;
use jpeg_encoder::{ColorType, Encoder};

fn picture(grey: u8) -> Vec<u8> {
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, 80)
        .encode(&[grey; 16 * 8], 16, 8, ColorType::Luma)
        .expect("it encodes");
    jpeg
}

fn recording(parts: &[&[u8]]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), parts.concat()).expect("it is written");
    file
}

const ALL: Playing = Playing {
    millihertz: 10_000,
    looping: false,
    paced: false,
};

#[test]
fn a_recording_is_played_byte_for_byte_to_its_end() {
    let (one, two) = (picture(10), picture(200));
    let file = recording(&[&one, b"between", &two[..two.len() - 3], &two]);
    let mut camera = ReplayCamera::open(file.path(), ALL).expect("it opens");
    let format = *camera.format();
    assert_eq!(
        (format.width, format.height, format.millihertz),
        (16, 8, 10_000)
    );
    let mut next = || camera.next(Duration::ZERO);
    let first = next().expect("a frame").expect("a frame");
    let second = next().expect("a frame").expect("a frame");
    assert_eq!((&first.jpeg[..], &second.jpeg[..]), (&one[..], &two[..]));
    assert_eq!(second.monotonic_ns - first.monotonic_ns, 100_000_000);
    assert_eq!(next().expect_err("the end").kind(), ErrorKind::Fatal);
    let counters = camera.counters();
    assert_eq!((counters.delivered, counters.refused), (2, 1));
}

#[test]
fn a_loop_begins_again_and_time_goes_on() {
    let file = recording(&[&picture(10), &picture(200)]);
    let playing = Playing {
        looping: true,
        ..ALL
    };
    let mut camera = ReplayCamera::open(file.path(), playing).expect("it opens");
    let frames: Vec<Frame> = (0..5)
        .filter_map(|_| camera.next(Duration::ZERO).expect("no end"))
        .collect();
    assert_eq!(frames[0].jpeg, frames[2].jpeg);
    assert_eq!(frames[4].monotonic_ns - frames[0].monotonic_ns, 400_000_000);
}

#[test]
fn a_rate_is_kept() {
    let file = recording(&[&picture(10), &picture(200)]);
    let playing = Playing {
        millihertz: 50_000,
        looping: true,
        paced: true,
    };
    let mut camera = ReplayCamera::open(file.path(), playing).expect("it opens");
    let started = std::time::Instant::now();
    let mut times = Vec::new();
    while times.len() < 4 {
        let frame = camera.next(Duration::from_secs(5)).expect("no end");
        times.extend(frame.map(|frame| frame.monotonic_ns));
    }
    assert!(started.elapsed() >= Duration::from_millis(60));
    // Frames lost on a busy machine leave gaps of whole periods.
    let even = |two: &[u64]| two[1] > two[0] && (two[1] - two[0]).is_multiple_of(20_000_000);
    assert!(times.windows(2).all(even), "{times:?}");
}

#[test]
fn a_file_without_a_picture_is_refused() {
    let missing = ReplayCamera::open(Path::new("/nonexistent.mjpeg"), ALL);
    assert_eq!(missing.expect_err("missing").kind(), ErrorKind::Reopen);
    let file = recording(&[b"no picture"]);
    let error = ReplayCamera::open(file.path(), ALL).expect_err("no picture");
    assert_eq!(error.kind(), ErrorKind::Fatal);
}

#[test]
fn a_damaged_picture_at_the_beginning_costs_only_itself() {
    let (one, two) = (picture(10), picture(200));
    let mut damaged = one.clone();
    let at = one.windows(2).position(|pair| pair == [0xFF, 0xC0]);
    let at = at.expect("a frame header") + 5;
    damaged[at..at + 4].fill(0);
    let file = recording(&[&damaged, &two]);
    let mut camera = ReplayCamera::open(file.path(), ALL).expect("it opens");
    assert_eq!(camera.next(Duration::ZERO).expect("no end"), None);
    let second = camera.next(Duration::ZERO).expect("no end");
    assert_eq!(second.map(|frame| frame.jpeg), Some(two.into()));
    assert_eq!(camera.counters().refused, 1);
}

#[test]
fn pictures_that_are_too_large_are_called_so() {
    let mut large = picture(10);
    let end = large.len() - 2;
    large.splice(end..end, vec![0; jpeg::MAX_BYTES]);
    let file = recording(&[&large]);
    let error = ReplayCamera::open(file.path(), ALL).expect_err("too large");
    assert!(error.to_string().contains("too large"), "{error}");
}

/// Plays until there is an error.
fn lost(camera: &mut ReplayCamera) -> DriverError {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) {
        if let Err(error) = camera.next(Duration::from_millis(50)) {
            return error;
        }
    }
    panic!("it is played on and on");
}

#[test]
fn a_file_that_is_taken_away_or_changed_is_a_pulled_camera() {
    let playing = Playing {
        millihertz: 50_000,
        looping: true,
        paced: true,
    };
    let file = recording(&[&picture(10), &picture(200)]);
    let mut camera = ReplayCamera::open(file.path(), playing).expect("it opens");
    std::fs::write(
        file.path(),
        [picture(30), picture(90), picture(60)].concat(),
    )
    .expect("it is written");
    assert_eq!(lost(&mut camera).kind(), ErrorKind::Reopen);
    let mut camera = ReplayCamera::open(file.path(), playing).expect("it opens");
    std::fs::remove_file(file.path()).expect("it goes");
    assert_eq!(lost(&mut camera).kind(), ErrorKind::Reopen);
    std::fs::write(file.path(), b"").expect("it is begun");
    let begun = ReplayCamera::open(file.path(), playing).expect_err("empty");
    assert_eq!(begun.kind(), ErrorKind::Reopen);
}

#[test]
fn a_channel_carries_frames_and_failures_in_order() {
    let format = CameraFormat {
        width: 16,
        height: 8,
        millihertz: 15_000,
        encoding: Encoding::Mjpeg,
    };
    let (handle, mut camera) = ChannelCamera::new("camera", format);
    assert_eq!(camera.next(Duration::ZERO).expect("silence"), None);
    let frame = Frame {
        jpeg: Bytes::from(picture(10)),
        monotonic_ns: 7,
        width: 16,
        height: 8,
    };
    handle.frame(frame.clone());
    handle.fail(DriverError::Gone {
        device: "camera".into(),
        call: "poll",
    });
    assert_eq!(camera.next(Duration::ZERO).expect("a frame"), Some(frame));
    let pulled = camera.next(Duration::ZERO).expect_err("pulled");
    assert_eq!(pulled.kind(), ErrorKind::Reopen);
    drop(handle);
    let end = camera.next(Duration::ZERO).expect_err("the end");
    assert_eq!(end.kind(), ErrorKind::Fatal);
}

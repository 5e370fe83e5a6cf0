//! Pictures that say whose they are, and waiting, for the tests.

use super::{ClipDescriptor, Media, MediaOpened, MediaOptions, StoredFrame};
use crate::sim_disk::SimDisk;
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tillwatch_protocol::time::{Clock, SECOND_NS};
use tillwatch_protocol::{
    AlertId, ClipId, ClipReport, ClipRequest, ClipState, ClipTrack, FrameKey, LogId, Score, Stamp,
};
use uuid::Uuid;

pub(crate) const LOG: LogId = LogId(Uuid::from_u128(77));
pub(crate) const FPS: u64 = 10;

pub(crate) fn open(disk: &SimDisk, options: &MediaOptions) -> (Media, MediaOpened) {
    let disk = Arc::new(disk.clone());
    Media::open_on(disk, Path::new("/media"), LOG, options.clone()).unwrap()
}

pub(crate) fn key(camera: u8, seq: u64) -> FrameKey {
    FrameKey {
        camera,
        boot: 1,
        seq,
    }
}

/// When the frame with this number was captured.
pub(crate) fn at(seq: u64) -> u64 {
    seq * SECOND_NS / FPS
}

/// The picture with this name: no two are alike anywhere.
pub(crate) fn picture(key: FrameKey, size: usize) -> Bytes {
    let mut seed =
        key.seq ^ (u64::from(key.camera) << 56) ^ (key.boot << 40) ^ 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        bytes.extend_from_slice(&seed.to_le_bytes());
    }
    bytes.truncate(size);
    Bytes::from(bytes)
}

pub(crate) fn frame(camera: u8, seq: u64, size: usize) -> StoredFrame {
    let key = key(camera, seq);
    StoredFrame {
        key,
        monotonic_ns: at(seq),
        utc_us: 1_760_000_000_000_000 + (at(seq) / 1_000) as i64,
        jpeg: picture(key, size),
    }
}

pub(crate) fn clip_id(n: u64) -> ClipId {
    ClipId::of(AlertId(Uuid::from_u64_pair(n, 1)))
}

pub(crate) fn track(camera: u8, first: u64, last: u64, size: usize) -> ClipTrack {
    let frames = last + 1 - first;
    ClipTrack {
        camera,
        name: format!("camera {camera}"),
        boot: 1,
        first_seq: first,
        last_seq: last,
        frames: frames as u32,
        bytes: frames * size as u64,
        first_ns: at(first),
        last_ns: at(last),
        gaps: Vec::new(),
    }
}

/// A clip of these frames whose alert was caused by the frame `cause`.
pub(crate) fn clip(n: u64, milli: u16, cause: u64, cameras: Vec<ClipTrack>) -> ClipDescriptor {
    let stamp = Stamp {
        boot: 1,
        monotonic_ns: at(cause),
        utc_us: 1_760_000_000_000_000,
        clock: Clock::Synced,
    };
    let first = cameras.iter().map(|track| track.first_ns).min();
    let last = cameras.iter().map(|track| track.last_ns).max();
    ClipDescriptor {
        request: ClipRequest {
            clip_id: clip_id(n),
            alert_id: AlertId(Uuid::from_u64_pair(n, 1)),
            cause: stamp,
            from_ns: first.unwrap_or(0),
            to_ns: last.unwrap_or(0),
            score: Score::from_milli(milli),
            kind: "forced".into(),
            staff_id: None,
        },
        report: ClipReport {
            clip_id: clip_id(n),
            state: ClipState::Complete,
            cameras,
            stamp,
        },
    }
}

/// Puts frames one behind the other, waiting for room, and commits a clip of them.
pub(crate) fn record(media: &Media, n: u64, milli: u16, first: u64, last: u64, size: usize) {
    for seq in first..=last {
        put(media, frame(0, seq, size));
    }
    let cause = first.midpoint(last);
    let clip = clip(n, milli, cause, vec![track(0, first, last, size)]);
    media.commit(clip).unwrap().wait().unwrap();
}

pub(crate) fn put(media: &Media, frame: StoredFrame) {
    let mut frame = Some(frame);
    until("there is room in the queue", || {
        match media.put(frame.take().unwrap()) {
            Ok(_) => true,
            Err(full) => {
                assert_eq!(full.why, super::Refusal::Queue);
                frame = Some(full.frame);
                false
            }
        }
    });
}

/// Every frame of a clip reads as it was put.
#[track_caller]
pub(crate) fn assert_whole(media: &Media, n: u64) {
    let clip = media.clip(clip_id(n)).unwrap();
    assert_eq!(clip.dropped(), None);
    let pin = media.pin_clip(clip_id(n)).unwrap();
    for track in &clip.report.cameras {
        let frames = pin.of(track.camera);
        assert_eq!(frames.len() as u32, track.frames, "clip {n}");
        for frame in frames {
            let bytes = pin.read(frame.key).unwrap();
            assert_eq!(
                bytes,
                picture(frame.key, bytes.len()),
                "frame {}",
                frame.key
            );
        }
    }
}

#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::yield_now();
    }
}

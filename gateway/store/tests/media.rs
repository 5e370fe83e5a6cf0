//! Footage on real files: what a recorder does, and the process that dies at every named point.
//!
//! The test program runs itself: with `TILLWATCH_MEDIA_CHILD` set, `child` is the victim.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod directory;

use bytes::Bytes;
use directory::{small, stamp, until};
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use tillwatch_protocol::{
    AlertId, ClipId, ClipReport, ClipRequest, ClipState, ClipTrack, FrameKey, Score,
};
use tillwatch_store::media::{
    ClipDescriptor, Mark, Media, MediaError, MediaOpened, MediaOptions, Refusal, ReserveState,
    StoredFrame,
};
use tillwatch_store::{Store, failpoint};
use uuid::Uuid;

const DIR: &str = "TILLWATCH_MEDIA_CHILD";
const SIGABRT: i32 = 6;
const FRAMES: u64 = 25;
const LONG: u64 = 150;
const FPS: u64 = 5;
const SIZE: usize = 5_000;

fn at(seq: u64) -> u64 {
    seq * 1_000_000_000 / FPS
}

fn clip_id(n: u64) -> ClipId {
    ClipId::of(AlertId(Uuid::from_u64_pair(n, 1)))
}

fn picture(seq: u64) -> Bytes {
    let words = (0..SIZE as u64 / 8).map(|n| (seq << 20 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_le_bytes).collect()
}

fn frame(seq: u64) -> StoredFrame {
    StoredFrame {
        key: FrameKey {
            camera: 0,
            boot: 1,
            seq,
        },
        monotonic_ns: at(seq),
        utc_us: seq as i64,
        jpeg: picture(seq),
    }
}

fn descriptor(n: u64, track: ClipTrack) -> ClipDescriptor {
    let cause = tillwatch_protocol::Stamp {
        monotonic_ns: at(track.last_seq - 5),
        ..stamp(1)
    };
    ClipDescriptor {
        request: ClipRequest {
            clip_id: clip_id(n),
            alert_id: AlertId(Uuid::from_u64_pair(n, 1)),
            cause,
            from_ns: track.first_ns,
            to_ns: track.last_ns,
            score: Score::from_milli(if n.is_multiple_of(3) { 100 } else { 900 }),
            kind: "forced".into(),
            staff_id: None,
        },
        report: ClipReport {
            clip_id: clip_id(n),
            state: ClipState::Complete,
            cameras: vec![track],
            stamp: stamp(1),
        },
    }
}

fn open(dir: &Path) -> (Store, Media, MediaOpened) {
    let (store, _) = Store::open(dir, small("boot-1")).unwrap();
    let (media, opened) = store.open_media(MediaOptions::small()).unwrap();
    (store, media, opened)
}

fn reserved(media: &Media) {
    until("the space is set aside", || {
        *media.reserve().borrow() == ReserveState::Done
    });
}

/// Puts frames and commits a clip of them, as a recorder does.
fn record(media: &Media, n: u64) {
    let first = media.next_seq(0, 1);
    media.claim(clip_id(n), 1, at(first), u64::MAX).unwrap();
    // Some have a long part before the alert, so that there is something to thin.
    let frames = if n.is_multiple_of(5) { LONG } else { FRAMES };
    let last = first + frames - 1;
    for seq in first..=last {
        let mut frame = Some(frame(seq));
        until("there is room in the queue", || {
            match media.put(frame.take().unwrap()) {
                Ok(_) => true,
                Err(full) => {
                    assert_eq!(full.why, Refusal::Queue);
                    frame = Some(full.frame);
                    false
                }
            }
        });
    }
    let track = ClipTrack {
        camera: 0,
        name: "counter".into(),
        boot: 1,
        first_seq: first,
        last_seq: last,
        frames: frames as u32,
        bytes: frames * SIZE as u64,
        first_ns: at(first),
        last_ns: at(last),
        gaps: Vec::new(),
    };
    media.commit(descriptor(n, track)).unwrap().wait().unwrap();
}

/// Every frame of every clip reads as it was put, and none is missing.
fn check(media: &Media, what: &str) {
    for clip in media.clips() {
        let id = clip.request.clip_id;
        let pin = match media.pin_clip(id) {
            Err(MediaError::Dropped { .. } | MediaError::NoSuchClip(_)) => continue,
            pin => pin.unwrap(),
        };
        for found in pin.frames() {
            assert_eq!(
                pin.read(found.key).unwrap(),
                picture(found.key.seq),
                "{what}"
            );
        }
        let wanted: u32 = clip.report.cameras.iter().map(|track| track.frames).sum();
        let same = media.clip(id).is_some_and(|now| now.report == clip.report);
        assert!(pin.frames().len() as u32 == wanted || !same, "{what}");
    }
}

#[test]
fn a_clip_lies_on_real_files_within_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let (store, media, opened) = open(dir.path());
    assert_eq!(
        opened,
        MediaOpened {
            bytes_read: 0,
            ..MediaOpened::default()
        }
    );
    assert!(store.open_media(MediaOptions::small()).is_err(), "once");
    reserved(&media);
    for n in 0..40 {
        record(&media, n);
    }
    check(&media, "before");
    let before = media.clips();
    media.close();
    store.close();
    let files = fs::read_dir(dir.path().join("media")).unwrap();
    let bytes: u64 = files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(bytes, MediaOptions::small().budget_bytes);
    let (_store, media, opened) = open(dir.path());
    assert_eq!(media.clips(), before);
    assert_eq!(opened.notices, [] as [String; 0]);
    check(&media, "after");
    let usage = media.usage();
    assert_eq!(usage.clips as usize, opened.clips);
}

/// The work of one life: clips until segments were recycled several times. What was acknowledged is
/// noted down beside the store.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let dir = Path::new(&dir);
    let (_store, media, _) = open(&dir.join("data"));
    reserved(&media);
    let mut notes = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("notes"))
        .unwrap();
    let noted = fs::read_to_string(dir.join("notes")).unwrap();
    let begun = noted.lines().count() as u64 * 2 + 1_000 * u64::from(std::process::id() % 50_000);
    for n in begun..begun + 40 {
        record(&media, n);
        writeln!(notes, "{n}").unwrap();
        if n % 5 == 0 {
            media
                .mark(clip_id(n), Mark::Reviewed)
                .unwrap()
                .wait()
                .unwrap();
        }
    }
    media.close();
}

fn live(dir: &Path, point: Option<&str>) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child"])
        .env(DIR, dir)
        .env("RUST_BACKTRACE", "0");
    match point {
        Some(point) => command.env("TILLWATCH_FAILPOINT", point),
        None => command.env_remove("TILLWATCH_FAILPOINT"),
    };
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

/// The newest clip that was acknowledged is there as it was, and so is whatever else is shown.
fn check_life(dir: &Path, life: &str) {
    let (store, media, opened) = open(&dir.join("data"));
    assert_eq!(opened.lost, [], "{life}");
    assert_eq!(opened.notices, [] as [String; 0], "{life}");
    check(&media, life);
    let noted = fs::read_to_string(dir.join("notes")).unwrap_or_default();
    if let Some(newest) = noted.lines().last() {
        let newest: u64 = newest.parse().unwrap();
        let clip = media.clip(clip_id(newest));
        let clip = clip.unwrap_or_else(|| panic!("{life}: clip {newest} is unknown"));
        // A low score and what was reviewed may go before what is older and worth more.
        let may_go = newest.is_multiple_of(3) || newest.is_multiple_of(5);
        assert!(clip.dropped().is_none() || may_go, "{life}");
    }
    media.close();
    store.close();
}

#[test]
fn every_named_point_may_be_the_last_thing_that_happens() {
    let points = failpoint::MEDIA_NAMES;
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let dir = tempfile::tempdir().unwrap();
                    let mut died = 0;
                    for life in [
                        format!("{point}:1"),
                        format!("{point}:3"),
                        format!("{point}:1"),
                    ] {
                        let status = live(dir.path(), Some(&life));
                        let aborted = status.signal() == Some(SIGABRT);
                        assert!(aborted || status.success(), "{life}: {status}");
                        died += u32::from(aborted);
                        check_life(dir.path(), &life);
                    }
                    assert!(died > 0, "{point} was never passed");
                    assert!(live(dir.path(), None).success(), "{point}: the life after");
                    check_life(dir.path(), point);
                }
            });
        }
    });
}

#[test]
fn every_named_point_may_fail_once_without_harm() {
    let points = failpoint::MEDIA_NAMES;
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for error in ["eio", "enospc"] {
                        let dir = tempfile::tempdir().unwrap();
                        let life = format!("{point}={error}:2");
                        let status = live(dir.path(), Some(&life));
                        assert!(status.success(), "{life}: {status}");
                        check_life(dir.path(), &life);
                    }
                }
            });
        }
    });
}

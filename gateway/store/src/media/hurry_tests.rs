//! A segment that is used again before the disk could be told of its clips, and the power that goes
//! just then.

use super::stage::{assert_whole, at, clip, clip_id, frame, open, picture, record, track, until};
use super::{Media, MediaError, MediaOpened, MediaOptions, ReserveState};
use crate::sim_disk::{Cut, SimDisk};

/// Frames of a clip, and bytes of each: a clip has half a segment.
const FRAMES: u64 = 24;
const BYTES: usize = 5_000;
/// Clips that fill the room several times.
const CLIPS: u64 = 20;
/// Points at which the disk fails: syncs from the moment on when the room is full.
const POINTS: u32 = 40;

fn options() -> MediaOptions {
    MediaOptions {
        budget_bytes: 5 * (256 << 10),
        ..MediaOptions::small()
    }
}

fn first_of(n: u64) -> u64 {
    n * FRAMES + 1
}

fn record_clip(media: &Media, n: u64) {
    record(media, n, 800, first_of(n), first_of(n + 1) - 1, BYTES);
}

/// Whatever happens, the disk moves again and the writer can end.
struct Moves<'a>(&'a SimDisk);

impl Drop for Moves<'_> {
    fn drop(&mut self) {
        self.0.stall(false);
    }
}

/// Goes on recording until the disk stands still behind its failure, or all is recorded; false when
/// it never failed.
fn record_until_it_stands(media: &Media, disk: &SimDisk) -> bool {
    for n in CLIPS..CLIPS + 8 {
        // What is being recorded is not what goes.
        let (from, to) = (at(first_of(n)), at(first_of(n + 1)));
        media.claim(clip_id(n), 1, from, to).unwrap();
        for seq in first_of(n)..first_of(n + 1) {
            // While the disk stands still the queue takes no more.
            until("there is room, or the disk failed", || {
                disk.failed_syncs() > 0 || media.put(frame(0, seq, BYTES)).is_ok()
            });
        }
        let committed = (disk.failed_syncs() == 0).then(|| {
            let tracks = vec![track(0, first_of(n), first_of(n + 1) - 1, BYTES)];
            let clip = clip(n, 800, first_of(n), tracks);
            media.commit(clip).unwrap().0
        });
        if let Some(mut commit) = committed {
            until("it is done, or the disk failed", || {
                disk.failed_syncs() > 0 || commit.try_recv().is_ok()
            });
        }
        if disk.failed_syncs() > 0 {
            until("the write behind the failure", || disk.in_sync() > 0);
            return true;
        }
    }
    false
}

/// Every picture that is there is whole and its own, and every clip has all of its pictures, or was
/// said to be lost.
fn check(media: &Media, opened: &MediaOpened, what: &str) {
    for clip in media.clips() {
        let id = clip.request.clip_id;
        if clip.dropped().is_some() {
            continue;
        }
        assert!(!opened.lost.contains(&id), "{what}: lost and there");
        let pin = match media.pin_clip(id) {
            // The writer goes on and makes room.
            Err(MediaError::Dropped { .. } | MediaError::NoSuchClip(_)) => continue,
            pin => pin.unwrap(),
        };
        let now = media.clip(id);
        let same = now.is_some_and(|now| now.report == clip.report);
        for track in clip.report.cameras.iter().filter(|_| same) {
            assert_eq!(pin.of(track.camera).len() as u32, track.frames, "{what}");
        }
        for found in pin.frames() {
            let bytes = pin.read(found.key);
            let bytes = bytes.unwrap_or_else(|why| panic!("{what}: {why}"));
            assert_eq!(bytes, picture(found.key, BYTES), "{what}");
        }
    }
    let pin = media.pin_time(1, 0, u64::MAX).unwrap();
    for found in pin.frames() {
        if let Ok(bytes) = pin.read(found.key) {
            assert_eq!(bytes, picture(found.key, BYTES), "{what}: torn or foreign");
        }
    }
}

/// Lets the power go now, in so many ways; clips that were said to be lost.
fn cut(disk: &SimDisk, seeds: u64, what: &str) -> usize {
    let mut lost = 0;
    let cuts = (0..seeds).map(|seed| Cut::Half(seed * 0x9e37_79b9 + 1));
    for cut in cuts.chain([Cut::Drop, Cut::Kill]) {
        let (after, opened) = open(&disk.after(cut), &options());
        check(&after, &opened, &format!("{what}, {cut:?}"));
        lost += opened.lost.len();
        // It goes on from here.
        record_clip(&after, 1_000);
        assert_whole(&after, 1_000);
    }
    lost
}

#[test]
fn a_power_cut_while_a_segment_is_used_again_in_a_hurry_tears_no_clip() {
    let (mut hurried, mut lost) = (0, 0);
    for point in 0..POINTS {
        let disk = SimDisk::default();
        let (media, _) = open(&disk, &options());
        let _moves = Moves(&disk);
        until("the space is set aside", || {
            *media.reserve().borrow() == ReserveState::Done
        });
        (0..CLIPS).for_each(|n| record_clip(&media, n));
        disk.fail_after_syncs(point);
        if !record_until_it_stands(&media, &disk) {
            continue;
        }
        if media.usage().hurried == 0 {
            // The model tests are full of those.
            disk.stall(false);
            continue;
        }
        hurried += 1;
        // First it is said that the segment is nobody's, then it is written.
        lost += cut(&disk, 12, &format!("failure {point}"));
        disk.step();
        lost += cut(&disk, 12, &format!("failure {point}, written"));
        // Without a cut nothing is lost but what was given up, and that is told.
        disk.stall(false);
        record_clip(&media, 2_000);
        assert_whole(&media, 2_000);
        let known = |n| media.clip(clip_id(n)).is_some();
        assert!(known(CLIPS - 1));
    }
    assert!(hurried > 0, "no segment was ever taken in a hurry");
    assert!(lost > 0, "no cut ever met one");
}

/// Readers kept everything, went, and in that moment a write failed: the frames themselves are the
/// first thing that is written over clips which nobody gave up before.
#[test]
fn a_power_cut_while_frames_are_written_over_clips_in_a_hurry_serves_nothing_torn() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &options());
    let _moves = Moves(&disk);
    until("the space is set aside", || {
        *media.reserve().borrow() == ReserveState::Done
    });
    (0..CLIPS).for_each(|n| record_clip(&media, n));
    let readers = media.pin_time(1, 0, u64::MAX).unwrap();
    let mut next = CLIPS;
    while media.usage().segments_free > 0 {
        record_clip(&media, next);
        next += 1;
    }
    disk.stall(true);
    (first_of(next)..first_of(next) + 10).for_each(|seq| {
        media.put(frame(0, seq, BYTES)).unwrap();
    });
    media.flush();
    until("the write", || disk.in_sync() > 0);
    drop(readers);
    disk.fail_after_syncs(0);
    disk.stall(false);
    until("the write behind the failure", || {
        disk.failed_syncs() > 0 && disk.in_sync() > 0
    });
    let mut lost = cut(&disk, 50, "nobody's");
    disk.step();
    assert_eq!(media.usage().hurried, 1);
    lost += cut(&disk, 50, "written");
    assert!(lost > 0, "no cut ever met a clip");
}

//! A disk that stands still, fails, or is full; and rooms that are full of what may not go.

use super::stage::{assert_whole, at, clip, clip_id, frame, key, open, put, record, track, until};
use super::*;
use crate::sim_disk::{Cut, SimDisk};
use tillwatch_protocol::ClipState;

fn reserved(media: &Media) {
    until("the space is set aside", || {
        *media.reserve().borrow() == ReserveState::Done
    });
}

#[test]
fn a_disk_that_stands_still_costs_counted_frames_and_nobody_waits() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &MediaOptions::small());
    reserved(&media);
    record(&media, 1, 800, 1, 5, 5_000);
    disk.stall(true);
    let mut refused = 0;
    let mut slowest = Duration::ZERO;
    for seq in 6..=505 {
        let begin = Instant::now();
        if let Err(full) = media.put(frame(0, seq, 5_000)) {
            assert_eq!(full.why, Refusal::Queue);
            assert_eq!(full.frame, frame(0, seq, 5_000), "the frame comes back");
            refused += 1;
        }
        slowest = slowest.max(begin.elapsed());
    }
    until("a write waits for the disk", || disk.in_sync() > 0);
    assert!(refused > 400);
    assert_eq!(media.usage().refused_queue, refused);
    assert!(media.waiting_bytes() <= 128 << 10);
    // Nothing that a caller does here touches the disk; a second is a machine that stands still.
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    disk.stall(false);
    let last = media.next_seq(0, 1) - 1;
    media.flush();
    until("what was taken is on disk", || {
        media.durable().borrow().get(&0) == Some(&key(0, last))
    });
    let stored = media.pin_time(1, 0, u64::MAX).unwrap().frames().len() as u64;
    assert_eq!(stored, 5 + 500 - refused, "what was taken is there");
    assert_whole(&media, 1);
}

#[test]
fn after_a_failed_sync_the_same_frames_are_written_to_another_segment() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &MediaOptions::small());
    reserved(&media);
    record(&media, 1, 800, 1, 5, 5_000);
    disk.fail_syncs(1);
    record(&media, 2, 800, 6, 10, 5_000);
    assert_eq!(disk.failed_syncs(), 1);
    assert_eq!(media.usage().suspect_segments, 1);
    assert_eq!(*media.state().borrow(), MediaState::Writable);
    let (media, opened) = open(&disk.after(Cut::Drop), &MediaOptions::small());
    assert_eq!(opened.clips, 2);
    assert_whole(&media, 1);
    assert_whole(&media, 2);
}

#[test]
fn a_disk_that_fails_for_long_costs_no_clip_and_needs_no_restart() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &MediaOptions::small());
    reserved(&media);
    let mut told = media.events();
    record(&media, 1, 800, 1, 20, 5_000);
    disk.fail_syncs(u32::MAX);
    let waits = (21..60).take_while(|seq| media.put(frame(0, *seq, 5_000)).is_ok());
    let last = 20 + waits.count() as u64;
    let commit = media.commit(clip(2, 800, 21, vec![track(0, 21, last, 5_000)]));
    until("it was tried more often than there are segments", || {
        disk.failed_syncs() > 12
    });
    assert!(matches!(
        &*media.state().borrow(),
        MediaState::Broken { .. }
    ));
    assert_whole(&media, 1);
    disk.fail_syncs(0);
    commit.unwrap().wait().unwrap();
    assert_eq!(*media.state().borrow(), MediaState::Writable);
    assert_whole(&media, 1);
    assert_whole(&media, 2);
    let states = std::iter::from_fn(|| told.try_recv().ok());
    let states = states.filter(|event| matches!(event, MediaEvent::State(_)));
    assert_eq!(
        states.count(),
        2,
        "told once when it broke and once when it was over"
    );
    // The last of the tries, and what was durable before the first, survive a cut.
    let (media, _) = open(&disk.after(Cut::Drop), &MediaOptions::small());
    assert_whole(&media, 1);
    assert_whole(&media, 2);
}

#[test]
fn a_disk_that_is_too_small_is_told_and_used_as_far_as_it_goes() {
    let disk = SimDisk::default();
    disk.set_free(5 * (256 << 10));
    let (media, _) = open(&disk, &MediaOptions::small());
    let mut told = media.events();
    let mut reserve = media.reserve();
    until("it is told", || {
        matches!(&*reserve.borrow_and_update(), ReserveState::Short { .. })
    });
    let ReserveState::Short { have, want, .. } = media.usage().reserve else {
        panic!("it is short");
    };
    assert_eq!((have, want), (5 * (256 << 10), 8 * (256 << 10)));
    for n in 0..20 {
        record(&media, n, 100, n * 20 + 1, n * 20 + 20, 5_000);
    }
    assert_whole(&media, 19);
    assert_eq!(media.usage().segments, 5);
    disk.set_free(100 << 20);
    reserved(&media);
    assert_eq!(media.usage().segments, 8);
    let events: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).collect();
    assert!(events.contains(&MediaEvent::Reserve(ReserveState::Done)));
}

#[test]
fn footage_without_any_room_is_lost_counted_and_never_called_complete() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &MediaOptions::small());
    reserved(&media);
    media.claim(clip_id(1), 1, 0, u64::MAX).unwrap();
    let mut last = 0;
    until("all is full of what is being recorded", || {
        last = media.next_seq(0, 1);
        put(&media, frame(0, last, 5_000));
        media.usage().lost_full > 0
    });
    assert_eq!(*media.state().borrow(), MediaState::Full);
    let all = clip(1, 800, 10, vec![track(0, 1, last, 5_000)]);
    let refused = media.commit(all.clone()).unwrap().wait();
    assert!(matches!(refused, Err(MediaError::FramesLost(_))));
    let pin = media.pin_time(1, 0, u64::MAX).unwrap();
    let mut part = clip(1, 800, 10, vec![pin.track(0, "camera 0", at(1)).unwrap()]);
    part.report.state = ClipState::Partial {
        reason: "no room".into(),
    };
    drop(pin);
    media.commit(part).unwrap().wait().unwrap();
    // The claim is over, and a clip that fills everything makes room for the next one.
    let next = media.next_seq(0, 1);
    record(&media, 2, 800, next, next + 20, 5_000);
    assert_eq!(*media.state().borrow(), MediaState::Writable);
    assert_whole(&media, 2);
}

#[test]
fn a_frame_that_the_disk_changed_is_refused_and_its_neighbours_are_served() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &MediaOptions::small());
    record(&media, 1, 800, 1, 20, 5_000);
    let picture = frame(0, 7, 5_000).jpeg;
    disk.damage_where(&picture, |bytes, at| bytes[at + 100] ^= 1);
    let pin = media.pin_clip(clip_id(1)).unwrap();
    for found in pin.frames() {
        let read = pin.read(found.key);
        assert_eq!(read.is_err(), found.key.seq == 7);
    }
    drop(pin);
    // Unsealed: the start reads all of it, and says what it found. Later frames are not given up.
    let (media, opened) = open(&disk.after(Cut::Drop), &MediaOptions::small());
    let damage = opened
        .notices
        .iter()
        .any(|notice| notice.contains("damaged"));
    let found = media.pin_time(1, 0, u64::MAX).unwrap();
    // Unless its write was the last one: then nothing proves that it was ever whole.
    assert!(damage || found.frames().len() < 7);
}

#[test]
fn the_table_of_clips_is_bounded_and_what_goes_for_it_is_told() {
    let disk = SimDisk::default();
    let options = MediaOptions {
        max_clips: 12,
        ..MediaOptions::small()
    };
    let (media, _) = open(&disk, &options);
    let mut told = media.events();
    for n in 0..30 {
        record(&media, n, 800, n + 1, n + 1, 100);
    }
    assert!(media.clips().len() <= 12);
    assert_whole(&media, 29);
    let dropped = std::iter::from_fn(|| told.try_recv().ok());
    let dropped = dropped.filter(|event| matches!(event, MediaEvent::Dropped { .. }));
    let there = media.usage().clips;
    assert_eq!(dropped.count() as u64 + there, 30);
    let before = media.clips();
    let (media, _) = open(&disk.after(Cut::Drop), &options);
    assert_eq!(media.clips(), before);
}

#[test]
fn a_smaller_budget_gives_space_back_as_it_becomes_free() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &MediaOptions::small());
    reserved(&media);
    record(&media, 1, 800, 1, 20, 5_000);
    media.close();
    let smaller = MediaOptions {
        budget_bytes: 4 * (256 << 10),
        ..MediaOptions::small()
    };
    let (media, _) = open(&disk, &smaller);
    reserved(&media);
    assert_eq!(media.usage().segments, 4);
    assert_whole(&media, 1);
}

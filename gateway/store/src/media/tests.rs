//! What footage promises, one promise per test.

use super::stage::{
    assert_whole, at, clip, clip_id, frame, key, open, picture, put, record, track, until,
};
use super::*;
use crate::sim_disk::{Cut, SimDisk};
use std::path::Path;
use tillwatch_protocol::{ClipState, LogId};

fn small() -> MediaOptions {
    MediaOptions::small()
}

fn reserved(media: &Media) {
    until("the space is set aside", || {
        *media.reserve().borrow() == ReserveState::Done
    });
}

#[test]
fn a_clip_is_there_after_its_commit_and_after_every_power_cut() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &small());
    record(&media, 1, 800, 1, 40, 2_000);
    assert_whole(&media, 1);
    for cut in [Cut::Drop, Cut::Half(7), Cut::Kill] {
        let (again, opened) = open(&disk.after(cut), &small());
        assert_eq!((opened.clips, opened.lost.len()), (1, 0));
        assert_whole(&again, 1);
    }
}

#[test]
fn two_alerts_of_the_same_minute_share_their_frames() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &small());
    record(&media, 1, 800, 1, 40, 2_000);
    let written = media.usage().payload_bytes;
    let second = clip(2, 400, 30, vec![track(0, 20, 40, 2_000)]);
    media.commit(second).unwrap().wait().unwrap();
    assert_eq!(
        media.usage().payload_bytes,
        written,
        "nothing is stored twice"
    );
    assert_whole(&media, 1);
    assert_whole(&media, 2);
}

#[test]
fn a_prolonged_clip_replaces_the_shorter_one_and_keeps_its_marks() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &small());
    record(&media, 1, 800, 1, 20, 1_000);
    media
        .mark(clip_id(1), Mark::Reviewed)
        .unwrap()
        .wait()
        .unwrap();
    media.hold(clip_id(1), "manager").unwrap().wait().unwrap();
    for seq in 21..=30 {
        put(&media, frame(0, seq, 1_000));
    }
    let longer = clip(1, 800, 10, vec![track(0, 1, 30, 1_000)]);
    media.commit(longer).unwrap().wait().unwrap();
    assert_eq!(media.clips().len(), 1);
    let (media, _) = open(&disk.after(Cut::Drop), &small());
    let there = media.clip(clip_id(1)).unwrap();
    assert_eq!(there.report.cameras[0].frames, 30);
    assert_eq!(
        (there.held.as_deref(), there.reviewed),
        (Some("manager"), true)
    );
    assert_whole(&media, 1);
}

#[test]
fn a_frame_is_taken_once_and_in_order() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &small());
    assert_eq!(media.next_seq(0, 1), 1);
    put(&media, frame(0, 5, 100));
    let refused = |frame| media.put(frame).unwrap_err().why;
    assert_eq!(refused(frame(0, 5, 100)), Refusal::Order);
    assert_eq!(refused(frame(0, 6, 0)), Refusal::Size);
    assert_eq!(refused(frame(0, 6, 400_000)), Refusal::Size);
    assert!(
        media.put(frame(1, 1, 100)).is_ok(),
        "another camera counts for itself"
    );
    assert_eq!(media.usage().refused_other, 3);
    assert_eq!(media.next_seq(0, 1), 6);
    media.flush();
    until("durable", || {
        media.durable().borrow().get(&0) == Some(&key(0, 5))
    });
    let (media, _) = open(&disk.after(Cut::Drop), &small());
    assert_eq!(media.next_seq(0, 1), 6, "a restart goes on counting");
    assert_eq!(media.next_seq(0, 2), 1, "another boot begins anew");
}

#[test]
fn footage_from_before_what_is_stored_can_be_added_and_is_found_in_order() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &small());
    for seq in 21..=40 {
        put(&media, frame(0, seq, 1_000));
    }
    for seq in 1..=20 {
        media.put_late(frame(0, seq, 1_000)).unwrap();
    }
    let last = media.put(frame(0, 41, 1_000)).unwrap();
    assert_eq!(last, 41, "its place among all that were taken");
    let whole = clip(1, 800, 10, vec![track(0, 1, 41, 1_000)]);
    media.commit(whole).unwrap().wait().unwrap();
    assert_eq!(*media.written().borrow(), 41);
    assert_eq!(media.durable().borrow().get(&0), Some(&key(0, 41)));
    let (media, _) = open(&disk.after(Cut::Drop), &small());
    assert_whole(&media, 1);
    let pin = media.pin_clip(clip_id(1)).unwrap();
    let seqs: Vec<u64> = pin.of(0).iter().map(|frame| frame.key.seq).collect();
    assert_eq!(seqs, (1..=41).collect::<Vec<_>>());
}

#[test]
fn the_old_goes_when_the_budget_is_full_and_each_is_told() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &small());
    reserved(&media);
    let mut told = media.events();
    for n in 0..40 {
        record(&media, n, 100, n * 20 + 1, n * 20 + 20, 5_000);
    }
    let usage = media.usage();
    assert_eq!(usage.segments, 8, "never more than the budget");
    let kept = media.clips();
    let kept: Vec<_> = kept
        .iter()
        .filter(|clip| clip.dropped().is_none())
        .collect();
    assert!((4..40).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept[0].request.clip_id, clip_id(39), "the newest is there");
    let mut dropped = 0;
    while let Ok(event) = told.try_recv() {
        dropped += u64::from(matches!(event, MediaEvent::Dropped { .. }));
    }
    assert_eq!(dropped, 40 - kept.len() as u64);
    assert_eq!(dropped, usage.dropped.iter().sum::<u64>());
    for clip in &kept {
        let n = (0..40)
            .find(|n| clip_id(*n) == clip.request.clip_id)
            .unwrap();
        assert_whole(&media, n);
    }
    // What was made free is free for the next life too: no byte of it is valid.
    let free = media.usage().segments_free;
    media.close();
    let keeps = MediaOptions {
        provisional_for: Duration::from_secs(600),
        ..small()
    };
    let (media, _) = open(&disk.after(Cut::Drop), &keeps);
    assert_eq!(media.usage().segments_free, free);
}

/// Fills the media with clips of 100 KB after `first`, until so many segments were recycled.
fn press(media: &Media, first: u64, clips: u64) {
    for n in first..first + clips {
        record(media, n, 800, n * 20 + 1, n * 20 + 20, 5_000);
    }
}

#[test]
fn what_is_worth_less_goes_first() {
    let disk = SimDisk::default();
    let options = MediaOptions {
        budget_bytes: 32 * (256 << 10),
        ..small()
    };
    let (media, _) = open(&disk, &options);
    reserved(&media);
    // Each has a segment of its own beside those that it shares with its neighbours.
    let records = |n: u64, milli| record(&media, n, milli, n * 120 + 1, n * 120 + 120, 5_600);
    for (n, milli) in [(1, 900), (2, 900), (3, 900), (4, 900), (5, 100)] {
        records(n, milli);
    }
    let wait = |commit: Result<Commit, MediaError>| commit.unwrap().wait().unwrap();
    wait(media.hold(clip_id(1), "police"));
    wait(media.mark(clip_id(3), Mark::Sent));
    wait(media.mark(clip_id(4), Mark::Reviewed));
    let mut told = media.events();
    for n in 6..26 {
        records(n, 800);
    }
    let mut order = Vec::new();
    while let Ok(event) = told.try_recv() {
        if let MediaEvent::Dropped { clip_id, step, .. } = event {
            order.push((clip_id, step));
        }
    }
    let first: Vec<_> = order.iter().take(4).copied().collect();
    assert_eq!(
        first,
        [
            (clip_id(5), Step::LowScore),
            (clip_id(4), Step::Reviewed),
            (clip_id(3), Step::Sent),
            (clip_id(2), Step::Unsent)
        ]
    );
    assert_whole(&media, 1);
    assert!(
        order.iter().all(|(id, _)| *id != clip_id(1)),
        "a hold is kept"
    );
}

#[test]
fn what_came_before_the_alert_is_thinned_before_anything_is_dropped() {
    let disk = SimDisk::default();
    let options = MediaOptions {
        // One second is ten frames.
        budget_bytes: 16 * (256 << 10),
        ..small()
    };
    let (media, _) = open(&disk, &options);
    reserved(&media);
    let mut told = media.events();
    // Alerts with long pre-alert parts: three segments before the cause, one behind it.
    for n in 0..5 {
        let (first, last) = (n * 200 + 1, n * 200 + 160);
        for seq in first..=last {
            put(&media, frame(0, seq, 5_000));
        }
        let clip = clip(n, 800, first + 130, vec![track(0, first, last, 5_000)]);
        media.commit(clip).unwrap().wait().unwrap();
    }
    let mut thinned = 0;
    while let Ok(event) = told.try_recv() {
        match event {
            MediaEvent::Thinned { frames, .. } => thinned += u64::from(frames),
            MediaEvent::Dropped { clip_id, .. } => panic!("{clip_id} was dropped"),
            _ => {}
        }
    }
    assert!(thinned > 100, "{thinned}");
    for n in 0..5 {
        assert_whole(&media, n);
    }
    let first = media.clip(clip_id(0)).unwrap();
    assert!(first.thinned);
    let pin = media.pin_clip(clip_id(0)).unwrap();
    let before: Vec<u64> = pin.of(0).iter().map(|frame| frame.monotonic_ns).collect();
    let before: Vec<u64> = before.into_iter().filter(|ns| *ns < at(100)).collect();
    assert!(
        before
            .windows(2)
            .any(|pair| pair[1] - pair[0] >= 1_000_000_000)
    );
    let after = pin.of(0).iter().filter(|frame| frame.key.seq >= 131);
    assert_eq!(after.count(), 30, "from the cause on all of it");
    let (media, _) = open(&disk.after(Cut::Drop), &options);
    for n in 0..5 {
        assert_whole(&media, n);
    }
}

#[test]
fn a_reader_keeps_its_footage_until_its_time_is_over() {
    let disk = SimDisk::default();
    let options = MediaOptions {
        pin_for: Duration::from_secs(600),
        max_pins: 2,
        ..small()
    };
    let (media, _) = open(&disk, &options);
    reserved(&media);
    record(&media, 0, 100, 1, 20, 5_000);
    let pin = media.pin_clip(clip_id(0)).unwrap();
    let _other = media.pin_clip(clip_id(0)).unwrap();
    assert!(matches!(
        media.pin_clip(clip_id(0)),
        Err(MediaError::Pins(2))
    ));
    assert_eq!(media.usage().segments_pinned, 1);
    press(&media, 1, 40);
    for frame in pin.frames() {
        assert_eq!(pin.read(frame.key).unwrap(), picture(frame.key, 5_000));
    }
    assert!(matches!(
        pin.read(key(0, 21)),
        Err(MediaError::NotStored(_))
    ));
    drop(pin);
    assert_eq!(media.usage().pins, 1);
}

#[test]
fn a_reader_that_takes_too_long_is_refused_and_shown_nothing_else() {
    let disk = SimDisk::default();
    let options = MediaOptions {
        pin_for: Duration::ZERO,
        ..small()
    };
    let (media, _) = open(&disk, &options);
    reserved(&media);
    record(&media, 0, 100, 1, 20, 5_000);
    let pin = media.pin_clip(clip_id(0)).unwrap();
    press(&media, 1, 40);
    for frame in pin.frames() {
        assert!(matches!(pin.read(frame.key), Err(MediaError::Damaged(_))));
    }
    let usage = media.usage();
    assert!(usage.pins_expired > 0);
    assert_eq!(usage.damaged, 20);
}

#[test]
fn footage_that_is_being_recorded_is_never_used_again() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &small());
    reserved(&media);
    media.claim(clip_id(99), 1, at(1), at(100)).unwrap();
    for seq in 1..=20 {
        put(&media, frame(0, seq, 5_000));
    }
    press(&media, 10, 40);
    let pin = media.pin_time(1, at(1), at(20)).unwrap();
    let found = pin.track(0, "counter", at(1)).unwrap();
    assert_eq!((found.frames, found.first_seq, found.last_seq), (20, 1, 20));
    assert!(found.gaps.is_empty());
    let report = clip(99, 800, 10, vec![found]);
    media.commit(report).unwrap().wait().unwrap();
    assert_eq!(media.usage().claims, 0, "the commit ends the claim");
    assert_whole(&media, 99);
}

#[test]
fn provisional_footage_outlives_clips_until_its_time_is_over() {
    let disk = SimDisk::default();
    let options = MediaOptions {
        provisional_for: Duration::from_secs(600),
        ..small()
    };
    let (media, _) = open(&disk, &options);
    for seq in 1..=120 {
        put(&media, frame(0, seq, 5_000));
    }
    media.flush();
    until("durable", || {
        media.durable().borrow().get(&0) == Some(&key(0, 120))
    });
    let (media, opened) = open(&disk.after(Cut::Drop), &options);
    assert_eq!(opened.clips, 0);
    assert_eq!(media.pin_time(1, 0, at(120)).unwrap().frames().len(), 120);
    let (media, _) = {
        drop(media);
        open(&disk.after(Cut::Drop), &small())
    };
    reserved(&media);
    press(&media, 10, 40);
    assert_eq!(media.pin_time(1, 0, at(20)).unwrap().frames().len(), 0);
    assert!(media.usage().recycled[Step::Unneeded as usize] > 0);
}

#[test]
fn at_most_half_of_the_footage_is_held() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &small());
    reserved(&media);
    let mut held = 0;
    let refused = (0..8).find_map(|n| {
        record(&media, n, 800, n * 40 + 1, n * 40 + 40, 5_600);
        match media.hold(clip_id(n), "manager") {
            Ok(commit) => {
                commit.wait().unwrap();
                held += 1;
                None
            }
            Err(error) => Some(error),
        }
    });
    assert!(matches!(refused, Some(MediaError::HoldsFull { .. })));
    assert!((2..=4).contains(&held), "{held}");
    assert_eq!(media.usage().clips_held, held);
    media.unhold(clip_id(0)).unwrap().wait().unwrap();
    assert_eq!(media.usage().clips_held, held - 1);
}

#[test]
fn opening_reads_one_header_per_segment_and_the_one_that_was_being_written() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &small());
    reserved(&media);
    press(&media, 1, 60);
    media.close();
    let (media, opened) = open(&disk.after(Cut::Drop), &small());
    let most = 8 * 4096 + (256 << 10) + (32 << 10);
    assert!(opened.bytes_read <= most, "{} bytes", opened.bytes_read);
    assert_eq!(media.usage().opening_bytes_read, opened.bytes_read);
    let clips = media.clips();
    assert!(clips.iter().any(|clip| clip.dropped().is_none()));
}

#[test]
fn a_file_that_is_missing_costs_the_clips_in_it_and_they_are_told() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &small());
    for n in 0..4 {
        record(&media, n, 800, n * 40 + 1, n * 40 + 40, 5_600);
    }
    media.close();
    disk.remove(Path::new("/media/00000.vid")).unwrap();
    let (media, opened) = open(&disk, &small());
    assert!(opened.lost.contains(&clip_id(0)));
    assert!(!opened.notices.is_empty());
    assert!(media.clip(clip_id(0)).unwrap().dropped().is_some());
    assert_whole(&media, 3);
}

#[test]
fn footage_of_another_log_is_never_shown_as_ours() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &small());
    record(&media, 1, 800, 1, 40, 2_000);
    media.close();
    let other = LogId(uuid::Uuid::from_u128(5));
    let (media, opened) =
        Media::open_on(Arc::new(disk), Path::new("/media"), other, small()).unwrap();
    assert!(
        opened.notices[0].contains("another log"),
        "{:?}",
        opened.notices
    );
    assert_eq!(media.clips().len(), 0);
    assert_eq!(media.pin_time(1, 0, u64::MAX).unwrap().frames().len(), 0);
}

#[test]
fn empty_clips_and_unknown_ones_are_answered() {
    let disk = SimDisk::default();
    let (media, _) = open(&disk, &small());
    let mut empty = clip(1, 800, 1, Vec::new());
    empty.report.state = ClipState::Empty {
        reason: "no camera".into(),
    };
    media.commit(empty).unwrap().wait().unwrap();
    assert_eq!(media.pin_clip(clip_id(1)).unwrap().frames().len(), 0);
    let unknown = media.mark(clip_id(2), Mark::Sent).unwrap().wait();
    assert!(matches!(unknown, Err(MediaError::NoSuchClip(_))));
    assert!(matches!(
        media.pin_clip(clip_id(2)),
        Err(MediaError::NoSuchClip(_))
    ));
    let mut long = clip(3, 800, 1, vec![track(0, 1, 2, 10)]);
    long.report.cameras[0].name = "x".repeat(9_000);
    let long = media.commit(long).unwrap().wait();
    assert!(matches!(long, Err(MediaError::TooLong(_))));
}

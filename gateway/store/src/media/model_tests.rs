//! Footage over a disk that loses power at any moment, against what was promised.

use super::stage::{at, clip, clip_id, frame, key, open, picture, put, track, until};
use super::{Clip, ClipDescriptor, Mark, Media, MediaError, MediaOptions, ReserveState};
use crate::sim_disk::{Cut, SimDisk};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
enum Action {
    /// So many new frames of so many cameras, and a clip of them.
    Record {
        frames: u64,
        cameras: u8,
        milli: u16,
    },
    /// A clip of the newest so many frames that are there already.
    Again {
        frames: u64,
        milli: u16,
    },
    /// Frames that no clip asks for.
    Provisional(u64),
    /// Of the so-manieth newest clip.
    Mark(usize, Mark),
    Hold(usize),
    Unhold(usize),
    FailSyncs(u32),
    Reopen(Cut),
    /// Cuts while frames and a clip wait for their sync.
    CutInFlight {
        seed: u64,
        frames: u64,
    },
    /// Cuts while segments are made free, or soon after.
    CutBusy {
        seed: u64,
        frames: u64,
    },
    Close,
}

fn actions() -> impl Strategy<Value = Action> {
    let milli = || prop::sample::select(vec![100_u16, 400, 600, 900]);
    prop_oneof![
        8 => (1..120_u64, 1..3_u8, milli())
            .prop_map(|(frames, cameras, milli)| Action::Record { frames, cameras, milli }),
        3 => (1..60_u64, milli()).prop_map(|(frames, milli)| Action::Again { frames, milli }),
        1 => (1..40_u64).prop_map(Action::Provisional),
        1 => (0..6_usize).prop_map(|n| Action::Mark(n, Mark::Reviewed)),
        1 => (0..6_usize).prop_map(|n| Action::Mark(n, Mark::Sent)),
        1 => (0..6_usize).prop_map(Action::Hold),
        1 => (0..6_usize).prop_map(Action::Unhold),
        1 => (1..4_u32).prop_map(Action::FailSyncs),
        1 => Just(Action::Reopen(Cut::Drop)),
        1 => Just(Action::Reopen(Cut::Kill)),
        2 => any::<u64>().prop_map(|seed| Action::Reopen(Cut::Half(seed))),
        2 => (any::<u64>(), 1..40_u64)
            .prop_map(|(seed, frames)| Action::CutInFlight { seed, frames }),
        2 => (any::<u64>(), 1..60_u64)
            .prop_map(|(seed, frames)| Action::CutBusy { seed, frames }),
        1 => Just(Action::Close),
    ]
}

/// A size that depends on the number alone, so that a frame that is put again is the same.
fn size(seq: u64) -> usize {
    (200 + seq * 2_654_435_761 % 6_000) as usize
}

struct World {
    disk: SimDisk,
    options: MediaOptions,
    media: Media,
    /// Clips whose commit was acknowledged.
    promised: BTreeSet<u64>,
    clips: u64,
}

impl World {
    fn new(options: MediaOptions) -> World {
        let disk = SimDisk::default();
        let (media, _) = open(&disk, &options);
        World {
            disk,
            options,
            media,
            promised: BTreeSet::new(),
            clips: 0,
        }
    }

    /// Waits until all that waits is written and the writer has made room for more.
    fn settle(&self) {
        until("the space is set aside", || {
            *self.media.reserve().borrow() == ReserveState::Done
        });
        // The second is answered after what the first one's group led to.
        for _ in 0..2 {
            let nothing = self.media.mark(clip_id(u64::MAX), Mark::Sent);
            self.media.flush();
            assert!(matches!(
                nothing.unwrap().wait(),
                Err(MediaError::NoSuchClip(_))
            ));
        }
    }

    fn put(&self, frames: u64, cameras: u8) -> u64 {
        let next = (0..cameras).map(|camera| self.media.next_seq(camera, 1));
        let first = next.max().unwrap();
        for seq in first..first + frames {
            (0..cameras).for_each(|camera| put(&self.media, frame(camera, seq, size(seq))));
        }
        first
    }

    fn descriptor(&self, n: u64, milli: u16, first: u64, last: u64, cameras: u8) -> ClipDescriptor {
        let tracks = (0..cameras).map(|camera| {
            let mut track = track(camera, first, last, 0);
            track.bytes = (first..=last).map(|seq| size(seq) as u64).sum();
            track
        });
        // Most of it is before the alert, so that there is something to thin.
        clip(n, milli, last - (last - first) / 8, tracks.collect())
    }

    fn commit(&mut self, n: u64, clip: ClipDescriptor) {
        match self.media.commit(clip).unwrap().wait() {
            Ok(()) => {
                self.promised.insert(n);
            }
            // All else is held: what was lost is said so, and not called complete.
            Err(MediaError::FramesLost(_) | MediaError::NoRoom) => {
                self.media.release(clip_id(n));
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn run(&mut self, action: &Action) {
        self.clips += 1;
        let n = self.clips;
        match action {
            Action::Record {
                frames,
                cameras,
                milli,
            } => {
                let next = self.media.next_seq(0, 1).max(self.media.next_seq(1, 1));
                self.media.claim(clip_id(n), 1, at(next), u64::MAX).unwrap();
                let first = self.put(*frames, *cameras);
                let clip = self.descriptor(n, *milli, first, first + frames - 1, *cameras);
                self.commit(n, clip);
            }
            Action::Again { frames, milli } => {
                let last = self.media.next_seq(0, 1) - 1;
                let from = at(last.saturating_sub(*frames));
                self.media.claim(clip_id(n), 1, from, at(last)).unwrap();
                // What is there, is: nothing of it goes from here on.
                self.settle();
                let pin = self.media.pin_time(1, from, at(last)).unwrap();
                let cameras = pin.cameras();
                let tracks = cameras
                    .iter()
                    .filter_map(|camera| pin.track(*camera, "again", at(1)));
                let clip = clip(n, *milli, last.saturating_sub(frames / 2), tracks.collect());
                drop(pin);
                self.commit(n, clip);
            }
            Action::Provisional(frames) => {
                self.put(*frames, 1);
            }
            Action::Mark(which, mark) => {
                if let Some(clip) = self.existing(*which) {
                    let marked = self.media.mark(clip.request.clip_id, *mark);
                    let _ = marked.unwrap().wait();
                }
            }
            Action::Hold(which) => {
                if let Some(clip) = self.existing(*which)
                    && let Ok(held) = self.media.hold(clip.request.clip_id, "model")
                {
                    let _ = held.wait();
                }
            }
            Action::Unhold(which) => {
                if let Some(clip) = self.existing(*which) {
                    let _ = self.media.unhold(clip.request.clip_id).unwrap().wait();
                }
            }
            Action::FailSyncs(count) => self.disk.fail_syncs(*count),
            Action::Reopen(cut) => {
                self.settle();
                let before = self.media.clips();
                self.cut(*cut);
                assert_eq!(
                    self.media.clips(),
                    before,
                    "the table is the one that was lost"
                );
            }
            Action::CutInFlight { seed, frames } => {
                self.settle();
                let first = self.media.next_seq(0, 1);
                self.disk.stall(true);
                for seq in first..first + frames {
                    // What has no room is not taken: the disk stands still.
                    if self.media.put(frame(0, seq, size(seq))).is_err() {
                        break;
                    }
                }
                let last = self.media.next_seq(0, 1) - 1;
                let clip = self.descriptor(n, 900, first, last, 1);
                let commit = self.media.commit(clip).unwrap();
                until("in flight", || self.disk.in_sync() > 0);
                self.cut(Cut::Half(*seed));
                drop(commit);
            }
            Action::CutBusy { seed, frames } => {
                self.put(*frames, 1);
                self.media.flush();
                self.cut(Cut::Half(*seed));
            }
            Action::Close => {
                self.disk.fail_syncs(0);
                self.settle();
                let before = self.media.clips();
                self.media.clone().close();
                self.cut(Cut::Drop);
                assert_eq!(self.media.clips(), before);
            }
        }
    }

    fn existing(&self, which: usize) -> Option<Arc<Clip>> {
        let clips = self.media.clips();
        let mut there = clips.into_iter().filter(|clip| clip.dropped().is_none());
        there.nth(which)
    }

    /// Goes on with the disk as a power cut leaves it.
    fn cut(&mut self, cut: Cut) {
        let after = self.disk.after(cut);
        self.disk.stall(false);
        after.stall(false);
        after.fail_syncs(0);
        let (media, opened) = open(&after, &self.options);
        self.media = media;
        self.disk = after;
        assert_eq!(opened.lost, [], "a power cut loses no clip");
        assert_eq!(
            opened.notices,
            [] as [String; 0],
            "a power cut is no damage"
        );
        self.check();
    }

    /// Everything that is promised is there, and nothing else is shown.
    fn check(&self) {
        let clips = self.media.clips();
        let gone = clips.iter().filter(|clip| clip.dropped().is_some());
        let forgotten = gone.count() >= self.options.tombstones();
        for n in &self.promised {
            let known = self.media.clip(clip_id(*n)).is_some();
            assert!(known || forgotten, "clip {n} is unknown");
        }
        for clip in clips.iter().filter(|clip| clip.dropped().is_none()) {
            let pin = match self.media.pin_clip(clip.request.clip_id) {
                // Given up meanwhile.
                Err(MediaError::Dropped { .. } | MediaError::NoSuchClip(_)) => continue,
                pin => pin.unwrap(),
            };
            // As it was at the pin: the writer may thin it at any time.
            for track in &clip.report.cameras {
                let there = pin.of(track.camera).len() as u32;
                let now = self.media.clip(clip.request.clip_id);
                let same = now.is_some_and(|now| now.report == clip.report);
                assert!(
                    there == track.frames || !same,
                    "{there} of {}",
                    track.frames
                );
            }
            for found in pin.frames() {
                let seq = found.key.seq;
                assert_eq!(found.monotonic_ns, at(seq));
                let bytes = pin.read(found.key).unwrap();
                assert_eq!(bytes, picture(key(found.key.camera, seq), size(seq)));
            }
        }
        let pin = self.media.pin_time(1, 0, u64::MAX).unwrap();
        for found in pin.frames() {
            let bytes = pin.read(found.key).unwrap();
            assert_eq!(
                bytes,
                picture(found.key, size(found.key.seq)),
                "no foreign frame"
            );
        }
        let usage = self.media.usage();
        assert!(usage.bytes <= self.options.budget_bytes);
    }
}

fn run(actions: &[Action], options: MediaOptions) {
    let mut world = World::new(options);
    for action in actions {
        world.run(action);
    }
    world.settle();
    world.check();
    world.cut(Cut::Half(world.clips.wrapping_mul(0x9e37_79b9)));
}

/// Few cases by default; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(16),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_promised_clip_is_lost_or_torn_and_no_frame_is_anothers(
        actions in prop::collection::vec(actions(), 1..40)
    ) {
        let options = MediaOptions { budget_bytes: 32 * (256 << 10), ..MediaOptions::small() };
        run(&actions, options);
    }

    #[test]
    fn the_same_while_segments_are_recycled(
        actions in prop::collection::vec(actions(), 20..60)
    ) {
        run(&actions, MediaOptions::small());
    }

    #[test]
    fn the_same_with_provisional_footage_and_five_segments(
        actions in prop::collection::vec(actions(), 20..40)
    ) {
        let options = MediaOptions {
            budget_bytes: 5 * (256 << 10),
            provisional_for: Duration::from_secs(600),
            ..MediaOptions::small()
        };
        run(&actions, options);
    }
}

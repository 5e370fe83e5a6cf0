//! Footage in memory: what every camera saw a moment ago, under one cap for all of them.
//!
//! An alert comes after its cause, by up to the longest delay of a rule, and its clip begins a
//! window before that: frames stay for the *horizon*, the sum of both. They are shared
//! ([`Bytes`]), never copied: one that is being written to disk counts until the disk has it.
//!
//! When the cap is reached, room is made in this order, and each step is counted:
//! 1. frames older than 20 s are thinned to five a second, the camera that holds most first;
//! 2. the oldest frames go, of whichever camera holds most;
//! 3. a new frame that still finds no room is not taken (what the disk has not accepted yet fills
//!    the cap).

use bytes::Bytes;
use std::collections::VecDeque;
use tillwatch_protocol::clip::FrameKey;

/// Frames younger than this are never thinned, in nanoseconds.
pub const FULL_RATE_NS: u64 = 20_000_000_000;
/// Older frames keep this distance when memory is short, in nanoseconds: five a second.
pub const THINNED_PERIOD_NS: u64 = 200_000_000;

/// A frame as it was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingFrame {
    /// Which.
    pub key: FrameKey,
    /// When it was captured, `CLOCK_MONOTONIC` in nanoseconds.
    pub monotonic_ns: u64,
    /// The camera's own bytes.
    pub jpeg: Bytes,
}

/// Bounds of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLimits {
    /// Most bytes of pictures, of all cameras, those that are being written included.
    pub bytes: usize,
    /// How long a frame may still be asked for, in nanoseconds.
    pub horizon_ns: u64,
}

/// What became of frames, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RingCounters {
    /// Frames offered.
    pub captured: u64,
    /// Frames left out among older ones, to five a second.
    pub thinned: u64,
    /// Frames that were lost for want of memory before their time was over.
    pub dropped: u64,
}

#[derive(Debug)]
struct Slot {
    frame: RingFrame,
    /// Handed to the recorder: it must not be lost until the disk has it.
    taken: bool,
    /// The disk has it.
    written: bool,
}

#[derive(Debug, Default)]
struct CameraRing {
    slots: VecDeque<Slot>,
    bytes: usize,
    next_seq: u64,
    /// Frames up to this time keep their distance.
    thinned_to_ns: u64,
}

/// The ring.
#[derive(Debug)]
pub struct Ring {
    limits: RingLimits,
    boot: u64,
    cameras: Vec<CameraRing>,
    counters: RingCounters,
}

impl Ring {
    /// An empty ring for so many cameras in this boot. Numbers begin with the milliseconds since
    /// the machine started, `now_ns`: no camera has a thousand frames a second, so a program that
    /// was started again in the same boot never gives a number twice.
    #[must_use]
    pub fn new(cameras: u8, boot: u64, now_ns: u64, limits: RingLimits) -> Self {
        let first_seq = now_ns / 1_000_000 + 1;
        let cameras = (0..cameras).map(|_| CameraRing {
            next_seq: first_seq,
            ..CameraRing::default()
        });
        Self {
            limits,
            boot,
            cameras: cameras.collect(),
            counters: RingCounters::default(),
        }
    }

    /// Takes a frame; its key, or nothing when there is no room or no such camera. Numbers are used
    /// up in any case, so that a gap shows.
    pub fn push(&mut self, camera: u8, monotonic_ns: u64, jpeg: Bytes) -> Option<FrameKey> {
        let ring = self.cameras.get_mut(usize::from(camera))?;
        let key = FrameKey {
            camera,
            boot: self.boot,
            seq: ring.next_seq,
        };
        ring.next_seq += 1;
        self.counters.captured += 1;
        self.expire(monotonic_ns);
        let size = jpeg.len();
        if !self.make_room(size, monotonic_ns) {
            self.counters.dropped += 1;
            return None;
        }
        let frame = RingFrame {
            key,
            monotonic_ns,
            jpeg,
        };
        let ring = self.cameras.get_mut(usize::from(camera))?;
        if ring.slots.back().is_some_and(|newest| newest.written) {
            // It only stayed for being the newest.
            ring.remove(ring.slots.len() - 1);
        }
        ring.bytes += size;
        ring.slots.push_back(Slot {
            frame,
            taken: false,
            written: false,
        });
        Some(key)
    }

    /// Hands out what `camera` saw in this span and nobody took before, oldest first, at most so
    /// many. Each stays and counts until [`Self::written`].
    pub fn take(&mut self, camera: u8, from_ns: u64, to_ns: u64, most: usize) -> Vec<RingFrame> {
        let Some(ring) = self.cameras.get_mut(usize::from(camera)) else {
            return Vec::new();
        };
        let begin = ring
            .slots
            .partition_point(|slot| slot.frame.monotonic_ns < from_ns);
        ring.slots
            .range_mut(begin..)
            .take_while(|slot| slot.frame.monotonic_ns <= to_ns)
            .filter(|slot| !slot.taken)
            .take(most)
            .map(|slot| {
                slot.taken = true;
                slot.frame.clone()
            })
            .collect()
    }

    /// The disk has this frame, or never will: it goes, unless it is the newest, which is what the
    /// camera shows now.
    pub fn written(&mut self, key: FrameKey) {
        let Some(ring) = self.cameras.get_mut(usize::from(key.camera)) else {
            return;
        };
        let at = ring
            .slots
            .partition_point(|slot| slot.frame.key.seq < key.seq);
        if ring.slots.get(at).is_some_and(|slot| slot.frame.key == key) {
            if at + 1 == ring.slots.len() {
                ring.slots[at].written = true;
            } else {
                ring.remove(at);
            }
        }
    }

    /// The disk refused this frame for now: it may be taken again.
    pub fn refused(&mut self, key: FrameKey) {
        let Some(ring) = self.cameras.get_mut(usize::from(key.camera)) else {
            return;
        };
        let at = ring
            .slots
            .partition_point(|slot| slot.frame.key.seq < key.seq);
        if let Some(slot) = ring.slots.get_mut(at)
            && slot.frame.key == key
        {
            slot.taken = false;
        }
    }

    /// What the camera saw last.
    #[must_use]
    pub fn newest(&self, camera: u8) -> Option<&RingFrame> {
        let ring = self.cameras.get(usize::from(camera))?;
        ring.slots.back().map(|slot| &slot.frame)
    }

    /// Bytes of pictures held; never above the cap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.cameras.iter().map(|ring| ring.bytes).sum()
    }

    /// What became of frames.
    #[must_use]
    pub fn counters(&self) -> RingCounters {
        self.counters
    }

    /// Frames whose time is over go; what is being written stays.
    fn expire(&mut self, now_ns: u64) {
        let before = now_ns.saturating_sub(self.limits.horizon_ns);
        for ring in &mut self.cameras {
            let mut at = 0;
            while let Some(slot) = ring.slots.get(at) {
                if slot.frame.monotonic_ns >= before || at + 1 == ring.slots.len() {
                    break;
                }
                if slot.taken && !slot.written {
                    at += 1;
                } else {
                    ring.remove(at);
                }
            }
        }
    }

    /// Room for so many bytes; false when there is none to be made.
    fn make_room(&mut self, size: usize, now_ns: u64) -> bool {
        while self.bytes() + size > self.limits.bytes {
            let mut fullest: Vec<&mut CameraRing> = self.cameras.iter_mut().collect();
            fullest.sort_by_key(|ring| std::cmp::Reverse(ring.bytes));
            if fullest.iter_mut().any(|ring| ring.thin(now_ns)) {
                self.counters.thinned += 1;
                continue;
            }
            match fullest.into_iter().find_map(CameraRing::drop_oldest) {
                // What the disk has already was no loss.
                Some(written) => self.counters.dropped += u64::from(!written),
                None => return false,
            }
        }
        true
    }
}

impl CameraRing {
    fn remove(&mut self, at: usize) {
        if let Some(slot) = self.slots.remove(at) {
            self.bytes -= slot.frame.jpeg.len();
        }
    }

    /// Leaves out one frame that follows too closely on the one before it; false when every frame
    /// older than [`FULL_RATE_NS`] keeps its distance. Looks at each frame once.
    fn thin(&mut self, now_ns: u64) -> bool {
        let full_rate_from = now_ns.saturating_sub(FULL_RATE_NS);
        let mut at = self
            .slots
            .partition_point(|slot| slot.frame.monotonic_ns <= self.thinned_to_ns);
        while let Some(slot) = self.slots.get(at) {
            let this_ns = slot.frame.monotonic_ns;
            if this_ns >= full_rate_from {
                return false;
            }
            let before = at.checked_sub(1).and_then(|before| self.slots.get(before));
            let close = before.is_some_and(|before| {
                this_ns.saturating_sub(before.frame.monotonic_ns) < THINNED_PERIOD_NS
            });
            if close && !slot.taken {
                self.remove(at);
                return true;
            }
            self.thinned_to_ns = this_ns;
            at += 1;
        }
        false
    }

    /// The oldest frame that is not being written goes; whether the disk had it.
    fn drop_oldest(&mut self) -> Option<bool> {
        let at = self
            .slots
            .iter()
            .position(|slot| !slot.taken || slot.written)?;
        let written = self.slots.get(at).is_some_and(|slot| slot.written);
        self.remove(at);
        Some(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn ring(cameras: u8, bytes: usize) -> Ring {
        let horizon_ns = 105_000 * MS;
        Ring::new(cameras, 7, 0, RingLimits { bytes, horizon_ns })
    }

    /// Ten frames a second of `size` bytes for so many seconds.
    fn film(ring: &mut Ring, camera: u8, seconds: u64, size: usize) {
        for n in 0..seconds * 10 {
            ring.push(camera, n * 100 * MS, Bytes::from(vec![0; size]));
        }
    }

    fn times(frames: &[RingFrame]) -> Vec<u64> {
        frames.iter().map(|frame| frame.monotonic_ns / MS).collect()
    }

    #[test]
    fn a_span_is_handed_out_once_and_in_order() {
        let mut ring = ring(1, 1 << 20);
        film(&mut ring, 0, 3, 10);
        let first = ring.take(0, 500 * MS, 900 * MS, 100);
        assert_eq!(times(&first), [500, 600, 700, 800, 900]);
        assert_eq!(
            first[0].key,
            FrameKey {
                camera: 0,
                boot: 7,
                seq: 6
            }
        );
        let overlapping = ring.take(0, 300 * MS, 1_100 * MS, 100);
        assert_eq!(times(&overlapping), [300, 400, 1_000, 1_100]);
        assert_eq!(ring.take(0, 0, 200 * MS, 2).len(), 2);
        assert!(ring.take(9, 0, u64::MAX, 9).is_empty(), "no such camera");
    }

    #[test]
    fn with_memory_enough_every_frame_of_the_horizon_is_there() {
        let mut ring = ring(2, 1 << 20);
        film(&mut ring, 0, 200, 10);
        film(&mut ring, 1, 200, 10);
        assert_eq!(ring.take(0, 0, u64::MAX, 9_999).len(), 1_051);
        assert_eq!(
            ring.counters(),
            RingCounters {
                captured: 4_000,
                thinned: 0,
                dropped: 0
            }
        );
    }

    #[test]
    fn short_of_memory_older_frames_are_thinned_and_the_newest_20_s_are_whole() {
        // 20 s in full and 85 s at five a second are 625 frames.
        let mut ring = ring(1, 700 * 10);
        film(&mut ring, 0, 105, 10);
        let kept = times(&ring.take(0, 0, u64::MAX, 9_999));
        let newest: Vec<u64> = kept.iter().copied().filter(|ms| *ms >= 84_900).collect();
        assert_eq!(newest.len(), 201, "both ends");
        assert!(kept.windows(2).all(|pair| pair[1] - pair[0] <= 200));
        assert_eq!(kept[0], 0, "the beginning is still there");
        assert!(ring.counters().thinned >= 350);
        assert_eq!(ring.counters().dropped, 0);
    }

    #[test]
    fn what_is_being_written_is_never_pushed_out() {
        let mut ring = ring(1, 100);
        film(&mut ring, 0, 1, 10);
        let taken = ring.take(0, 0, u64::MAX, 100);
        assert_eq!(taken.len(), 10);
        assert_eq!(ring.push(0, 2_000 * MS, Bytes::from(vec![0; 10])), None);
        assert_eq!(ring.counters().dropped, 1);
        ring.written(taken[0].key);
        assert!(ring.push(0, 2_100 * MS, Bytes::from(vec![0; 10])).is_some());
        assert_eq!(ring.bytes(), 100);
    }

    #[test]
    fn a_refused_frame_can_be_taken_again() {
        let mut ring = ring(1, 100);
        film(&mut ring, 0, 1, 10);
        let taken = ring.take(0, 0, 0, 100);
        ring.refused(taken[0].key);
        assert_eq!(ring.take(0, 0, 0, 100), taken);
    }

    #[test]
    fn the_newest_picture_stays_even_when_it_was_written() {
        let mut ring = ring(1, 100);
        film(&mut ring, 0, 1, 10);
        for frame in ring.take(0, 0, u64::MAX, 100) {
            ring.written(frame.key);
        }
        assert_eq!(
            ring.newest(0).map(|frame| frame.monotonic_ns),
            Some(900 * MS)
        );
        assert_eq!(ring.bytes(), 10);
        ring.push(0, 1_000 * MS, Bytes::from(vec![0; 7]));
        assert_eq!(ring.bytes(), 7, "until there is a newer one");
    }

    #[test]
    fn a_greedy_camera_pays_for_its_own_size() {
        let mut ring = ring(2, 2_000);
        film(&mut ring, 0, 1, 10);
        for n in 0..50 {
            ring.push(1, (1_000 + n * 100) * MS, Bytes::from(vec![0; 200]));
        }
        assert_eq!(ring.take(0, 0, u64::MAX, 100).len(), 10);
    }

    proptest! {
        #[test]
        fn the_cap_holds_and_nothing_is_handed_out_twice(
            steps in proptest::collection::vec((0u8..3, 0usize..40, 0u8..4, 0u64..400), 0..400)
        ) {
            let mut ring = ring(3, 500);
            let (mut now, mut held) = (0, Vec::new());
            let mut seen = std::collections::BTreeSet::new();
            for (camera, size, what, ms) in steps {
                now += ms * MS;
                match what {
                    0 => for frame in ring.take(camera, now.saturating_sub(5_000 * MS), now, 10) {
                        prop_assert!(seen.insert(frame.key));
                        held.push(frame.key);
                    },
                    1 => if let Some(key) = held.pop() { ring.written(key) },
                    _ => { ring.push(camera, now, Bytes::from(vec![0; size])); }
                }
                prop_assert!(ring.bytes() <= 500);
                let counted: usize = ring.cameras.iter().flat_map(|c| &c.slots).map(|s| s.frame.jpeg.len()).sum();
                prop_assert_eq!(ring.bytes(), counted);
            }
        }
    }
}

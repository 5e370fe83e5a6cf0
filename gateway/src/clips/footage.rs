//! The stored pictures of one camera in a clip, and their times.

use bytes::Bytes;
use std::error::Error;
use std::sync::Arc;
use tillwatch_protocol::clip::FrameKey;
use tillwatch_protocol::time::MonotonicNs;

/// A picture that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FootageFrame {
    /// Which.
    pub key: FrameKey,
    /// When it was captured, in monotonic nanoseconds of `key.boot`.
    pub monotonic_ns: MonotonicNs,
    /// The same moment in microseconds since 1970 UTC, as believed then.
    pub utc_us: i64,
    /// Size of its JPEG.
    pub bytes: u32,
}

/// What one camera shows in a clip. Whoever implements it sees to it that pictures that were listed
/// can be read for as long as the value lives.
pub trait Footage {
    /// Every picture, in the order in which they came: a camera's clock may stand still or jump.
    fn frames(&self) -> Vec<FootageFrame>;

    /// The camera's own bytes of one of them. Blocks.
    ///
    /// # Errors
    /// It cannot be read, or is not what was stored.
    fn read(&self, key: FrameKey) -> Result<Bytes, Box<dyn Error + Send + Sync>>;
}

impl<F: Footage + ?Sized> Footage for &F {
    fn frames(&self) -> Vec<FootageFrame> {
        (**self).frames()
    }

    fn read(&self, key: FrameKey) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        (**self).read(key)
    }
}

impl<F: Footage + ?Sized> Footage for Arc<F> {
    fn frames(&self) -> Vec<FootageFrame> {
        (**self).frames()
    }

    fn read(&self, key: FrameKey) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        (**self).read(key)
    }
}

/// Where a clip's files begin to count: a whole second of UTC, so that a file's creation time, which
/// has no fractions, plus the time that a player shows is the very moment. One for all cameras of a
/// clip: then their files stand side by side.
///
/// Between two pictures the monotonic clock counts, also when somebody sets the wall clock meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    boot: u64,
    /// May lie before the machine's start.
    zero_ns: i128,
    zero_utc_s: i64,
}

impl Timeline {
    /// Begins with the second in which the first of these pictures was captured, whichever camera's
    /// it is; nothing without a picture.
    #[must_use]
    pub fn beginning_with<'a>(
        frames: impl IntoIterator<Item = &'a FootageFrame>,
    ) -> Option<Timeline> {
        let first = frames
            .into_iter()
            .min_by_key(|frame| (frame.key.boot, frame.monotonic_ns))?;
        let into_second_us = first.utc_us.rem_euclid(1_000_000);
        Some(Timeline {
            boot: first.key.boot,
            zero_ns: i128::from(first.monotonic_ns) - i128::from(into_second_us) * 1_000,
            zero_utc_s: first.utc_us.div_euclid(1_000_000),
        })
    }

    /// Its beginning, in seconds since 1970 UTC.
    #[must_use]
    pub fn zero_utc_s(&self) -> i64 {
        self.zero_utc_s
    }

    /// Microseconds from the beginning to this picture; nothing when it lies before, or in another
    /// boot.
    #[must_use]
    pub fn at_us(&self, frame: &FootageFrame) -> Option<u64> {
        if frame.key.boot != self.boot {
            return None;
        }
        let since_ns = i128::from(frame.monotonic_ns) - self.zero_ns;
        u64::try_from(since_ns.div_euclid(1_000)).ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Pictures in memory.
    #[derive(Debug, Default)]
    pub(crate) struct Shots {
        pub(crate) frames: Vec<FootageFrame>,
        pub(crate) pictures: BTreeMap<FrameKey, Bytes>,
    }

    impl Shots {
        /// One more, captured so many microseconds after [`ZERO_UTC_US`].
        pub(crate) fn push(&mut self, at_us: u64, jpeg: impl Into<Bytes>) -> FrameKey {
            let jpeg = jpeg.into();
            let seq = 1_000 + self.frames.len() as u64;
            let frame = shot(seq, at_us, jpeg.len());
            self.frames.push(frame);
            self.pictures.insert(frame.key, jpeg);
            frame.key
        }
    }

    impl Footage for Shots {
        fn frames(&self) -> Vec<FootageFrame> {
            self.frames.clone()
        }

        fn read(&self, key: FrameKey) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
            Ok(self.pictures.get(&key).ok_or("bad sector")?.clone())
        }
    }

    /// 2026-11-21 08:15:30.250 UTC.
    pub(crate) const ZERO_UTC_US: i64 = 1_795_248_930_250_000;

    pub(crate) fn shot(seq: u64, at_us: u64, bytes: usize) -> FootageFrame {
        FootageFrame {
            key: FrameKey {
                camera: 0,
                boot: 7,
                seq,
            },
            monotonic_ns: 5_000_000_123 + at_us * 1_000,
            utc_us: ZERO_UTC_US + i64::try_from(at_us).unwrap(),
            bytes: u32::try_from(bytes).unwrap(),
        }
    }

    #[test]
    fn the_beginning_is_a_whole_second_and_its_fraction_is_in_the_first_picture() {
        let frames = [shot(2, 40_000, 1), shot(1, 0, 1)];
        let timeline = Timeline::beginning_with(&frames).unwrap();
        assert_eq!(timeline.zero_utc_s(), 1_795_248_930);
        assert_eq!(timeline.at_us(&frames[1]), Some(250_000));
        assert_eq!(timeline.at_us(&frames[0]), Some(290_000));
    }

    #[test]
    fn a_wall_clock_that_is_set_meanwhile_moves_no_picture() {
        let mut later = shot(2, 1_000_000, 1);
        later.utc_us -= 3_600_000_000;
        let timeline = Timeline::beginning_with(&[shot(1, 0, 1), later]).unwrap();
        assert_eq!(timeline.at_us(&later), Some(1_250_000));
    }

    #[test]
    fn a_picture_right_after_the_machine_started_has_its_time() {
        let mut first = shot(1, 0, 1);
        first.monotonic_ns = 10;
        let timeline = Timeline::beginning_with([&first]).unwrap();
        assert_eq!(timeline.at_us(&first), Some(250_000));
    }

    #[test]
    fn what_lies_before_or_in_another_boot_has_no_time() {
        let timeline = Timeline::beginning_with([&shot(9, 5_000_000, 1)]).unwrap();
        assert_eq!(timeline.at_us(&shot(1, 0, 1)), None);
        let mut other = shot(10, 6_000_000, 1);
        other.key.boot = 8;
        assert_eq!(timeline.at_us(&other), None);
        assert_eq!(Timeline::beginning_with([]), None);
    }
}

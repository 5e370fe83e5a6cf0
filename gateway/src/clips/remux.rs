//! A camera's pictures as an MP4 file, whole or in part, written picture by picture.

use super::footage::{Footage, FootageFrame, Timeline};
use super::mp4::{Mp4Error, Mp4Layout, Part, Sample, Track};
use bytes::Bytes;
use std::error::Error;
use std::io::{self, Write};
use std::ops::Range;
use tillwatch_drivers::camera::jpeg;
use tillwatch_protocol::clip::FrameKey;

/// Why a file cannot be made of footage.
#[derive(Debug, thiserror::Error)]
pub enum RemuxError {
    /// There are no pictures, or too many.
    #[error(transparent)]
    Layout(Mp4Error),
    /// A picture does not fit in: its place, its time, or what is in it.
    #[error("frame {key}: {why}")]
    Frame {
        /// Which.
        key: FrameKey,
        /// What is wrong with it.
        why: String,
    },
    /// A picture cannot be read.
    #[error("frame {key} cannot be read: {source}")]
    Read {
        /// Which.
        key: FrameKey,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The film comes from elsewhere and ends early.
    #[error("the film ends early: {0}")]
    Ended(String),
    /// Whoever takes the file does not.
    #[error("cannot be written: {0}")]
    Output(#[source] io::Error),
}

/// The file. It holds the index and, while it writes, one picture.
#[derive(Debug)]
pub struct Remux<F> {
    footage: F,
    keys: Vec<FrameKey>,
    layout: Mp4Layout,
}

impl<F: Footage> Remux<F> {
    /// Reads the first picture, for its size in pixels. Blocks.
    ///
    /// # Errors
    /// There is no picture, the first one cannot be read or is none, or one is of another boot.
    pub fn new(footage: F, camera: &str, timeline: &Timeline) -> Result<Self, RemuxError> {
        let frames = footage.frames();
        let Some(first) = frames.first() else {
            return Err(RemuxError::Layout(Mp4Error::NoSamples));
        };
        let (width, height) = jpeg::size(&read(&footage, first.key, first.bytes as usize)?)
            .map_err(|error| RemuxError::Frame {
                key: first.key,
                why: error.to_string(),
            })?;
        let samples: Result<Vec<Sample>, RemuxError> =
            frames.iter().map(|frame| sample(timeline, frame)).collect();
        let track = Track {
            name: camera,
            width,
            height,
            zero_utc_s: timeline.zero_utc_s(),
        };
        let layout = Mp4Layout::new(&track, &samples?).map_err(|error| named(error, &frames))?;
        let keys = frames.iter().map(|frame| frame.key).collect();
        Ok(Self {
            footage,
            keys,
            layout,
        })
    }

    /// Length of the file in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no file is empty")]
    pub fn len(&self) -> u64 {
        self.layout.len()
    }

    /// Pictures in it.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.layout.samples()
    }

    /// Writes these bytes of it; what lies beyond its end is left out. Blocks.
    ///
    /// # Errors
    /// A picture cannot be read, or is not what the index says; or `out` fails.
    pub fn write(&self, range: Range<u64>, out: &mut impl Write) -> Result<(), RemuxError> {
        for part in self.layout.parts(range) {
            match part {
                Part::Header(bytes) => out.write_all(&self.layout.header()[bytes]),
                Part::Sample { index, bytes } => {
                    let size = self.layout.sample_bytes(index);
                    let picture = read(&self.footage, self.keys[index], size)?;
                    out.write_all(&picture[bytes])
                }
            }
            .map_err(RemuxError::Output)?;
        }
        Ok(())
    }
}

fn sample(timeline: &Timeline, frame: &FootageFrame) -> Result<Sample, RemuxError> {
    let at_us = timeline.at_us(frame).ok_or_else(|| RemuxError::Frame {
        key: frame.key,
        why: "lies before the clip's beginning, or in another boot".into(),
    })?;
    Ok(Sample {
        bytes: frame.bytes,
        at_us,
    })
}

/// With the name of the frame instead of its place.
fn named(error: Mp4Error, frames: &[FootageFrame]) -> RemuxError {
    let (sample, why) = match error {
        Mp4Error::Empty { sample } => (sample, "is empty"),
        Mp4Error::TooLongGap { sample } => (sample, "comes too long after the one before it"),
        other => return RemuxError::Layout(other),
    };
    match frames.get(sample) {
        Some(frame) => RemuxError::Frame {
            key: frame.key,
            why: why.into(),
        },
        None => RemuxError::Layout(error),
    }
}

/// What was read must have the length that the index promised: everything behind it lies there.
fn read(footage: &impl Footage, key: FrameKey, size: usize) -> Result<Bytes, RemuxError> {
    let picture = footage
        .read(key)
        .map_err(|source| RemuxError::Read { key, source })?;
    if picture.len() == size {
        return Ok(picture);
    }
    let why = format!("has {} bytes instead of {size}", picture.len());
    Err(RemuxError::Frame { key, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clips::footage::tests::Shots;
    use crate::clips::picture::tests::picture;
    use std::fs::OpenOptions;

    fn shots() -> Shots {
        let mut shots = Shots::default();
        for n in 0..20_u8 {
            shots.push(u64::from(n) * 66_667, picture(64, 48, n));
        }
        shots
    }

    fn remux(shots: &Shots) -> Result<Remux<&Shots>, RemuxError> {
        let timeline = Timeline::beginning_with(&shots.frames).unwrap();
        Remux::new(shots, "front", &timeline)
    }

    #[test]
    fn any_range_is_that_piece_of_the_whole_file() {
        let shots = shots();
        let remux = remux(&shots).unwrap();
        let mut whole = Vec::new();
        remux.write(0..u64::MAX, &mut whole).unwrap();
        assert_eq!(whole.len() as u64, remux.len());
        assert_eq!(remux.frames(), 20);
        for start in (0..whole.len()).step_by(97) {
            for length in [0, 1, 700, whole.len()] {
                let end = (start + length).min(whole.len());
                let mut piece = Vec::new();
                let range = start as u64..(start + length) as u64;
                remux.write(range, &mut piece).unwrap();
                assert_eq!(piece, whole[start..end]);
            }
        }
    }

    #[test]
    fn a_range_reads_only_the_pictures_that_it_needs() {
        let mut shots = shots();
        let end = remux(&shots).unwrap().len();
        let last = shots.frames.last().unwrap();
        let (key, size) = (last.key, u64::from(last.bytes));
        shots.pictures.remove(&key);
        let remux = remux(&shots).unwrap();
        remux.write(0..end - size, &mut Vec::new()).unwrap();
        let refused = remux.write(end - size..end, &mut Vec::new()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "frame 0/7/1019 cannot be read: bad sector"
        );
    }

    #[test]
    fn a_picture_of_another_length_is_refused_by_name() {
        let mut shots = shots();
        let key = shots.frames[3].key;
        shots.pictures.insert(key, Bytes::from_static(b"short"));
        let refused = remux(&shots).unwrap().write(0..u64::MAX, &mut Vec::new());
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.starts_with("frame 0/7/1003: has 5 bytes instead of "),
            "{refused}"
        );
    }

    #[test]
    fn pictures_stay_in_their_order_when_times_jump_back() {
        let mut shots = shots();
        shots.frames[4].monotonic_ns = shots.frames[5].monotonic_ns;
        shots.frames[7].monotonic_ns = shots.frames[0].monotonic_ns - 5_000_000_000;
        let remux = remux(&shots).unwrap();
        let mut film = Vec::new();
        remux.write(0..u64::MAX, &mut film).unwrap();
        let pictures: Vec<Bytes> = shots.pictures.values().cloned().collect();
        assert!(film.ends_with(&pictures.concat()));
    }

    #[test]
    fn a_picture_of_another_boot_is_refused_by_name() {
        let mut shots = shots();
        shots.frames[9].key.boot = 8;
        let refused = remux(&shots).unwrap_err().to_string();
        assert_eq!(
            refused,
            "frame 0/8/1009: lies before the clip's beginning, or in another boot"
        );
    }

    #[test]
    fn what_is_no_picture_is_no_film() {
        let mut shots = Shots::default();
        shots.push(0, &b"GIF89a"[..]);
        let refused = remux(&shots).unwrap_err().to_string();
        assert!(refused.starts_with("frame 0/7/1000: "), "{refused}");
        let timeline = Timeline::beginning_with(&shots.frames).unwrap();
        let refused = Remux::new(&Shots::default(), "front", &timeline).unwrap_err();
        assert_eq!(refused.to_string(), "there are no pictures");
    }

    #[test]
    fn a_full_disk_is_told_apart_from_a_bad_picture() {
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let refused = remux(&shots()).unwrap().write(0..u64::MAX, &mut full);
        match refused.unwrap_err() {
            RemuxError::Output(error) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
            other => panic!("{other}"),
        }
    }
}

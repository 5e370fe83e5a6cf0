//! Where everything lies in an MP4 file of a camera's own JPEGs.
//!
//! Pure: from the sizes and times of the pictures follow the header, the length of the file, and for
//! any part of it the pictures that it consists of. The pictures themselves are never here, so a
//! file of any length is written, or served in ranges, in the memory of its index: up to 28 bytes a
//! picture.
//!
//! | box | what is in it | ISO/IEC |
//! | --- | --- | --- |
//! | `ftyp` | `isom`, `iso2`, `mp41` | 14496-12, 4.3 |
//! | `moov` | before the pictures, so that a player starts before it has all | 14496-12, 8.2.1 |
//! | · `mvhd`, `tkhd`, `mdhd` | UTC of the timeline's zero as creation time, whole seconds since 1904; 32-bit fields while they suffice (until 2040) | 14496-12, 8.2.2, 8.3.2, 8.4.2 |
//! | · `edts`/`elst` | an empty edit up to the first picture, then all of them | 14496-12, 8.6.6 |
//! | · `hdlr` | `vide`, the camera's name | 14496-12, 8.4.3 |
//! | · `stsd`/`mp4v`/`esds` | visual sample entry, object type 0x6C, "Visual ISO/IEC 10918-1" (JPEG) | 14496-14, 6.7; 14496-1, 7.2.6.6 |
//! | · `stts` | how long each picture stands: to the next one, a gap as a long stand; one tick when the next one is not later | 14496-12, 8.6.1.2 |
//! | · `stsz`, `stsc`, `stco` or `co64` | one picture per chunk; `co64` when the file exceeds 4 GiB | 14496-12, 8.7.3, 8.7.4, 8.7.5 |
//! | `mdat` | the pictures, byte for byte and one after another; 64-bit size above 4 GiB | 14496-12, 8.1.1 |
//!
//! No `stss`: each picture can be shown by itself. The boxes are written by `shiguredo_mp4`, except
//! `mp4v`, which it does not know.

mod boxes;
#[cfg(test)]
mod tests;

use std::ops::Range;

/// Most pictures in one file: more than nine hours at 30 a second. More are refused.
pub const MAX_SAMPLES: usize = 1 << 20;
/// Longest name of a camera in a file, in bytes; the rest is cut off.
pub const MAX_NAME: usize = 64;

/// Ticks per second. Microseconds, as cameras have them, unless a gap is too long for them.
const TIMESCALES: [u32; 4] = [1_000_000, 100_000, 10_000, 1_000];
/// Players read how long a picture stands as a signed number.
const MAX_STAND: u64 = i32::MAX as u64;

/// A picture in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Size of its JPEG.
    pub bytes: u32,
    /// Microseconds after the file's zero.
    pub at_us: u64,
}

/// What a file says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Track<'a> {
    /// The camera's name.
    pub name: &'a str,
    /// Width of the pictures in pixels.
    pub width: u16,
    /// Height of the pictures in pixels.
    pub height: u16,
    /// The file's zero, in seconds since 1970 UTC.
    pub zero_utc_s: i64,
}

/// Why there is no such file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mp4Error {
    /// Not a picture.
    #[error("there are no pictures")]
    NoSamples,
    /// More than [`MAX_SAMPLES`].
    #[error("{0} pictures are more than fit into one file ({MAX_SAMPLES})")]
    TooMany(usize),
    /// A picture without a byte.
    #[error("picture {sample} is empty")]
    Empty {
        /// Its place, from 0.
        sample: usize,
    },
    /// Longer without a picture than can be said: more than 24 days.
    #[error("too long a time before picture {sample}")]
    TooLongGap {
        /// Its place, from 0.
        sample: usize,
    },
    /// The boxes cannot be written.
    #[error("cannot be written as MP4: {0}")]
    Boxes(String),
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These bytes of [`Mp4Layout::header`].
    Header(Range<usize>),
    /// These bytes of a picture.
    Sample {
        /// Its place, from 0.
        index: usize,
        /// Which of its bytes.
        bytes: Range<usize>,
    },
}

/// Where everything lies. The same samples always give the same file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mp4Layout {
    header: Vec<u8>,
    /// Where each picture ends, from the beginning of the file.
    ends: Vec<u64>,
}

impl Mp4Layout {
    /// A file of these pictures.
    ///
    /// # Errors
    /// See [`Mp4Error`].
    pub fn new(track: &Track<'_>, samples: &[Sample]) -> Result<Self, Mp4Error> {
        if samples.is_empty() {
            return Err(Mp4Error::NoSamples);
        }
        if samples.len() > MAX_SAMPLES {
            return Err(Mp4Error::TooMany(samples.len()));
        }
        if let Some(sample) = samples.iter().position(|sample| sample.bytes == 0) {
            return Err(Mp4Error::Empty { sample });
        }
        let times = Times::of(samples)?;
        let header = boxes::header(track, samples, &times)
            .map_err(|error| Mp4Error::Boxes(error.to_string()))?;
        let mut end = header.len() as u64;
        let ends = samples.iter().map(|sample| {
            end += u64::from(sample.bytes);
            end
        });
        let ends = ends.collect();
        Ok(Self { header, ends })
    }

    /// Length of the file in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no file is empty")]
    pub fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or_default()
    }

    /// What stands before the first picture.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Pictures in it.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.ends.len()
    }

    /// Size of a picture in bytes; 0 when there is no such.
    #[must_use]
    pub fn sample_bytes(&self, index: usize) -> usize {
        let Some(end) = self.ends.get(index) else {
            return 0;
        };
        usize::try_from(end - self.begin(index)).unwrap_or(usize::MAX)
    }

    /// Where a picture begins.
    fn begin(&self, index: usize) -> u64 {
        match index.checked_sub(1) {
            Some(before) => self.ends[before],
            None => self.header.len() as u64,
        }
    }

    /// What these bytes of the file consist of, in order. What lies beyond its end is left out.
    pub fn parts(&self, range: Range<u64>) -> impl Iterator<Item = Part> + '_ {
        let Range { start, end } = range;
        let head_len = self.header.len() as u64;
        let head = within(0, head_len, start, end).map(Part::Header);
        let first = self.ends.partition_point(|sample_end| *sample_end <= start);
        let samples = (first..self.ends.len()).map_while(move |index| {
            let bytes = within(self.begin(index), self.ends[index], start, end)?;
            Some(Part::Sample { index, bytes })
        });
        head.into_iter().chain(samples)
    }
}

/// What `start..end` covers of the piece `begin..piece_end`, counted from `begin`.
fn within(begin: u64, piece_end: u64, start: u64, end: u64) -> Option<Range<usize>> {
    let from = start.max(begin);
    let to = end.min(piece_end);
    if from >= to {
        return None;
    }
    Some(usize::try_from(from - begin).ok()?..usize::try_from(to - begin).ok()?)
}

/// When pictures are shown, in ticks.
#[derive(Debug, PartialEq, Eq)]
struct Times {
    timescale: u32,
    /// From the file's zero to the first picture.
    offset: u64,
    /// How long each picture stands.
    stands: Vec<u32>,
}

impl Times {
    fn of(samples: &[Sample]) -> Result<Self, Mp4Error> {
        let mut outcome = Err(Mp4Error::NoSamples);
        for timescale in TIMESCALES {
            outcome = Self::in_ticks(samples, timescale);
            if !matches!(outcome, Err(Mp4Error::TooLongGap { .. })) {
                break;
            }
        }
        outcome
    }

    /// Each time is rounded down by itself, so that nothing adds up. Pictures stay in their order:
    /// one that is not later than the one before it is shown a tick behind that.
    fn in_ticks(samples: &[Sample], timescale: u32) -> Result<Self, Mp4Error> {
        let tick_us = u64::from(1_000_000 / timescale);
        let ticks = |sample: &Sample| sample.at_us / tick_us;
        let mut stands = Vec::with_capacity(samples.len());
        let mut shown = samples.first().map(ticks).unwrap_or_default();
        for (sample, next) in samples.iter().enumerate().skip(1) {
            let stand = ticks(next).saturating_sub(shown).max(1);
            if stand > MAX_STAND {
                return Err(Mp4Error::TooLongGap { sample });
            }
            stands.push(u32::try_from(stand).unwrap_or(u32::MAX));
            shown += stand;
        }
        let offset = samples.first().map(ticks).unwrap_or_default();
        // Nobody knows how long the last one stood: as long as most of them, not as a gap before it.
        let last = median(&stands).unwrap_or(timescale / 10);
        stands.push(last);
        Ok(Self {
            timescale,
            offset,
            stands,
        })
    }
}

fn median(values: &[u32]) -> Option<u32> {
    let mut sorted = values.to_vec();
    let middle = sorted.len() / 2;
    (middle < sorted.len()).then(|| *sorted.select_nth_unstable(middle).1)
}

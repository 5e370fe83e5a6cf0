//! Cameras: frames, and what can be said of them without keeping them.
//!
//! A [`FrameSource`] yields JPEGs as the camera made them, with the time of their capture.
//! [`jpeg`] checks them, [`luma`] makes a small grey picture of one, [`motion`] and
//! [`blinding`] judge successive small pictures. All four are pure; nothing here knows
//! clips or stores.

pub mod blinding;
#[cfg(any(feature = "v4l", feature = "scene"))]
mod encode;
pub mod jpeg;
pub mod luma;
pub mod motion;
pub mod negotiate;
mod pace;
pub mod replay;
#[cfg(feature = "scene")]
pub mod scene;
#[cfg(feature = "v4l")]
pub mod v4l;

use std::time::Duration;

use bytes::Bytes;

use crate::error::DriverError;

/// One picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// A whole JPEG, from its first marker to its last, that any viewer opens. Clones share
    /// the bytes.
    pub jpeg: Bytes,
    /// When it was taken: `CLOCK_MONOTONIC` in nanoseconds, the kernel's where the backend
    /// can. Never earlier than the frame before.
    pub monotonic_ns: u64,
    /// In pixels.
    pub width: u16,
    /// In pixels.
    pub height: u16,
}

/// How a camera's pictures become JPEGs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// The camera compresses.
    Mjpeg,
    /// The camera delivers YUYV, compressed here.
    YuyvEncodedHere,
}

/// What a camera delivers, as agreed when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CameraFormat {
    /// In pixels.
    pub width: u16,
    /// In pixels.
    pub height: u16,
    /// Frames per 1000 seconds, as the camera says (30 000, 29 970); in the dark many
    /// deliver fewer.
    pub millihertz: u32,
    /// Who compresses.
    pub encoding: Encoding,
}

impl CameraFormat {
    /// Nanoseconds from frame to frame.
    pub fn period_ns(&self) -> u64 {
        1_000_000_000_000 / u64::from(self.millihertz.max(1))
    }
}

/// What became of a camera's frames since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CameraCounters {
    /// Handed out.
    pub delivered: u64,
    /// Never seen: their numbers are missing because nobody fetched them in time, or the
    /// transfer broke.
    pub lost: u64,
    /// Seen and thrown away because they were no whole JPEG.
    pub refused: u64,
    /// Handed out with the standard Huffman tables put in, which the camera leaves out.
    pub repaired: u64,
}

/// Where frames come from.
pub trait FrameSource: Send {
    /// Waits up to `timeout` for the next frame. `None`: there was none.
    ///
    /// # Errors
    /// A camera that is gone is an error of kind [`Reopen`](crate::ErrorKind::Reopen), never
    /// a `None` for ever.
    fn next(&mut self, timeout: Duration) -> Result<Option<Frame>, DriverError>;

    /// What was agreed.
    fn format(&self) -> &CameraFormat;

    /// What became of the frames so far.
    fn counters(&self) -> CameraCounters;
}

impl FrameSource for Box<dyn FrameSource> {
    fn next(&mut self, timeout: Duration) -> Result<Option<Frame>, DriverError> {
        (**self).next(timeout)
    }

    fn format(&self) -> &CameraFormat {
        (**self).format()
    }

    fn counters(&self) -> CameraCounters {
        (**self).counters()
    }
}

/// A rectangle of the picture in per mille of its width and height, so that it survives
/// another size of picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region {
    /// Left edge.
    pub left: u16,
    /// Upper edge.
    pub top: u16,
    /// Width.
    pub width: u16,
    /// Height.
    pub height: u16,
}

impl Region {
    /// The whole picture.
    pub const WHOLE: Self = Self {
        left: 0,
        top: 0,
        width: 1000,
        height: 1000,
    };

    /// Whether it has an area and lies within the picture.
    pub fn is_valid(&self) -> bool {
        let fits =
            |start: u16, length: u16| length > 0 && u32::from(start) + u32::from(length) <= 1000;
        fits(self.left, self.width) && fits(self.top, self.height)
    }

    /// The columns and rows it covers of a grid, at least one of each.
    pub(crate) fn cells(
        &self,
        columns: usize,
        rows: usize,
    ) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let range = |start: u16, length: u16, count: usize| {
            let at = |per_mille: u32| (per_mille as usize * count + 500) / 1000;
            let first = at(u32::from(start)).min(count.saturating_sub(1));
            let end = at(u32::from(start) + u32::from(length)).min(count);
            first..end.max((first + 1).min(count))
        };
        (
            range(self.left, self.width, columns),
            range(self.top, self.height, rows),
        )
    }
}

//! What can go wrong with footage.

use super::StoredFrame;
use crate::error::ErrorKind;
use std::io;
use std::path::{Path, PathBuf};
use tillwatch_protocol::{ClipId, FrameKey};

/// Why the media could not do what they were asked.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// A call to the operating system failed.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// The call.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no such clip.
    #[error("clip {0} is not known")]
    NoSuchClip(ClipId),
    /// The clip was given up.
    #[error("clip {clip_id} was given up: {reason}")]
    Dropped {
        /// The clip.
        clip_id: ClipId,
        /// Why.
        reason: String,
    },
    /// The frame is not among those that were pinned.
    #[error("frame {0} is not stored")]
    NotStored(FrameKey),
    /// What is on the disk is not what was written, or the segment was used again because the
    /// reader took too long.
    #[error("frame {0} cannot be read any more")]
    Damaged(FrameKey),
    /// Too many readers at once.
    #[error("{0} readers have footage open already")]
    Pins(usize),
    /// Too many clips are being recorded.
    #[error("{0} clips are being recorded already")]
    Claims(usize),
    /// Too much would be held.
    #[error("{held} of {total} bytes of footage are held already: at most half may be")]
    HoldsFull {
        /// Bytes held.
        held: u64,
        /// Bytes of the media.
        total: u64,
    },
    /// Frames of this clip were lost on the way to the disk: look what is there and commit that.
    #[error("frames of clip {0} were lost on the way to the disk")]
    FramesLost(ClipId),
    /// The descriptor is longer than the media keep.
    #[error("the description of clip {0} is too long")]
    TooLong(ClipId),
    /// Too many changes wait.
    #[error("{0} changes wait to be written")]
    Busy(usize),
    /// Nothing can be given up for this.
    #[error("there is no room for the description of a clip")]
    NoRoom,
    /// The options contradict each other.
    #[error("the options of the media cannot be used: {0}")]
    Options(String),
    /// The media were closed.
    #[error("the media are closed")]
    Closed,
}

impl MediaError {
    /// The reaction that fits.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::Pins(_) | Self::Claims(_) | Self::Busy(_) | Self::NoRoom => {
                ErrorKind::Retry
            }
            Self::NoSuchClip(_)
            | Self::Dropped { .. }
            | Self::NotStored(_)
            | Self::Damaged(_)
            | Self::FramesLost(_) => ErrorKind::Skip,
            Self::HoldsFull { .. } | Self::TooLong(_) => ErrorKind::Refuse,
            Self::Options(_) | Self::Closed => ErrorKind::Fatal,
        }
    }

    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MediaError {
        move |source| MediaError::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }
}

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Too many bytes wait for the disk.
    Queue,
    /// It is empty, or larger than a segment takes.
    Size,
    /// A later frame of this camera was taken before.
    Order,
    /// The media were closed.
    Closed,
}

/// A frame that was not taken. Counted.
#[derive(Debug, thiserror::Error)]
#[error("frame {} was not taken: {why:?}", frame.key)]
pub struct MediaFull {
    /// The frame, untouched.
    pub frame: StoredFrame,
    /// Why.
    pub why: Refusal,
}

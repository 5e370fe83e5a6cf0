//! Footage: the names of frames and clips, what a clip is asked for, and what became of it.
//!
//! An alert asks for a clip in the same atomic group as its first revision; a later revision may
//! ask for more of it. Frames are stored once and clips are ranges over them, so two alerts of the
//! same minute share their pictures.

use crate::finding::Score;
use crate::ids::AlertId;
use crate::time::{MonotonicNs, Stamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use uuid::Uuid;

/// Most gaps that a [`ClipTrack`] names; further ones are merged into the last.
pub const CLIP_GAPS: usize = 32;

/// A picture of a camera. Ordered by camera, then by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FrameKey {
    /// The camera, by its place in the configuration.
    pub camera: u8,
    /// Ordinal of the boot, as in [`Stamp::boot`].
    pub boot: u64,
    /// Counted by the gateway per camera and boot, rising; a frame that was lost on the way from
    /// the camera leaves a hole.
    pub seq: u64,
}

impl fmt::Display for FrameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.camera, self.boot, self.seq)
    }
}

/// A clip: UUIDv5 of its alert's id, so that a replay of the log asks for nothing twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClipId(pub Uuid);

impl ClipId {
    /// The clip of an alert.
    #[must_use]
    pub fn of(alert: AlertId) -> ClipId {
        ClipId(Uuid::new_v5(&alert.0, b"clip"))
    }
}

impl fmt::Display for ClipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A clip is wanted. A later request for the same clip replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipRequest {
    /// The clip.
    pub clip_id: ClipId,
    /// The alert that it shows.
    pub alert_id: AlertId,
    /// When the alert's cause happened.
    pub cause: Stamp,
    /// First moment wanted, in monotonic nanoseconds of the boot of `cause`.
    pub from_ns: MonotonicNs,
    /// Last moment wanted, likewise.
    pub to_ns: MonotonicNs,
    /// The alert's score, for what is kept longest.
    pub score: Score,
    /// The alert's short word, for the file name of an exported clip.
    pub kind: Cow<'static, str>,
    /// Who was at the till, likewise.
    pub staff_id: Option<String>,
}

/// What became of a clip. A later report replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipReport {
    /// The clip.
    pub clip_id: ClipId,
    /// Whether it is there.
    pub state: ClipState,
    /// What is there, by camera; a camera without a frame is left out.
    pub cameras: Vec<ClipTrack>,
    /// When this was found.
    pub stamp: Stamp,
}

/// Whether a clip is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipState {
    /// Everything that was wanted and that the cameras showed.
    Complete,
    /// Part of it.
    Partial {
        /// What is missing, and why.
        reason: String,
    },
    /// Not a frame.
    Empty {
        /// Why.
        reason: String,
    },
    /// It was there and has been given up.
    Dropped {
        /// What for: a step of the pressure ladder, its age.
        reason: String,
    },
}

/// The frames of one camera in a clip: all that are stored from the first number to the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipTrack {
    /// The camera, by its place in the configuration.
    pub camera: u8,
    /// Its name then.
    pub name: String,
    /// Ordinal of the boot.
    pub boot: u64,
    /// Number of the first frame.
    pub first_seq: u64,
    /// Number of the last frame.
    pub last_seq: u64,
    /// Frames that are there.
    pub frames: u32,
    /// Bytes of their pictures.
    pub bytes: u64,
    /// When the first frame was captured, in monotonic nanoseconds of that boot.
    pub first_ns: MonotonicNs,
    /// When the last frame was captured.
    pub last_ns: MonotonicNs,
    /// From and to, in monotonic nanoseconds: longer than three frame periods without a frame. At
    /// most [`CLIP_GAPS`].
    pub gaps: Vec<(MonotonicNs, MonotonicNs)>,
}

/// What can be seen on a camera's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureState {
    /// What it is meant to show.
    Clear,
    /// Too little light to see anything.
    Dark,
    /// Something lies before the lens.
    Covered,
    /// The same picture again and again.
    Frozen,
}

impl PictureState {
    /// Its word, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Dark => "dark",
            Self::Covered => "covered",
            Self::Frozen => "frozen",
        }
    }
}

/// What is said of a part of a camera's picture, from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Motion {
    /// Nothing can be said: no pictures, or all of the picture changes.
    Unjudged,
    /// It is watched, and nothing moves.
    Still,
    /// Something moves.
    Moving,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_replay_of_an_alert_asks_for_the_same_clip() {
        let alert = AlertId(Uuid::from_u128(7));
        assert_eq!(ClipId::of(alert), ClipId::of(alert));
        assert_ne!(ClipId::of(alert), ClipId::of(AlertId(Uuid::from_u128(8))));
        assert_ne!(ClipId::of(alert).0, alert.0);
    }

    #[test]
    fn frames_are_ordered_by_camera_and_then_by_time() {
        let key = |camera, boot, seq| FrameKey { camera, boot, seq };
        let mut keys = [key(1, 1, 1), key(0, 2, 1), key(0, 1, 9), key(0, 1, 2)];
        keys.sort();
        assert_eq!(
            keys,
            [key(0, 1, 2), key(0, 1, 9), key(0, 2, 1), key(1, 1, 1)]
        );
        assert_eq!(key(1, 2, 3).to_string(), "1/2/3");
    }
}

//! Who saw footage: one record for each look.

use crate::clip::ClipId;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Somebody saw footage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// When; of looks that follow one another closely, the first.
    pub stamp: Stamp,
    /// Who: a login, a user of the machine, `local page` where no login is asked for.
    pub who: String,
    /// The login's role; `None` where nobody logged in.
    pub role: Option<String>,
    /// Where from: an address, or the control socket.
    pub from: String,
    /// What was shown.
    pub what: Shown,
    /// Of which clip; `None` for what a camera shows now.
    pub clip: Option<ClipId>,
    /// Of which camera, by its name then.
    pub camera: String,
}

/// What was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Single pictures of a clip.
    Frames,
    /// A clip at one glance.
    Sheet,
    /// A clip's pictures, played.
    Stream,
    /// A clip's film.
    Video,
    /// A still that goes with an alert.
    Still,
    /// A clip with its evidence, to take away.
    Export,
    /// What a camera shows now.
    Snapshot,
}

impl Shown {
    /// Its word, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Sheet => "sheet",
            Self::Stream => "stream",
            Self::Video => "video",
            Self::Still => "still",
            Self::Export => "export",
            Self::Snapshot => "snapshot",
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

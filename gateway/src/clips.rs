//! Footage around alerts.
//!
//! | module | what |
//! | --- | --- |
//! | [`ring`] | what every camera saw a moment ago, in memory |
//! | [`plan`] | which time is being recorded, and when a clip is done |
//! | [`cameras`] | the cameras with that memory, shared by those who record and look |
//! | [`recorder`] | writes what is wanted to disk |
//! | [`finish`] | what a clip became |
//! | [`suspicion`] | what is recorded before any alert asks for it |
//! | [`footage`] | the stored pictures of one camera in a clip, and their times |
//! | [`stored`] | the same, from the disk |
//! | [`picture`] | a small picture of a JPEG |
//! | [`mp4`] | where everything lies in an MP4 file of those pictures |
//! | [`remux`] | that file, whole or in part, written picture by picture |
//! | [`name`] | what exported files are called |
//! | [`export`] | a file in a folder, whole or not at all |
//! | [`sheet`] | a clip at one glance |
//! | [`still`] | the one picture that is shown of an alert |

pub mod cameras;
pub mod export;
pub mod finish;
pub mod footage;
pub mod mp4;
pub mod name;
pub mod picture;
pub mod plan;
pub mod recorder;
pub mod remux;
pub mod ring;
pub mod sheet;
pub mod still;
pub mod stored;
pub mod suspicion;

use recorder::Requests;
use tillwatch_protocol::Alert;
use tillwatch_protocol::alert::AlertState;
use tillwatch_protocol::clip::{ClipId, ClipRequest};
use tillwatch_protocol::time::SECOND_NS;
use tillwatch_store::media::Media;

/// Longest a clip is prolonged behind its cause, in nanoseconds.
const LONGEST_NS: u64 = 10 * 60 * SECOND_NS;

/// Cameras and their footage, as the parts of a running gateway share them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clips {
    /// What is stored.
    pub media: Media,
    /// What the cameras show.
    pub cameras: cameras::Cameras,
    /// The way to the recorder.
    pub requests: Requests,
    /// Footage before and after a cause, in nanoseconds.
    pub window_ns: u64,
}

impl Clips {
    /// Whether there is a camera. Without one, clips of earlier days can be looked at.
    #[must_use]
    pub fn records(&self) -> bool {
        self.cameras.cameras() > 0
    }

    /// The footage that an alert asks for: the window around its cause, and behind the newest event
    /// that it rests on when that came later, at most ten minutes. None for one that was explained,
    /// and none without a camera.
    #[must_use]
    pub fn request_of(&self, alert: &Alert) -> Option<ClipRequest> {
        self.records()
            .then(|| request_of(alert, self.window_ns))
            .flatten()
    }
}

/// The same for a window of so many nanoseconds.
#[must_use]
pub fn request_of(alert: &Alert, window_ns: u64) -> Option<ClipRequest> {
    if alert.state != AlertState::Open {
        return None;
    }
    let cause = alert.stamp;
    let newest_ns = alert
        .evidence
        .iter()
        .filter(|evidence| evidence.stamp.boot == cause.boot)
        .map(|evidence| evidence.stamp.monotonic_ns)
        .max()
        .unwrap_or(0)
        .clamp(
            cause.monotonic_ns,
            cause.monotonic_ns.saturating_add(LONGEST_NS),
        );
    Some(ClipRequest {
        clip_id: ClipId::of(alert.alert_id),
        alert_id: alert.alert_id,
        cause,
        from_ns: cause.monotonic_ns.saturating_sub(window_ns),
        to_ns: newest_ns.saturating_add(window_ns),
        score: alert.score,
        kind: alert.kind.clone(),
        staff_id: alert.subject.staff_id.clone(),
    })
}

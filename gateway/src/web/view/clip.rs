//! Clips and cameras as the API shows them.

use super::{clock_word, fraction};
use serde::Serialize;
use tillwatch_protocol::{ClipReport, ClipRequest, ClipState, ClipTrack};
use tillwatch_store::media::Clip;
use utoipa::ToSchema;

/// A time without a picture.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct GapView {
    /// When the last picture before it was captured.
    pub from: String,
    /// When the first picture behind it was captured.
    pub to: String,
    /// How long it lasts.
    pub seconds: f64,
}

/// What one camera shows in a clip.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TrackView {
    /// The camera's number.
    pub camera: u8,
    /// Its name then.
    pub name: String,
    /// Pictures.
    pub frames: u32,
    /// Bytes of them.
    pub bytes: u64,
    /// When the first one was captured.
    pub first_at: String,
    /// When the last one was captured.
    pub last_at: String,
    /// Longer than three frame periods without a picture.
    pub gaps: Vec<GapView>,
}

/// Footage around an alert. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ClipView {
    /// Which clip.
    pub clip_id: String,
    /// The alert that it shows.
    pub alert_id: String,
    /// `recording` (there may be a part of it already), `complete`, `partial`, `empty` or `dropped`.
    #[schema(example = "complete")]
    pub state: &'static str,
    /// What is missing and why, why nothing was recorded, or what it was given up for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the alert's cause happened.
    pub at: String,
    /// Whether these times can be believed: `synced` or `unsynced`.
    pub clock: &'static str,
    /// The short word for what the alert is about.
    #[schema(example = "void")]
    pub kind: String,
    /// Who was at the till.
    pub staff_id: Option<String>,
    /// The alert's risk score, 0 to 1.
    pub score: f64,
    /// First moment wanted.
    pub from: String,
    /// Last moment wanted.
    pub to: String,
    /// Changes when pictures come or go, and with them their numbers.
    pub version: String,
    /// Pictures of all cameras.
    pub frames: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Who keeps it whatever happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// A person judged its alert.
    pub reviewed: bool,
    /// Head office has it.
    pub sent: bool,
    /// Of what came before the alert one picture a second is left.
    pub thinned: bool,
    /// What is there; a camera without a picture is left out.
    pub cameras: Vec<TrackView>,
}

/// A clip as it stands. `stored` is missing while nothing of it is on disk for good; `reported` is
/// what the log says of one that is not there.
#[must_use]
pub fn clip(
    request: &ClipRequest,
    stored: Option<&Clip>,
    reported: Option<&ClipReport>,
    recording: bool,
) -> ClipView {
    let at = |ns: u64| request.cause.at_monotonic(ns).to_rfc3339();
    let tracks = stored.map_or(&[][..], |clip| &clip.report.cameras);
    let (state, reason) = match (stored, reported) {
        (Some(clip), _) if !recording => state(&clip.report.state),
        (None, Some(reported)) if !recording => match gone(&reported.state) {
            Some(reason) => ("dropped", Some(reason.to_owned())),
            None => state(&reported.state),
        },
        _ => ("recording", None),
    };
    ClipView {
        clip_id: request.clip_id.to_string(),
        alert_id: request.alert_id.to_string(),
        state,
        reason,
        at: request.cause.to_rfc3339(),
        clock: clock_word(request.cause.clock),
        kind: request.kind.to_string(),
        staff_id: request.staff_id.clone(),
        score: fraction(request.score),
        from: at(request.from_ns),
        to: at(request.to_ns),
        version: version(tracks),
        frames: tracks.iter().map(|track| u64::from(track.frames)).sum(),
        bytes: tracks.iter().map(|track| track.bytes).sum(),
        held: stored.and_then(|clip| clip.held.clone()),
        reviewed: stored.is_some_and(|clip| clip.reviewed),
        sent: stored.is_some_and(|clip| clip.sent),
        thinned: stored.is_some_and(|clip| clip.thinned),
        cameras: tracks.iter().map(|of| track(of, at)).collect(),
    }
}

/// Names what is there: pictures come and go only in pieces that change these numbers.
#[must_use]
pub fn version(tracks: &[ClipTrack]) -> String {
    let part = |track: &ClipTrack| format!("{}-{}", track.frames, track.bytes);
    tracks.iter().map(part).collect::<Vec<_>>().join(".")
}

/// Why a clip of which nothing is stored is not there any more; nothing for one that never was.
#[must_use]
pub fn gone(state: &ClipState) -> Option<&str> {
    match state {
        ClipState::Dropped { reason } => Some(reason),
        ClipState::Complete | ClipState::Partial { .. } => Some("its footage was lost"),
        ClipState::Empty { .. } => None,
    }
}

fn state(state: &ClipState) -> (&'static str, Option<String>) {
    match state {
        ClipState::Complete => ("complete", None),
        ClipState::Partial { reason } => ("partial", Some(reason.clone())),
        ClipState::Empty { reason } => ("empty", Some(reason.clone())),
        ClipState::Dropped { reason } => ("dropped", Some(reason.clone())),
    }
}

fn track(track: &ClipTrack, at: impl Fn(u64) -> String) -> TrackView {
    let gap = |(from, to): &(u64, u64)| {
        #[allow(clippy::cast_precision_loss)] // milliseconds
        let seconds = (to.saturating_sub(*from) / 1_000_000) as f64 / 1e3;
        GapView {
            from: at(*from),
            to: at(*to),
            seconds,
        }
    };
    TrackView {
        camera: track.camera,
        name: track.name.clone(),
        frames: track.frames,
        bytes: track.bytes,
        first_at: at(track.first_ns),
        last_at: at(track.last_ns),
        gaps: track.gaps.iter().map(gap).collect(),
    }
}

/// A camera.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CameraView {
    /// Its number, from 0.
    pub camera: u8,
    /// What people call it.
    pub name: String,
    /// Whether it delivers pictures.
    pub delivering: bool,
    /// Pictures a second as it was opened.
    pub fps: f64,
    /// When it captured the newest picture that is remembered.
    pub seen_at: Option<String>,
}

/// What an event led to: an alert that rests on it, with its footage.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CorrelationView {
    /// Positions in the log of the matching events that the alert rests on.
    pub events: Vec<u64>,
    /// The alert.
    pub alert_id: String,
    /// When its cause happened.
    pub at: String,
    /// The short word for what it is about.
    pub kind: String,
    /// The risk score, 0 to 1.
    pub score: f64,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// The till's id of the event that it is about.
    pub event_id: Option<String>,
    /// The order.
    pub order_id: Option<String>,
    /// The ticket or receipt number.
    pub ticket_no: Option<String>,
    /// Its footage, or why there is none; missing when none was asked for.
    pub clip: Option<ClipView>,
}

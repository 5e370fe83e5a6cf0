//! When a clip's pictures were captured, for players.

use super::{clip_id, find, in_turn};
use crate::clips::Clips;
use crate::clips::footage::Footage as _;
use crate::clips::stored::Stored;
use crate::web::App;
use crate::web::extract::Path;
use crate::web::problem::Problem;
use crate::web::view;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use tillwatch_store::Store;
use utoipa::ToSchema;

/// Pictures of one camera that are listed at most. The longest clip has 21,600 at 30 a second.
const LISTED: usize = 30_000;

/// One camera's pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrackTimesView {
    /// The camera's number.
    pub camera: u8,
    /// Its name then.
    pub name: String,
    /// Milliseconds from `from` to each picture, in the order of their numbers.
    pub ms: Vec<i64>,
    /// Pictures behind those that are listed.
    pub left_out: usize,
}

/// When a clip's pictures were captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TimesView {
    /// Which clip.
    pub clip_id: String,
    /// The `version` that the pictures' numbers are of.
    pub version: String,
    /// More is to come.
    pub recording: bool,
    /// Where the milliseconds begin to count: the first moment wanted, RFC 3339 in UTC.
    pub from: String,
    /// By camera; one without a picture is left out.
    pub cameras: Vec<TrackTimesView>,
}

/// When each picture of a clip was captured, by the clock that nobody sets.
#[utoipa::path(get, path = "/api/clips/{id}/frames", tag = "clips", params(("id" = uuid::Uuid, Path, description = "the clip's UUID")), responses(
    (status = 200, description = "the times of `frames/0.jpg` and on", body = TimesView),
    (status = 400, description = "no UUID", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such clip", body = Problem, content_type = "application/problem+json"),
    (status = 410, description = "it was given up", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "too many read, or the index is being rebuilt; try again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn times(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<TimesView>, Problem> {
    let id = clip_id(&id)?;
    let read = move |clips: Option<&Clips>, store: &Store| {
        let found = find(clips, store, id)?;
        let request = &found.request;
        let tracks = found
            .stored
            .as_ref()
            .map_or(&[][..], |clip| &clip.report.cameras);
        let mut view = TimesView {
            clip_id: id.to_string(),
            version: view::version(tracks),
            recording: found.recording,
            from: request.cause.at_monotonic(request.from_ns).to_rfc3339(),
            cameras: Vec::new(),
        };
        let Some(clips) = clips.filter(|_| !tracks.is_empty()) else {
            return Ok(view);
        };
        let pin = Arc::new(clips.media.pin_clip(id).map_err(super::problem)?);
        for track in tracks {
            let frames = Stored::new(pin.clone(), track.camera).frames();
            let since = |ns: u64| {
                let ms = (i128::from(ns) - i128::from(request.from_ns)).div_euclid(1_000_000);
                i64::try_from(ms).unwrap_or(i64::MAX)
            };
            view.cameras.push(TrackTimesView {
                camera: track.camera,
                name: track.name.clone(),
                left_out: frames.len().saturating_sub(LISTED),
                ms: frames
                    .iter()
                    .take(LISTED)
                    .map(|frame| since(frame.monotonic_ns))
                    .collect(),
            });
        }
        Ok(view)
    };
    Ok(Json(in_turn(&app, id, read).await?))
}

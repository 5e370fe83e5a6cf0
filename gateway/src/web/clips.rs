//! Clips: what is there, and the pictures of it.
//!
//! | module | what |
//! | --- | --- |
//! | `pictures` | single pictures, the sheet, playing |
//! | `times` | when pictures were captured |
//! | `video` | the film |
//! | `cameras` | what cameras show now |
//! | `correlations` | from an event to its clips |
//!
//! A reader of a clip pins its segments, of which the media allow a few at once: reads of footage
//! have turns of their own, and so have those who watch.

pub(super) mod cameras;
pub(super) mod correlations;
pub(super) mod pictures;
pub(super) mod times;
pub(super) mod video;

use super::App;
use super::extract::{Path, Query};
use super::problem::Problem;
use super::view::{self, ClipView};
use crate::clips::Clips;
use crate::clips::stored::Stored;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use tillwatch_protocol::{ClipId, ClipRequest, ClipTrack};
use tillwatch_store::Store;
use tillwatch_store::media::{Clip, MediaError};
use utoipa::IntoParams;

/// Clips without `limit`.
const DEFAULT: usize = 100;
/// Clips being recorded that are listed.
const RECORDING: usize = 1_024;

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// At most this many, 1 to 1000; 100 without.
    limit: Option<usize>,
}

/// Of which camera.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CameraQuery {
    /// Its name or number; the first one that the clip has without.
    camera: Option<String>,
}

/// A clip, as far as it is known.
struct Found {
    request: ClipRequest,
    stored: Option<Arc<Clip>>,
    recording: bool,
}

impl Found {
    fn view(&self) -> ClipView {
        view::clip(&self.request, self.stored.as_deref(), self.recording)
    }

    /// What is wanted and not described on disk yet is being recorded.
    fn new(wanted: Option<ClipRequest>, stored: Option<Arc<Clip>>) -> Option<Self> {
        let wanted = wanted.filter(|wanted| {
            let to_ns = stored.as_ref().map(|clip| clip.request.to_ns);
            to_ns.is_none_or(|to_ns| to_ns < wanted.to_ns)
        });
        let recording = wanted.is_some();
        let request = wanted.or_else(|| stored.as_ref().map(|clip| clip.request.clone()))?;
        Some(Self {
            request,
            stored,
            recording,
        })
    }
}

/// All clips, the newest first; those being recorded and those that were given up too.
#[utoipa::path(get, path = "/api/clips", tag = "clips", params(ListQuery), responses(
    (status = 200, description = "the newest first; none without a camera", body = [ClipView]),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<ClipView>>, Problem> {
    let limit = super::events::limit(query.limit, DEFAULT, super::events::MOST)?;
    let Some(clips) = app.shared.clips.clone() else {
        return Ok(Json(Vec::new()));
    };
    let store = app.shared.store.clone();
    let read = move || {
        // What is finished meanwhile is found with the media, which are asked last.
        let wanted = store.index().clips_unfinished(RECORDING);
        let mut wanted: BTreeMap<ClipId, ClipRequest> = wanted
            .into_iter()
            .map(|request| (request.clip_id, request))
            .collect();
        let stored = clips.media.clips().into_iter();
        let mut all: Vec<Found> = stored
            .filter_map(|clip| Found::new(wanted.remove(&clip.request.clip_id), Some(clip)))
            .collect();
        all.extend(
            wanted
                .into_values()
                .filter_map(|wanted| Found::new(Some(wanted), None)),
        );
        all.sort_by_key(|clip| {
            let cause = &clip.request.cause;
            Reverse((cause.boot, cause.monotonic_ns))
        });
        all.iter().take(limit).map(Found::view).collect()
    };
    Ok(Json(app.footage.run(read).await?))
}

/// One clip.
#[utoipa::path(get, path = "/api/clips/{id}", tag = "clips", params(("id" = String, Path, description = "its UUID")), responses(
    (status = 200, description = "as it stands", body = ClipView),
    (status = 400, description = "no UUID", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such clip", body = Problem, content_type = "application/problem+json"),
    (status = 410, description = "it was given up", body = Problem, content_type = "application/problem+json"),
))]
pub async fn one(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<ClipView>, Problem> {
    let id = clip_id(&id)?;
    let (clips, store) = footage(&app, id)?;
    let read = move || find(&clips, &store, id).map(|found| found.view());
    Ok(Json(app.footage.run(read).await??))
}

fn clip_id(text: &str) -> Result<ClipId, Problem> {
    let id = text
        .parse()
        .map_err(|_| Problem::parameter("id", format!("`{text}` is no UUID")))?;
    Ok(ClipId(id))
}

fn footage(app: &App, id: ClipId) -> Result<(Clips, Store), Problem> {
    let clips = app.shared.clips.clone().ok_or_else(|| {
        Problem::not_found(format!("there is no clip {id}: no camera is configured"))
    })?;
    Ok((clips, app.shared.store.clone()))
}

fn look(clips: &Clips, store: &Store, id: ClipId) -> Option<Found> {
    // A clip is in the media before the log says that it is finished: asked in this order it is
    // never missed.
    let wanted = store.index().clip_unfinished(id);
    Found::new(wanted, clips.media.clip(id))
}

fn find(clips: &Clips, store: &Store, id: ClipId) -> Result<Found, Problem> {
    let found = look(clips, store, id)
        .ok_or_else(|| Problem::not_found(format!("there is no clip {id}")))?;
    match found.stored.as_ref().and_then(|clip| clip.dropped()) {
        Some(reason) => Err(gone(id, reason).with("alert_id", found.request.alert_id.to_string())),
        None => Ok(found),
    }
}

fn gone(id: ClipId, reason: &str) -> Problem {
    let detail = format!("clip {id} was given up: {reason}");
    Problem::new(StatusCode::GONE, "dropped", "Not there any more", detail).with("reason", reason)
}

/// A camera's part of a clip, open for reading.
struct Opened {
    request: ClipRequest,
    track: ClipTrack,
    /// There are others in the clip.
    several: bool,
    version: String,
    /// More is to come, and pictures may get other numbers.
    recording: bool,
    stored: Stored,
}

/// Blocks.
fn open(clips: &Clips, store: &Store, id: ClipId, camera: Option<&str>) -> Result<Opened, Problem> {
    let found = find(clips, store, id)?;
    let Some(clip) = &found.stored else {
        let detail = format!("clip {id} is being recorded; try again");
        return Err(Problem::unavailable("recording", detail));
    };
    let tracks = &clip.report.cameras;
    let track = match camera {
        None => tracks.first(),
        Some(camera) => tracks
            .iter()
            .find(|track| track.name == camera)
            .or_else(|| {
                tracks
                    .iter()
                    .find(|track| track.camera.to_string() == camera)
            }),
    };
    let Some(track) = track else {
        let names: Vec<&str> = tracks.iter().map(|track| track.name.as_str()).collect();
        let detail = match (camera, names.is_empty()) {
            (Some(camera), false) => format!(
                "clip {id} has no pictures of `{camera}`, only of {}",
                names.join(", ")
            ),
            _ => format!("clip {id} has no pictures"),
        };
        return Err(Problem::not_found(detail));
    };
    let pin = clips.media.pin_clip(id).map_err(problem)?;
    Ok(Opened {
        request: found.request.clone(),
        track: track.clone(),
        several: tracks.len() > 1,
        version: view::version(tracks),
        recording: found.recording,
        stored: Stored::new(Arc::new(pin), track.camera),
    })
}

fn problem(why: MediaError) -> Problem {
    match why {
        MediaError::Dropped { clip_id, reason } => gone(clip_id, &reason),
        MediaError::NoSuchClip(id) => Problem::not_found(format!("there is no clip {id}")),
        MediaError::Damaged(_) | MediaError::NotStored(_) => Problem::internal(why.to_string()),
        why => Problem::unavailable("footage", why.to_string()),
    }
}

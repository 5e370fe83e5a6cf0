//! Clips: what is there, and the pictures of it.
//!
//! | module | what |
//! | --- | --- |
//! | `pictures` | single pictures, the sheet, playing |
//! | `times` | when pictures were captured |
//! | `still` | the one of an alert |
//! | `video` | the film |
//! | `cameras` | what cameras show now |
//! | `correlations` | from an event to its clips |
//!
//! What a clip was asked for and what became of it stands in the index; the footage itself does not
//! need it. While the index is being rebuilt, pictures are shown and nothing is said to be missing.
//!
//! A reader of a clip pins its segments, of which the media allow a few at once: reads of footage
//! have turns of their own, and so have those who watch.

pub(super) mod cameras;
pub(super) mod correlations;
pub(super) mod pictures;
pub(super) mod still;
pub(super) mod times;
pub(super) mod video;

use super::App;
use super::audit::Looker;
use super::extract::{Path, Query};
use super::problem::Problem;
use super::reads;
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
use tillwatch_protocol::{ClipId, ClipReport, ClipRequest, ClipState, ClipTrack, Shown};
use tillwatch_store::Store;
use tillwatch_store::media::{Clip, Media, MediaError};
use utoipa::IntoParams;

/// Clips without `limit`.
const DEFAULT: usize = 100;
/// Clips that are listed though there is no footage of them: those being recorded, and those that
/// were not recorded; the newest of these.
const LOGGED: usize = 1_024;

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// At most this many, 1 to 1000; 100 without.
    #[param(minimum = 1, maximum = 1000)]
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
    /// What the log says of one that is not stored.
    reported: Option<ClipReport>,
    recording: bool,
}

impl Found {
    fn view(&self) -> ClipView {
        let reported = self.reported.as_ref();
        view::clip(
            &self.request,
            self.stored.as_deref(),
            reported,
            self.recording,
        )
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
            reported: None,
            recording,
        })
    }

    fn reported((request, reported): (ClipRequest, ClipReport)) -> Self {
        Self {
            request,
            stored: None,
            reported: Some(reported),
            recording: false,
        }
    }

    /// Why there are no pictures of it any more.
    fn gone(&self) -> Option<&str> {
        match (&self.stored, &self.reported) {
            (Some(stored), _) => stored.dropped(),
            (None, Some(reported)) => view::gone(&reported.state),
            (None, None) => None,
        }
    }
}

/// All clips, the newest first; those being recorded, those that were given up and those that were
/// not recorded too.
#[utoipa::path(get, path = "/api/clips", tag = "clips", params(ListQuery), responses(
    (status = 200, description = "the newest first; none without a camera", body = [ClipView]),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "the index is being rebuilt; ask again", body = Problem, content_type = "application/problem+json"),
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
    app.index_complete().await?;
    let read = move || {
        // What is finished meanwhile is found with the media, which are asked last.
        let wanted = store.index().clips_unfinished(LOGGED);
        let mut wanted: BTreeMap<ClipId, ClipRequest> = wanted
            .into_iter()
            .map(|request| (request.clip_id, request))
            .collect();
        let reported = store.index().clips_not_recorded(LOGGED).into_iter();
        let mut all: BTreeMap<ClipId, Found> = reported
            .map(|reported| (reported.0.clip_id, Found::reported(reported)))
            .collect();
        for clip in clips.media.clips() {
            let id = clip.request.clip_id;
            all.extend(Found::new(wanted.remove(&id), Some(clip)).map(|found| (id, found)));
        }
        all.extend(
            wanted
                .into_iter()
                .filter_map(|(id, wanted)| Some((id, Found::new(Some(wanted), None)?))),
        );
        let mut all: Vec<Found> = all.into_values().collect();
        all.sort_by_key(|clip| {
            let cause = &clip.request.cause;
            Reverse((cause.boot, cause.monotonic_ns))
        });
        // It may have failed under the question.
        reads::complete(&store)?;
        Ok(Json(all.iter().take(limit).map(Found::view).collect()))
    };
    app.footage.run(read).await?
}

/// One clip.
#[utoipa::path(get, path = "/api/clips/{id}", tag = "clips", params(("id" = uuid::Uuid, Path, description = "its UUID")), responses(
    (status = 200, description = "as it stands", body = ClipView),
    (status = 400, description = "no UUID", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such clip", body = Problem, content_type = "application/problem+json"),
    (status = 410, description = "it was given up", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "the index is being rebuilt; ask again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn one(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<ClipView>, Problem> {
    let id = clip_id(&id)?;
    let (clips, store) = (app.shared.clips.clone(), app.shared.store.clone());
    app.index_complete().await?;
    let read = move || find(clips.as_ref(), &store, id).map(|found| found.view());
    Ok(Json(app.footage.run(read).await??))
}

fn clip_id(text: &str) -> Result<ClipId, Problem> {
    let id = text
        .parse()
        .map_err(|_| Problem::parameter("id", format!("`{text}` is no UUID")))?;
    Ok(ClipId(id))
}

fn look(clips: Option<&Clips>, store: &Store, id: ClipId) -> Option<Found> {
    let stored = || clips.and_then(|clips| clips.media.clip(id));
    if store.index().rebuilding().is_some() {
        return Found::new(None, stored());
    }
    // A clip is in the media before the log says that it is finished: asked in this order it is
    // never missed.
    let wanted = store.index().clip_unfinished(id);
    Found::new(wanted, stored()).or_else(|| Some(Found::reported(store.index().clip_reported(id)?)))
}

fn find(clips: Option<&Clips>, store: &Store, id: ClipId) -> Result<Found, Problem> {
    let Some(found) = look(clips, store, id) else {
        reads::complete(store)?;
        return Err(Problem::not_found(format!("there is no clip {id}")));
    };
    match found.gone() {
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
    media: Media,
    stored: Stored,
}

/// Does `read` in a turn of footage's own, once it can be told whether there is such a clip: what the
/// media know needs no index.
async fn in_turn<T: Send + 'static>(
    app: &App,
    id: ClipId,
    read: impl FnOnce(Option<&Clips>, &Store) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let (clips, store) = (app.shared.clips.clone(), app.shared.store.clone());
    let known = clips.as_ref().is_some_and(|of| of.media.clip(id).is_some());
    if !known {
        app.index_complete().await?;
    }
    app.footage
        .run(move || read(clips.as_ref(), &store))
        .await?
}

/// Opens a camera's part of a clip for somebody to see, and does `read` with it. That there was
/// such a look is on disk when this answers.
async fn with_clip<T: Send + 'static>(
    app: &App,
    (looker, what): (&Looker, Shown),
    id: ClipId,
    camera: Option<String>,
    read: impl FnOnce(Opened) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let read = move |opened: Opened| {
        let camera = opened.track.name.clone();
        Ok((camera, read(opened)?))
    };
    with_any(app, (looker, what), id, camera, read).await
}

/// The same; `read` says which camera is seen.
async fn with_any<T: Send + 'static>(
    app: &App,
    (looker, what): (&Looker, Shown),
    id: ClipId,
    camera: Option<String>,
    read: impl FnOnce(Opened) -> Result<(String, T), Problem> + Send + 'static,
) -> Result<T, Problem> {
    let read = move |clips: Option<&Clips>, store: &Store| {
        read(open(clips, store, id, camera.as_deref())?)
    };
    let (camera, seen) = in_turn(app, id, read).await?;
    app.look(looker, what, Some(id), &camera).await?;
    Ok(seen)
}

/// Blocks.
fn open(
    clips: Option<&Clips>,
    store: &Store,
    id: ClipId,
    camera: Option<&str>,
) -> Result<Opened, Problem> {
    let found = find(clips, store, id)?;
    let (Some(clip), Some(clips)) = (&found.stored, clips) else {
        return Err(match &found.reported {
            Some(reported) => nothing_in(id, &reported.state),
            None => {
                let detail = format!("clip {id} is being recorded; try again");
                Problem::unavailable("recording", detail)
            }
        });
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
        return Err(match camera {
            Some(camera) if !names.is_empty() => Problem::not_found(format!(
                "clip {id} has no pictures of `{camera}`, only of {}",
                names.join(", ")
            )),
            _ => nothing_in(id, &clip.report.state),
        });
    };
    let pin = clips.media.pin_clip(id).map_err(problem)?;
    Ok(Opened {
        request: found.request.clone(),
        track: track.clone(),
        several: tracks.len() > 1,
        version: view::version(tracks),
        // Who does not know treats it as if.
        recording: found.recording || store.index().rebuilding().is_some(),
        media: clips.media.clone(),
        stored: Stored::new(Arc::new(pin), track.camera),
    })
}

fn nothing_in(id: ClipId, state: &ClipState) -> Problem {
    let why = match state {
        ClipState::Empty { reason } | ClipState::Partial { reason } => format!(": {reason}"),
        _ => String::new(),
    };
    Problem::not_found(format!("clip {id} has no pictures{why}"))
}

fn problem(why: MediaError) -> Problem {
    match why {
        MediaError::Dropped { clip_id, reason } => gone(clip_id, &reason),
        MediaError::NoSuchClip(id) => Problem::not_found(format!("there is no clip {id}")),
        MediaError::Damaged(_) | MediaError::NotStored(_) => Problem::internal(why.to_string()),
        why => Problem::unavailable("footage", why.to_string()),
    }
}

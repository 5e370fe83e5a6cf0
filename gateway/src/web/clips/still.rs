//! The picture of an alert.

use super::pictures::{ASK, CAPTURED_AT, read_problem};
use super::{CameraQuery, Opened, with_any};
use crate::clips::footage::Footage as _;
use crate::clips::still;
use crate::web::App;
use crate::web::alerts;
use crate::web::audit::Looker;
use crate::web::extract::{Path, Query};
use crate::web::problem::Problem;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeSet;
use tillwatch_protocol::time::rfc3339;
use tillwatch_protocol::{ClipId, Shown};

/// One small picture of what an alert is about, at most 32,000 bytes: of the moment nearest to its
/// cause. Without `camera` a camera that sees where customers stand comes first.
#[utoipa::path(get, path = "/api/alerts/{id}/still.jpg", tag = "alerts", params(("id" = uuid::Uuid, Path, description = "the alert's UUID"), CameraQuery), responses(
    (status = 200, description = "the picture; the camera's own when that is small enough", body = Vec<u8>, content_type = "image/jpeg",
        headers(("Tillwatch-Captured-At" = String, description = "when, RFC 3339 in UTC"))),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such alert or camera, or no picture of it", body = Problem, content_type = "application/problem+json"),
    (status = 410, description = "its clip was given up", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "it is being recorded, or the index is being rebuilt; try again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn still(
    State(app): State<App>,
    looker: Looker,
    Path(id): Path<String>,
    Query(query): Query<CameraQuery>,
) -> Result<Response, Problem> {
    let alert = alerts::alert_id(&id)?;
    let config = app.shared.config.borrow().clone();
    let facing: BTreeSet<String> = config
        .cameras
        .iter()
        .filter(|(_, camera)| camera.customer_side.is_some())
        .map(|(name, _)| name.clone())
        .collect();
    let any = query.camera.is_none();
    let read = move |opened: Opened| picture(&opened, any, &facing);
    let (seen, clip) = ((&looker, Shown::Still), ClipId::of(alert));
    match with_any(&app, seen, clip, query.camera, read).await {
        Err(problem) if problem.status == 404 => {
            // Of what nobody knows, the alert and not its clip is named.
            alerts::find(&app, alert).await?;
            Err(problem)
        }
        other => other,
    }
}

/// Blocks.
fn picture(
    opened: &Opened,
    any: bool,
    facing: &BTreeSet<String>,
) -> Result<(String, Response), Problem> {
    let request = &opened.request;
    let clip = opened.media.clip(request.clip_id);
    let preferred = |camera: u8| {
        let mut tracks = clip.iter().flat_map(|clip| &clip.report.cameras);
        tracks.any(|track| track.camera == camera && facing.contains(&track.name))
    };
    let frames = if any {
        opened.stored.of_all()
    } else {
        opened.stored.frames()
    };
    let frame = still::choose(&frames, request.cause.monotonic_ns, preferred)
        .ok_or_else(|| Problem::not_found("the clip has no pictures"))?;
    let jpeg = opened.stored.read(frame.key).map_err(read_problem)?;
    let jpeg = still::small(jpeg)
        .map_err(|why| Problem::internal(format!("the picture cannot be made smaller: {why}")))?;
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg".to_owned()),
        (header::CACHE_CONTROL, ASK.to_owned()),
        (CAPTURED_AT, rfc3339(frame.utc_us)),
    ];
    // What was seen is what was chosen, whichever camera was opened.
    let mut tracks = clip.iter().flat_map(|clip| &clip.report.cameras);
    let seen = tracks.find(|track| track.camera == frame.key.camera);
    let seen = seen.map_or(&opened.track.name, |track| &track.name);
    Ok((seen.clone(), (headers, jpeg).into_response()))
}

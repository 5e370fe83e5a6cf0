//! What cameras show now.

use crate::clips::Clips;
use crate::clips::ring::RingFrame;
use crate::web::App;
use crate::web::audit::Looker;
use crate::web::extract::Path;
use crate::web::problem::Problem;
use crate::web::view::CameraView;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tillwatch_protocol::Shown;
use tillwatch_protocol::time::SECOND_NS;

/// A camera whose newest picture is older than this delivers none, in nanoseconds.
const FRESH_NS: u64 = 10 * SECOND_NS;

/// The cameras.
#[utoipa::path(get, path = "/api/cameras", tag = "clips", responses(
    (status = 200, description = "by their numbers", body = [CameraView]),
))]
pub async fn list(State(app): State<App>) -> Json<Vec<CameraView>> {
    let Some(clips) = &app.shared.clips else {
        return Json(Vec::new());
    };
    let now = app.shared.clock.stamp();
    let view = |camera: u8| {
        let seen_ns = clips.cameras.newest(camera).map(|frame| frame.monotonic_ns);
        #[allow(clippy::cast_precision_loss)] // thousandths
        let fps = (SECOND_NS * 1_000 / clips.cameras.period_ns(camera).max(1)) as f64 / 1e3;
        CameraView {
            camera,
            name: clips.cameras.name(camera).unwrap_or_default().to_owned(),
            delivering: newest(clips, camera, now.monotonic_ns).is_some(),
            fps,
            seen_at: seen_ns.map(|seen_ns| now.at_monotonic(seen_ns).to_rfc3339()),
        }
    };
    Json((0..clips.cameras.cameras()).map(view).collect())
}

fn newest(clips: &Clips, camera: u8, now_ns: u64) -> Option<RingFrame> {
    let fresh = |frame: &RingFrame| now_ns.saturating_sub(frame.monotonic_ns) <= FRESH_NS;
    let delivers = clips.cameras.is_working(camera);
    clips
        .cameras
        .newest(camera)
        .filter(|frame| delivers && fresh(frame))
}

/// The newest picture of a camera, as the camera made it.
#[utoipa::path(get, path = "/api/cameras/{camera}/snapshot.jpg", tag = "clips", params(("camera" = String, Path, description = "its name or number")), responses(
    (status = 200, description = "the picture", body = Vec<u8>, content_type = "image/jpeg",
        headers(("Tillwatch-Captured-At" = String, description = "when, RFC 3339 in UTC"))),
    (status = 404, description = "no such camera", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "it delivers no pictures", body = Problem, content_type = "application/problem+json"),
))]
pub async fn snapshot(
    State(app): State<App>,
    looker: Looker,
    Path(asked): Path<String>,
) -> Result<Response, Problem> {
    let clips = app.shared.clips.as_ref();
    let camera = clips.and_then(|clips| {
        let number = || asked.parse().ok().filter(|n| *n < clips.cameras.cameras());
        let camera = clips.cameras.numbered(&asked).or_else(number)?;
        Some((clips, camera))
    });
    let Some((clips, camera)) = camera else {
        return Err(Problem::not_found(format!("there is no camera `{asked}`")));
    };
    let now = app.shared.clock.stamp();
    let Some(frame) = newest(clips, camera, now.monotonic_ns) else {
        let name = clips.cameras.name(camera).unwrap_or_default();
        let detail = format!("{name} delivers no pictures; /api/status says why");
        return Err(Problem::unavailable("camera", detail));
    };
    let name = clips.cameras.name(camera).unwrap_or_default();
    app.look(&looker, Shown::Snapshot, None, name).await?;
    let captured = now.at_monotonic(frame.monotonic_ns).to_rfc3339();
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg".to_owned()),
        (super::pictures::CAPTURED_AT, captured),
    ];
    Ok((headers, frame.jpeg).into_response())
}

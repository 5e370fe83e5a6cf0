//! A clip's pictures: one, all at one glance, one after the other.

use super::{CameraQuery, Opened, clip_id, problem, with_clip};
use crate::clips::footage::{Footage, FootageFrame};
use crate::clips::sheet::{self, SheetStyle};
use crate::clips::stored::Stored;
use crate::web::App;
use crate::web::audit::Looker;
use crate::web::extract::{Path, Query};
use crate::web::problem::Problem;
use crate::web::reads::Reads;
use crate::web::serve::Shutdown;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tillwatch_protocol::time::rfc3339;
use tillwatch_protocol::{ClipId, Shown};
use tillwatch_store::media::{Media, MediaError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

/// When a picture was captured.
pub(super) const CAPTURED_AT: HeaderName = HeaderName::from_static("tillwatch-captured-at");
/// A picture of a named version never changes.
const FOREVER: &str = "private, max-age=31536000, immutable";
/// The number may name another picture after the clip was thinned: ask whether it still does.
pub(super) const ASK: &str = "private, no-cache";
/// A time without pictures is played in so long at most.
const LONGEST_STILL: Duration = Duration::from_secs(2);
/// Footage is pinned anew after this time: a pin does not protect for ever.
const PIN_AGAIN: Duration = Duration::from_secs(300);
/// Between two pictures of a film without end.
const BOUNDARY: &str = "tillwatch";

/// Of which camera, and what the number counts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FrameQuery {
    /// The camera's name or number; the first one that the clip has without.
    camera: Option<String>,
    /// The clip's `version` that the number is of: the answer may be kept for ever then.
    version: Option<String>,
}

/// A picture by its place in the clip: the camera's own bytes.
#[utoipa::path(get, path = "/api/clips/{id}/frames/{n}", tag = "clips", params(
    ("id" = uuid::Uuid, Path, description = "the clip's UUID"),
    ("n" = String, Path, pattern = "^[0-9]{1,9}[.]jpg$", description = "`0.jpg` is the camera's first picture, in the order in which they came"),
    FrameQuery,
), responses(
    (status = 200, description = "the picture", body = Vec<u8>, content_type = "image/jpeg",
        headers(("Tillwatch-Captured-At" = String, description = "when, RFC 3339 in UTC"), ("ETag" = String, description = "names the picture"))),
    (status = 304, description = "`If-None-Match` names it"),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such clip, camera or picture", body = Problem, content_type = "application/problem+json"),
    (status = 410, description = "the clip was given up", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "it is being recorded, or too many read; try again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn frame(
    State(app): State<App>,
    looker: Looker,
    Path((id, n)): Path<(String, String)>,
    Query(query): Query<FrameQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = clip_id(&id)?;
    let number: Option<usize> = n.strip_suffix(".jpg").and_then(|n| n.parse().ok());
    let number = number.ok_or_else(|| {
        Problem::parameter(
            "n",
            format!("`{n}` is no picture; the first one is `0.jpg`"),
        )
    })?;
    let unchanged = headers.get(header::IF_NONE_MATCH).cloned();
    let read = move |opened: Opened| {
        let frames = opened.stored.frames();
        let frame = frames.get(number).ok_or_else(|| {
            let name = &opened.track.name;
            let detail = format!("{name} has {} pictures in clip {id}", frames.len());
            Problem::not_found(detail)
        })?;
        let named = query.version.is_some_and(|named| named == opened.version);
        let cache = if named && !opened.recording {
            FOREVER
        } else {
            ASK
        };
        let key = frame.key;
        let etag = format!("\"{}-{}-{}\"", key.camera, key.boot, key.seq);
        let same = unchanged.is_some_and(|of| of == *etag);
        let jpeg = if same {
            None
        } else {
            Some(opened.stored.read(key).map_err(read_problem)?)
        };
        let headers = [
            (header::CONTENT_TYPE, "image/jpeg".to_owned()),
            (header::CACHE_CONTROL, cache.to_owned()),
            (header::ETAG, etag),
            (CAPTURED_AT, rfc3339(frame.utc_us)),
        ];
        Ok(match jpeg {
            Some(jpeg) => (headers, jpeg).into_response(),
            None => (StatusCode::NOT_MODIFIED, headers).into_response(),
        })
    };
    with_clip(&app, (&looker, Shown::Frames), id, query.camera, read).await
}

pub(super) fn read_problem(why: Box<dyn Error + Send + Sync>) -> Problem {
    match why.downcast::<MediaError>() {
        Ok(why) => problem(*why),
        Err(why) => Problem::internal(why.to_string()),
    }
}

/// A dozen of a camera's pictures on one, each with its time.
#[utoipa::path(get, path = "/api/clips/{id}/sheet.jpg", tag = "clips", params(("id" = uuid::Uuid, Path, description = "the clip's UUID"), CameraQuery), responses(
    (status = 200, description = "the sheet", body = Vec<u8>, content_type = "image/jpeg"),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such clip or camera", body = Problem, content_type = "application/problem+json"),
    (status = 410, description = "the clip was given up", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "it is being recorded, or too many read; try again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn sheet(
    State(app): State<App>,
    looker: Looker,
    Path(id): Path<String>,
    Query(query): Query<CameraQuery>,
) -> Result<Response, Problem> {
    let id = clip_id(&id)?;
    let read = |opened: Opened| {
        let Opened { request, track, .. } = &opened;
        let staff = request.staff_id.as_deref().unwrap_or("");
        let title = format!("{} {staff} {}", request.kind, track.name);
        let cause_ns = request.cause.monotonic_ns;
        let sheet = sheet::draw(&opened.stored, &title, cause_ns, SheetStyle::default());
        let sheet = sheet.map_err(|why| Problem::internal(format!("the sheet {why}")))?;
        let headers = [
            (header::CONTENT_TYPE, "image/jpeg"),
            (header::CACHE_CONTROL, ASK),
        ];
        Ok((headers, sheet.jpeg).into_response())
    };
    with_clip(&app, (&looker, Shown::Sheet), id, query.camera, read).await
}

/// A camera's pictures one after the other at their own pace, as browsers show them without a
/// player. Times without pictures are shortened to two seconds.
#[utoipa::path(get, path = "/api/clips/{id}/stream", tag = "clips", params(("id" = uuid::Uuid, Path, description = "the clip's UUID"), CameraQuery), responses(
    (status = 200, description = "JPEGs", body = Vec<u8>, content_type = "multipart/x-mixed-replace"),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such clip or camera", body = Problem, content_type = "application/problem+json"),
    (status = 410, description = "the clip was given up", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "it is being recorded, or too many watch; try again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn stream(
    State(app): State<App>,
    looker: Looker,
    shutdown: Option<Extension<Shutdown>>,
    Path(id): Path<String>,
    Query(query): Query<CameraQuery>,
) -> Result<Response, Problem> {
    let id = clip_id(&id)?;
    let place = watcher(&app)?;
    let read = |opened: Opened| {
        let frames = opened.stored.frames();
        Ok((opened, frames))
    };
    let (opened, frames) =
        with_clip(&app, (&looker, Shown::Stream), id, query.camera, read).await?;
    let now = Instant::now();
    let play = Play {
        media: opened.media,
        id,
        camera: opened.track.camera,
        stored: opened.stored,
        pinned: now,
        frames,
        next: 0,
        due: now,
        reads: app.footage.clone(),
        shutdown: shutdown.map(|Extension(of)| of.0).unwrap_or_default(),
        _place: place,
    };
    let parts = stream::unfold(play, |mut play| async move {
        play.next()
            .await
            .map(|part| (Ok::<_, io::Error>(part), play))
    });
    let media_type = format!("multipart/x-mixed-replace; boundary={BOUNDARY}");
    let headers = [(header::CONTENT_TYPE, media_type)];
    Ok((headers, Body::from_stream(parts)).into_response())
}

/// A place for one who watches for as long as he likes.
pub(super) fn watcher(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    let place = app.watchers.clone().try_acquire_owned();
    place.map_err(|_| Problem::unavailable("watchers", "too many watch clips; close one"))
}

/// One picture is in memory at a time, and is read when the one before it was taken.
struct Play {
    media: Media,
    id: ClipId,
    camera: u8,
    stored: Stored,
    pinned: Instant,
    frames: Vec<FootageFrame>,
    next: usize,
    /// When the next picture is shown.
    due: Instant,
    reads: Reads,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Play {
    async fn next(&mut self) -> Option<Bytes> {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => None,
            part = self.produce() => part,
        }
    }

    async fn produce(&mut self) -> Option<Bytes> {
        loop {
            let at = self.next;
            let frame = *self.frames.get(at)?;
            tokio::time::sleep_until(self.due).await;
            let jpeg = self.read(frame).await;
            self.next += 1;
            if let Some(following) = self.frames.get(self.next) {
                let still_ns = following.monotonic_ns.saturating_sub(frame.monotonic_ns);
                let still = Duration::from_nanos(still_ns).min(LONGEST_STILL);
                // Who reads slowly sees it slowly: nothing is left out, and nothing is hurried.
                let now = Instant::now();
                let late = now.duration_since(self.due) > LONGEST_STILL;
                self.due = if late { now } else { self.due } + still;
            }
            // A picture that cannot be read is left out.
            if let Some(jpeg) = jpeg {
                return Some(part(&frame, &jpeg, at == 0, self.next == self.frames.len()));
            }
            if self.next == self.frames.len() {
                return Some(Bytes::from(format!("--{BOUNDARY}--\r\n")));
            }
        }
    }

    async fn read(&mut self, frame: FootageFrame) -> Option<Bytes> {
        let again = self.pinned.elapsed() > PIN_AGAIN;
        let (media, id, camera) = (self.media.clone(), self.id, self.camera);
        let stored = self.stored.clone();
        let read = move || {
            let fresh = if again { media.pin_clip(id).ok() } else { None };
            let stored = match fresh {
                Some(pin) => Stored::new(Arc::new(pin), camera),
                None => stored,
            };
            let jpeg = stored.read(frame.key).ok();
            (stored, jpeg)
        };
        let (stored, jpeg) = self.reads.run(read).await.ok()?;
        if again {
            self.pinned = Instant::now();
        }
        self.stored = stored;
        jpeg
    }
}

/// The boundary comes right behind a picture: browsers show it only then.
fn part(frame: &FootageFrame, jpeg: &[u8], first: bool, last: bool) -> Bytes {
    let begin = if first {
        format!("--{BOUNDARY}\r\n")
    } else {
        String::new()
    };
    let end = if last { "--\r\n" } else { "\r\n" };
    let head = format!(
        "{begin}Content-Type: image/jpeg\r\nContent-Length: {}\r\nTillwatch-Captured-At: {}\r\n\r\n",
        jpeg.len(),
        rfc3339(frame.utc_us)
    );
    [
        head.as_bytes(),
        jpeg,
        b"\r\n--",
        BOUNDARY.as_bytes(),
        end.as_bytes(),
    ]
    .concat()
    .into()
}

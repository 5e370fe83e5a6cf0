//! A clip's film, whole or in parts.

use super::{Opened, clip_id, pictures, with_clip};
use crate::clips::footage::Timeline;
use crate::clips::name::ClipName;
use crate::clips::remux::Remux;
use crate::clips::stored::Stored;
use crate::web::App;
use crate::web::audit::Looker;
use crate::web::extract::{Path, Query};
use crate::web::problem::Problem;
use crate::web::reads::Reads;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use tillwatch_protocol::Shown;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

/// Bytes of a film that are in memory at once.
const PIECE: u64 = 512 << 10;

/// What the pictures are made into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The camera's own pictures, byte for byte.
    #[default]
    Original,
}

/// Of which camera, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VideoQuery {
    /// The camera's name or number; the first one that the clip has without.
    camera: Option<String>,
    /// `original`, which is taken without.
    #[serde(default)]
    #[param(inline, required = false)]
    form: Form,
}

/// What a camera shows in a clip, as MP4 with its own pictures at their own times.
#[utoipa::path(get, path = "/api/clips/{id}/video.mp4", tag = "clips", params(("id" = uuid::Uuid, Path, description = "the clip's UUID"), VideoQuery, ("Range" = Option<String>, Header, description = "one range of bytes")), responses(
    (status = 200, description = "all of it", body = Vec<u8>, content_type = "video/mp4",
        headers(("ETag" = String, description = "names this film"), ("Accept-Ranges" = String, description = "`bytes`"))),
    (status = 206, description = "the range", body = Vec<u8>, content_type = "video/mp4",
        headers(("Content-Range" = String, description = "which bytes of how many"))),
    (status = 304, description = "`If-None-Match` names it"),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such clip or camera", body = Problem, content_type = "application/problem+json"),
    (status = 410, description = "the clip was given up", body = Problem, content_type = "application/problem+json"),
    (status = 416, description = "the range lies behind its end", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "it is being recorded, or too many watch; try again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn video(
    State(app): State<App>,
    looker: Looker,
    Path(id): Path<String>,
    Query(query): Query<VideoQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = clip_id(&id)?;
    let Form::Original = query.form;
    let place = pictures::watcher(&app)?;
    let film = with_clip(&app, (&looker, Shown::Video), id, query.camera, film).await?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let common = [
        (header::ETAG, film.etag.clone()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    if text(header::IF_NONE_MATCH) == Some(&film.etag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let whole = film.remux.len();
    let same = text(header::IF_RANGE).is_none_or(|of| of == film.etag);
    let asked = match text(header::RANGE).filter(|_| same) {
        Some(range) => part_of(range, whole),
        None => Asked::All,
    };
    let (status, range) = match asked {
        Asked::All => (StatusCode::OK, 0..whole),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Nothing => {
            let detail = format!("the film has {whole} bytes");
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            let problem = Problem::new(status, "range", "No such range", detail);
            let range = [(header::CONTENT_RANGE, format!("bytes */{whole}"))];
            return Ok((range, problem).into_response());
        }
    };
    let about = [
        (header::CONTENT_TYPE, "video/mp4".to_owned()),
        (
            header::CONTENT_LENGTH,
            (range.end - range.start).to_string(),
        ),
        (
            header::CONTENT_DISPOSITION,
            format!("inline; filename=\"{}\"", film.name),
        ),
    ];
    let part = (status == StatusCode::PARTIAL_CONTENT).then(|| {
        let (first, last) = (range.start, range.end - 1);
        [(
            header::CONTENT_RANGE,
            format!("bytes {first}-{last}/{whole}"),
        )]
    });
    let body = body(Arc::new(film.remux), range, app.footage.clone(), place);
    let response = (status, common, about, body).into_response();
    Ok(match part {
        Some(part) => (part, response).into_response(),
        None => response,
    })
}

struct Film {
    remux: Remux<Stored>,
    etag: String,
    name: String,
}

/// Blocks.
fn film(opened: Opened) -> Result<Film, Problem> {
    let Opened {
        request,
        track,
        several,
        version,
        stored,
        ..
    } = opened;
    let empty = || Problem::not_found("the clip has no pictures");
    let timeline = Timeline::beginning_with(&stored.of_all()).ok_or_else(empty)?;
    let camera = several.then_some(track.name.as_str());
    let (staff, utc_us) = (request.staff_id.as_deref(), request.cause.utc_us);
    let name = ClipName::new(utc_us, &request.kind, staff, camera).file(1, "mp4");
    let remux = Remux::new(stored, &track.name, &timeline)
        .map_err(|why| Problem::internal(format!("no film can be made: {why}")))?;
    Ok(Film {
        etag: format!("\"{}-{version}-{}\"", track.camera, remux.len()),
        // Letters of other alphabets have no place in a header.
        name: name.replace(|letter: char| !letter.is_ascii(), "_"),
        remux,
    })
}

/// Piece by piece, each read when the one before it was taken.
fn body(
    remux: Arc<Remux<Stored>>,
    range: Range<u64>,
    reads: Reads,
    place: OwnedSemaphorePermit,
) -> Body {
    let pieces = stream::try_unfold((range, place), move |(range, place)| {
        let (remux, reads) = (remux.clone(), reads.clone());
        async move {
            if range.is_empty() {
                return Ok::<_, io::Error>(None);
            }
            let end = range.end.min(range.start + PIECE);
            let start = range.start;
            let read = move || {
                let mut piece = Vec::new();
                remux.write(start..end, &mut piece).map(|()| piece)
            };
            let piece = reads.run(read).await;
            // The length was promised: the connection ends, and the reader sees that it is short.
            let piece = piece.map_err(|why| io::Error::other(why.detail))?;
            let piece = piece.map_err(|why| {
                tracing::warn!(%why, "a film ends early");
                io::Error::other(why)
            })?;
            Ok(Some((Bytes::from(piece), (end..range.end, place))))
        }
    });
    Body::from_stream(pieces)
}

/// What of the whole is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// All of it, also for what cannot be understood and for several ranges (RFC 9110, 14.2).
    All,
    Part(Range<u64>),
    /// Bytes behind its end.
    Nothing,
}

fn part_of(header: &str, whole: u64) -> Asked {
    let Some((first, last)) = header
        .strip_prefix("bytes=")
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Asked::All;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(whole),
        (Ok(first), Err(_)) if last.is_empty() => first..whole,
        (Err(_), Ok(last)) if first.is_empty() => whole.saturating_sub(last)..whole,
        _ => return Asked::All,
    };
    if range.is_empty() {
        Asked::Nothing
    } else {
        Asked::Part(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_http_wants_it() {
        let cases = [
            ("bytes=0-9", Asked::Part(0..10)),
            ("bytes=90-", Asked::Part(90..100)),
            ("bytes=90-1000", Asked::Part(90..100)),
            ("bytes=-10", Asked::Part(90..100)),
            ("bytes=-1000", Asked::Part(0..100)),
            ("bytes=99-18446744073709551615", Asked::Part(99..100)),
            ("bytes=100-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=9-3", Asked::All),
            ("bytes=0-1,5-6", Asked::All),
            ("bytes=-", Asked::All),
            ("bytes=a-b", Asked::All),
            ("frames=0-9", Asked::All),
        ];
        for (header, wanted) in cases {
            assert_eq!(part_of(header, 100), wanted, "{header}");
        }
    }
}

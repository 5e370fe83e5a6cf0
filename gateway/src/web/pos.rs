//! Events of tills that don't speak MQTT.

use super::App;
use super::problem::Problem;
use super::serve::Address;
use crate::Shared;
use crate::sources::pos::{self, Accepted, Origin, Refused};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Most events of one request.
pub const MOST_EVENTS: usize = 1_000;

/// What became of the events of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Receipt {
    /// New ones, on disk.
    pub accepted: usize,
    /// Redelivered ones, known already.
    pub duplicates: usize,
    /// Those of other registers or stores: counted, not kept.
    pub not_ours: usize,
    /// Those that cannot be understood; they are in the quarantine.
    pub refused: Vec<RefusedEvent>,
}

/// An event that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedEvent {
    /// Its place in the array, from 0.
    pub index: usize,
    /// A short word: `field_missing`, `not_json_object` …
    pub reason: String,
    /// The reason in words.
    pub detail: String,
}

/// Takes one event of the till or an array of them, in the shape of the MQTT messages.
///
/// A status of 2xx means: what is counted as accepted is on disk. 200: nothing was refused. 207:
/// some were refused, and put into the quarantine; the others are on disk. 422: all were refused.
/// 503: send the same again; what was taken already will be recognised.
#[utoipa::path(post, path = "/api/pos-events", tag = "events",
    request_body(content = serde_json::Value, description = "one event or an array of at most 1000, 1 MiB in all", content_type = "application/json"),
    responses(
    (status = 200, description = "all taken, on disk", body = Receipt),
    (status = 207, description = "some taken, some refused", body = Receipt),
    (status = 401, description = "the bearer token is missing or wrong", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "more than 1 MiB or 1000 events", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "not application/json", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "none can be understood; `refused` says why", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "not on disk; send again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn post(
    State(app): State<App>,
    address: Option<Extension<Address>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    if !is_json(&headers) {
        let detail = "send the events as application/json (curl -H content-type:application/json)";
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "The media type cannot be used",
            detail,
        ));
    }
    let body = body?;
    let place = address.map_or_else(
        || "http".to_owned(),
        |Extension(address)| address.to_string(),
    );
    let origin = Origin {
        source: "pos.http",
        place: &place,
        store: None,
    };
    let receipt = take(&app.shared, origin, &body).await?;
    let taken = receipt.accepted + receipt.duplicates + receipt.not_ours;
    if receipt.refused.is_empty() {
        return Ok(Json(receipt).into_response());
    }
    if taken > 0 {
        return Ok((StatusCode::MULTI_STATUS, Json(receipt)).into_response());
    }
    let detail = match receipt.refused.as_slice() {
        [one] => format!("{}; it is in the quarantine", one.detail),
        all => format!(
            "none of the {} events can be understood; they are in the quarantine",
            all.len()
        ),
    };
    let refused = serde_json::to_value(&receipt.refused).unwrap_or_default();
    Err(Problem::content(detail).with("refused", refused))
}

async fn take(shared: &Shared, origin: Origin<'_>, body: &[u8]) -> Result<Receipt, Problem> {
    let array: Option<Vec<&RawValue>> = match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        // A broken array is refused as a whole, below.
        Some(b'[') => serde_json::from_slice(body).ok(),
        _ => None,
    };
    let elements: Vec<&[u8]> = match &array {
        Some(elements) => elements
            .iter()
            .map(|element| element.get().as_bytes())
            .collect(),
        None => vec![body],
    };
    if elements.len() > MOST_EVENTS {
        let detail = format!(
            "{} events; send at most {MOST_EVENTS} at once",
            elements.len()
        );
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "Too many events",
            detail,
        ));
    }
    let mut receipt = Receipt::default();
    // All are on their way before the first is waited for: they share groups on the disk.
    let mut pending = Vec::new();
    for (index, element) in elements.into_iter().enumerate() {
        match pos::submit(shared, origin, element).await {
            Ok(sent) => pending.push((index, sent)),
            Err(why) => return Err(unavailable(&why.to_string())),
        }
    }
    for (index, sent) in pending {
        match pos::settled(shared, sent).await {
            Err(Refused::Quarantined(refusal)) => receipt.refused.push(RefusedEvent {
                index,
                reason: refusal.reason().to_owned(),
                detail: refusal.to_string(),
            }),
            Ok(Accepted::New(_)) => receipt.accepted += 1,
            Ok(Accepted::Again(_)) => receipt.duplicates += 1,
            Ok(Accepted::NotOurs) => receipt.not_ours += 1,
            Err(why) => return Err(unavailable(&why.to_string())),
        }
    }
    Ok(receipt)
}

fn unavailable(why: &str) -> Problem {
    Problem::unavailable(
        "log",
        format!("{why}; send the same again, nothing is counted twice"),
    )
}

/// Tills that name no type are believed, and so is the form type that curl and many a till's HTTP
/// library put on whatever they send; other wrong types are not. Pages of other origins, which can
/// send forms too, are refused before.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let essence = value
        .to_str()
        .unwrap_or("")
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    matches!(
        essence.as_str(),
        "application/json" | "application/x-www-form-urlencoded"
    ) || (essence.starts_with("application/") && essence.ends_with("+json"))
}

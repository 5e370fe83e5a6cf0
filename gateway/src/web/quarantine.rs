//! What came in and could not be used.

use super::extract::Query;
use super::problem::Problem;
use super::{App, view};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tillwatch_protocol::Quarantined;
use utoipa::{IntoParams, ToSchema};

/// Items without `limit`.
const DEFAULT: usize = 50;
/// Most items of one answer.
const MOST: usize = 500;
/// Bytes of an input that are shown.
const SHOWN_BYTES: usize = 2_048;

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Limit {
    /// At most this many, 1 to 500; 50 without.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// An input that could not be used.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QuarantinedView {
    /// When it arrived.
    pub at: String,
    /// Whether that time can be believed.
    pub clock: &'static str,
    /// `pos.mqtt`, `pos.http`, `printer` …
    pub source: String,
    /// A short word, as in the metric.
    pub reason: String,
    /// The reason in words.
    pub text: String,
    /// Topic, path or address.
    pub origin: String,
    /// How many bytes there were.
    pub size: u64,
    /// Its first 2,048 bytes as text; what is no UTF-8 shows as U+FFFD.
    pub raw: String,
}

/// Newest first.
#[utoipa::path(get, path = "/api/quarantine", tag = "status", params(Limit), responses(
    (status = 200, description = "inputs that could not be used, newest first", body = [QuarantinedView]),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Query(limit): Query<Limit>,
) -> Result<Json<Vec<QuarantinedView>>, Problem> {
    let limit = super::events::limit(limit.limit, DEFAULT, MOST)?;
    let store = app.shared.store.clone();
    let items = app.reads.run(move || store.quarantined(limit)).await?;
    Ok(Json(items.iter().map(shown).collect()))
}

fn shown(item: &Quarantined) -> QuarantinedView {
    let raw = &item.raw[..item.raw.len().min(SHOWN_BYTES)];
    QuarantinedView {
        at: item.stamp.to_rfc3339(),
        clock: view::clock_word(item.stamp.clock),
        source: item.source.clone(),
        reason: item.reason.clone(),
        text: item.text.clone(),
        origin: item.origin.clone(),
        size: item.size,
        raw: String::from_utf8_lossy(raw).into_owned(),
    }
}

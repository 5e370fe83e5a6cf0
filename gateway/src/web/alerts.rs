//! Alerts, the review queue, verdicts.

use super::App;
use super::access::Caller;
use super::extract::{Json as Body, Path, Query};
use super::problem::Problem;
use super::view::{self, AlertView};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::{Extension, Json};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tillwatch_detect::review_queue;
use tillwatch_protocol::{AlertId, EventBody, Review, Verdict};
use tillwatch_store::{AlertFilter, AlertRow, Index};
use utoipa::{IntoParams, ToSchema};

/// Alerts without `limit`.
const DEFAULT: usize = 100;
/// Pending alerts that are ranked.
const RANKED: usize = 5_000;
/// Longest note, in characters.
const NOTE_CHARACTERS: usize = 2_000;
/// How long an answer waits for the index to show what it is about.
const INDEX_WAIT: Duration = Duration::from_secs(2);

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only open ones without a verdict.
    #[serde(default)]
    pending: bool,
    /// Only those raised before this alert: where the page before ended.
    #[param(value_type = Option<uuid::Uuid>)]
    before: Option<String>,
    /// At most this many, 1 to 1000; 100 without.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// The words for a verdict.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "the words of another type, for the contract")]
enum VerdictWord {
    /// Nothing was wrong.
    Legitimate,
    /// Something was.
    Confirmed,
}

/// What a person says of an alert.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewBody {
    /// `legitimate` or `confirmed`.
    #[schema(value_type = VerdictWord)]
    verdict: Verdict,
    /// A note, at most 2,000 characters.
    #[serde(default)]
    #[schema(max_length = 2_000)]
    note: String,
}

/// All alerts, the newest first.
#[utoipa::path(get, path = "/api/alerts", tag = "alerts", params(ListQuery), responses(
    (status = 200, description = "the newest first", body = [AlertView]),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "the index is being rebuilt; ask again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<AlertView>>, Problem> {
    let limit = super::events::limit(query.limit, DEFAULT, super::events::MOST)?;
    let before = query.before.as_deref().map(|id| known(id, "before"));
    let filter = AlertFilter {
        pending_only: query.pending,
        since_us: None,
        before: before.transpose()?,
        limit,
    };
    let context = app.view_context();
    let read = move |index: &Index| {
        index
            .alerts(filter)
            .iter()
            .map(|row| view::alert(row, context))
            .collect()
    };
    Ok(Json(app.ask_index(read).await?))
}

/// What a person is asked to look at: open alerts without a verdict, ranked, so many a day
/// (`detection.review_queue_per_day`); the newest day first. The header `Tillwatch-Left-Out` says
/// how many more there are; `/api/alerts?pending=true` has them all.
#[utoipa::path(get, path = "/api/alerts/pending", tag = "alerts", responses(
    (status = 200, description = "the most important of the newest day first", body = [AlertView],
        headers(("Tillwatch-Left-Out" = u64, description = "pending alerts beyond the cap"))),
    (status = 503, description = "the index is being rebuilt; ask again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn pending(State(app): State<App>) -> Result<(HeaderMap, Json<Vec<AlertView>>), Problem> {
    let config = app.shared.config.borrow().clone();
    let zone = config
        .zone()
        .map_err(|why| Problem::internal(why.to_string()))?;
    let per_day = usize::try_from(config.detection.review_queue_per_day).unwrap_or(usize::MAX);
    let context = app.view_context();
    let read = move |index: &Index| {
        let filter = AlertFilter {
            pending_only: true,
            since_us: None,
            before: None,
            limit: RANKED,
        };
        let rows = index.alerts(filter);
        let days = review_queue(rows.iter().map(|row| &row.alert), &zone, per_day);
        let left_out: usize = days.iter().map(|day| day.left_out).sum();
        let by_id: BTreeMap<AlertId, &AlertRow> =
            rows.iter().map(|row| (row.alert.alert_id, row)).collect();
        let shown = days.iter().flat_map(|day| &day.shown);
        let views: Vec<_> = shown
            .filter_map(|alert| by_id.get(&alert.alert_id))
            .map(|row| view::alert(row, context))
            .collect();
        (left_out, views)
    };
    let (left_out, views) = app.ask_index(read).await?;
    let mut headers = HeaderMap::new();
    headers.insert(
        HeaderName::from_static("tillwatch-left-out"),
        HeaderValue::from(left_out),
    );
    Ok((headers, Json(views)))
}

/// One alert.
#[utoipa::path(get, path = "/api/alerts/{id}", tag = "alerts", params(("id" = uuid::Uuid, Path, description = "its UUID")), responses(
    (status = 200, description = "as it stands", body = AlertView),
    (status = 400, description = "no UUID", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such alert", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "the index is being rebuilt; ask again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn one(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<AlertView>, Problem> {
    let row = find(&app, alert_id(&id)?).await?;
    Ok(Json(view::alert(&row, app.view_context())))
}

/// Gives a verdict. It is on disk, and on its way to head office, when this answers.
#[utoipa::path(post, path = "/api/alerts/{id}/review", tag = "alerts", params(("id" = uuid::Uuid, Path, description = "the alert's UUID")),
    request_body = ReviewBody, responses(
    (status = 200, description = "the alert with its verdict", body = AlertView),
    (status = 400, description = "no UUID, or no JSON", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "this caller may look only", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such alert", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "not application/json", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "no verdict, or the note is too long", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "not on disk, or the index is being rebuilt; try again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn review(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(body): Body<ReviewBody>,
) -> Result<Json<AlertView>, Problem> {
    let id = alert_id(&id)?;
    let characters = body.note.chars().count();
    if characters > NOTE_CHARACTERS {
        return Err(Problem::content(format!(
            "the note has {characters} characters; at most {NOTE_CHARACTERS} are kept"
        )));
    }
    let mut row = find(&app, id).await?;
    let review = Review {
        alert_id: id,
        verdict: body.verdict,
        note: body.note,
        reviewer: caller.name().await,
    };
    let unavailable = |why: String| {
        Problem::unavailable("log", format!("the verdict was not kept: {why}; try again"))
    };

    let stamp = app.shared.clock.stamp();
    let taken = app
        .shared
        .intake
        .bulk(stamp, EventBody::Review(review.clone()))
        .await;
    let taken = taken.map_err(|why| unavailable(why.to_string()))?.await;
    let seq = match taken {
        Ok(crate::intake::Taken::New(seq) | crate::intake::Taken::Again(seq)) => seq,
        Ok(crate::intake::Taken::NotOurs) => {
            return Err(Problem::internal("a verdict cannot be another register's"));
        }
        Err(_) => return Err(unavailable("the program is ending".into())),
    };
    app.shared
        .store
        .durable_through(seq)
        .await
        .map_err(|why| unavailable(why.to_string()))?;
    // Whoever reads next should see it; it counts even when the index is slow.
    let _ = tokio::time::timeout(INDEX_WAIT, app.shared.store.index().caught_up(seq)).await;
    row.review = Some(review);
    Ok(Json(view::alert(&row, app.view_context())))
}

pub(super) fn alert_id(text: &str) -> Result<AlertId, Problem> {
    known(text, "id")
}

fn known(text: &str, parameter: &str) -> Result<AlertId, Problem> {
    let id = text
        .parse()
        .map_err(|_| Problem::parameter(parameter, format!("`{text}` is no UUID")))?;
    Ok(AlertId(id))
}

pub(super) async fn find(app: &App, id: AlertId) -> Result<AlertRow, Problem> {
    let row = app.ask_index(move |index| index.alert(id)).await?;
    row.ok_or_else(|| Problem::not_found(format!("there is no alert {id}")))
}

//! What happens, as it happens: server-sent events for pages, a WebSocket for programs.
//!
//! The id of an event is its position in the log. A reader that comes back with `Last-Event-ID`
//! (browsers do by themselves) gets what it missed from the log, then what happens. One that is
//! too slow is told how many items it lost (`event: lagged`), and gets them from the log too. What
//! the log does not have any more is named (`event: gap`).

mod feed;
pub(super) mod socket;

use super::App;
use super::extract::Query;
use super::problem::Problem;
use super::serve::Shutdown;
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use feed::{Feed, Told};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// A comment is sent when nothing happens for this long, so that dead connections are noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Browsers come back after this time.
const COME_BACK: Duration = Duration::from_secs(3);

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LiveQuery {
    /// Begin after this position, as `Last-Event-ID` does, for programs that cannot set headers.
    #[serde(default, deserialize_with = "position")]
    after: Option<u64>,
}

/// No log gets beyond what a signed number holds, as which many programs read positions.
pub(super) fn position<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let position = u64::deserialize(from)?;
    if i64::try_from(position).is_err() {
        return Err(serde::de::Error::custom("this is no position in a log"));
    }
    Ok(Some(position))
}

/// Where to begin, as browsers say it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "a header by its name, for the contract")]
struct LastEventId {
    /// Position of the last event seen.
    #[param(rename = "Last-Event-ID", required = false, nullable = false)]
    last_event_id: Option<u64>,
}

/// A server-sent event.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the shape of what is written, for the contract")]
struct SentEvent {
    /// Position in the log; missing with `lagged` and `gap`.
    id: Option<String>,
    /// The item's kind, `lagged` or `gap`.
    event: Option<String>,
    /// An `Item` as JSON.
    data: Option<String>,
    /// Milliseconds after which to come back.
    retry: Option<u64>,
}

/// Events, alerts, findings and notices within a second of happening, each as an `Item` under its
/// kind's name; `lagged {"lost"}` and `gap {"from", "to"}` besides.
#[utoipa::path(get, path = "/api/live", tag = "events", params(LiveQuery, LastEventId), responses(
    (status = 200, description = "server-sent events", content_type = "text/event-stream", body = SentEvent),
    (status = 400, description = "`Last-Event-ID` is no number", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "too many readers", body = Problem, content_type = "application/problem+json"),
))]
pub async fn live(
    State(app): State<App>,
    shutdown: Option<Extension<Shutdown>>,
    Query(query): Query<LiveQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let after = match headers.get("last-event-id") {
        Some(value) => {
            let id = value
                .to_str()
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .filter(|id| i64::try_from(*id).is_ok());
            let unreadable = || {
                Problem::parameter(
                    "Last-Event-ID",
                    "Last-Event-ID must be a position in the log",
                )
            };
            Some(id.ok_or_else(unreadable)?)
        }
        None => query.after,
    };
    let feed = Feed::open(&app, shutdown, after)?;
    let events = stream::unfold(feed, |mut feed| async move {
        feed.next().await.map(|told| (Ok(event(told)), feed))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("nothing new")))
}

fn event(told: Told) -> Event {
    match told {
        Told::Item(item) => {
            let event = Event::default()
                .id(item.seq.to_string())
                .event(item.kind)
                .retry(COME_BACK);
            // Views are JSON objects: they always serialise.
            event
                .json_data(&item)
                .unwrap_or_else(|_| Event::default().comment("unreadable"))
        }
        Told::Lagged { lost } => named("lagged", &json!({ "lost": lost })),
        Told::Gap { from, to } => named("gap", &json!({ "from": from, "to": to })),
    }
}

fn named(name: &str, data: &serde_json::Value) -> Event {
    Event::default().event(name).data(data.to_string())
}

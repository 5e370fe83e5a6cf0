//! What happens, as it happens: server-sent events.
//!
//! The id of an event is its position in the log. A reader that comes back with `Last-Event-ID`
//! (browsers do by themselves) gets what it missed from the log, then what happens. One that is
//! too slow is told how many items it lost (`event: lagged`), and gets them from the log too. What
//! the log does not have any more is named (`event: gap`).

use super::App;
use super::extract::Query;
use super::problem::Problem;
use super::reads::Reads;
use super::serve::Shutdown;
use super::view::{self, Judgements, ViewContext};
use crate::live::{LiveItem, is_shown};
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use serde_json::json;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tillwatch_protocol::{Record, Seq};
use tillwatch_store::{ErrorKind, Store, StoreError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

/// A comment is sent when nothing happens for this long, so that dead connections are noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Browsers come back after this time.
const COME_BACK: Duration = Duration::from_secs(3);
/// Records of the log that are looked at in one read.
const PAGE: usize = 256;

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LiveQuery {
    /// Begin after this position, as `Last-Event-ID` does, for programs that cannot set headers.
    after: Option<u64>,
}

/// Events, alerts, findings and notices within a second of happening, each as an `Item` under its
/// kind's name; `lagged {"lost"}` and `gap {"from", "to"}` besides.
#[utoipa::path(get, path = "/api/live", tag = "events", params(LiveQuery, ("Last-Event-ID" = Option<u64>, Header, description = "position of the last event seen")), responses(
    (status = 200, description = "server-sent events", content_type = "text/event-stream", body = view::Item),
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
                .and_then(|text| text.trim().parse().ok());
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
    let Ok(place) = app.live_readers.clone().try_acquire_owned() else {
        return Err(Problem::unavailable(
            "readers",
            "too many readers of the live feed; close one",
        ));
    };
    // Listen first, then look where the log ends: nothing falls between.
    let items = app.shared.live.subscribe();
    let end = app.shared.store.last_seq();
    let durable = *app.shared.store.durable().borrow();
    let shutdown = shutdown
        .map(|Extension(Shutdown(token))| token)
        .unwrap_or_default();
    let feed = Feed {
        store: app.shared.store.clone(),
        reads: app.reads.clone(),
        context: app.view_context(),
        items,
        // From another log, or from the future: begin with what happens now.
        sent: after.map_or(
            durable,
            |after| if after > end.0 { durable } else { Seq(after) },
        ),
        catch_up_to: Some(end),
        ready: VecDeque::new(),
        shutdown,
        _place: place,
    };
    let events = stream::unfold(feed, |mut feed| async move {
        feed.next().await.map(|event| (Ok(event), feed))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("nothing new")))
}

struct Feed {
    store: Store,
    reads: Reads,
    context: ViewContext,
    items: Receiver<LiveItem>,
    /// Everything up to here was sent, or is not shown.
    sent: Seq,
    /// Read the log up to here before listening.
    catch_up_to: Option<Seq>,
    ready: VecDeque<Event>,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    async fn next(&mut self) -> Option<Event> {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => None,
            event = self.produce() => event,
        }
    }

    async fn produce(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if let Some(end) = self.catch_up_to {
                if self.sent >= end {
                    self.catch_up_to = None;
                } else {
                    self.store.durable_through(end).await.ok()?;
                    self.catch_up(end).await?;
                }
                continue;
            }
            match self.items.recv().await {
                Ok(item) if item.seq > self.sent => {
                    self.sent = item.seq;
                    self.push(item.seq, &item.record);
                }
                Ok(_) => {}
                Err(RecvError::Lagged(lost)) => {
                    metrics::counter!("live_lost_total").increment(lost);
                    self.ready
                        .push_back(told("lagged", &json!({ "lost": lost })));
                    self.catch_up_to = Some(*self.store.durable().borrow());
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads one page of the log.
    async fn catch_up(&mut self, end: Seq) -> Option<()> {
        let (store, from) = (self.store.clone(), self.sent.next());
        let page = self.reads.run(move || read_page(&store, from, end)).await;
        let page = match page {
            Ok(Ok(page)) => page,
            Ok(Err(why)) => {
                tracing::warn!(%why, "the live feed cannot read the log; the reader will come back");
                return None;
            }
            Err(_) => return None,
        };
        for part in page.parts {
            match part {
                Part::Record(seq, record) => self.push(seq, &record),
                Part::Gap(from, to) => self
                    .ready
                    .push_back(told("gap", &json!({ "from": from, "to": to }))),
            }
        }
        self.sent = page.through.max(self.sent.next());
        Some(())
    }

    fn push(&mut self, seq: Seq, record: &Record) {
        if let Some(item) = view::item(seq, record, &Judgements::default(), self.context) {
            let event = Event::default()
                .id(seq.to_string())
                .event(item.kind)
                .retry(COME_BACK);
            // Views are JSON objects: they always serialise.
            self.ready.push_back(
                event
                    .json_data(&item)
                    .unwrap_or_else(|_| Event::default().comment("unreadable")),
            );
        }
    }
}

fn told(name: &str, data: &serde_json::Value) -> Event {
    Event::default().event(name).data(data.to_string())
}

enum Part {
    Record(Seq, Box<Record>),
    Gap(Seq, Seq),
}

struct Page {
    parts: Vec<Part>,
    /// The position that the page ends with.
    through: Seq,
}

/// What is shown of the records `from..=end`, of at most [`PAGE`] looked at.
fn read_page(store: &Store, from: Seq, end: Seq) -> Result<Page, StoreError> {
    let mut page = Page {
        parts: Vec::new(),
        through: end,
    };
    let first = store.first_seq();
    let mut next = from;
    if from < first {
        page.parts.push(Part::Gap(from, Seq(first.0 - 1)));
        next = first;
    }
    if next > end {
        return Ok(page);
    }
    for (looked, row) in store.scan(next)?.enumerate() {
        match row {
            Ok((seq, _)) if seq > end => return Ok(page),
            Ok((seq, record)) => {
                if is_shown(&record) {
                    page.parts.push(Part::Record(seq, Box::new(record)));
                }
                if seq == end {
                    return Ok(page);
                }
                if looked + 1 >= PAGE {
                    page.through = seq;
                    return Ok(page);
                }
            }
            Err(StoreError::Damaged { from, to, .. }) => page.parts.push(Part::Gap(from, to)),
            // One record that this version cannot read.
            Err(why) if why.kind() == ErrorKind::Skip => {}
            Err(why) => return Err(why),
        }
    }
    Ok(page)
}

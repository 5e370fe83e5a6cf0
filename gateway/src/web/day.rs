//! A day at one glance: what a timeline draws and what is counted, in one bounded answer.

mod tally;

use super::App;
use super::extract::Query;
use super::problem::Problem;
use axum::Json;
use axum::extract::State;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use tally::Tally;
use tillwatch_protocol::Seq;
use tillwatch_protocol::time::rfc3339;
use tillwatch_store::{Store, StoreError};
use utoipa::{IntoParams, ToSchema};

use super::view::{Amount, ViewContext};

/// Records that are looked at for one day; a day that has more is cut off and says so.
const LOOKED_AT: usize = 200_000;
/// Records before the day's first one that are looked at too: what was stamped earlier may be
/// written later, by this many at most.
const WRITTEN_LATER: u64 = 1_000;
/// Records in a row that lie behind the day end the reading.
const BEHIND: usize = 1_000;

/// Which day.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DayQuery {
    /// A day in the store's zone (`2025-10-04`); today without.
    #[param(format = Date)]
    date: Option<String>,
}

/// The drawer was open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OpeningView {
    /// Position of the opening in the log.
    pub seq: u64,
    /// When it opened; the day's first moment when it was open before.
    pub from: String,
    /// When it closed; missing while it is open, or when nobody saw it close.
    pub to: Option<String>,
    /// `sale` (kicked, beside a sale), `kick` (kicked, without one), `none` (nothing kicked it),
    /// `before` (it was open when the day or the watching began).
    #[schema(example = "sale")]
    pub cause: &'static str,
    /// The alert that rests on it.
    pub alert_id: Option<String>,
}

/// A printed document.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PaperView {
    /// Position in the log.
    pub seq: u64,
    /// When its last byte was printed.
    pub at: String,
    /// `sale`, `transaction_void`, `return`, `no_sale` …
    #[schema(value_type = String)]
    pub kind: tillwatch_protocol::ReceiptKind,
    /// The total, in whole units of the currency.
    pub total: Option<Amount>,
    /// The receipt's number.
    pub ticket_no: Option<String>,
}

/// An event of the till.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TillView {
    /// Position in the log.
    pub seq: u64,
    /// When it arrived.
    pub at: String,
    /// `payment_cleared`, `void_transaction` …
    pub event_type: String,
    /// In whole units of the currency.
    pub amount: Option<Amount>,
    /// Who was at the till.
    pub staff_id: Option<String>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DayAlertView {
    /// Which.
    pub alert_id: String,
    /// When its cause happened.
    pub at: String,
    /// The short word for what it is about.
    pub kind: String,
    /// The risk score, 0 to 1.
    pub score: f64,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// `open` or `cleared`.
    pub state: &'static str,
    /// Who was at the till.
    pub staff_id: Option<String>,
}

/// Something moved in a region of a camera's picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MotionView {
    /// The camera's number.
    pub camera: u8,
    /// The region's number.
    pub region: u8,
    /// When it began.
    pub from: String,
    /// When it ended; missing while it lasts.
    pub to: Option<String>,
}

/// Counts of one hour, or of its part that belongs to the day.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HourView {
    /// Its first moment.
    pub from: String,
    /// Payments that the till reported.
    pub sales: u32,
    /// What they add up to, in whole units of the currency.
    pub taken: Amount,
    /// Documents printed.
    pub receipts: u32,
    /// Openings of the drawer.
    pub openings: u32,
    /// Alerts that were not explained.
    pub alerts: u32,
}

/// Counts of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StaffView {
    /// Who.
    pub staff_id: String,
    /// Payments.
    pub sales: u32,
    /// Voids.
    pub voids: u32,
    /// Refunds and suspicious returns.
    pub refunds: u32,
    /// Openings without a sale, as the till tells.
    pub no_sales: u32,
    /// Discounts and price overrides.
    pub discounts: u32,
    /// Alerts that were not explained.
    pub alerts: u32,
}

/// A day at one glance. Lists are in the order of time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DayView {
    /// The day.
    #[schema(example = "2025-10-04")]
    pub date: String,
    /// The store's IANA time zone.
    pub timezone: String,
    /// Its first moment, RFC 3339 in UTC.
    pub from: String,
    /// The first moment of the next day.
    pub to: String,
    /// When the drawer was open.
    pub openings: Vec<OpeningView>,
    /// What was printed.
    pub receipts: Vec<PaperView>,
    /// What the till told.
    pub till: Vec<TillView>,
    /// Alerts whose cause lies in the day.
    pub alerts: Vec<DayAlertView>,
    /// When something moved before a camera.
    pub motion: Vec<MotionView>,
    /// By hour, 23 to 25 of them.
    pub hours: Vec<HourView>,
    /// By person, who has most alerts first.
    pub staff: Vec<StaffView>,
    /// What happened beyond the bounds of these lists; the counts have it.
    pub left_out: u64,
    /// False when the day has more records than are looked at: what came last is missing.
    pub complete: bool,
}

/// A day of the store: what happened when, and how much of it by hour and by person.
#[utoipa::path(get, path = "/api/day", tag = "events", params(DayQuery), responses(
    (status = 200, description = "as far as it is on disk", body = DayView),
    (status = 400, description = "the date cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "the index is being rebuilt; ask again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn day(
    State(app): State<App>,
    Query(query): Query<DayQuery>,
) -> Result<Json<DayView>, Problem> {
    let zone = app
        .shared
        .config
        .borrow()
        .zone()
        .map_err(|why| Problem::internal(why.to_string()))?;
    let date = match &query.date {
        Some(text) => text.parse().map_err(|_| unusable(text))?,
        None => today(app.shared.clock.stamp().utc_us, &zone),
    };
    let bounds = Bounds::of(date, &zone).ok_or_else(|| unusable(&date.to_string()))?;
    let context = app.view_context();
    let timezone = app.shared.config.borrow().timezone.clone();
    let from_us = bounds.from_us;
    let to_us = bounds.to_us;
    let first = app
        .ask_index(move |index| index.events_between(from_us, to_us, 1))
        .await?;
    let first = first.first().map(|(seq, _)| *seq);
    let store = app.shared.store.clone();
    let read = move || read(&store, first, bounds, context);
    let tally = app.reads.run(read).await??;
    Ok(Json(tally.view(date.to_string(), timezone)))
}

fn unusable(text: &str) -> Problem {
    let detail = format!("`date` is `{text}`; write a day of the calendar (2025-10-04)");
    Problem::parameter("date", detail)
}

fn today(now_us: i64, zone: &TimeZone) -> Date {
    let now = Timestamp::from_microsecond(now_us).unwrap_or(Timestamp::UNIX_EPOCH);
    now.to_zoned(zone.clone()).date()
}

/// First microsecond of a day, and of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    from_us: i64,
    to_us: i64,
}

impl Bounds {
    fn of(date: Date, zone: &TimeZone) -> Option<Self> {
        let start = |date: Date| {
            let zoned = date.to_zoned(zone.clone()).ok()?;
            Some(zoned.timestamp().as_microsecond())
        };
        Some(Self {
            from_us: start(date)?,
            to_us: start(date.checked_add(1.day()).ok()?)?,
        })
    }
}

/// The log is read in order: what is shown by time comes from the index one by one, and what moves
/// before a camera is not there at all.
fn read(
    store: &Store,
    first: Option<Seq>,
    bounds: Bounds,
    context: ViewContext,
) -> Result<Tally, StoreError> {
    let mut tally = Tally::new(bounds, context);
    let Some(first) = first else {
        return Ok(tally);
    };
    let mut behind = 0;
    for (looked, row) in store
        .scan(Seq(first.0.saturating_sub(WRITTEN_LATER)))?
        .enumerate()
    {
        if looked >= LOOKED_AT {
            tally.cut_off();
            break;
        }
        // What cannot be read is left out, as everywhere; the status counts it.
        let Ok((seq, record)) = row else { continue };
        let inside = tally.add(seq, &record);
        behind = if inside { 0 } else { behind + 1 };
        if seq > first && behind > BEHIND {
            break;
        }
    }
    Ok(tally)
}

fn time(at_us: i64) -> String {
    rfc3339(at_us)
}

#[cfg(test)]
mod tests;

//! What happened: the newest, by time, receipts by their words.

use super::App;
use super::extract::Query;
use super::problem::Problem;
use super::view::{self, Item, Judgements, ViewContext};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use tillwatch_protocol::{Record, Seq};
use tillwatch_store::{AlertFilter, Index};
use utoipa::IntoParams;

/// Events without `limit`.
const DEFAULT: usize = 100;
/// Most events of one answer.
pub(super) const MOST: usize = 1_000;
/// Alerts that are looked through for the scores of one answer.
const JUDGING_ALERTS: usize = 2_000;
/// An alert may rest on events this long after its cause.
const JUDGED_LATER_US: i64 = 3_600_000_000;
/// Longest search text, in characters.
const QUERY_CHARACTERS: usize = 200;

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecentQuery {
    /// At most this many, 1 to 1000; 100 without.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// From when to when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RangeQuery {
    /// First day in the store's zone (`2025-10-04`), or the first moment (RFC 3339).
    #[param(required, max_length = 40)]
    start: Option<String>,
    /// Last day, included, or the last moment, included.
    #[param(required, max_length = 40)]
    end: Option<String>,
    /// At most this many, 1 to 1000; 100 without.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Where to go on: from the `Link` header of the page before.
    #[param(pattern = "^-?[0-9]{1,18}\\.[0-9]{1,18}$")]
    cursor: Option<String>,
}

/// Words of a receipt.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReceiptQuery {
    /// Words that the receipt has, all of them; without, the newest receipts.
    #[param(max_length = 200)]
    q: Option<String>,
    /// At most this many, 1 to 1000; 100 without.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Checks a limit; parsed by serde, so it is a number already.
pub(super) fn limit(asked: Option<usize>, default: usize, most: usize) -> Result<usize, Problem> {
    match asked {
        None => Ok(default),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(limit) => Err(Problem::parameter(
            "limit",
            format!("limit is {limit}; it must lie between 1 and {most}"),
        )),
    }
}

/// The newest events, alerts, findings and notices; the newest first.
#[utoipa::path(get, path = "/api/events/recent", tag = "events", params(RecentQuery), responses(
    (status = 200, description = "the newest first", body = [Item]),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "the index is being rebuilt; ask again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn recent(
    State(app): State<App>,
    Query(query): Query<RecentQuery>,
) -> Result<Json<Vec<Item>>, Problem> {
    let limit = limit(query.limit, DEFAULT, MOST)?;
    let context = app.view_context();
    let read = move |index: &Index| items(index, &index.recent_events(limit), context);
    Ok(Json(app.ask_index(read).await?))
}

/// The same as `/api/events/recent`.
#[utoipa::path(get, path = "/api/events", tag = "events", params(RecentQuery), responses(
    (status = 200, description = "the newest first", body = [Item]),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "the index is being rebuilt; ask again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn events(
    state: State<App>,
    query: Query<RecentQuery>,
) -> Result<Json<Vec<Item>>, Problem> {
    recent(state, query).await
}

/// What happened in a time, oldest first, page by page. `Link: <…>; rel="next"` leads on.
#[utoipa::path(get, path = "/api/events/range", tag = "events", params(RangeQuery), responses(
    (status = 200, description = "oldest first; a `Link` header with `rel=\"next\"` when there is more", body = [Item],
        headers(("Link" = String, description = "the next page, RFC 8288"))),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "the index is being rebuilt; ask again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn range(
    State(app): State<App>,
    Query(query): Query<RangeQuery>,
) -> Result<(HeaderMap, Json<Vec<Item>>), Problem> {
    let limit = limit(query.limit, DEFAULT, MOST)?;
    let zone = app
        .shared
        .config
        .borrow()
        .zone()
        .map_err(|why| Problem::internal(why.to_string()))?;
    let (Some(start), Some(end)) = (&query.start, &query.end) else {
        let name = if query.start.is_none() {
            "start"
        } else {
            "end"
        };
        return Err(Problem::parameter(
            name,
            format!("`{name}` is missing; give a date or an RFC 3339 time"),
        ));
    };
    let (start_us, end_us) = span(start, end, &zone)?;
    let after = match &query.cursor {
        Some(cursor) => Some(Cursor::read(cursor).ok_or_else(|| {
            Problem::parameter(
                "cursor",
                "the cursor is not one of ours; take it from the Link header",
            )
        })?),
        None => None,
    };
    let context = app.view_context();
    let read = move |index: &Index| {
        let (rows, next) = page(
            |from, most| index.events_between(from, end_us, most),
            start_us,
            after,
            limit,
        );
        (items(index, &rows, context), next)
    };
    let (items, next) = app.ask_index(read).await?;
    let mut headers = HeaderMap::new();
    if let Some(next) = next {
        let quoted = |text: &str| {
            text.replace('%', "%25")
                .replace(['+', ' '], "%2B")
                .replace('>', "%3E")
        };
        let link = format!(
            "</api/events/range?start={}&end={}&limit={limit}&cursor={}>; rel=\"next\"",
            quoted(start),
            quoted(end),
            next.write()
        );
        if let Ok(link) = HeaderValue::from_str(&link) {
            headers.insert(header::LINK, link);
        }
    }
    Ok((headers, Json(items)))
}

/// Receipts with all of these words, the newest first; without a word the newest receipts.
#[utoipa::path(get, path = "/api/receipts", tag = "events", params(ReceiptQuery), responses(
    (status = 200, description = "the newest first", body = [Item]),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "the index is being rebuilt; ask again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn receipts(
    State(app): State<App>,
    Query(query): Query<ReceiptQuery>,
) -> Result<Json<Vec<Item>>, Problem> {
    let limit = limit(query.limit, DEFAULT, MOST)?;
    let words = query.q.unwrap_or_default();
    if words.chars().count() > QUERY_CHARACTERS {
        return Err(Problem::parameter(
            "q",
            format!(
                "`q` takes at most {QUERY_CHARACTERS} characters of words that the receipt has"
            ),
        ));
    }
    let context = app.view_context();
    let read = move |index: &Index| {
        let found = index.receipts(&words, limit);
        let rows: Vec<_> = found
            .into_iter()
            .map(|(seq, event)| (seq, Record::Event(event)))
            .collect();
        items(index, &rows, context)
    };
    Ok(Json(app.ask_index(read).await?))
}

/// Rows with the scores of the alerts and findings that rest on them.
fn items(index: &Index, rows: &[(Seq, Record)], context: ViewContext) -> Vec<Item> {
    let mut judgements = Judgements::default();
    for (_, record) in rows {
        match record {
            Record::Alert(alert) => judgements.add_alert(alert),
            Record::Finding(finding) => judgements.add_finding(finding),
            _ => {}
        }
    }
    if let Some(oldest) = rows.iter().map(|(_, record)| view::wall_us(record)).min() {
        let since_us = Some(oldest.saturating_sub(JUDGED_LATER_US));
        let filter = AlertFilter {
            pending_only: false,
            since_us,
            before: None,
            limit: JUDGING_ALERTS,
        };
        for row in index.alerts(filter) {
            judgements.add_alert(&row.alert);
        }
    }
    rows.iter()
        .filter_map(|(seq, record)| view::item(*seq, record, &judgements, context))
        .collect()
}

/// Both ends in microseconds since 1970; the second one is excluded.
fn span(start: &str, end: &str, zone: &TimeZone) -> Result<(i64, i64), Problem> {
    let unreadable = |name: &str, text: &str| {
        let detail = format!(
            "`{name}` is `{text}`; write a date (2025-10-04) or an RFC 3339 time (2025-10-04T14:34:15Z)"
        );
        Problem::parameter(name, detail)
    };
    let (start_us, _) = moment(start, zone).ok_or_else(|| unreadable("start", start))?;
    let (_, end_us) = moment(end, zone).ok_or_else(|| unreadable("end", end))?;
    if start_us >= end_us {
        return Err(Problem::parameter("end", "`end` lies before `start`"));
    }
    Ok((start_us, end_us))
}

/// First microsecond of a day or moment, and the first one after it.
fn moment(text: &str, zone: &TimeZone) -> Option<(i64, i64)> {
    // jiff also reads the date of a longer text; only a bare date is one.
    let date = if text.len() == "2025-10-04".len() {
        text.parse::<Date>().ok()
    } else {
        None
    };
    if let Some(date) = date {
        let begin = date.to_zoned(zone.clone()).ok()?.timestamp();
        let after = date
            .checked_add(1.day())
            .ok()?
            .to_zoned(zone.clone())
            .ok()?
            .timestamp();
        return Some((begin.as_microsecond(), after.as_microsecond()));
    }
    // An unencoded plus sign of the offset arrives as a space.
    let at: Timestamp = text.replace(' ', "+").parse().ok()?;
    let at = at.as_microsecond();
    Some((at, at.checked_add(1)?))
}

/// The last row of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    at_us: i64,
    seq: Seq,
}

impl Cursor {
    fn write(self) -> String {
        format!("{}.{}", self.at_us, self.seq)
    }

    fn read(text: &str) -> Option<Self> {
        let (at_us, seq) = text.split_once('.')?;
        Some(Self {
            at_us: at_us.parse().ok()?,
            seq: Seq(seq.parse().ok()?),
        })
    }
}

/// One page of `between(from_us, most)`, which gives rows in order of time, and where the next
/// one begins. Several rows may have the same time; none is shown twice and none is left out.
fn page(
    between: impl Fn(i64, usize) -> Vec<(Seq, Record)>,
    start_us: i64,
    after: Option<Cursor>,
    limit: usize,
) -> (Vec<(Seq, Record)>, Option<Cursor>) {
    let from = after.map_or(start_us, |after| after.at_us.max(start_us));
    let mut most = limit + 1;
    loop {
        let rows = between(from, most);
        let all = rows.len() < most;
        let at = |row: &(Seq, Record)| Cursor {
            at_us: view::wall_us(&row.1),
            seq: row.0,
        };
        let mut rows: Vec<_> = rows
            .into_iter()
            .filter(|row| after.is_none_or(|after| at(row) > after))
            .collect();
        if rows.len() > limit || all {
            let more = rows.len() > limit;
            rows.truncate(limit);
            let next = rows.last().map(at).filter(|_| more);
            return (rows, next);
        }
        // Rows of the cursor's own microsecond took the places.
        most *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tillwatch_protocol::{Clock, Event, EventBody, Stamp};

    fn row(seq: u64, utc_us: i64) -> (Seq, Record) {
        let stamp = Stamp {
            boot: 1,
            monotonic_ns: 0,
            utc_us,
            clock: Clock::Synced,
        };
        (
            Seq(seq),
            Record::Event(Event {
                seq: Seq(seq),
                stamp,
                body: EventBody::Kick,
            }),
        )
    }

    #[test]
    fn a_day_is_the_stores_day_and_the_end_is_included() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let (start, end) = span("2025-10-26", "2025-10-26", &berlin).unwrap();
        assert_eq!(
            end - start,
            25 * 3_600_000_000,
            "the day on which summer time ends has 25 hours"
        );
        let (start, end) =
            span("2025-10-04T14:34:15Z", "2025-10-04T16:34:15 02:00", &berlin).unwrap();
        assert_eq!(
            end - start,
            1,
            "a moment includes itself; a plus that became a space is read"
        );
        for (start, end) in [
            ("2025-10-05", "2025-10-04"),
            ("yesterday", "2025-10-04"),
            ("2025-10-04", "2025-10-04T10:00:00"),
        ] {
            assert!(span(start, end, &berlin).is_err(), "{start} {end}");
        }
    }

    proptest! {
        #[test]
        fn pages_show_every_row_once(times in prop::collection::vec(0_i64..5, 0..40), limit in 1_usize..7) {
            let mut all: Vec<_> = times.iter().zip(1_u64..).map(|(at, seq)| row(seq, *at)).collect();
            all.sort_by_key(|row| (view::wall_us(&row.1), row.0));
            let between = |from: i64, most: usize| -> Vec<_> {
                all.iter().filter(|row| view::wall_us(&row.1) >= from).take(most).cloned().collect()
            };
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let (rows, next) = page(between, 0, after, limit);
                prop_assert!(rows.len() <= limit);
                seen.extend(rows);
                match next {
                    Some(next) => after = Cursor::read(&next.write()),
                    None => break,
                }
            }
            prop_assert_eq!(seen, all);
        }
    }
}

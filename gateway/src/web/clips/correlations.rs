//! From an event to the clips that show it.

use super::{Found, look};
use crate::clips::Clips;
use crate::web::App;
use crate::web::extract::Path;
use crate::web::problem::Problem;
use crate::web::reads;
use crate::web::view::{self, CorrelationView};
use axum::Json;
use axum::extract::State;
use std::collections::{BTreeMap, BTreeSet};
use tillwatch_protocol::{AlertId, ClipId, Record, Seq};
use tillwatch_store::{AlertRow, Store};

/// Records behind an event that are looked through for alerts that rest on it: they are concluded
/// within minutes.
const LOOKED_AT: usize = 5_000;
/// Events of one id that are followed; a till that counts from 1 every day uses an id once a day.
const SAME_ID: usize = 8;
/// Records of one id that are looked at, the newest ones.
const MATCHES: usize = 256;

/// What an event led to: the alerts that rest on it, each with its clip. The id is the till's or
/// ours (an alert's UUID, or a position in the log); of an id that was used several times, all of
/// them, the newest first.
#[utoipa::path(get, path = "/api/correlations/{event_id}", tag = "clips", params(("event_id" = String, Path, description = "the till's id or ours")), responses(
    (status = 200, description = "none when nothing is suspicious about it", body = [CorrelationView]),
    (status = 404, description = "no such event", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "the index is being rebuilt; ask again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn correlations(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Vec<CorrelationView>>, Problem> {
    let (store, clips) = (app.shared.store.clone(), app.shared.clips.clone());
    app.index_complete().await?;
    let read = move || {
        let found = correlate(&store, clips.as_ref(), &id);
        // It may have failed under the question.
        reads::complete(&store)?;
        found
    };
    Ok(Json(app.reads.run(read).await??))
}

fn correlate(
    store: &Store,
    clips: Option<&Clips>,
    id: &str,
) -> Result<Vec<CorrelationView>, Problem> {
    let matching = store.index().by_event_id(id);
    if matching.is_empty() {
        return Err(Problem::not_found(format!("there is no event `{id}`")));
    }
    let mut alerts = BTreeSet::new();
    let mut events: Vec<Seq> = Vec::new();
    for seq in matching.into_iter().rev().take(MATCHES) {
        match first_record(store, seq)? {
            Some(Record::Alert(alert)) => {
                alerts.insert(alert.alert_id);
            }
            Some(Record::Event(_)) if events.len() < SAME_ID => events.push(seq),
            _ => {}
        }
    }
    for event in &events {
        alerts.extend(resting_on(store, *event)?);
    }
    let rows = alerts.into_iter().filter_map(|id| store.index().alert(id));
    let by_place: BTreeMap<Seq, AlertRow> = rows.map(|row| (row.seq, row)).collect();
    let rows = by_place.values().rev();
    Ok(rows
        .map(|row| correlation(store, clips, row, &events))
        .collect())
}

fn first_record(store: &Store, seq: Seq) -> Result<Option<Record>, Problem> {
    let found = store.scan(seq)?.next();
    Ok(found
        .and_then(Result::ok)
        .and_then(|(at, record)| (at == seq).then_some(record)))
}

/// Alerts are written behind what they rest on.
fn resting_on(store: &Store, event: Seq) -> Result<BTreeSet<AlertId>, Problem> {
    let behind = store.scan(event)?.take(LOOKED_AT).filter_map(Result::ok);
    let alerts = behind.filter_map(|(_, record)| match record {
        Record::Alert(alert) if alert.evidence.iter().any(|of| of.seq == event) => {
            Some(alert.alert_id)
        }
        _ => None,
    });
    Ok(alerts.collect())
}

fn correlation(
    store: &Store,
    clips: Option<&Clips>,
    row: &AlertRow,
    events: &[Seq],
) -> CorrelationView {
    let alert = &row.alert;
    let rests_on = |seq: &&Seq| alert.evidence.iter().any(|of| of.seq == **seq);
    let clip = look(clips, store, ClipId::of(alert.alert_id));
    CorrelationView {
        events: events.iter().filter(rests_on).map(|seq| seq.0).collect(),
        alert_id: alert.alert_id.to_string(),
        at: alert.stamp.to_rfc3339(),
        kind: alert.kind.to_string(),
        score: view::fraction(alert.score),
        severity: alert.severity.to_string(),
        event_id: alert.subject.event_id.clone(),
        order_id: alert.subject.order_id.clone(),
        ticket_no: alert.subject.ticket_no.clone(),
        clip: clip.as_ref().map(Found::view),
    }
}

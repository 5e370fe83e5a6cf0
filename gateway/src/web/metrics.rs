//! Numbers for Prometheus. Counters are pushed by whoever counts; what can be asked for
//! (outbox, store, frames) is asked when somebody scrapes.

mod footage;

use super::App;
use super::problem::Problem;
use crate::Shared;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tillwatch_protocol::Lane;
use tillwatch_store::{LogState, Usage};
use tokio_util::sync::CancellationToken;

/// Upper bounds of the risk score's buckets.
const SCORES: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
/// Upper bounds of latencies, in milliseconds.
const MILLISECONDS: [f64; 14] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0,
    30_000.0,
];
/// How often samples of histograms are folded into their buckets, so that they take no memory
/// while nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(10);

static INSTALLED: OnceLock<Handle> = OnceLock::new();

/// Renders what was counted.
#[derive(Debug, Clone)]
pub struct Handle(PrometheusHandle);

impl Handle {
    /// The text that Prometheus reads.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds samples of histograms into their buckets.
    pub fn fold(&self) {
        self.0.run_upkeep();
    }
}

/// Makes this process count, once; later calls give the same handle. Before it, counting does
/// nothing.
pub fn install() -> Handle {
    INSTALLED.get_or_init(build).clone()
}

fn build() -> Handle {
    let builder = PrometheusBuilder::new();
    let recorder = builder
        .set_buckets_for_metric(Matcher::Full("risk_score_histogram".into()), &SCORES)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Suffix("_ms".into()), &MILLISECONDS)
        })
        // Only empty buckets are refused.
        .unwrap_or_else(|_| PrometheusBuilder::new())
        .build_recorder();
    let handle = Handle(recorder.handle());
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::error!("another recorder of metrics is installed: /metrics stays empty");
    }
    describe();
    begin();
    handle
}

/// Folds histograms until the program ends; cheap.
pub async fn upkeep(shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(UPKEEP);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {
                if let Some(handle) = INSTALLED.get() {
                    handle.fold();
                }
            }
        }
    }
}

/// Shown at zero before anything happens, so that whoever watches a fleet can tell "never" from
/// "not there".
fn begin() {
    for name in [
        "pos_events_total",
        "alerts_triggered_total",
        "mqtt_publish_errors_total",
        "frames_captured_total",
        "frames_dropped_total",
    ] {
        metrics::counter!(name).increment(0);
    }
    for name in ["correlation_latency_ms", "risk_score_histogram"] {
        drop(metrics::histogram!(name));
    }
}

fn describe() {
    describe_counter!("pos_events_total", "POS events taken");
    describe_counter!("alerts_triggered_total", "alerts raised (first revisions)");
    describe_histogram!(
        "risk_score_histogram",
        "risk scores of alerts and findings, 0 to 1"
    );
    describe_histogram!(
        "correlation_latency_ms",
        Unit::Milliseconds,
        "from an event to its evidence being queryable"
    );
    describe_gauge!(
        "mqtt_connection_status",
        "1 when connected to the broker, else 0"
    );
    describe_counter!(
        "mqtt_publish_errors_total",
        "messages that the broker refused"
    );
    describe_gauge!(
        "outbox_depth",
        "messages not acknowledged by head office's broker"
    );
    describe_gauge!(
        "outbox_oldest_seconds",
        Unit::Seconds,
        "age of the oldest of them"
    );
    describe_counter!("events_quarantined_total", "inputs that could not be used");
    describe_counter!("frames_captured_total", "camera frames taken");
    describe_counter!(
        "frames_dropped_total",
        "camera frames lost on the way from the camera, or for want of memory"
    );
    footage::describe();
    describe_gauge!("driver_up", "1 when the device or connection works, else 0");
    describe_gauge!(
        "catalog_version",
        "catalogue version in force, 0 without one"
    );
    describe_gauge!("log_writable", "1 when the log can be written, else 0");
    describe_gauge!("log_bytes", Unit::Bytes, "bytes of the log on disk");
    describe_gauge!(
        "log_waiting_bytes",
        Unit::Bytes,
        "bytes that wait to be written"
    );
    describe_gauge!("index_bytes", Unit::Bytes, "bytes of the index on disk");
    describe_gauge!(
        "store_reserved_bytes",
        Unit::Bytes,
        "bytes held on the disk for what the budgets still allow"
    );
    describe_gauge!(
        "store_reserve_missing_bytes",
        Unit::Bytes,
        "bytes of the budgets that could not be reserved"
    );
    describe_gauge!(
        "index_lag_records",
        "durable records that queries do not show yet"
    );
    describe_counter!("log_records_total", "records appended");
    describe_counter!("log_groups_total", "groups written, one fdatasync each");
    describe_counter!(
        "log_fdatasync_total",
        "fdatasync calls of the log's hot path"
    );
    describe_counter!("store_other_syncs_total", "all other syncs");
    describe_counter!(
        "store_written_bytes_total",
        Unit::Bytes,
        "bytes written to disk"
    );
    describe_counter!(
        "log_suspect_segments_total",
        "segments given up after a failed write or sync"
    );
    describe_counter!("log_recycled_segments_total", "segments used again");
    describe_counter!(
        "outbox_trimmed_total",
        "bulk messages given up because the outbox was full"
    );
    describe_counter!(
        "quarantine_evicted_total",
        "quarantined inputs that made room for newer ones"
    );
    describe_counter!(
        "index_rebuilds_total",
        "times the index was set aside and rebuilt"
    );
    describe_counter!(
        "outbox_acknowledged_total",
        "messages that head office's broker took"
    );
    describe_counter!(
        "outbox_resent_total",
        "messages sent again after a connection broke"
    );
    describe_counter!("outbox_abandoned_total", "messages that will never be sent");
    describe_counter!(
        "outbox_refused_total",
        "messages not made because the outbox was full"
    );
    describe_counter!(
        "alerts_told_late_total",
        "alerts whose message was made when the outbox had room again"
    );
    describe_counter!(
        "notices_not_sent_total",
        "notices kept here because head office was told the same a moment ago"
    );
    describe_gauge!(
        "uplink_topics_held",
        "topics that the broker does not take at the moment"
    );
    describe_gauge!(
        "uplink_entries_parked",
        "messages set aside until their topic is taken again"
    );
    describe_counter!(
        "mqtt_stray_acks_total",
        "acknowledgements that belong to no message"
    );
    describe_counter!(
        "pos_messages_left_total",
        "messages beyond what a broker may send at once, left with it and asked for again"
    );
    describe_counter!(
        "pos_messages_lost_total",
        "messages of QoS 0 for which there was no room: nobody has them any more"
    );
    describe_counter!(
        "pos_events_redelivered_total",
        "POS events that were known already"
    );
    describe_counter!(
        "redelivery_memory_incomplete_total",
        "starts at which tills were listened to before the index knew all their events"
    );
    describe_counter!(
        "pos_events_not_ours_total",
        "POS events of other registers or stores"
    );
    describe_counter!("alerts_revised_total", "further revisions of alerts");
    describe_counter!("findings_total", "findings that are no alerts");
    describe_counter!("not_judged_total", "rules that could not be applied");
    describe_counter!("notices_total", "notices for the technician");
    describe_counter!(
        "printer_bytes_total",
        Unit::Bytes,
        "bytes of the printer's line"
    );
    describe_counter!(
        "gpio_edges_lost_total",
        "edges that the kernel had no room for"
    );
    describe_counter!(
        "live_items_dropped_total",
        "items that the live feed left out while the log could not be written"
    );
    describe_gauge!("live_readers", "readers of the live feed");
    describe_counter!(
        "live_lost_total",
        "live items that slow readers got from the log instead"
    );
    describe_counter!(
        "web_readers_cut_total",
        "connections ended because their readers took nothing"
    );
    describe_counter!(
        "clips_left_out_total",
        "clips that were not recorded because of a bound"
    );
    // Shown from the first scrape on, also while nothing has happened.
    metrics::counter!("pos_events_total").increment(0);
    metrics::counter!("alerts_triggered_total").increment(0);
    metrics::gauge!("catalog_version").set(0.0);
}

/// What Prometheus scrapes.
#[utoipa::path(get, path = "/metrics", tag = "status", responses(
    (status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"),
    (status = 503, description = "nothing is counted in this process", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn render(State(app): State<App>) -> Result<Response, Problem> {
    let Some(handle) = INSTALLED.get() else {
        return Err(Problem::unavailable(
            "metrics",
            "nothing is counted in this process",
        ));
    };
    let shared = app.shared.clone();
    let text = app
        .reads
        .run(move || {
            ask(&shared);
            handle.render()
        })
        .await?;
    let live = super::LIVE_READERS - app.live_readers.available_permits();
    metrics::gauge!("live_readers").set(count(live as u64));
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response())
}

#[allow(clippy::cast_precision_loss)] // far below 2^52
fn count(number: u64) -> f64 {
    number as f64
}

fn ask(shared: &Shared) {
    let Usage {
        state,
        outbox_depth,
        waiting_bytes,
        log_bytes,
        index_lag,
        records,
        groups,
        fdatasyncs,
        other_syncs,
        bytes_written,
        suspect_segments,
        recycled_segments,
        outbox_trimmed,
        quarantine_evicted,
        index_rebuilds,
        index_bytes,
        reserved_bytes,
        reserve_missing_bytes,
        ..
    } = shared.store.usage();
    for lane in Lane::ALL {
        metrics::gauge!("outbox_depth", "lane" => lane.word())
            .set(count(outbox_depth[lane.index()]));
    }
    let now_us = crate::clock::wall_us();
    let oldest = shared
        .store
        .outbox()
        .oldest()
        .map_or(0, |stamp| (now_us - stamp.utc_us).max(0));
    metrics::gauge!("outbox_oldest_seconds").set(count(oldest.unsigned_abs()) / 1e6);
    metrics::gauge!("log_writable").set(f64::from(u8::from(state == LogState::Writable)));
    metrics::gauge!("log_bytes").set(count(log_bytes));
    metrics::gauge!("log_waiting_bytes").set(count(waiting_bytes));
    metrics::gauge!("index_bytes").set(count(index_bytes));
    metrics::gauge!("store_reserved_bytes").set(count(reserved_bytes));
    metrics::gauge!("store_reserve_missing_bytes").set(count(reserve_missing_bytes));
    metrics::gauge!("index_lag_records").set(count(index_lag));
    for (name, value) in [
        ("log_records_total", records),
        ("log_groups_total", groups),
        ("log_fdatasync_total", fdatasyncs),
        ("store_other_syncs_total", other_syncs),
        ("store_written_bytes_total", bytes_written),
        ("log_suspect_segments_total", suspect_segments),
        ("log_recycled_segments_total", recycled_segments),
        ("outbox_trimmed_total", outbox_trimmed),
        ("quarantine_evicted_total", quarantine_evicted),
        ("index_rebuilds_total", index_rebuilds),
        (
            "frames_captured_total",
            shared.health.frames.load(Ordering::Relaxed),
        ),
        ("frames_dropped_total", shared.frames_dropped()),
    ] {
        metrics::counter!(name).absolute(value);
    }
    if let Some(clips) = &shared.clips {
        footage::ask(clips);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_latencies_are_histograms() {
        let handle = install();
        metrics::histogram!("risk_score_histogram").record(0.65);
        metrics::histogram!("correlation_latency_ms").record(12.0);
        let text = handle.render();
        assert!(
            text.contains("# TYPE risk_score_histogram histogram"),
            "{text}"
        );
        assert!(
            text.contains("risk_score_histogram_bucket{le=\"0.7\"}"),
            "{text}"
        );
        assert!(
            text.contains("correlation_latency_ms_bucket{le=\"20\"}"),
            "{text}"
        );
        assert!(text.contains("# TYPE pos_events_total counter"), "{text}");
    }
}

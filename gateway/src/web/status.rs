//! What works and what does not: the status document, health and readiness.

use super::App;
use super::problem::Problem;
use super::view::clock_word;
use crate::health::PartState;
use crate::{Shared, clock};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use tillwatch_protocol::Lane;
use tillwatch_protocol::time::rfc3339;
use tillwatch_store::LogState;
use tillwatch_store::media::{MediaState, MediaUsage, ReserveState};
use utoipa::ToSchema;

/// Monotonic nanoseconds when this process began to serve.
static STARTED_NS: OnceLock<u64> = OnceLock::new();

pub(super) fn note_start() {
    STARTED_NS.get_or_init(clock::monotonic_ns);
}

/// What works and what does not. Also the last-state file that commands read while the daemon is
/// down, so it is read as leniently as it can be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// The store.
    pub store_code: String,
    /// The register.
    pub register_id: String,
    /// Everything is simulated.
    pub demo: bool,
    /// When this was written, RFC 3339 in UTC.
    pub at: String,
    /// Whether that time can be believed: `synced` or `unsynced`.
    pub clock: String,
    /// Ordinal of the boot.
    pub boot: u64,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// The store's IANA time zone.
    #[serde(default)]
    pub timezone: String,
    /// ISO 4217 code of the register's currency.
    #[serde(default)]
    pub currency: String,
    /// Decimals of its minor unit.
    #[serde(default)]
    pub currency_digits: u8,
    /// How much the program tells on its log.
    #[serde(default)]
    pub log_level: String,
    /// The log accepts, and every part is up or known to be absent.
    pub ready: bool,
    /// Devices and connections by name.
    pub parts: BTreeMap<String, PartStatus>,
    /// POS events taken since the start.
    pub pos_events: u64,
    /// Alerts raised since the start.
    pub alerts: u64,
    /// Camera frames since the start.
    pub frames: u64,
    /// Dropped camera frames since the start.
    pub frames_dropped: u64,
    /// Messages for head office.
    pub outbox: OutboxStatus,
    /// The log and what is derived from it.
    pub log: LogStatus,
    /// Inputs that could not be used.
    pub quarantine: QuarantineStatus,
    /// Footage; missing on a register without a camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaStatus>,
}

/// One device or connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartStatus {
    /// `absent`, `starting`, `up` or `down`.
    pub state: String,
    /// What it is: a path, a line, an address.
    pub what: String,
    /// Why it is down and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it is so.
    pub since: String,
    /// How often it came up again.
    pub reopened: u64,
}

/// Messages accepted for head office and not acknowledged by its broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboxStatus {
    /// All of them.
    pub depth: u64,
    /// By lane: `urgent`, `business`, `bulk`.
    pub lanes: BTreeMap<String, u64>,
    /// Age of the oldest, in seconds.
    pub oldest_s: u64,
    /// Bulk messages given up because the outbox was full.
    pub trimmed: u64,
}

/// The log and what is derived from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogStatus {
    /// Its id, the `epoch` of messages.
    pub id: String,
    /// It can be written.
    pub writable: bool,
    /// Why it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Oldest record kept.
    pub first_seq: u64,
    /// Highest record that is on disk with all before it.
    pub durable_seq: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes it may take.
    pub budget_bytes: u64,
    /// Bytes that wait to be written.
    pub waiting_bytes: u64,
    /// Bytes written to disk since the start.
    pub written_bytes: u64,
    /// Syncs of all kinds since the start.
    pub syncs: u64,
    /// Segments given up after a failed write or sync.
    pub suspect_segments: u64,
    /// Ranges found damaged.
    pub damaged_ranges: u64,
    /// Durable records that queries do not show yet.
    pub index_lag: u64,
    /// Times the index was rebuilt.
    pub index_rebuilds: u64,
}

/// Inputs that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineStatus {
    /// How many there ever were.
    pub total: u64,
    /// How many made room for newer ones.
    pub evicted: u64,
}

/// Footage on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MediaStatus {
    /// `writable`, `full` (nothing can be given up for more) or `broken`.
    pub state: String,
    /// Why it is broken, or why less than the budget was set aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Clips that are there.
    pub clips: u64,
    /// Of them, kept by somebody whatever happens.
    pub clips_held: u64,
    /// Clips given up since the start.
    pub dropped: u64,
    /// Bytes on disk: the budget is set aside at the first start.
    pub bytes: u64,
    /// Of them, bytes that hold footage.
    #[serde(default)]
    pub used_bytes: u64,
    /// Bytes it may take.
    pub budget_bytes: u64,
    /// Bytes written to disk since the start.
    pub written_bytes: u64,
}

impl MediaStatus {
    fn of(usage: &MediaUsage) -> Self {
        let (state, why) = match &usage.state {
            MediaState::Writable => ("writable", None),
            MediaState::Full => ("full", None),
            MediaState::Broken { why } => ("broken", Some(why.clone())),
        };
        let short = match &usage.reserve {
            ReserveState::Short { have, want, why } => Some(format!(
                "{} of {} MiB could be set aside: {why}",
                have >> 20,
                want >> 20
            )),
            ReserveState::Working | ReserveState::Done => None,
        };
        Self {
            state: state.to_owned(),
            why: why.or(short),
            clips: usage.clips,
            clips_held: usage.clips_held,
            dropped: usage.dropped.iter().sum(),
            bytes: usage.bytes,
            used_bytes: usage.bytes / usage.segments.max(1)
                * usage.segments.saturating_sub(usage.segments_free),
            budget_bytes: usage.budget_bytes,
            written_bytes: usage.bytes_written,
        }
    }
}

impl Status {
    /// As it is now. Asks the store, which may block for a moment.
    #[must_use]
    pub fn now(shared: &Shared) -> Self {
        let stamp = shared.clock.stamp();
        let usage = shared.store.usage();
        let started = *STARTED_NS.get_or_init(clock::monotonic_ns);
        let oldest = shared.store.outbox().oldest();
        let oldest_us = oldest.map_or(0, |oldest| (stamp.utc_us - oldest.utc_us).max(0));
        let lanes =
            Lane::ALL.map(|lane| (lane.word().to_owned(), usage.outbox_depth[lane.index()]));
        let why = match &usage.state {
            LogState::Writable => None,
            LogState::Broken { why } => Some(why.clone()),
        };
        let health = &shared.health;
        let config = shared.config.borrow().clone();
        let media = shared.clips.as_ref().map(|clips| clips.media.usage());
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            store_code: shared.identity.store.to_string(),
            register_id: shared.identity.register.to_string(),
            demo: shared.identity.demo,
            at: stamp.to_rfc3339(),
            clock: clock_word(stamp.clock).to_owned(),
            boot: stamp.boot,
            uptime_s: stamp.monotonic_ns.saturating_sub(started) / 1_000_000_000,
            timezone: config.timezone.clone(),
            currency: config.currency.clone(),
            currency_digits: config.minor_digits(),
            log_level: config.log.level.clone(),
            ready: health.ready(),
            parts: parts(shared),
            pos_events: health.pos_events.load(Ordering::Relaxed),
            alerts: health.alerts.load(Ordering::Relaxed),
            frames: health.frames.load(Ordering::Relaxed),
            frames_dropped: shared.frames_dropped(),
            outbox: OutboxStatus {
                depth: usage.outbox_depth.iter().sum(),
                lanes: lanes.into_iter().collect(),
                oldest_s: oldest_us.unsigned_abs() / 1_000_000,
                trimmed: usage.outbox_trimmed,
            },
            log: LogStatus {
                id: shared.store.log_id().to_string(),
                writable: why.is_none(),
                why,
                first_seq: usage.first_seq.0,
                durable_seq: usage.durable.0,
                bytes: usage.log_bytes,
                budget_bytes: usage.log_budget_bytes,
                waiting_bytes: usage.waiting_bytes,
                written_bytes: usage.bytes_written,
                syncs: usage.fdatasyncs + usage.other_syncs,
                suspect_segments: usage.suspect_segments,
                damaged_ranges: usage.damaged_ranges,
                index_lag: usage.index_lag,
                index_rebuilds: usage.index_rebuilds,
            },
            quarantine: QuarantineStatus {
                total: usage.quarantined,
                evicted: usage.quarantine_evicted,
            },
            media: media.as_ref().map(MediaStatus::of),
        }
    }
}

fn parts(shared: &Shared) -> BTreeMap<String, PartStatus> {
    let parts = shared.health.parts().into_iter();
    parts
        .map(|(name, part)| {
            let (state, reason) = match part.state {
                PartState::Absent => ("absent", None),
                PartState::Starting => ("starting", None),
                PartState::Up => ("up", None),
                PartState::Down { reason } => ("down", Some(reason)),
            };
            let since = rfc3339(part.since_us);
            let status = PartStatus {
                state: state.to_owned(),
                what: part.what,
                reason,
                since,
                reopened: part.reopened,
            };
            (name.to_owned(), status)
        })
        .collect()
}

/// What works and what does not.
#[utoipa::path(get, path = "/api/status", tag = "status", responses((status = 200, description = "as it is now", body = Status)))]
pub(super) async fn status(State(app): State<App>) -> Result<Json<Status>, Problem> {
    let shared = app.shared.clone();
    Ok(Json(app.reads.run(move || Status::now(&shared)).await?))
}

/// An answer of `/healthz` and `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fine {
    /// `serving` or `ready`.
    pub status: &'static str,
}

/// Serving: this answers.
#[utoipa::path(get, path = "/healthz", tag = "status", responses((status = 200, description = "serving", body = Fine)))]
pub(super) async fn healthz() -> Json<Fine> {
    Json(Fine { status: "serving" })
}

/// Ready: the log accepts, and the enabled sources are open or subscribed, or known to be absent.
#[utoipa::path(get, path = "/readyz", tag = "status", responses(
    (status = 200, description = "ready", body = Fine),
    (status = 503, description = "`missing` says what is", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn readyz(State(app): State<App>) -> Result<Json<Fine>, Problem> {
    if app.shared.health.ready() {
        return Ok(Json(Fine { status: "ready" }));
    }
    let mut missing = BTreeMap::new();
    if !app.shared.health.accepting.load(Ordering::Acquire) {
        missing.insert(
            "log".to_owned(),
            "the log has not taken its first event".to_owned(),
        );
    }
    let needed = parts(&app.shared)
        .into_iter()
        .filter(|(name, _)| name != crate::health::part::UPLINK);
    for (name, part) in needed {
        match part.state.as_str() {
            "starting" => missing.insert(
                name,
                format!("{} is being opened for the first time", part.what),
            ),
            "down" => missing.insert(name, part.reason.unwrap_or_default()),
            _ => None,
        };
    }
    let names: Vec<&str> = missing.keys().map(String::as_str).collect();
    let detail = format!(
        "waiting for {}",
        if names.is_empty() {
            "the parts".to_owned()
        } else {
            names.join(", ")
        }
    );
    let missing = serde_json::to_value(&missing).unwrap_or_default();
    Err(Problem::unavailable("not-ready", detail).with("missing", missing))
}

//! What has to be the same, whatever was killed: head office's memory against what the tills know,
//! the log against detectors that were never killed, and what the gateway shows with and without
//! its index.

use crate::load::Sent;
use crate::support::gateway::Gateway;
use crate::support::subscriber::Subscriber;
use crate::support::wait_for_within;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};
use tillwatch_detect::{Engine, Outcome};
use tillwatch_protocol::{Alert, Record, Seq};
use tillwatch_store::{IndexKind, Store, StoreOptions};

/// Time for everything that was accepted to arrive after the last start.
pub const ARRIVAL: Duration = Duration::from_secs(90);
/// Most rows of one answer.
const PAGE: usize = 1_000;

type Accepted = BTreeMap<String, Sent>;

/// Every accepted event that alarms has exactly one alert at head office, and no lane has a hole.
pub fn head_office_has_each_once(head_office: &Subscriber, accepted: &Accepted) {
    let expected: BTreeSet<&str> = accepted
        .values()
        .filter(|sent| sent.alarms())
        .map(|sent| sent.id.as_str())
        .collect();
    let missing = || -> Vec<&str> {
        let arrived = scored(head_office);
        let ids = expected.iter().copied();
        ids.filter(|id| !arrived.contains_key(*id)).collect()
    };
    let deadline = Instant::now() + ARRIVAL;
    while !missing().is_empty() && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert_eq!(missing(), [""; 0], "accepted, and never arrived");
    let doubled: Vec<_> = scored(head_office)
        .into_iter()
        .filter(|(_, ids)| ids.len() != 1)
        .collect();
    assert!(doubled.is_empty(), "one event, several alerts: {doubled:?}");

    let lanes = head_office.lane_sequences();
    let epochs: BTreeSet<_> = lanes.keys().map(|(epoch, _)| epoch).collect();
    assert_eq!(epochs.len(), 1, "one register, one life of its outbox");
    for ((_, lane), numbers) in &lanes {
        let last = *numbers.last().unwrap();
        let holes: Vec<_> = (1..=last).filter(|n| !numbers.contains(n)).collect();
        assert!(
            holes.is_empty(),
            "lane {lane}: {holes:?} of {last} are missing"
        );
    }
}

/// Alerts of the score by the till's event.
fn scored(head_office: &Subscriber) -> BTreeMap<String, BTreeSet<String>> {
    let mut alerts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for alert in head_office.by_message_id().values() {
        if alert["rule"] == "pos_score" {
            let text = |field: &str| alert[field].as_str().unwrap_or_default().to_owned();
            alerts
                .entry(text("event_id"))
                .or_default()
                .insert(text("alert_id"));
        }
    }
    alerts
}

/// The register's own list has every accepted event, and no event of a till twice.
pub fn register_has_each_once(shown: &Shown, accepted: &Accepted) {
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    for row in shown.events.iter().filter(|row| row["kind"] == "pos") {
        *times.entry(row["event_id"].as_str().unwrap()).or_default() += 1;
    }
    let doubled: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "kept twice: {doubled:?}");
    let missing: Vec<_> = accepted
        .keys()
        .filter(|id| !times.contains_key(id.as_str()))
        .collect();
    assert!(missing.is_empty(), "accepted and not kept: {missing:?}");
}

/// Detectors that see the log from its beginning, in one life, conclude what the log holds: the same
/// alerts and findings in the same order, and head office was told just these.
pub fn no_kill_changed_a_judgement(data: &Path, head_office: &Subscriber) {
    let options = StoreOptions {
        index: IndexKind::Memory,
        ..StoreOptions::default()
    };
    let (store, opened) = Store::open(data, options).unwrap();
    assert_eq!(opened.damages, []);
    assert_eq!(store.first_seq(), Seq(1), "the whole log");
    let mut engine = Engine::new(store.log_id());
    let (mut concluded, mut held) = (Vec::new(), Vec::new());
    for item in store.scan(Seq(0)).unwrap() {
        match item.unwrap() {
            (_, Record::Event(event)) => engine.on_event(&event, &mut concluded),
            (
                _,
                record @ (Record::Alert(_)
                | Record::Finding(_)
                | Record::NotJudged(_)
                | Record::Notice(_)),
            ) => held.push(record),
            _ => {}
        }
    }
    let concluded: Vec<Record> = concluded.into_iter().map(record).collect();
    for (place, (held, concluded)) in held.iter().zip(&concluded).enumerate() {
        assert_eq!(held, concluded, "conclusion {place}");
    }
    assert_eq!(held.len(), concluded.len());

    let alerts: Vec<&Alert> = held
        .iter()
        .filter_map(|record| match record {
            Record::Alert(alert) => Some(alert),
            _ => None,
        })
        .collect();
    let told = head_office.by_message_id();
    let mut told: Vec<&Value> = told
        .values()
        .filter(|message| message["alert_id"].is_string() && message["rule"].is_string())
        .collect();
    told.sort_by_key(|message| message["seq"].as_u64());
    assert_eq!(told.len(), alerts.len());
    let mut repeated = 0;
    for (told, alert) in told.iter().zip(alerts) {
        let json = |part: Result<Value, _>| part.unwrap();
        assert_eq!(told["alert_id"], json(serde_json::to_value(alert.alert_id)));
        assert_eq!(told["revision"], alert.revision);
        assert_eq!(told["score"], json(serde_json::to_value(alert.score)));
        assert_eq!(
            told["contributions"],
            json(serde_json::to_value(&alert.contributions))
        );
        assert_eq!(told["text"], alert.text_block(2));
        repeated += u32::from(alert.contributions.len() > 1);
    }
    // What was known of the staff before a kill counts after it.
    assert!(repeated > 0, "no alert rests on what came before it");
}

/// How many messages recycling has appended again, by a copy of the data of a dead gateway.
pub fn moved_messages(data: &Path) -> usize {
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("log")).unwrap();
    for name in ["identity", "outbox.state"] {
        std::fs::copy(data.join(name), copy.path().join(name)).unwrap();
    }
    for segment in std::fs::read_dir(data.join("log")).unwrap() {
        let segment = segment.unwrap();
        std::fs::copy(
            segment.path(),
            copy.path().join("log").join(segment.file_name()),
        )
        .unwrap();
    }
    let options = StoreOptions {
        index: IndexKind::Memory,
        ..StoreOptions::default()
    };
    let (store, opened) = Store::open(copy.path(), options).unwrap();
    assert_eq!(opened.damages, []);
    let mut behind: BTreeMap<_, u64> = BTreeMap::new();
    let mut moved = 0;
    for item in store.scan(Seq(0)).unwrap() {
        if let (_, Record::Outbox(entry)) = item.unwrap() {
            // Numbers of a lane ascend, but for what was moved.
            let highest = behind.entry(entry.lane).or_default();
            moved += usize::from(entry.lane_seq < *highest);
            *highest = entry.lane_seq.max(*highest);
        }
    }
    moved
}

fn record(outcome: Outcome) -> Record {
    match outcome {
        Outcome::Alert(alert) => Record::Alert(alert),
        Outcome::Finding(finding) => Record::Finding(finding),
        Outcome::Notice(notice) => Record::Notice(notice),
        Outcome::NotJudged(not_judged) => Record::NotJudged(not_judged),
    }
}

/// What the gateway shows of the past.
#[derive(Debug, PartialEq)]
pub struct Shown {
    /// All rows, oldest first.
    pub events: Vec<Value>,
    /// The newest rows, newest first.
    recent: Vec<Value>,
    pub alerts: Vec<Value>,
    pending: Vec<Value>,
    /// The review queue.
    queue: Value,
    receipts: Value,
    /// Single alerts in full.
    details: Vec<Value>,
}

impl Shown {
    /// Asks for everything, once the index reflects the whole log, but for what happened after
    /// `through`, or after the asking began.
    pub fn by(gateway: &Gateway, receipt_words: &str, through: Option<u64>) -> Self {
        wait_for_within(ARRIVAL, "the index to catch up", || {
            (gateway.json("/api/status")["log"]["index_lag"] == 0).then_some(())
        });
        let position = |row: &Value| row["seq"].as_u64().unwrap();
        let through =
            through.unwrap_or_else(|| position(&gateway.json("/api/events/recent?limit=1")[0]));
        let list = |path: &str| -> Vec<Value> {
            let rows = gateway.json(path);
            let rows = rows.as_array().unwrap().clone();
            let old = |row: &Value| position(row) <= through;
            rows.into_iter().filter(old).collect()
        };
        let alerts = list(&format!("/api/alerts?limit={PAGE}"));
        let details = alerts.iter().step_by(20).map(|alert| {
            let id = alert["alert_id"].as_str().unwrap();
            gateway.json(&format!("/api/alerts/{id}"))
        });
        let mut recent = list(&format!("/api/events/recent?limit={PAGE}"));
        // The newest of both askings: the later one has rows of its own before them.
        recent.truncate(PAGE / 2);
        Self {
            events: all_events(gateway)
                .into_iter()
                .filter(|row| position(row) <= through)
                .collect(),
            recent,
            details: details.collect(),
            pending: list(&format!("/api/alerts?pending=true&limit={PAGE}")),
            queue: gateway.json("/api/alerts/pending"),
            receipts: gateway.json(&format!("/api/receipts?q={receipt_words}")),
            alerts,
        }
    }

    /// How many alerts have this in a field.
    pub fn alerts_where(&self, field: &str, value: &str) -> usize {
        let has = |alert: &&Value| alert[field] == *value;
        self.alerts.iter().filter(has).count()
    }

    /// Position of the newest row.
    pub fn last(&self) -> u64 {
        self.recent[0]["seq"].as_u64().unwrap()
    }

    /// Says where the other one differs first.
    pub fn must_equal(&self, other: &Self) {
        let lists = [
            ("events", &self.events, &other.events),
            ("recent", &self.recent, &other.recent),
            ("alerts", &self.alerts, &other.alerts),
            ("pending", &self.pending, &other.pending),
            ("details", &self.details, &other.details),
        ];
        for (name, before, after) in lists {
            for (before, after) in before.iter().zip(after) {
                assert_eq!(before, after, "{name}");
            }
            assert_eq!(before.len(), after.len(), "{name}");
        }
        assert_eq!(self, other);
    }
}

/// Every row, page by page.
fn all_events(gateway: &Gateway) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut next = Some(format!(
        "/api/events/range?start=2000-01-01&end=2200-01-01&limit={PAGE}"
    ));
    while let Some(path) = next {
        let mut response = ureq::get(&gateway.url(&path)).call().unwrap();
        let link = response.headers().get("link");
        let link = link.map(|link| link.to_str().unwrap().to_owned());
        next = link.and_then(|link| Some(link.strip_prefix('<')?.split_once('>')?.0.to_owned()));
        let page = response
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_to_string();
        let page: Vec<Value> = serde_json::from_str(&page.unwrap()).unwrap();
        rows.extend(page);
    }
    rows
}

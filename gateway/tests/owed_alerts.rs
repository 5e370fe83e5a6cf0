//! Alerts that were raised while the outbox was full.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tillwatch::config::Config;
use tillwatch::health::Health;
use tillwatch::pipeline::{Pipeline, PipelineError, restore};
use tillwatch::{Identity, Shared, clock, intake};
use tillwatch_protocol::pos::{ParseContext, parse_pos_event};
use tillwatch_protocol::{EventBody, Lane, RegisterId, StoreCode};
use tillwatch_store::{AlertFilter, Delivery, OutboxLimits, Store, StoreOptions};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Messages that the outbox takes.
const PLACES: u64 = 3;
/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Store and pipeline of one register; the broker is the test.
struct Register {
    shared: Shared,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), PipelineError>>,
    _config: watch::Sender<Arc<Config>>,
}

impl Register {
    fn start(dir: &Path) -> Self {
        let options = StoreOptions {
            outbox: OutboxLimits {
                max_entries: PLACES,
                alert_reserve: 1,
                ..OutboxLimits::default()
            },
            ..StoreOptions::small()
        };
        let (store, _) = Store::open(dir, options).unwrap();
        let restored = restore::restore(&store, dir).unwrap();
        let (_config, config) = watch::channel(Arc::new(Config::default()));
        let (intake, lanes) = intake::lanes();
        let identity = Identity {
            store: StoreCode::new("S03").unwrap(),
            register: RegisterId::new("reg_02").unwrap(),
            demo: false,
        };
        let shared = Shared {
            config,
            identity: Arc::new(identity),
            clock: clock::Clocks::new(store.boot_ordinal()),
            store,
            health: Arc::new(Health::default()),
            logins: Default::default(),
            intake,
            live: broadcast::channel(16).0,
            clips: None,
        };
        let shutdown = CancellationToken::new();
        let pipeline = Pipeline::new(shared.clone(), restored);
        let task = tokio::spawn(pipeline.run(lanes, shutdown.clone()));
        Self {
            shared,
            shutdown,
            task,
            _config,
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
        self.shared.store.close();
    }

    /// A void of its own clerk: one alert.
    async fn void(&self, n: usize) {
        let context = ParseContext {
            zone: jiff::tz::TimeZone::UTC,
            minor_digits: 2,
        };
        let body = format!(
            r#"{{"event_id":"v-{n}","event_type":"void_transaction","staff_id":"emp_{n}","amount":{n}}}"#
        );
        let event = parse_pos_event(body.as_bytes(), &context).unwrap();
        let stamp = self.shared.clock.stamp();
        let sent = self
            .shared
            .intake
            .bulk(stamp, EventBody::Pos(Box::new(event)));
        sent.await.unwrap().await.unwrap();
    }

    /// Takes what is in the outbox as a broker would: id and newest revision of each alert, and how
    /// often it came.
    fn deliver(&self, into: &mut BTreeMap<(String, u64), u32>) {
        let outbox = self.shared.store.outbox();
        for place in outbox.pending(Lane::Urgent, 0, 100) {
            let entry = outbox.entry(&place).unwrap();
            let body: serde_json::Value = serde_json::from_slice(&entry.payload).unwrap();
            if entry.topic.ends_with("/alerts") {
                let id = body["alert_id"].as_str().unwrap().to_owned();
                *into
                    .entry((id, body["revision"].as_u64().unwrap()))
                    .or_default() += 1;
            }
            outbox.acknowledge(place.lane, place.lane_seq).unwrap();
        }
    }

    /// Newest revisions of all alerts, and those without a message.
    fn alerts(&self) -> (Vec<(String, u64)>, usize) {
        let rows = self.shared.store.index().alerts(AlertFilter::default());
        let untold = rows.iter().filter(|row| row.delivery == Delivery::None);
        let untold = untold.count();
        let name = |row: tillwatch_store::AlertRow| {
            (
                row.alert.alert_id.to_string(),
                u64::from(row.alert.revision),
            )
        };
        (rows.into_iter().map(name).collect(), untold)
    }
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(
            started.elapsed() < DEADLINE,
            "not within {DEADLINE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Ten alerts into an outbox for three.
async fn overfull(dir: &Path) -> Register {
    let register = Register::start(dir);
    for n in 0..10 {
        register.void(n).await;
    }
    eventually("ten alerts, seven of them untold", || {
        let (alerts, untold) = register.alerts();
        (alerts.len(), untold) == (10, 7)
    })
    .await;
    register
}

/// Takes messages until every alert was told, and checks that each was told once.
async fn all_told_once(register: &Register, mut delivered: BTreeMap<(String, u64), u32>) {
    eventually("every alert to be told", || {
        register.deliver(&mut delivered);
        register.alerts().1 == 0 && delivered.len() >= 10
    })
    .await;
    let (mut alerts, _) = register.alerts();
    alerts.sort();
    assert_eq!(delivered.keys().cloned().collect::<Vec<_>>(), alerts);
    assert!(delivered.values().all(|times| *times == 1), "{delivered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_told_when_room_returns_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let register = overfull(dir.path()).await;
    assert_eq!(register.shared.store.outbox().depth(), [PLACES, 0, 0]);
    all_told_once(&register, BTreeMap::new()).await;
    register.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_does_not_forget_them() {
    let dir = tempfile::tempdir().unwrap();
    overfull(dir.path()).await.stop().await;
    let register = Register::start(dir.path());
    all_told_once(&register, BTreeMap::new()).await;
    register.stop().await;
}

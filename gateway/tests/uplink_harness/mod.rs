//! A gateway of which only store and uplink run.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tillwatch::config::{Config, Mqtt};
use tillwatch::health::{Health, PartState, part};
use tillwatch::uplink::pump::Patience;
use tillwatch::{Identity, Shared, clock, intake, uplink};
use tillwatch_protocol::lane::Envelope;
use tillwatch_protocol::topics::Upstream;
use tillwatch_protocol::{Lane, Record, RegisterId, StoreCode};
use tillwatch_store::{IndexKind, Store, StoreOptions, Urgency};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for a condition; panics with `what` after [`DEADLINE`].
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(
            started.elapsed() < DEADLINE,
            "not within {DEADLINE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Store and uplink of one register.
pub struct Gateway {
    pub shared: Shared,
    pub topics: Upstream,
    config: watch::Sender<Arc<Config>>,
    shutdown: CancellationToken,
    task: Option<JoinHandle<()>>,
    patience: Patience,
    // Dropped last.
    _dir: tempfile::TempDir,
}

#[allow(dead_code)]
impl Gateway {
    /// With an empty outbox, towards 127.0.0.1; the uplink does not run yet.
    pub fn new(port: u16, change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            segment_bytes: 1 << 20,
            log_budget_bytes: 64 << 20,
            reserve: false,
            group_delay: Duration::from_millis(5),
            index: IndexKind::Memory,
            ..StoreOptions::default()
        };
        let (store, _) = Store::open(&dir.path().join("data"), options).unwrap();
        let mut config = Config::default();
        config.uplink.mqtt = Mqtt {
            host: Some("127.0.0.1".into()),
            port: Some(port),
            ..Mqtt::default()
        };
        config.data = dir.path().to_owned();
        change(&mut config);
        let (config, watching) = watch::channel(Arc::new(config));
        let identity = Identity {
            store: StoreCode::new("S03").unwrap(),
            register: RegisterId::new("reg_02").unwrap(),
            demo: false,
        };
        let topics = Upstream::new(identity.store.clone(), identity.register.clone());
        let shared = Shared {
            config: watching,
            identity: Arc::new(identity),
            clock: clock::Clocks::new(store.boot_ordinal()),
            store,
            health: Arc::new(Health::default()),
            logins: Default::default(),
            intake: intake::lanes().0,
            live: broadcast::channel(16).0,
            clips: None,
        };
        Self {
            shared,
            topics,
            config,
            shutdown: CancellationToken::new(),
            task: None,
            patience: Patience::default(),
            _dir: dir,
        }
    }

    /// Shorter watchdogs and pauses, for brokers that fall silent or break.
    pub fn impatient(mut self) -> Self {
        self.patience = Patience {
            ack: Duration::from_millis(300),
            hand_over: Duration::from_millis(300),
            pause: Duration::from_millis(20),
        };
        self
    }

    /// Starts the uplink.
    pub fn start(mut self) -> Self {
        let shutdown = self.shutdown.clone();
        self.task = Some(uplink::start_with(
            self.shared.clone(),
            shutdown,
            self.patience,
        ));
        self
    }

    /// Ends the uplink.
    pub async fn stop(&mut self) {
        self.shutdown.cancel();
        if let Some(task) = self.task.take() {
            tokio::time::timeout(DEADLINE, task).await.unwrap().unwrap();
        }
    }

    /// Another configuration takes force.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        self.config.send_modify(|config| {
            let mut new = Config::clone(config);
            change(&mut new);
            *config = Arc::new(new);
        });
    }

    /// Accepts one message; its payload carries `n`. Returns its number in the lane.
    pub fn queue(&self, lane: Lane, topic: &str, n: u64) -> u64 {
        let mut lane_seq = 0;
        let urgency = match lane {
            Lane::Urgent => Urgency::Now,
            _ => Urgency::Normal,
        };
        self.shared
            .store
            .append_with(urgency, |numbers| {
                lane_seq = numbers.next(lane);
                let envelope = Envelope {
                    store: &self.shared.identity.store,
                    register: &self.shared.identity.register,
                    epoch: self.shared.store.log_id(),
                    lane,
                    lane_seq,
                    stamp: self.shared.clock.stamp(),
                };
                let mut body = serde_json::Map::new();
                body.insert("n".into(), n.into());
                body.insert("padding".into(), "x".repeat(300).into());
                vec![Record::Outbox(envelope.entry(topic.to_owned(), body))]
            })
            .unwrap();
        lane_seq
    }

    /// Accepts `count` messages in each lane, on topics of each, and waits until they are on disk.
    pub async fn queue_in_all_lanes(&self, count: u64) {
        for n in 1..=count {
            self.shared.store.room().await;
            self.queue(Lane::Bulk, &self.topics.events(), n);
            self.queue(Lane::Business, "stores/S03/orders", n);
            self.queue(Lane::Urgent, &self.topics.alerts(), n);
        }
        let store = &self.shared.store;
        store.durable_through(store.last_seq()).await.unwrap();
    }

    /// Messages that are not acknowledged.
    pub fn depth(&self) -> u64 {
        self.shared.store.outbox().depth().iter().sum()
    }

    /// Waits until everything is acknowledged.
    pub async fn emptied(&self) {
        eventually("the outbox is empty", || self.depth() == 0).await;
    }

    /// State of the uplink, `None` before it was ever set.
    pub fn state(&self) -> Option<PartState> {
        self.shared
            .health
            .parts()
            .get(part::UPLINK)
            .map(|part| part.state.clone())
    }

    /// Waits until the connection is up.
    pub async fn connected(&self) {
        eventually("the uplink is up", || self.state() == Some(PartState::Up)).await;
    }

    /// Waits until the connection is down, and returns the reason.
    pub async fn down(&self) -> String {
        let mut why = String::new();
        eventually("the uplink is down", || match self.state() {
            Some(PartState::Down { reason }) => {
                why = reason;
                true
            }
            _ => false,
        })
        .await;
        why
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

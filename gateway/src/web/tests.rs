//! The API as a client sees it, over a store in a temporary directory.

mod api;
mod audit;
mod clip_states;
mod clips;
pub(super) mod films;
mod guards;
mod live;
mod logins;
mod network;
mod overview;
mod page;
mod sockets;
mod stills;
mod tills;
mod websocket;

use super::{Access, HostNames, router};
use crate::clock::Clocks;
use crate::config::Config;
use crate::health::Health;
use crate::intake::{self, Lanes, Taken};
use crate::live::{LIVE_BACKLOG, LiveItem, publisher};
use crate::logins::Logins;
use crate::{Identity, Shared};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;
use tillwatch_protocol::alert::AlertState;
use tillwatch_protocol::finding::{Evidence, Subject};
use tillwatch_protocol::{
    Alert, AlertId, Clock, Contribution, Event, EventBody, LogId, Record, RegisterId, Rule, Score,
    Seq, Stamp, StoreCode,
};
use tillwatch_store::{Store, StoreOptions, Urgency};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use uuid::Uuid;

/// 2025-10-04T14:34:15Z.
pub const AT_US: i64 = 1_759_588_455_000_000;

/// A gateway without detectors: what is sent in is logged, and nothing else.
pub struct Gateway {
    pub shared: Shared,
    pub folder: TempDir,
    /// Changes the configuration in force.
    pub config: watch::Sender<Arc<Config>>,
}

impl Gateway {
    pub fn new() -> Self {
        Self::over(tempfile::tempdir().unwrap(), StoreOptions::small())
    }

    /// A gateway over what a folder holds.
    pub fn over(folder: TempDir, options: StoreOptions) -> Self {
        let (store, _) = Store::open(folder.path(), options).unwrap();
        let (config, reload) = watch::channel(Arc::new(Config::default()));
        let (intake, lanes) = intake::lanes();
        let (live, _) = broadcast::channel(LIVE_BACKLOG);
        let identity = Identity {
            store: StoreCode::new("S03").unwrap(),
            register: RegisterId::new("reg_02").unwrap(),
            demo: false,
        };
        let shared = Shared {
            config: reload,
            identity: Arc::new(identity),
            clock: Clocks::new(store.boot_ordinal()),
            store,
            health: Arc::new(Health::default()),
            logins: Logins::open(Some(folder.path()), CancellationToken::new()),
            intake,
            live,
            clips: None,
        };
        tokio::spawn(log_everything(shared.clone(), lanes));
        Self {
            shared,
            folder,
            config,
        }
    }

    pub fn page(&self) -> Router {
        router(self.shared.clone(), Access::Page(HostNames::default()))
    }

    /// Appends records and waits until everybody can see them.
    pub async fn append(&self, records: &[Record]) -> Seq {
        let range = self.shared.store.append(records, Urgency::Now).unwrap();
        self.settle(range.last).await;
        range.first
    }

    pub async fn settle(&self, seq: Seq) {
        self.shared.store.durable_through(seq).await.unwrap();
        self.shared.store.index().caught_up(seq).await;
    }
}

/// Stands for the pipeline: logs, recognises the same body again, tells the live feed.
async fn log_everything(shared: Shared, mut lanes: Lanes) {
    let live = publisher(shared.store.clone(), shared.live.clone());
    let mut seen: BTreeMap<Vec<u8>, Seq> = BTreeMap::new();
    while let Some(incoming) = lanes.bulk.recv().await {
        let hash = match &incoming.body {
            EventBody::Pos(pos) => pos.body_hash.clone(),
            _ => Vec::new(),
        };
        let taken = if let Some(seq) = seen.get(&hash) {
            Taken::Again(*seq)
        } else {
            let record = Record::Event(Event {
                seq: Seq(0),
                stamp: incoming.stamp,
                body: incoming.body,
            });
            let seq = shared
                .store
                .append(std::slice::from_ref(&record), Urgency::Now)
                .unwrap()
                .first;
            if !hash.is_empty() {
                seen.insert(hash, seq);
            }
            let _ = live
                .send(LiveItem {
                    seq,
                    record: Arc::new(record),
                })
                .await;
            Taken::New(seq)
        };
        if let Some(answer) = incoming.answer {
            let _ = answer.send(taken);
        }
    }
}

pub fn stamp(seconds: i64) -> Stamp {
    let monotonic_ns = seconds.unsigned_abs() * 1_000_000_000;
    Stamp {
        boot: 1,
        monotonic_ns,
        utc_us: AT_US + seconds * 1_000_000,
        clock: Clock::Synced,
    }
}

pub fn event(seconds: i64, body: EventBody) -> Record {
    Record::Event(Event {
        seq: Seq(0),
        stamp: stamp(seconds),
        body,
    })
}

/// An open alert that rests on one event.
pub fn alert(cause: Seq, seconds: i64, milli: u16) -> Alert {
    let score = Score::from_milli(milli);
    Alert {
        alert_id: AlertId::derive(LogId(Uuid::nil()), "pos_score", &[cause]),
        revision: 1,
        state: AlertState::Open,
        rule: Rule::of("pos_score"),
        kind: "void".into(),
        score,
        severity: score.severity(),
        contributions: vec![Contribution {
            rule: Rule::of("void_transaction"),
            text: "transaction voided".into(),
            points: score,
        }],
        evidence: vec![Evidence {
            seq: cause,
            stamp: stamp(seconds),
            what: "void".into(),
        }],
        subject: Subject {
            order_id: Some("ORD48592".into()),
            ..Subject::default()
        },
        stamp: stamp(seconds),
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|why| panic!("{why}: {}", self.text))
    }

    /// Checks that it is a problem document of this status, and gives its kind.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(
            self.headers[header::CONTENT_TYPE],
            "application/problem+json"
        );
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for member in ["title", "detail"] {
            assert!(
                problem[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{problem}"
            );
        }
        let kind = problem["type"].as_str().unwrap();
        kind.strip_prefix("urn:tillwatch:problem:")
            .unwrap()
            .to_owned()
    }
}

pub fn request(method: &str, uri: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::HOST, "localhost:8080")
}

pub async fn send(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

pub async fn get(router: Router, uri: &str) -> Answer {
    send(router, request("GET", uri).body(Body::empty()).unwrap()).await
}

pub async fn post(router: Router, uri: &str, body: impl Into<Body>) -> Answer {
    let request = request("POST", uri).header(header::CONTENT_TYPE, "application/json");
    send(router, request.body(body.into()).unwrap()).await
}

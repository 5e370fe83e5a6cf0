//! Records and waiting for the tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]
#![allow(dead_code, reason = "each test program uses its part")]

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};
use tillwatch_protocol::alert::AlertState;
use tillwatch_protocol::finding::Subject;
use tillwatch_protocol::pos::{Metadata, PosEventType};
use tillwatch_protocol::receipt::ReceiptEnd;
use tillwatch_protocol::time::Clock;
use tillwatch_protocol::{
    Alert, AlertId, Event, EventBody, Lane, LogId, MessageId, Notice, OutboxEntry, PosEvent,
    Receipt, ReceiptKind, Record, Rule, Score, Seq, Severity, Stamp,
};
use tillwatch_store::{Opened, Store, StoreOptions};

pub fn stamp(n: u64) -> Stamp {
    Stamp {
        boot: 1,
        monotonic_ns: n * 1_000,
        utc_us: 1_760_000_000_000_000 + n as i64,
        clock: Clock::Synced,
    }
}

pub fn event(n: u64, body: EventBody) -> Record {
    Record::Event(Event {
        seq: Seq(0),
        stamp: stamp(n),
        body,
    })
}

/// A record of about `size` bytes that says `n`.
pub fn notice(n: u64, size: usize) -> Record {
    let text = format!("{n} {}", "x".repeat(size));
    Record::Notice(Notice {
        code: Cow::Borrowed("test"),
        text,
        stamp: stamp(n),
    })
}

pub fn pos(n: u64, id: &str) -> PosEvent {
    PosEvent {
        event_id: id.to_owned(),
        event_type: PosEventType::VoidTransaction,
        timestamp: None,
        store_id: Some("store_001".into()),
        register_id: Some("reg_02".into()),
        staff_id: None,
        order_id: None,
        ticket_no: None,
        amount: None,
        original_amount: None,
        discount_percent: None,
        items: Vec::new(),
        metadata: Metadata::default(),
        flags: Vec::new(),
        body_hash: n.to_le_bytes().to_vec(),
    }
}

pub fn receipt(lines: &[&str]) -> EventBody {
    EventBody::Receipt(Box::new(Receipt {
        kind: ReceiptKind::Sale,
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        marks: Vec::new(),
        number: None,
        cashier: None,
        total: None,
        kicks: 0,
        images: 0,
        bytes: 0,
        began_ns: 0,
        ended_ns: 0,
        end: ReceiptEnd::Cut,
        damaged: false,
    }))
}

pub fn alert(log: LogId, cause: Seq, revision: u32) -> Alert {
    Alert {
        alert_id: AlertId::derive(log, "drawer_forced", &[cause]),
        revision,
        state: AlertState::Open,
        rule: Rule::of("drawer_forced"),
        kind: Cow::Borrowed("forced"),
        score: Score::from_milli(800),
        severity: Severity::Critical,
        contributions: Vec::new(),
        evidence: Vec::new(),
        subject: Subject {
            event_id: Some("evt-9".into()),
            ..Subject::default()
        },
        stamp: stamp(cause.0),
    }
}

pub fn entry(log: LogId, lane: Lane, lane_seq: u64, payload: Vec<u8>) -> Record {
    Record::Outbox(OutboxEntry {
        lane,
        lane_seq,
        message_id: MessageId::derive(log, lane, lane_seq),
        topic: "stores/S03/alerts".into(),
        content_type: Cow::Borrowed("application/json"),
        stamp: stamp(lane_seq),
        payload,
    })
}

pub fn small(boot: &str) -> StoreOptions {
    StoreOptions {
        boot_id: Some(boot.to_owned()),
        ..StoreOptions::small()
    }
}

pub fn open(dir: &Path) -> (Store, Opened) {
    Store::open(dir, small("boot-1")).unwrap()
}

/// Waits for a condition, at most ten seconds.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(10), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
pub fn durable(store: &Store, seq: Seq) {
    until("durable", || *store.durable().borrow() >= seq);
}

/// Everything readable, errors left out.
pub fn all(store: &Store) -> Vec<(Seq, Record)> {
    store.scan(Seq(0)).unwrap().filter_map(Result::ok).collect()
}

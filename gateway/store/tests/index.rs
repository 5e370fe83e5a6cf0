//! What the index answers, and that it can be lost at any time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod directory;

use directory::*;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tillwatch_protocol::finding::Subject;
use tillwatch_protocol::lane::{OutboxFate, OutboxMark};
use tillwatch_protocol::{
    Alert, EventBody, Finding, Lane, LogId, Record, Review, Rule, Score, Seq, Verdict,
};
use tillwatch_store::{
    AlertFilter, Delivery, IndexKind, Opened, SeenPos, Store, StoreOptions, Urgency,
};

fn open_sled(dir: &Path) -> (Store, Opened) {
    let checkpoint = Duration::from_millis(20);
    let options = StoreOptions {
        index: IndexKind::Sled,
        index_checkpoint: checkpoint,
        ..small("boot-1")
    };
    Store::open(dir, options).unwrap()
}

#[track_caller]
fn indexed(store: &Store) {
    let last = store.last_seq();
    until("indexed", || store.index().through() >= last);
}

/// What the technician is told of the index when it is there.
fn told_of_index(store: &Store) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(store.index().opened())
}

fn add(store: &Store, records: &[Record]) -> Seq {
    store.append(records, Urgency::Now).unwrap().first
}

fn told(log: LogId, lane_seq: u64, alert: &Alert) -> Record {
    let payload = format!(
        r#"{{"alert_id":"{}","revision":{}}}"#,
        alert.alert_id, alert.revision
    );
    entry(log, Lane::Urgent, lane_seq, payload.into_bytes())
}

/// A little of everything; returns the alert's cause.
fn a_day(store: &Store) -> Seq {
    let log = store.log_id();
    add(store, &[event(1, EventBody::Tick)]);
    let kick = add(store, &[event(2, EventBody::Kick)]);
    let first = alert(log, kick, 1);
    add(store, &[Record::Alert(first.clone()), told(log, 1, &first)]);
    add(store, &[event(5, EventBody::Pos(Box::new(pos(1, "123"))))]);
    add(store, &[event(6, EventBody::Pos(Box::new(pos(2, "123"))))]);
    add(
        store,
        &[event(
            7,
            receipt(&["MILK 1.20", "Bäckerei Müller", "TICKET T8923"]),
        )],
    );
    add(store, &[event(8, receipt(&["BREAD 2.00", "TICKET T8924"]))]);
    let finding = Finding {
        rule: Rule::of("pos_score"),
        kind: "void".into(),
        score: Score::from_milli(100),
        contributions: vec![],
        weight: tillwatch_protocol::finding::Weight::Alone,
        evidence: vec![tillwatch_protocol::finding::Evidence {
            seq: kick,
            stamp: stamp(9),
            what: "kick".into(),
        }],
        subject: Subject {
            event_id: Some("123".into()),
            ..Subject::default()
        },
        cleared: None,
    };
    add(store, &[Record::Finding(finding)]);
    indexed(store);
    kick
}

/// Answers of all kinds, as text that can be compared.
fn answers(store: &Store, kick: Seq) -> String {
    let index = store.index();
    let base = stamp(0).utc_us;
    let id = alert(store.log_id(), kick, 1).alert_id;
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        index.recent_events(100),
        index.events_between(base + 5, base + 8, 100),
        index.alerts(AlertFilter::default()),
        index.by_event_id("123"),
        index.by_event_id(&id.to_string()),
        index.receipts("ticket", 10),
        index.seen_pos(&pos(1, "123")),
        index.seen_pos(&pos(7, "123")),
        index.outbox_entry(Lane::Urgent, 1),
    )
}

#[test]
fn events_are_found_by_time_id_and_words() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_sled(dir.path());
    let kick = a_day(&store);
    let index = store.index();
    let seqs =
        |rows: Vec<(Seq, Record)>| rows.into_iter().map(|(seq, _)| seq.0).collect::<Vec<_>>();
    assert_eq!(
        seqs(index.recent_events(100)),
        [9, 8, 7, 6, 5, 3, 2],
        "no tick, no outbox entry"
    );
    assert_eq!(seqs(index.recent_events(2)), [9, 8]);
    let base = stamp(0).utc_us;
    assert_eq!(
        seqs(index.events_between(base + 5, base + 8, 100)),
        [5, 6, 7],
        "the end is excluded"
    );
    assert_eq!(index.by_event_id("123"), [Seq(5), Seq(6), Seq(9)]);
    assert_eq!(index.by_event_id("2"), [kick], "our own position");
    assert_eq!(index.by_event_id("evt-9"), [Seq(3)], "an alert about it");
    let found = |q: &str| {
        index
            .receipts(q, 10)
            .into_iter()
            .map(|(seq, _)| seq.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(found("ticket"), [8, 7]);
    assert_eq!(found("müller MILK"), [7]);
    assert_eq!(found("t892"), [8, 7], "the beginning of a word");
    assert_eq!(found("milk bread"), [] as [u64; 0]);
    assert_eq!(found(""), [8, 7]);
}

#[test]
fn an_alert_row_follows_revisions_reviews_and_delivery() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_sled(dir.path());
    let (log, kick) = (store.log_id(), a_day(&store));
    let id = alert(log, kick, 1).alert_id;
    let row = || store.index().alert(id).unwrap();
    let mark = |lane_seq, fate| {
        Record::OutboxMark(OutboxMark {
            lane: Lane::Urgent,
            lane_seq,
            fate,
        })
    };
    assert_eq!(
        (row().alert.revision, row().delivery, row().accepted),
        (1, Delivery::Accepted, true)
    );
    add(&store, &[mark(1, OutboxFate::Acknowledged)]);
    indexed(&store);
    assert_eq!(row().delivery, Delivery::Acknowledged);
    let second = alert(log, kick, 2);
    add(
        &store,
        &[Record::Alert(second.clone()), told(log, 2, &second)],
    );
    indexed(&store);
    assert_eq!(
        (row().alert.revision, row().delivery),
        (2, Delivery::Accepted)
    );
    // An old revision that comes late changes nothing.
    add(&store, &[Record::Alert(alert(log, kick, 1))]);
    let pending = AlertFilter {
        pending_only: true,
        ..AlertFilter::default()
    };
    indexed(&store);
    assert_eq!(
        (row().alert.revision, store.index().alerts(pending).len()),
        (2, 1)
    );
    let review = Review {
        alert_id: id,
        verdict: Verdict::Confirmed,
        note: "seen".into(),
        reviewer: "m".into(),
    };
    add(&store, &[event(20, EventBody::Review(review.clone()))]);
    indexed(&store);
    assert_eq!(row().review, Some(review));
    assert_eq!(store.index().alerts(pending), []);
    let later = AlertFilter {
        since_us: Some(stamp(1_000).utc_us),
        ..AlertFilter::default()
    };
    assert_eq!(store.index().alerts(later), []);
}

#[test]
fn a_redelivery_is_recognised_by_id_and_body() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_sled(dir.path());
    a_day(&store);
    let seen = |event| store.index().seen_pos(&event);
    let (first, second) = ((Seq(5), stamp(5)), (Seq(6), stamp(6)));
    let found = |same, id| SeenPos { same, id };
    assert_eq!(seen(pos(1, "123")), found(Some(first), Some(second)));
    assert_eq!(seen(pos(2, "123")), found(Some(second), Some(second)));
    assert_eq!(seen(pos(3, "123")), found(None, Some(second)));
    assert_eq!(seen(pos(1, "12")), found(None, None));
    let mut elsewhere = pos(1, "123");
    elsewhere.register_id = Some("reg_03".into());
    assert_eq!(seen(elsewhere), found(None, None));
}

#[test]
fn the_index_opens_when_somebody_asks_or_its_time_has_come() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_sled(dir.path());
    let kick = a_day(&store);
    let expected = answers(&store, kick);
    store.close();
    let delayed = |delay| {
        let options = StoreOptions {
            index: IndexKind::Sled,
            index_delay: delay,
            ..small("boot-1")
        };
        Store::open(dir.path(), options).unwrap().0
    };
    let store = delayed(Duration::from_secs(3_600));
    durable(&store, add(&store, &[event(30, EventBody::Tick)]));
    assert_eq!(store.index().through(), Seq(0), "nobody asked");
    assert_eq!(answers(&store, kick), expected, "who asks waits for it");
    store.close();
    let store = delayed(Duration::from_secs(3_600));
    // Closing does not wait for it.
    store.close();
    let store = delayed(Duration::ZERO);
    indexed(&store);
    assert_eq!(answers(&store, kick), expected);
}

#[test]
fn a_lost_or_damaged_index_is_rebuilt_with_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_sled(dir.path());
    let kick = a_day(&store);
    let expected = answers(&store, kick);
    store.close();

    let again = |what: &str, noticed: bool| {
        let (store, _) = open_sled(dir.path());
        indexed(&store);
        assert_eq!(answers(&store, kick), expected, "{what}");
        assert_eq!(told_of_index(&store).is_some(), noticed, "{what}");
        store.close();
    };
    let index = dir.path().join("index");
    again("untouched", false);
    fs::remove_dir_all(&index).unwrap();
    again("removed", false);
    fs::write(index.join("snap.00000000000000FF.generating"), b"half").unwrap();
    again("half a snapshot left over", false);
    for damage in [garbled as fn(&mut [u8]), flipped, zeroed] {
        for name in ["db", "conf"] {
            let path = index.join(name);
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            fs::write(&path, bytes).unwrap();
        }
        // sled may open what is left; then it is empty, and filled again.
        let (store, _) = open_sled(dir.path());
        indexed(&store);
        assert_eq!(answers(&store, kick), expected);
        store.close();
    }
    fs::remove_dir_all(&index).unwrap();
    fs::write(&index, b"not even a folder").unwrap();
    again("a file in its place", true);
    assert!(dir.path().join("aside/index").exists());
}

fn garbled(bytes: &mut [u8]) {
    for byte in bytes.iter_mut() {
        *byte = byte.wrapping_mul(31).wrapping_add(7);
    }
}

fn flipped(bytes: &mut [u8]) {
    for at in (0..bytes.len()).step_by(97) {
        bytes[at] ^= 0x10;
    }
}

fn zeroed(bytes: &mut [u8]) {
    bytes.fill(0);
}

#[test]
fn an_index_says_until_when_it_lacks_what_was_known_before() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_sled(dir.path());
    assert_eq!(
        store.index().rebuilding(),
        None,
        "a new log has nothing to lack"
    );
    let kick = a_day(&store);
    let expected = answers(&store, kick);
    assert_eq!(
        store.index().rebuilding(),
        None,
        "what comes later is no goal"
    );
    let last = store.last_seq();
    store.close();

    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let options = StoreOptions {
        index: IndexKind::Sled,
        index_delay: Duration::from_secs(3_600),
        ..small("boot-1")
    };
    let (store, _) = Store::open(dir.path(), options).unwrap();
    durable(&store, add(&store, &[event(30, EventBody::Tick)]));
    assert_eq!(store.index().rebuilding(), Some((Seq(0), last)));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(store.index().rebuilt());
    assert_eq!(store.index().rebuilding(), None);
    assert_eq!(answers(&store, kick), expected);
}

#[test]
fn an_index_that_cannot_be_made_is_not_called_complete() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_sled(dir.path());
    let kick = a_day(&store);
    let expected = answers(&store, kick);
    let last = store.last_seq();
    store.close();
    let (index, aside) = (dir.path().join("index"), dir.path().join("aside"));
    fs::remove_dir_all(&index).unwrap();
    fs::write(&index, b"not even a folder").unwrap();
    fs::write(&aside, b"no folder either").unwrap();

    let (store, _) = open_sled(dir.path());
    assert!(told_of_index(&store).is_some());
    assert_eq!(store.index().rebuilding(), Some((Seq(0), last)));
    fs::remove_file(&aside).unwrap();
    until("made anew", || store.index().rebuilding().is_none());
    assert_eq!(answers(&store, kick), expected);
}

#[test]
fn an_index_over_its_budget_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_sled(dir.path());
    let kick = a_day(&store);
    let expected = answers(&store, kick);
    store.close();
    let options = StoreOptions {
        index: IndexKind::Sled,
        index_budget_bytes: 1,
        ..small("boot-1")
    };
    let marker = dir.path().join("index/marker");
    fs::write(&marker, b"").unwrap();
    let (store, _) = open_sled(dir.path());
    store.close();
    assert!(marker.exists(), "within its budget it stays");
    let (store, _) = Store::open(dir.path(), options).unwrap();
    indexed(&store);
    assert_eq!(answers(&store, kick), expected);
    assert_eq!(told_of_index(&store), None);
    assert!(!marker.exists());
}

#[test]
fn an_index_of_another_log_is_not_believed() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, _) = open_sled(one.path());
    a_day(&store);
    store.close();
    let (store, _) = open_sled(two.path());
    // Its folder is there once it was opened.
    told_of_index(&store);
    store.close();
    fs::remove_dir_all(two.path().join("index")).unwrap();
    fs::rename(one.path().join("index"), two.path().join("index")).unwrap();
    let (store, _) = open_sled(two.path());
    assert!(told_of_index(&store).unwrap().contains("damaged"));
    assert_eq!(store.index().recent_events(10), []);
}

#[test]
fn what_left_the_log_leaves_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_sled(dir.path());
    let kick = a_day(&store);
    for n in 0..150 {
        let last = add(&store, &[notice(100 + n, 10_000)]);
        durable(&store, last);
        indexed(&store);
    }
    until("recycled", || store.first_seq() > Seq(9));
    let index = store.index();
    assert_eq!(index.by_event_id("evt-9"), []);
    assert_eq!(index.by_event_id("5"), [], "a position that is gone");
    assert_eq!(index.seen_pos(&pos(1, "123")), SeenPos::default());
    assert_eq!(index.receipts("ticket", 10), []);
    assert_eq!(index.alert(alert(store.log_id(), kick, 1).alert_id), None);
    let place = index.outbox_entry(Lane::Urgent, 1).unwrap();
    assert!(place >= store.first_seq(), "it is owed still, further on");
    let oldest = index.events_between(i64::MIN, i64::MAX, 1);
    assert!(oldest[0].0 >= store.first_seq());
}

#[test]
fn alerts_without_a_message_are_found_until_they_have_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_sled(dir.path());
    let log = store.log_id();
    // Cause and revision.
    let owed = |through: Seq, limit: usize| -> Vec<(u64, u32)> {
        indexed(&store);
        let alerts = store.index().alerts_without_message(through, limit);
        let cause = |id| (1..=3).find(|n| alert(log, Seq(*n), 1).alert_id == id);
        let named = alerts.iter();
        named
            .map(|alert| (cause(alert.alert_id).unwrap(), alert.revision))
            .collect()
    };
    let all = Seq(u64::MAX);
    let (one, two) = (alert(log, Seq(1), 1), alert(log, Seq(2), 1));
    add(&store, &[Record::Alert(one.clone())]);
    add(&store, &[Record::Alert(two.clone()), told(log, 1, &two)]);
    let third = add(&store, &[Record::Alert(alert(log, Seq(3), 1))]);
    assert_eq!(owed(all, 10), [(1, 1), (3, 1)]);
    assert_eq!(owed(all, 1), [(1, 1)]);
    assert_eq!(owed(Seq(third.0 - 1), 10), [(1, 1)]);
    // The newest revision counts, whatever became of those before.
    add(&store, &[Record::Alert(alert(log, Seq(2), 2))]);
    add(&store, &[told(log, 2, &one)]);
    assert_eq!(owed(all, 10), [(2, 2), (3, 1)]);
}

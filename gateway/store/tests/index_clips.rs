//! What the index knows of clips: what is wanted, what became of it, what was never recorded, and
//! who saw them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod directory;

use directory::*;
use std::path::Path;
use std::time::Duration;
use tillwatch_protocol::{
    AlertId, ClipId, ClipReport, ClipRequest, ClipState, Look, Record, Score, Seq, Shown,
};
use tillwatch_store::{IndexKind, Store, StoreOptions, Urgency};

fn open_sled(dir: &Path) -> Store {
    let options = StoreOptions {
        index: IndexKind::Sled,
        index_checkpoint: Duration::from_millis(20),
        ..small("boot-1")
    };
    Store::open(dir, options).unwrap().0
}

fn add(store: &Store, record: Record) -> Seq {
    let seq = store.append(&[record], Urgency::Now).unwrap().last;
    until("indexed", || store.index().through() >= seq);
    seq
}

fn request(n: u128, at: u64) -> ClipRequest {
    let alert_id = AlertId(uuid::Uuid::from_u128(n));
    ClipRequest {
        clip_id: ClipId::of(alert_id),
        alert_id,
        cause: stamp(at),
        from_ns: 0,
        to_ns: at,
        score: Score::from_milli(400),
        kind: "void".into(),
        staff_id: None,
    }
}

fn report(request: &ClipRequest, state: ClipState) -> ClipReport {
    ClipReport {
        clip_id: request.clip_id,
        state,
        cameras: Vec::new(),
        stamp: stamp(9),
    }
}

fn empty(reason: &str) -> ClipState {
    ClipState::Empty {
        reason: reason.to_owned(),
    }
}

#[test]
fn a_clip_is_wanted_until_its_report_and_then_the_newest_report_counts() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_sled(dir.path());
    let index = store.index();
    let (short, long) = (request(1, 5), request(1, 50));
    let id = short.clip_id;
    assert_eq!(
        (index.clip_unfinished(id), index.clip_reported(id)),
        (None, None)
    );
    add(&store, Record::ClipRequest(short.clone()));
    assert_eq!(index.clip_unfinished(id), Some(short.clone()));
    assert_eq!(index.clip_reported(id), None);
    let done = report(&short, ClipState::Complete);
    add(&store, Record::ClipReport(done.clone()));
    assert_eq!(index.clip_unfinished(id), None);
    assert_eq!(index.clip_reported(id), Some((short.clone(), done.clone())));
    // It is prolonged: what was said of it holds until more is known.
    add(&store, Record::ClipRequest(long.clone()));
    assert_eq!(index.clip_unfinished(id), Some(long.clone()));
    assert_eq!(index.clip_reported(id), Some((short, done)));
    let reason = "no room".to_owned();
    let gone = report(&long, ClipState::Dropped { reason });
    add(&store, Record::ClipReport(gone.clone()));
    assert_eq!(index.clip_reported(id), Some((long, gone)));
}

#[test]
fn what_was_not_recorded_is_listed_newest_first_until_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_sled(dir.path());
    let requests: Vec<ClipRequest> = (1..=3).map(|n| request(n, 5)).collect();
    for request in &requests {
        add(&store, Record::ClipRequest(request.clone()));
        add(
            &store,
            Record::ClipReport(report(request, empty("too many"))),
        );
    }
    let listed = |limit| -> Vec<ClipId> {
        let all = store.index().clips_not_recorded(limit);
        all.iter().map(|(request, _)| request.clip_id).collect()
    };
    let ids: Vec<ClipId> = requests.iter().rev().map(|r| r.clip_id).collect();
    assert_eq!(listed(10), ids);
    assert_eq!(listed(2), ids[..2]);
    add(
        &store,
        Record::ClipReport(report(&requests[1], ClipState::Complete)),
    );
    add(
        &store,
        Record::ClipReport(report(&requests[0], empty("still"))),
    );
    assert_eq!(listed(10), [ids[2], ids[0]]);
    store.close();
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = open_sled(dir.path());
    let again: Vec<ClipId> = store
        .index()
        .clips_not_recorded(10)
        .iter()
        .map(|(r, _)| r.clip_id)
        .collect();
    assert_eq!(again, [ids[2], ids[0]], "a rebuilt index says the same");
}

#[test]
fn a_report_leaves_the_index_with_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_sled(dir.path());
    let request = request(1, 5);
    add(&store, Record::ClipRequest(request.clone()));
    let last = add(
        &store,
        Record::ClipReport(report(&request, empty("too many"))),
    );
    for n in 0..150 {
        add(&store, notice(100 + n, 10_000));
    }
    until("recycled", || store.first_seq() > last);
    assert_eq!(store.index().clip_reported(request.clip_id), None);
    assert_eq!(store.index().clips_not_recorded(10), []);
}

fn look(who: &str, at: u64) -> Record {
    Record::Look(Look {
        stamp: stamp(at),
        who: who.into(),
        role: None,
        from: "192.0.2.7".into(),
        what: Shown::Video,
        clip: None,
        camera: "counter".into(),
    })
}

#[test]
fn looks_are_found_the_newest_first_and_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_sled(dir.path());
    let mut places = Vec::new();
    for (at, who) in ["ann", "eve", "tim"].into_iter().enumerate() {
        add(&store, Record::ClipRequest(request(at as u128, 1)));
        places.push(add(&store, look(who, at as u64)));
    }
    let seen = |before, limit| -> Vec<(Seq, String)> {
        let looks = store.index().looks(before, limit).into_iter();
        looks.map(|(seq, look)| (seq, look.who)).collect()
    };
    let (ann, eve, tim) = (places[0], places[1], places[2]);
    let newest = [(tim, "tim".to_owned()), (eve, "eve".to_owned())];
    assert_eq!(seen(None, 2), newest);
    assert_eq!(seen(Some(eve), 2), [(ann, "ann".to_owned())]);
    assert_eq!(seen(Some(ann), 2), []);
}

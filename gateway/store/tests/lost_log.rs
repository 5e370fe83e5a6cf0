//! A log that was deleted or shortened while the store was closed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod directory;

use directory::*;
use std::fs;
use std::path::{Path, PathBuf};
use tillwatch_protocol::{Lane, Record, Seq};
use tillwatch_store::{AlertFilter, IndexKind, Opened, Store, StoreOptions, Urgency};

/// How far new positions lie above what was known.
const FAR: u64 = 1_000_000;

fn open_sled(dir: &Path) -> (Store, Opened) {
    let options = StoreOptions {
        index: IndexKind::Sled,
        ..small("boot-1")
    };
    Store::open(dir, options).unwrap()
}

fn add(store: &Store, records: &[Record]) -> Seq {
    let last = store.append(records, Urgency::Now).unwrap().last;
    durable(store, last);
    last
}

/// Ten notices, then an alert with its message; closed. Its last position.
fn filled(dir: &Path) -> Seq {
    let (store, _) = open_sled(dir);
    for n in 1..=10 {
        add(&store, &[notice(n, 100)]);
    }
    let log = store.log_id();
    let last = add(
        &store,
        &[
            Record::Alert(alert(log, Seq(1), 1)),
            entry(log, Lane::Urgent, 1, b"{}".to_vec()),
        ],
    );
    until("indexed", || {
        store.index().alerts(AlertFilter::default()).len() == 1
    });
    store.close();
    last
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("log")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn delete_log(dir: &Path) {
    for path in segments(dir) {
        fs::remove_file(path).unwrap();
    }
}

/// Cuts the first segment off behind `bytes` bytes of records.
fn shorten(dir: &Path, bytes: u64) {
    let file = fs::File::options()
        .write(true)
        .open(&segments(dir)[0])
        .unwrap();
    file.set_len(4_096 + bytes).unwrap();
}

/// A store whose log ends at `left` although `last` was durable: it says so once, loses nothing
/// that is there, and gives no position or number again.
fn goes_on_above(dir: &Path, left: u64, last: Seq) {
    let (store, opened) = open_sled(dir);
    assert_eq!(opened.lost_records, last.0 - left);
    assert!(!opened.created);
    let told = format!("at least {} accepted records are lost", last.0 - left);
    assert!(
        opened.notices.iter().any(|text| text.contains(&told)),
        "{:?}",
        opened.notices
    );
    assert_eq!(store.usage().damaged_ranges, 1);
    assert_eq!(store.outbox().next_numbers()[Lane::Urgent.index()], 2);
    assert_eq!(store.outbox().pending(Lane::Urgent, 0, 9), [], "it is lost");
    assert_eq!(store.index().alerts(AlertFilter::default()), []);

    let first_new = last.0 + FAR + 1;
    let new = add(&store, &[notice(77, 10)]);
    assert!(new.0 > first_new, "the lanes' numbers come first");
    let log = store.log_id();
    let cause = add(&store, &[Record::Alert(alert(log, new, 1))]);
    let positions =
        |store: &Store| -> Vec<u64> { all(store).iter().map(|(seq, _)| seq.0).collect() };
    let expected: Vec<u64> = (1..=left).chain([new.0, cause.0]).collect();
    let scanned = store.scan(Seq(0)).unwrap();
    assert!(scanned.into_iter().all(|row| row.is_ok()), "it is no hole");
    assert_eq!(positions(&store), expected);
    for gone in [left + 1, last.0, last.0 + 5, first_new - 1] {
        assert_eq!(store.read(Seq(gone)).unwrap(), None, "{gone}");
        let next = store.scan(Seq(gone)).unwrap().next().unwrap().unwrap();
        assert_eq!(next.0, new, "{gone}");
    }
    let number = store.append_with(Urgency::Now, |numbers| {
        let number = numbers.next(Lane::Urgent);
        assert_eq!(number, 2);
        vec![entry(log, Lane::Urgent, number, b"{}".to_vec())]
    });
    let end = number.unwrap().last;
    durable(&store, end);
    store.save_snapshot(end, b"state").unwrap();
    let rows = || store.index().alerts(AlertFilter::default());
    until("indexed", || rows().len() == 1);
    assert_eq!(rows()[0].seq, cause);
    store.close();

    let (store, opened) = open_sled(dir);
    assert_eq!((opened.lost_records, opened.notices), (0, vec![]));
    assert_eq!(opened.damages, []);
    assert_eq!(store.last_seq(), end, "it jumps once");
    let scanned = store.scan(Seq(0)).unwrap();
    assert!(scanned.into_iter().all(|row| row.is_ok()), "it is no hole");
    assert_eq!(positions(&store), [expected, vec![end.0]].concat());
    assert_eq!(store.outbox().pending(Lane::Urgent, 0, 9).len(), 1);
    assert_eq!(store.index().alerts(AlertFilter::default()).len(), 1);
    store.close();
}

#[test]
fn a_deleted_log_is_told_and_its_positions_are_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let last = filled(dir.path());
    delete_log(dir.path());
    goes_on_above(dir.path(), 0, last);
}

#[test]
fn a_shortened_log_is_told_and_keeps_what_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let last = filled(dir.path());
    // Five notices of 136 to 144 bytes, and a part of the sixth.
    shorten(dir.path(), 5 * 144 + 60);
    goes_on_above(dir.path(), 5, last);
}

#[test]
fn a_log_cut_off_behind_its_header_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let last = filled(dir.path());
    shorten(dir.path(), 0);
    goes_on_above(dir.path(), 0, last);
}

#[test]
fn a_snapshot_alone_also_knows_how_far_the_log_was() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let last = add(&store, &[notice(1, 10), notice(2, 10)]);
    store.save_snapshot(last, b"state").unwrap();
    store.close();
    delete_log(dir.path());
    fs::remove_file(dir.path().join("outbox.state")).unwrap();
    let (store, opened) = open(dir.path());
    assert_eq!(opened.lost_records, 2);
    assert!(store.last_seq().0 >= last.0 + FAR);
    assert_eq!(store.snapshots().unwrap(), [(last, b"state".to_vec())]);
    store.close();
    // Nothing was appended, and it does not jump again.
    let (store, opened) = open(dir.path());
    assert_eq!(opened.lost_records, 0);
    assert_eq!(store.last_seq(), Seq(last.0 + FAR + 1));
}

#[test]
fn a_new_identity_begins_at_one_whatever_lies_around() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    delete_log(dir.path());
    fs::remove_file(dir.path().join("identity")).unwrap();
    let (store, opened) = open(dir.path());
    assert_eq!((opened.lost_records, opened.created), (0, true));
    assert_eq!(store.last_seq(), Seq(0));
}

#[test]
fn an_unfinished_write_at_the_end_is_no_loss() {
    let dir = tempfile::tempdir().unwrap();
    let last = filled(dir.path());
    let state = fs::read(dir.path().join("outbox.state")).unwrap();
    let (store, _) = open_sled(dir.path());
    add(&store, &[notice(20, 100)]);
    let unfinished = add(&store, &[notice(21, 100)]);
    store.close();
    // As a power cut leaves it: no state was saved, and the last write is half there.
    fs::write(dir.path().join("outbox.state"), state).unwrap();
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 50..=end].fill(0);
    fs::write(path, bytes).unwrap();

    let (store, opened) = open_sled(dir.path());
    assert_eq!(opened.lost_records, 0);
    assert_eq!(opened.last_seq, Seq(unfinished.0 - 1));
    assert_eq!(opened.last_seq, last.next());
    let again = store.append(&[notice(22, 10)], Urgency::Now).unwrap();
    assert_eq!(again.first, unfinished, "it was never accepted");
    store.close();
}

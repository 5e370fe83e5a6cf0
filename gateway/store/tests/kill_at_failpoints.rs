//! The process dies at every named point between two durable steps; the next start finds
//! everything that was promised before.
//!
//! The test program runs itself: with `TILLWATCH_STORE_CHILD` set, `child` is the victim.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod directory;

use directory::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tillwatch_protocol::{Lane, Record, Seq};
use tillwatch_store::{IndexKind, Store, StoreOptions, Urgency, failpoint};

const DIR: &str = "TILLWATCH_STORE_CHILD";
const ROUNDS: u64 = 60;
const SIGABRT: i32 = 6;

fn options(boot: &str) -> StoreOptions {
    StoreOptions {
        log_budget_bytes: 4 * (64 << 10),
        index: IndexKind::Sled,
        index_checkpoint: Duration::from_millis(5),
        ..small(boot)
    }
}

/// The work of one life: groups with a message, acknowledgements, snapshots, until segments were
/// recycled several times. What was seen durable is noted down beside the store.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let dir = Path::new(&dir);
    let boot = std::process::id().to_string();
    let (store, _) = Store::open(&dir.join("data"), options(&boot)).unwrap();
    let mut notes = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("notes"))
        .unwrap();
    // Segments are not recycled before the index can forget them.
    until("indexed", || store.index().through() == store.last_seq());
    for round in 0..ROUNDS {
        let log = store.log_id();
        let lane = Lane::ALL[(round % 3) as usize];
        let mut lane_seq = 0;
        let range = store
            .append_with(Urgency::Now, |numbers| {
                lane_seq = numbers.next(lane);
                let payload = numbers.first_seq().0.to_le_bytes().to_vec();
                vec![
                    notice(numbers.first_seq().0, 6_000),
                    entry(log, lane, lane_seq, payload),
                ]
            })
            .unwrap();
        durable(&store, range.last);
        // In one call: half a note would be the test's fault.
        let note = format!("{} {} {}\n", range.first, lane.number(), lane_seq);
        notes.write_all(note.as_bytes()).unwrap();
        if round % 5 != 0 {
            store.outbox().acknowledge(lane, lane_seq).unwrap();
        }
        if round % 8 == 7 {
            store.save_snapshot(range.last, b"state").unwrap();
        }
    }
    // The next life needs something in its tail, and the index its turn.
    until("indexed", || store.index().through() == store.last_seq());
    store.close();
}

fn live(dir: &Path, point: Option<&str>) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child"])
        .env(DIR, dir)
        .env("RUST_BACKTRACE", "0");
    match point {
        Some(point) => command.env("TILLWATCH_FAILPOINT", point),
        None => command.env_remove("TILLWATCH_FAILPOINT"),
    };
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

fn check(dir: &Path, point: &str) {
    let (store, opened) = Store::open(&dir.join("data"), options("check")).unwrap();
    assert_eq!(opened.damages, [], "{point}");
    let first = store.first_seq();
    let held: BTreeMap<Seq, Record> = store
        .scan(Seq(0))
        .unwrap()
        .map(|item| item.unwrap_or_else(|e| panic!("{point}: {e}")))
        .collect();
    let mut highest = [0u64; 3];
    for line in fs::read_to_string(dir.join("notes"))
        .unwrap_or_default()
        .lines()
    {
        let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        let (seq, lane, lane_seq) = (Seq(numbers[0]), numbers[1] as usize - 1, numbers[2]);
        assert_eq!(
            lane_seq,
            highest[lane] + 1,
            "{point}: numbers of a lane have no gap"
        );
        highest[lane] = lane_seq;
        if seq >= first {
            assert_eq!(
                held.get(&seq),
                Some(&notice(seq.0, 6_000)),
                "{point}: record {seq}"
            );
        }
    }
    for (seq, record) in &held {
        if matches!(record, Record::Notice(_)) {
            assert!(
                held.contains_key(&seq.next()),
                "{point}: group {seq} is torn"
            );
        }
    }
    for lane in Lane::ALL {
        let next = store.outbox().next_numbers()[lane.index()];
        // At most the entry that was being written is there without having been noted.
        let noted = highest[lane.index()];
        assert!(
            next == noted + 1 || next == noted + 2,
            "{point}: {lane:?} {noted} then {next}"
        );
        for r in store.outbox().pending(lane, 0, usize::MAX) {
            let entry = store
                .outbox()
                .entry(&r)
                .unwrap_or_else(|e| panic!("{point}: {e}"));
            assert_eq!(entry.payload.len(), 8, "{point}");
        }
    }
    for (through, bytes) in store.snapshots().unwrap() {
        assert!(through <= store.last_seq() && bytes == b"state", "{point}");
    }
    until("indexed", || store.index().through() == store.last_seq());
    assert!(
        !store.index().recent_events(1).is_empty() || held.is_empty(),
        "{point}"
    );
}

#[test]
fn nothing_promised_is_lost_wherever_the_process_dies() {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(point) = failpoint::NAMES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let dir = tempfile::tempdir().unwrap();
                    // Dies in its first life or in a later one; each start after a death is checked.
                    for life in [
                        format!("{point}:1"),
                        format!("{point}:2"),
                        format!("{point}:1"),
                    ] {
                        let status = live(dir.path(), Some(&life));
                        let died = status.signal() == Some(SIGABRT);
                        assert!(died || status.success(), "{life}: {status}");
                        if died {
                            fs::write(dir.path().join("died"), b"").unwrap();
                        }
                        // The entry that was durable and not noted was given its number for good.
                        note_unnoted(dir.path());
                        check(dir.path(), &life);
                    }
                    assert!(dir.path().join("died").exists(), "{point} was never passed");
                    assert!(live(dir.path(), None).success(), "{point}: the life after");
                    check(dir.path(), point);
                }
            });
        }
    });
}

/// Notes the group that became durable in the moment of death, as the next life's numbers follow it.
fn note_unnoted(dir: &Path) {
    let text = fs::read_to_string(dir.join("notes")).unwrap_or_default();
    let last_noted = text
        .lines()
        .last()
        .map_or(0, |line| line.split(' ').next().unwrap().parse().unwrap());
    let (store, _) = Store::open(&dir.join("data"), options("note")).unwrap();
    let mut notes = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("notes"))
        .unwrap();
    for (seq, record) in store.scan(Seq(last_noted + 1)).unwrap().map(Result::unwrap) {
        if let Record::Outbox(entry) = record
            && entry.payload == (seq.0 - 1).to_le_bytes()
            && seq.0 - 1 > last_noted
        {
            writeln!(
                notes,
                "{} {} {}",
                seq.0 - 1,
                entry.lane.number(),
                entry.lane_seq
            )
            .unwrap();
        }
    }
}

//! Seeds of `log_recovery`: what a store leaves on the disk.

use super::put;
use std::borrow::Cow;
use std::fs;
use std::io::Result;
use std::path::Path;
use tillwatch_fuzz::log_recovery::{BOTH_COPIES, FULL_LENGTH, OURS, SEAL, SEAL_RECORDS};
use tillwatch_protocol::lane::{OutboxFate, OutboxMark};
use tillwatch_protocol::time::Clock;
use tillwatch_protocol::{Lane, MessageId, Notice, OutboxEntry, Quarantined, Record, Stamp};
use tillwatch_store::{Store, StoreOptions, Urgency};

/// Data directories of stores that were closed, reopened, or left with half a write.
pub fn make() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let options = || StoreOptions {
        boot_id: Some("seed".into()),
        ..StoreOptions::small()
    };
    let stamp = Stamp {
        boot: 1,
        monotonic_ns: 5,
        utc_us: 1_759_588_455_000_000,
        clock: Clock::Synced,
    };
    for life in 0..3_u64 {
        let (store, _) = Store::open(dir.path(), options()).expect("a store opens");
        let log = store.log_id();
        let notice = |n: u64| {
            Record::Notice(Notice {
                code: Cow::Borrowed("seed"),
                text: format!("life {life}, {n}"),
                stamp,
            })
        };
        for n in 0..3 {
            let group: Vec<Record> = (0..n + 1).map(notice).collect();
            let range = store
                .append(&group, Urgency::Now)
                .expect("it takes records");
            while *store.durable().borrow() < range.last {
                std::thread::yield_now();
            }
        }
        let entry = Record::Outbox(OutboxEntry {
            lane: Lane::Urgent,
            lane_seq: life + 1,
            message_id: MessageId::derive(log, Lane::Urgent, life + 1),
            topic: "stores/S03/alerts".into(),
            content_type: Cow::Borrowed("application/json"),
            stamp,
            payload: b"{}".to_vec(),
        });
        store
            .append(&[entry], Urgency::Now)
            .expect("it takes messages");
        if life == 1 {
            let mark = OutboxMark {
                lane: Lane::Urgent,
                lane_seq: 1,
                fate: OutboxFate::Acknowledged,
            };
            store
                .append(&[Record::OutboxMark(mark)], Urgency::Now)
                .expect("it takes marks");
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let item = Quarantined {
            stamp,
            source: "pos.mqtt".into(),
            reason: "not_json_object".into(),
            text: "not a JSON object".into(),
            origin: "pos/events/store_001/void".into(),
            raw: b"{".to_vec(),
            size: 1,
        };
        runtime
            .block_on(store.quarantine(item))
            .expect("it takes what cannot be used");
        let last = store.last_seq();
        store
            .save_snapshot(last, b"state")
            .expect("it takes snapshots");
        store.close();
        pack(dir.path(), &format!("life-{life}"))?;
    }
    // The same records in two segments: the second is named as beginning in the middle of the first.
    let first = only_segment(dir.path());
    let mut two = file(
        0,
        SEAL | SEAL_RECORDS | BOTH_COPIES | FULL_LENGTH | OURS,
        1,
        &first,
    );
    let mut second = first.clone();
    second[40..48].copy_from_slice(&7_u64.to_le_bytes());
    two.extend(file(
        0,
        SEAL | SEAL_RECORDS | BOTH_COPIES | OURS,
        2,
        &second,
    ));
    put("log_recovery", "two-segments", &two)?;
    put(
        "log_recovery",
        "one-copy-of-the-header",
        &file(0, SEAL | SEAL_RECORDS | OURS, 1, &first),
    )?;
    put(
        "log_recovery",
        "torn",
        &file(0, SEAL | BOTH_COPIES | OURS, 1, &first[..first.len() - 90]),
    )?;
    put(
        "log_recovery",
        "header-only",
        &file(0, SEAL | BOTH_COPIES | OURS, 1, &first[..72]),
    )?;
    // No log gets there; a damaged header may say so.
    let mut at_the_end = first.clone();
    at_the_end[40..48].copy_from_slice(&(u64::MAX - 7).to_le_bytes());
    put(
        "log_recovery",
        "positions-at-the-end",
        &file(0, SEAL | SEAL_RECORDS | OURS, 1, &at_the_end),
    )?;
    at_the_end[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
    put(
        "log_recovery",
        "first-position-is-the-last",
        &file(0, SEAL | BOTH_COPIES | OURS, 1, &at_the_end[..72]),
    )?;
    put("log_recovery", "nothing", &[])
}

/// The one segment with records; the store prepares another ahead of need.
fn only_segment(dir: &Path) -> Vec<u8> {
    let files = fs::read_dir(dir.join("log")).expect("the log is a folder");
    let used = files
        .map(|file| fs::read(file.expect("it can be listed").path()).expect("it can be read"))
        .find(|bytes| bytes[4_096..].iter().any(|byte| *byte != 0));
    compact(&used.expect("the log has a segment with records"))
}

/// A copy of the header and the records.
fn compact(segment: &[u8]) -> Vec<u8> {
    let records = &segment[4_096..];
    let end = records
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| (last + 1).next_multiple_of(8));
    [&segment[..72], &records[..end]].concat()
}

fn file(which: u8, put_right: u8, ordinal: u8, bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![which, put_right, ordinal];
    file.extend((bytes.len() as u16).to_le_bytes());
    file.extend(bytes);
    file
}

fn pack(dir: &Path, name: &str) -> Result<()> {
    let mut input = Vec::new();
    let segments = SEAL_RECORDS | SEAL | BOTH_COPIES | FULL_LENGTH;
    for (which, folder, put_right) in [
        (0, "log", segments),
        (4, "quarantine", segments),
        (6, "snapshots", SEAL),
    ] {
        let mut files: Vec<_> = fs::read_dir(dir.join(folder))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        files.sort();
        for path in files {
            let number = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .and_then(|stem| stem.parse().ok());
            let bytes = fs::read(&path)?;
            let bytes = if which == 6 {
                bytes[16..].to_vec()
            } else {
                compact(&bytes)
            };
            input.extend(file(which, put_right, number.unwrap_or(0), &bytes));
        }
    }
    for (which, name) in [(5, "outbox.state"), (7, "identity")] {
        if let Ok(bytes) = fs::read(dir.join(name)) {
            input.extend(file(which, SEAL, 0, &bytes[16..]));
        }
    }
    put("log_recovery", name, &input)
}

//! Others fill the disk, and the log goes on.

use crate::disk::Disk;
use crate::model_tests::{notice, until};
use crate::sim_disk::SimDisk;
use crate::{LogState, Opened, Store, StoreOptions, Urgency};
use std::path::Path;
use std::sync::Arc;

const LIMIT: u64 = 8 << 20;

fn open(disk: &SimDisk, lock: &Path) -> (Store, Opened) {
    let options = StoreOptions {
        reserve: true,
        boot_id: Some("boot".into()),
        ..StoreOptions::small()
    };
    Store::open_on(Arc::new(disk.clone()), lock, options, None).unwrap()
}

#[test]
fn a_disk_that_others_fill_does_not_stop_the_log_within_its_budget() {
    let lock = tempfile::tempdir().unwrap();
    let disk = SimDisk::default();
    disk.limit(LIMIT);
    let (store, opened) = open(&disk, lock.path());
    assert_eq!(opened.notices, [] as [String; 0]);
    assert_eq!(store.usage().reserve_missing_bytes, 0);
    disk.create(Path::new("/others"), LIMIT - disk.used())
        .unwrap();
    // Thrice its budget, so that it also recycles.
    for n in 1..=600 {
        // Recycling needs room in the log for what it copies. A keeper that got no turn while the
        // writer used up all four segments beyond the budget would wait for others to give space back.
        until("the keeper", || {
            let usage = store.usage();
            usage.log_bytes <= usage.log_budget_bytes + (64 << 10)
        });
        let last = store
            .append(&[notice(n, 5_000)], Urgency::Now)
            .unwrap()
            .last;
        until("durable", || *store.durable().borrow() >= last);
    }
    let usage = store.usage();
    // With its budget used up and nothing else left, the writer may have to try again while the keeper
    // recycles.
    assert_eq!(usage.state, LogState::Writable, "{usage:?}");
    assert!(usage.recycled_segments > 0, "{usage:?}");
    store.close();
    // And it starts on the full disk.
    let (store, _) = open(&disk, lock.path());
    assert!(store.last_seq().0 >= 600);
}

#[test]
fn what_cannot_be_reserved_is_told() {
    let lock = tempfile::tempdir().unwrap();
    let disk = SimDisk::default();
    disk.limit(1 << 20);
    let (store, opened) = open(&disk, lock.path());
    assert!(store.usage().reserve_missing_bytes > 1 << 20);
    assert_eq!(opened.notices.len(), 1, "{:?}", opened.notices);
    assert!(opened.notices[0].contains("MiB are missing"));
}

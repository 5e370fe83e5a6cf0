//! What the store makes of a disk that fails, lies or rots, case by case.

use crate::model_tests::{notice, open, until};
use crate::sim_disk::{Cut, SimDisk};
use crate::{StoreError, Urgency};
use std::collections::BTreeMap;
use tillwatch_protocol::Seq;

#[test]
fn a_failed_sync_costs_a_segment_and_no_record() {
    let lock = tempfile::tempdir().unwrap();
    let disk = SimDisk::default();
    let (store, _) = open(&disk, lock.path(), 8 << 20);
    let mut expected = BTreeMap::new();
    for n in 1..=40 {
        if n % 10 == 0 {
            disk.fail_syncs(if n == 30 { 3 } else { 1 });
        }
        let range = store
            .append(&[notice(n, 100), notice(n + 1000, 100)], Urgency::Now)
            .unwrap();
        until("durable", || *store.durable().borrow() >= range.last);
        expected.insert(range.first, notice(n, 100));
        expected.insert(range.last, notice(n + 1000, 100));
    }
    assert!(store.usage().suspect_segments >= 1, "{:?}", store.usage());
    assert_eq!(disk.failed_syncs(), 6);
    let live: BTreeMap<_, _> = store.scan(Seq(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(live, expected);
    let after = disk.after(Cut::Drop);
    drop(store);
    let (store, opened) = open(&after, lock.path(), 8 << 20);
    assert_eq!((opened.damages.len(), opened.last_seq), (0, Seq(80)));
    let again: Vec<_> = store.scan(Seq(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        again,
        expected.into_iter().collect::<Vec<_>>(),
        "each once, in order"
    );
}

#[test]
fn a_damaged_middle_is_set_aside_reported_and_read_around() {
    let lock = tempfile::tempdir().unwrap();
    let disk = SimDisk::default();
    let (store, _) = open(&disk, lock.path(), 8 << 20);
    for n in 1..=20 {
        let last = store.append(&[notice(n, 300)], Urgency::Now).unwrap().last;
        until("durable", || *store.durable().borrow() >= last);
    }
    let disk = disk.after(Cut::Drop);
    drop(store);
    let mut found = 0;
    disk.damage_where(b"7 xxx", |bytes, at| {
        // Record 7 says "7 xxx…": one flipped bit in its text.
        bytes[at + 40] ^= 1;
        found = at;
    });
    let (store, opened) = open(&disk, lock.path(), 8 << 20);
    let damage = &opened.damages[0];
    assert_eq!(
        (opened.damages.len(), damage.from, damage.to),
        (1, Seq(7), Seq(7))
    );
    assert!(damage.offset < found as u64 && found as u64 <= damage.offset + damage.bytes);
    assert!(
        opened.notices[0].contains("records 7 to 7 of the log are lost"),
        "{:?}",
        opened.notices
    );
    assert!(damage.aside.is_some());
    let (good, bad): (Vec<_>, Vec<_>) = store.scan(Seq(0)).unwrap().partition(Result::is_ok);
    let seqs: Vec<u64> = good.into_iter().map(|item| item.unwrap().0.0).collect();
    assert_eq!(seqs, (1..=20).filter(|n| *n != 7).collect::<Vec<_>>());
    assert!(matches!(
        bad[..],
        [Err(StoreError::Damaged {
            from: Seq(7),
            to: Seq(7),
            ..
        })]
    ));
    assert!(store.read(Seq(7)).is_err());
    assert_eq!(
        store.append(&[notice(21, 1)], Urgency::Now).unwrap().first,
        Seq(21)
    );
}

#[test]
fn an_older_program_reads_on_past_types_it_does_not_know() {
    let lock = tempfile::tempdir().unwrap();
    let disk = SimDisk::default();
    let (store, _) = open(&disk, lock.path(), 8 << 20);
    store.append(&[notice(1, 1)], Urgency::Normal).unwrap();
    let log = store.inner_log();
    let mut group = log.begin().unwrap();
    group.add_raw(77, 1, b"from the future").unwrap();
    group.add_raw(5, 9, b"a newer notice").unwrap();
    group.finish(Urgency::Normal).unwrap();
    let last = store.append(&[notice(2, 1)], Urgency::Now).unwrap().last;
    until("durable", || *store.durable().borrow() >= last);
    let seqs: Vec<_> = store
        .scan(Seq(0))
        .unwrap()
        .map(|item| item.unwrap().0.0)
        .collect();
    assert_eq!(seqs, [1, 4]);
    assert_eq!(store.read(Seq(2)).unwrap(), None);
}

#[test]
fn a_disk_that_takes_nothing_is_told_and_recovered_from() {
    let lock = tempfile::tempdir().unwrap();
    let disk = SimDisk::default();
    let (store, _) = open(&disk, lock.path(), 8 << 20);
    disk.fail_syncs(u32::MAX);
    let last = store.append(&[notice(1, 10)], Urgency::Now).unwrap().last;
    until("broken", || {
        matches!(*store.state().borrow(), crate::LogState::Broken { .. })
    });
    assert!(matches!(
        store.save_snapshot(last, b""),
        Err(StoreError::Broken { .. })
    ));
    store.append(&[notice(2, 10)], Urgency::Normal).unwrap();
    assert_eq!(
        *store.durable().borrow(),
        Seq(0),
        "nothing is called durable"
    );
    disk.fail_syncs(0);
    until("durable", || *store.durable().borrow() >= last.next());
    assert_eq!(*store.state().borrow(), crate::LogState::Writable);
}

#[test]
fn a_remnant_of_a_torn_write_never_comes_back() {
    let lock = tempfile::tempdir().unwrap();
    let disk = SimDisk::default();
    let (store, _) = open(&disk, lock.path(), 8 << 20);
    let last = store.append(&[notice(1, 300)], Urgency::Now).unwrap().last;
    until("durable", || *store.durable().borrow() >= last);
    // Positions 2 to 4 in one write, of which the cut takes the first.
    let log = store.inner_log();
    let mut group = log.begin().unwrap();
    for n in 2..=4 {
        group.add(&notice(n, 300)).unwrap();
        group.separate();
    }
    let last = group.finish(Urgency::Now).unwrap().last;
    until("durable", || *store.durable().borrow() >= last);
    let disk = disk.after(Cut::Drop);
    drop(store);
    disk.damage_where(b"2 xxx", |bytes, at| bytes[at + 40] ^= 1);
    let (store, opened) = open(&disk, lock.path(), 8 << 20);
    assert_eq!(
        (opened.last_seq, opened.torn_records),
        (Seq(1), 2),
        "the write in flight was torn"
    );
    assert_eq!(opened.damages, []);
    // The same size: the old third record follows at once on disk.
    let last = store.append(&[notice(9, 300)], Urgency::Now).unwrap().last;
    until("durable", || *store.durable().borrow() >= last);
    let live: Vec<_> = store.scan(Seq(0)).unwrap().map(Result::unwrap).collect();
    let disk = disk.after(Cut::Drop);
    drop(store);
    let (store, opened) = open(&disk, lock.path(), 8 << 20);
    assert_eq!(opened.last_seq, Seq(2));
    let again: Vec<_> = store.scan(Seq(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(again, live);
    assert_eq!(again, [(Seq(1), notice(1, 300)), (Seq(2), notice(9, 300))]);
}

#[test]
fn a_lost_header_copy_is_healed() {
    let lock = tempfile::tempdir().unwrap();
    let disk = SimDisk::default();
    let (store, _) = open(&disk, lock.path(), 8 << 20);
    let last = store.append(&[notice(1, 300)], Urgency::Now).unwrap().last;
    until("durable", || *store.durable().borrow() >= last);
    let mut disk = disk.after(Cut::Drop);
    drop(store);
    for copy in [0, 2048] {
        disk.damage_where(b"1 xxx", |bytes, _| bytes[copy..copy + 512].fill(0xee));
        let (store, opened) = open(&disk, lock.path(), 8 << 20);
        assert_eq!((opened.last_seq, opened.damages.len()), (last, 0));
        disk = disk.after(Cut::Drop);
        drop(store);
    }
}

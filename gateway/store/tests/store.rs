//! What a store promises while everything works, and across restarts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod directory;

use directory::*;
use tillwatch_protocol::{EventBody, Lane, LogId, Quarantined, Record, Seq};
use tillwatch_store::{AppendError, OutboxLimits, Store, StoreError, StoreOptions, Urgency};

#[test]
fn records_come_back_as_they_were_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let (store, opened) = open(dir.path());
    assert!(opened.created);
    let id = store.log_id();
    for n in 1..=500 {
        let range = store.append(&[notice(n, 200)], Urgency::Normal).unwrap();
        assert_eq!((range.first, range.last), (Seq(n), Seq(n)));
    }
    store.close();

    let (store, opened) = open(dir.path());
    assert_eq!(
        (opened.created, opened.last_seq, opened.torn_records),
        (false, Seq(500), 0)
    );
    assert_eq!(
        (opened.damages.len(), opened.notices.len()),
        (0, 0),
        "{:?}",
        opened.notices
    );
    assert_eq!(store.log_id(), id);
    let expected: Vec<_> = (1..=500).map(|n| (Seq(n), notice(n, 200))).collect();
    assert_eq!(all(&store), expected);
    assert_eq!(store.read(Seq(77)).unwrap(), Some(notice(77, 200)));
    assert_eq!(store.read(Seq(501)).unwrap(), None);
    assert_eq!(
        store.append(&[notice(501, 1)], Urgency::Now).unwrap().first,
        Seq(501)
    );
}

#[test]
fn boots_are_counted_by_the_kernels_boot_id() {
    let dir = tempfile::tempdir().unwrap();
    let boots: Vec<u64> = ["a", "a", "b", "a"]
        .map(|boot| {
            Store::open(dir.path(), small(boot))
                .unwrap()
                .0
                .boot_ordinal()
        })
        .into();
    assert_eq!(boots, [1, 1, 2, 3]);
}

#[test]
fn a_second_process_is_told_who_has_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    match Store::open(dir.path(), small("boot-1")) {
        Err(StoreError::Locked { pid, .. }) => assert_eq!(pid, std::process::id()),
        other => panic!("{other:?}"),
    }
    store.close();
    open(dir.path());
}

#[test]
fn an_event_with_its_alert_and_message_costs_one_fdatasync() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        group_delay: std::time::Duration::from_secs(5),
        ..small("boot-1")
    };
    let (store, _) = Store::open(dir.path(), options).unwrap();
    for round in 1..=20 {
        let before = store.usage();
        let caused = store
            .append(&[event(round, EventBody::Kick)], Urgency::Normal)
            .unwrap();
        let log = store.log_id();
        let range = store
            .append_with(Urgency::Now, |numbers| {
                let lane_seq = numbers.next(Lane::Urgent);
                vec![
                    Record::Alert(alert(log, caused.first, 1)),
                    entry(log, Lane::Urgent, lane_seq, vec![b'x'; 100]),
                ]
            })
            .unwrap();
        durable(&store, range.last);
        let after = store.usage();
        assert_eq!(after.fdatasyncs - before.fdatasyncs, 1, "round {round}");
        assert_eq!(after.groups - before.groups, 1);
    }
}

#[test]
fn a_refused_group_uses_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let log = store.log_id();
    let wrong = store.append(
        &[notice(1, 1), entry(log, Lane::Bulk, 5, vec![])],
        Urgency::Now,
    );
    assert_eq!(
        wrong,
        Err(AppendError::Number {
            lane: Lane::Bulk,
            expected: 1,
            got: 5
        })
    );
    let lost = store.append_with(Urgency::Now, |numbers| {
        numbers.next(Lane::Bulk);
        vec![]
    });
    assert_eq!(
        lost,
        Err(AppendError::Number {
            lane: Lane::Bulk,
            expected: 1,
            got: 2
        })
    );
    let large = store.append(&[notice(1, 70_000)], Urgency::Now);
    assert!(
        matches!(large, Err(AppendError::TooLarge { .. })),
        "{large:?}"
    );
    assert_eq!(
        (store.last_seq(), store.outbox().next_numbers()),
        (Seq(0), [1; 3])
    );
    let range = store
        .append(&[entry(log, Lane::Bulk, 1, vec![])], Urgency::Now)
        .unwrap();
    assert_eq!(range.first, Seq(1));
}

fn put(store: &Store, lane: Lane, size: usize) -> Result<Seq, AppendError> {
    let log = store.log_id();
    let range = store.append_with(Urgency::Now, |numbers| {
        let lane_seq = numbers.next(lane);
        vec![entry(log, lane, lane_seq, vec![b'p'; size])]
    })?;
    Ok(range.first)
}

fn numbers(store: &Store, lane: Lane) -> Vec<u64> {
    store
        .outbox()
        .pending(lane, 0, usize::MAX)
        .iter()
        .map(|r| r.lane_seq)
        .collect()
}

#[test]
fn the_outbox_survives_with_its_numbers_and_marks() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let mut last = Seq(0);
    for _ in 0..6 {
        last = put(&store, Lane::Business, 30).unwrap();
    }
    durable(&store, last);
    let outbox = store.outbox();
    outbox.acknowledge(Lane::Business, 1).unwrap();
    outbox.acknowledge(Lane::Business, 3).unwrap();
    outbox.acknowledge(Lane::Business, 3).unwrap();
    outbox.abandon(Lane::Business, 4, "too large").unwrap();
    outbox.suspect(Lane::Business, 2, 7).unwrap();
    assert_eq!(numbers(&store, Lane::Business), [2, 5, 6]);
    store.close();

    for without_state in [false, true] {
        if without_state {
            std::fs::remove_file(dir.path().join("outbox.state")).unwrap();
        }
        let (store, _) = open(dir.path());
        let outbox = store.outbox();
        assert_eq!(numbers(&store, Lane::Business), [2, 5, 6]);
        assert_eq!(
            (outbox.depth(), outbox.next_numbers()),
            ([0, 3, 0], [1, 7, 1])
        );
        let refs = outbox.pending(Lane::Business, 0, 1);
        assert_eq!((refs[0].attempts, refs[0].stamp), (7, stamp(2)));
        assert_eq!(outbox.entry(&refs[0]).unwrap().payload, vec![b'p'; 30]);
        assert_eq!(outbox.oldest(), Some(stamp(2)));
        let dead = outbox.dead_letters();
        assert_eq!(
            (dead.len(), dead[0].lane_seq, dead[0].reason.as_str()),
            (1, 4, "too large")
        );
        store.close();
    }
}

#[test]
fn a_full_outbox_trims_bulk_then_refuses_orders_and_keeps_a_reserve_for_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let limits = OutboxLimits {
        max_entries: 10,
        alert_reserve: 3,
        max_bytes: 1 << 20,
    };
    let (store, _) = Store::open(
        dir.path(),
        StoreOptions {
            outbox: limits,
            ..small("boot-1")
        },
    )
    .unwrap();
    for _ in 0..7 {
        let seq = put(&store, Lane::Bulk, 10).unwrap();
        durable(&store, seq);
    }
    let seq = put(&store, Lane::Bulk, 10).unwrap();
    durable(&store, seq);
    assert_eq!(numbers(&store, Lane::Bulk), [2, 3, 4, 5, 6, 7, 8]);
    for _ in 0..7 {
        let seq = put(&store, Lane::Business, 10).unwrap();
        durable(&store, seq);
    }
    assert_eq!(
        (
            numbers(&store, Lane::Bulk).len(),
            numbers(&store, Lane::Business).len()
        ),
        (0, 7)
    );
    assert_eq!(
        put(&store, Lane::Business, 10),
        Err(AppendError::OutboxFull {
            lane: Lane::Business
        })
    );
    for _ in 0..3 {
        put(&store, Lane::Urgent, 10).unwrap();
    }
    assert_eq!(
        put(&store, Lane::Urgent, 10),
        Err(AppendError::OutboxFull { lane: Lane::Urgent })
    );
    assert_eq!(store.usage().outbox_trimmed, 8);
    assert_eq!(
        store.outbox().next_numbers(),
        [4, 8, 9],
        "what was refused used no number"
    );
}

#[test]
fn recycling_keeps_what_is_owed_and_the_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    put(&store, Lane::Urgent, 50).unwrap();
    put(&store, Lane::Business, 60).unwrap();
    let done = put(&store, Lane::Bulk, 10).unwrap();
    durable(&store, done);
    store.outbox().suspect(Lane::Urgent, 1, 3).unwrap();
    store.outbox().acknowledge(Lane::Bulk, 1).unwrap();
    // Three times the budget.
    for n in 0..3_000u64 {
        until("room", || {
            match store.append(&[notice(n, 1_000)], Urgency::Normal) {
                Ok(_) => true,
                Err(AppendError::Full { .. }) => false,
                Err(error) => panic!("{error}"),
            }
        });
    }
    until("recycled", || store.first_seq() > done);
    until("in budget", || store.usage().segments <= 16);
    let usage = store.usage();
    assert!(usage.copied_forward >= 2, "{usage:?}");
    check_owed(&store);
    store.close();
    // Even without the state file the log knows everything.
    std::fs::remove_file(dir.path().join("outbox.state")).unwrap();
    let (store, _) = open(dir.path());
    check_owed(&store);
}

fn check_owed(store: &Store) {
    let outbox = store.outbox();
    assert_eq!(outbox.depth(), [1, 1, 0]);
    assert_eq!(outbox.next_numbers(), [2, 2, 2]);
    let urgent = &outbox.pending(Lane::Urgent, 0, 9)[0];
    assert_eq!(urgent.attempts, 3);
    assert_eq!(outbox.entry(urgent).unwrap().payload.len(), 50);
    let business = &outbox.pending(Lane::Business, 0, 9)[0];
    assert_eq!(outbox.entry(business).unwrap().payload.len(), 60);
    assert!(urgent.seq >= store.first_seq() && business.seq >= store.first_seq());
}

#[test]
fn a_snapshot_holds_segments_back_for_a_while_and_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let wanted = store.snapshot_wanted();
    let first = store.append(&[notice(0, 10)], Urgency::Now).unwrap().last;
    store.save_snapshot(first, b"one").unwrap();
    let mut n = 0;
    let mut fill = |store: &Store| {
        n += 1;
        let last = store
            .append(&[notice(n, 10_000)], Urgency::Now)
            .unwrap()
            .last;
        durable(store, last);
        last
    };
    while !wanted.has_changed().unwrap() {
        fill(&store);
    }
    assert_eq!(store.first_seq(), Seq(1));
    for _ in 0..2 {
        let last = fill(&store);
        store.save_snapshot(last, b"newer").unwrap();
    }
    until("recycled", || {
        fill(&store);
        store.first_seq() > Seq(1)
    });
    assert_eq!(store.usage().recycled_past_snapshot, 0);
    let kept = store.snapshots().unwrap();
    assert_eq!((kept.len(), kept[0].1.as_slice()), (2, &b"newer"[..]));
    assert!(kept[0].0 > kept[1].0 && kept[1].0 >= store.first_seq());
}

#[test]
fn a_damaged_snapshot_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let last = store
        .append(&[notice(1, 1), notice(2, 1)], Urgency::Now)
        .unwrap()
        .last;
    store.save_snapshot(Seq(1), b"older").unwrap();
    store.save_snapshot(last, b"newer").unwrap();
    let path = dir
        .path()
        .join("snapshots")
        .join(format!("{:016}.snap", last.0));
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(store.snapshots().unwrap(), [(Seq(1), b"older".to_vec())]);
}

#[test]
fn quarantine_is_bounded_and_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for n in 0..40u64 {
        let item = Quarantined {
            stamp: stamp(n),
            source: "pos.mqtt".into(),
            reason: "not_json".into(),
            text: format!("item {n}"),
            origin: "pos/events/x".into(),
            raw: vec![0xff; 20_000],
            size: 20_000,
        };
        // One by one, so that the small budget is kept at every step.
        runtime.block_on(store.quarantine(item)).unwrap();
        assert_eq!(
            store.quarantined(1)[0].stamp,
            stamp(n),
            "on disk when it returns"
        );
    }
    // At least what is written and one whole segment of three: the others may be on their way out.
    let items = store.quarantined(4);
    assert_eq!(
        items
            .iter()
            .map(|item| item.text.as_str())
            .collect::<Vec<_>>(),
        ["item 39", "item 38", "item 37", "item 36"]
    );
    assert_eq!(items[0].raw.len(), tillwatch_protocol::QUARANTINE_BYTES);
    until("evicted", || store.usage().quarantine_evicted > 20);
    let usage = store.usage();
    assert_eq!(usage.quarantined, 40);
    let held = || -> u64 {
        let files = std::fs::read_dir(dir.path().join("quarantine")).unwrap();
        files
            .filter_map(|file| Some(file.unwrap().metadata().ok()?.len()))
            .sum()
    };
    until("in budget", || held() <= 256 << 10);
}

#[test]
fn what_does_not_fit_into_memory_is_refused_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        group_delay: std::time::Duration::from_secs(60),
        group_bytes: 64 << 20,
        ..small("b")
    };
    let (store, _) = Store::open(dir.path(), options).unwrap();
    let mut accepted = 0;
    let refused = loop {
        match store.append(&[notice(accepted, 50_000)], Urgency::Normal) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, AppendError::Full { waiting } if waiting > 4_000_000),
        "{refused:?}"
    );
    assert_eq!(
        (store.last_seq(), store.usage().refused_full),
        (Seq(accepted), 1)
    );
    store.close();
    let (store, _) = open(dir.path());
    // Far over its budget, the log may have begun to recycle, which notes something behind.
    let last = store.last_seq();
    assert!(last >= Seq(accepted), "closing writes what waits: {last}");
}

#[tokio::test]
async fn waiting_for_durability_asks_for_no_sync_and_ends_with_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let last = store.append(&[notice(1, 1)], Urgency::Normal).unwrap().last;
    store.durable_through(last).await.unwrap();
    assert_eq!(store.usage().fdatasyncs, 1);
    store.room().await;
    let other = store.clone();
    let waiting = tokio::spawn(async move { other.durable_through(Seq(99)).await });
    tokio::task::yield_now().await;
    tokio::task::spawn_blocking(move || store.close())
        .await
        .unwrap();
    assert!(matches!(waiting.await.unwrap(), Err(StoreError::Closed)));
}

#[test]
fn a_log_whose_identity_is_lost_goes_on_under_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let id: LogId = store.log_id();
    let last = store.append(&[notice(1, 1)], Urgency::Now).unwrap().last;
    store.close();
    std::fs::remove_file(dir.path().join("identity")).unwrap();
    let (store, opened) = open(dir.path());
    assert_eq!((store.log_id(), opened.last_seq), (id, last));
    assert_eq!(store.boot_ordinal(), 2, "the log has records of boot 1");
}

#[test]
fn a_closed_store_lets_go_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().canonicalize().unwrap();
    let open_files = || {
        let fds = std::fs::read_dir("/proc/self/fd").unwrap();
        fds.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
            .filter(|target| target.starts_with(&here))
            .count()
    };
    let (store, _) = open(dir.path());
    assert!(open_files() > 0);
    store.close();
    until("every file closed", || open_files() == 0);
}

//! The store over a disk that loses power at any moment, against a plain list of what was appended.

use crate::sim_disk::{Cut, SimDisk};
use crate::{AppendError, Opened, OutboxLimits, Store, StoreError, StoreOptions, Urgency};
use proptest::prelude::*;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tillwatch_protocol::time::Clock;
use tillwatch_protocol::{Lane, MessageId, Notice, OutboxEntry, Record, Seq, Stamp};

fn stamp(n: u64) -> Stamp {
    Stamp {
        boot: 1,
        monotonic_ns: n,
        utc_us: 0,
        clock: Clock::Synced,
    }
}

pub(crate) fn notice(n: u64, size: usize) -> Record {
    let text = format!("{n} {}", "x".repeat(size));
    Record::Notice(Notice {
        code: Cow::Borrowed("model"),
        text,
        stamp: stamp(n),
    })
}

pub(crate) fn open(disk: &SimDisk, lock: &Path, budget: u64) -> (Store, Opened) {
    let options = StoreOptions {
        log_budget_bytes: budget,
        group_delay: Duration::from_millis(1),
        group_bytes: 4096,
        outbox: OutboxLimits {
            max_bytes: 64 << 10,
            ..StoreOptions::small().outbox
        },
        boot_id: Some("model".into()),
        ..StoreOptions::small()
    };
    let disk = Arc::new(disk.clone());
    Store::open_on(disk, lock, options, Some(Duration::from_millis(1))).unwrap()
}

#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::yield_now();
    }
}

/// A record that shares no sector with another: where all are alike, what a cut left of one write
/// can be made whole by what it left of the next.
fn unlike(n: u64, size: usize) -> Record {
    let Record::Notice(mut said) = notice(n, 0) else {
        return notice(n, size);
    };
    said.text = format!("{n} ").repeat(size / 8 + 1);
    Record::Notice(said)
}

#[derive(Debug, Clone)]
enum Action {
    /// So many records of this size as one atomic group.
    Append {
        records: usize,
        size: usize,
        now: bool,
    },
    /// A message with a notice beside it.
    Message {
        lane: Lane,
        size: usize,
    },
    /// Acknowledges the oldest pending of a lane.
    Acknowledge(Lane),
    Abandon(Lane),
    Snapshot,
    WaitDurable,
    FailSyncs(u32),
    Reopen(Cut),
    /// Cuts while a write of several groups waits for its sync.
    CutInFlight {
        seed: u64,
        groups: u64,
        size: usize,
    },
    Close,
}

fn lanes() -> impl Strategy<Value = Lane> {
    prop::sample::select(&Lane::ALL[..])
}

fn actions() -> impl Strategy<Value = Action> {
    let sizes = prop_oneof![4 => 0..200usize, 2 => 200..3_000usize, 1 => 3_000..15_000usize];
    prop_oneof![
        10 => (1..4usize, sizes, any::<bool>())
            .prop_map(|(records, size, now)| Action::Append { records, size, now }),
        6 => (lanes(), 0..2_000usize).prop_map(|(lane, size)| Action::Message { lane, size }),
        3 => lanes().prop_map(Action::Acknowledge),
        1 => lanes().prop_map(Action::Abandon),
        1 => Just(Action::Snapshot),
        3 => Just(Action::WaitDurable),
        1 => (1..4u32).prop_map(Action::FailSyncs),
        2 => any::<u64>().prop_map(|seed| Action::Reopen(Cut::Half(seed))),
        3 => (any::<u64>(), 1..6u64, 0..900usize)
            .prop_map(|(seed, groups, size)| Action::CutInFlight { seed, groups, size }),
        1 => Just(Action::Reopen(Cut::Drop)),
        1 => Just(Action::Reopen(Cut::Kill)),
        1 => Just(Action::Close),
    ]
}

/// What the store should hold.
#[derive(Default)]
struct Model {
    records: BTreeMap<u64, Record>,
    /// First and last position of each atomic group.
    groups: Vec<(u64, u64)>,
    /// By lane: number, position when it was accepted, payload.
    entries: [BTreeMap<u64, (u64, Vec<u8>)>; 3],
    settled: [BTreeSet<u64>; 3],
    count: u64,
}

impl Model {
    /// Compares a reopened store with what was promised before: everything up to `durable`.
    fn check(&mut self, store: &Store, opened: &Opened, durable: Seq) {
        assert_eq!(opened.damages, [], "a power cut is no damage");
        // Not the store's: it may be copying forward already.
        let last = opened.last_seq;
        assert!(
            last >= durable,
            "durable up to {durable}, the log ends at {last}"
        );
        for (first, end) in &self.groups {
            assert!(
                *end <= last.0 || *first > last.0,
                "group {first}..={end} is torn at {last}"
            );
        }
        self.groups.retain(|(_, end)| *end <= last.0);
        self.records.retain(|seq, _| *seq <= last.0);
        let first = store.first_seq();
        let mut held = BTreeMap::new();
        for item in store.scan(Seq(0)).unwrap() {
            let (seq, record) = item.unwrap();
            held.insert(seq.0, record);
        }
        for (seq, record) in self.records.range(first.0..) {
            let mut expected = record.clone();
            if let Record::Event(event) = &mut expected {
                event.seq = Seq(*seq);
            }
            assert_eq!(held.get(seq), Some(&expected), "record {seq}");
        }
        for lane in Lane::ALL {
            let at = lane.index();
            self.entries[at].retain(|_, (seq, _)| *seq <= last.0);
            let next = self.entries[at]
                .last_key_value()
                .map_or(1, |(number, _)| number + 1);
            assert_eq!(store.outbox().next_numbers()[at], next, "{lane:?}");
            let pending: BTreeMap<u64, _> = store
                .outbox()
                .pending(lane, 0, usize::MAX)
                .into_iter()
                .map(|r| (r.lane_seq, r))
                .collect();
            for (number, (_, payload)) in &self.entries[at] {
                match pending.get(number) {
                    Some(r) => assert_eq!(&store.outbox().entry(r).unwrap().payload, payload),
                    None => assert!(
                        self.settled[at].contains(number),
                        "{lane:?} {number} is lost"
                    ),
                }
            }
            assert!(
                pending
                    .keys()
                    .all(|number| self.entries[at].contains_key(number))
            );
            // A mark may be lost: then it is pending again.
            self.settled[at].retain(|number| !pending.contains_key(number) && *number < next);
        }
    }
}

fn run(actions: &[Action], budget: u64) {
    let lock = tempfile::tempdir().unwrap();
    let mut disk = SimDisk::default();
    let (mut store, _) = open(&disk, lock.path(), budget);
    let mut model = Model::default();
    for action in actions {
        model.count += 1;
        let n = model.count;
        match action {
            Action::Append { records, size, now } => {
                let records: Vec<_> = (0..*records)
                    .map(|i| unlike(n * 1_000 + 900 + i as u64, *size))
                    .collect();
                let urgency = if *now { Urgency::Now } else { Urgency::Normal };
                let range = store.append(&records, urgency).unwrap();
                model.groups.push((range.first.0, range.last.0));
                model.records.extend((range.first.0..).zip(records));
            }
            Action::Message { lane, size } => {
                let log = store.log_id();
                let mut taken = 0;
                let payload = vec![n as u8; *size];
                let body = payload.clone();
                let range = store.append_with(Urgency::Now, |numbers| {
                    taken = numbers.next(*lane);
                    let message_id = MessageId::derive(log, *lane, taken);
                    let (topic, content_type) =
                        ("stores/S03/alerts".into(), "application/json".into());
                    let entry = OutboxEntry {
                        lane: *lane,
                        lane_seq: taken,
                        message_id,
                        topic,
                        content_type,
                        stamp: stamp(n),
                        payload: body,
                    };
                    vec![notice(n, 10), Record::Outbox(entry)]
                });
                match range {
                    Ok(range) => {
                        // Positions after the entry are marks of entries that made room.
                        model.groups.push((range.first.0, range.last.0));
                        model.records.insert(range.first.0, notice(n, 10));
                        let old =
                            model.entries[lane.index()].insert(taken, (range.last.0, payload));
                        assert_eq!(old, None, "number given twice");
                        let bulk = Lane::Bulk.index();
                        let pending = store.outbox().dead_letters();
                        model.settled[bulk].extend(pending.iter().map(|dead| dead.lane_seq));
                    }
                    Err(error) => {
                        assert!(matches!(error, AppendError::OutboxFull { .. }), "{error}")
                    }
                }
            }
            Action::Acknowledge(lane) | Action::Abandon(lane) => {
                if let Some(r) = store.outbox().pending(*lane, 0, 1).first() {
                    model.settled[lane.index()].insert(r.lane_seq);
                    match action {
                        Action::Abandon(_) => {
                            store.outbox().abandon(*lane, r.lane_seq, "test").unwrap()
                        }
                        _ => store.outbox().acknowledge(*lane, r.lane_seq).unwrap(),
                    }
                }
            }
            Action::Snapshot => {
                let through = *store.durable().borrow();
                match store.save_snapshot(through, &n.to_le_bytes()) {
                    // The disk was told to fail.
                    Ok(()) | Err(StoreError::Io { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Action::WaitDurable => {
                let last = store.last_seq();
                // What waits may wait for company.
                until("durable", || *store.durable().borrow() >= last);
            }
            Action::FailSyncs(n) => disk.fail_syncs(*n),
            Action::Reopen(cut) => {
                let durable = *store.durable().borrow();
                let after = disk.after(*cut);
                drop(store);
                disk = after;
                let opened;
                (store, opened) = open(&disk, lock.path(), budget);
                model.check(&store, &opened, durable);
            }
            Action::CutInFlight { seed, groups, size } => {
                let last = store.last_seq();
                until("durable", || *store.durable().borrow() >= last);
                let mut group = store.inner_log().begin().unwrap();
                disk.stall(true);
                for n in 0..*groups {
                    let number = model.count * 1_000 + n * 10;
                    for record in [unlike(number, *size), unlike(number + 1, *size)] {
                        let seq = group.next_seq();
                        group.add(&record).unwrap();
                        model.records.insert(seq, record);
                    }
                    let seq = group.next_seq();
                    model.groups.push((seq - 2, seq - 1));
                    group.separate();
                }
                group.finish(Urgency::Now).unwrap();
                until("in flight", || disk.in_sync() > 0);
                let durable = *store.durable().borrow();
                let after = disk.after(Cut::Half(*seed));
                disk.stall(false);
                drop(store);
                disk = after;
                let opened;
                (store, opened) = open(&disk, lock.path(), budget);
                model.check(&store, &opened, durable);
            }
            Action::Close => {
                disk.fail_syncs(0);
                let last = store.last_seq();
                store.close();
                disk = disk.after(Cut::Drop);
                let opened;
                (store, opened) = open(&disk, lock.path(), budget);
                model.check(&store, &opened, last);
            }
        }
    }
    let durable = *store.durable().borrow();
    let after = disk.after(Cut::Half(model.count.wrapping_mul(0x9e37_79b9)));
    drop(store);
    let (store, opened) = open(&after, lock.path(), budget);
    model.check(&store, &opened, durable);
}

/// Few cases by default; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    let cases = cases.unwrap_or(64);
    ProptestConfig {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_durable_is_lost_torn_or_numbered_twice(actions in prop::collection::vec(actions(), 1..60)) {
        run(&actions, 8 << 20);
    }

    #[test]
    fn the_same_while_segments_are_recycled(actions in prop::collection::vec(actions(), 40..120)) {
        run(&actions, 4 * (64 << 10));
    }
}

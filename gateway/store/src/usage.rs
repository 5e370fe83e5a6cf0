//! What the store has done and holds, for metrics, status and the health message.

use crate::store::{Inner, Store};
use tillwatch_protocol::Seq;

/// Whether the log can be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LogState {
    /// It can.
    #[default]
    Writable,
    /// It cannot at present; tried again every second. Records wait in memory up to the bound.
    Broken {
        /// The last error.
        why: String,
    },
}

/// Numbers since the store was opened, unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// Whether the log can be written.
    pub state: LogState,
    /// Oldest record kept.
    pub first_seq: Seq,
    /// Highest record such that all up to it are on disk.
    pub durable: Seq,
    /// Records appended.
    pub records: u64,
    /// Groups written.
    pub groups: u64,
    /// `fdatasync` calls of the log's hot path: one per group.
    pub fdatasyncs: u64,
    /// All other syncs: segment preparation, state files, folders.
    pub other_syncs: u64,
    /// Bytes written to disk by log, quarantine and state files (the index not included).
    pub bytes_written: u64,
    /// Bytes that wait to be written.
    pub waiting_bytes: u64,
    /// Appends refused because too much waited.
    pub refused_full: u64,
    /// Segments of the log on disk, spare ones included.
    pub segments: u64,
    /// Bytes that they take.
    pub log_bytes: u64,
    /// Bytes that they may take.
    pub log_budget_bytes: u64,
    /// Segments given up after a failed write or sync.
    pub suspect_segments: u64,
    /// Segments used again.
    pub recycled_segments: u64,
    /// Segments that were not ready when a group needed them; the first of a new log not counted.
    pub unprepared_segments: u64,
    /// Segments recycled although the detectors' oldest snapshot lies before their end.
    pub recycled_past_snapshot: u64,
    /// Outbox entries copied forward before their segment was recycled.
    pub copied_forward: u64,
    /// Bulk entries given up because the outbox was full.
    pub outbox_trimmed: u64,
    /// Outbox entries not acknowledged, by lane.
    pub outbox_depth: [u64; 3],
    /// Bytes of them.
    pub outbox_bytes: u64,
    /// Inputs quarantined, over the life of the quarantine.
    pub quarantined: u64,
    /// Of these, how many had to make room for newer ones.
    pub quarantine_evicted: u64,
    /// Durable records that the index does not show yet.
    pub index_lag: u64,
    /// Times the index was set aside and rebuilt.
    pub index_rebuilds: u64,
    /// Checkpoints of the index.
    pub index_checkpoints: u64,
    /// Bytes the index takes on disk.
    pub index_bytes: u64,
    /// Bytes held in reserve on the disk for what the budgets still allow.
    pub reserved_bytes: u64,
    /// Bytes that could not be reserved.
    pub reserve_missing_bytes: u64,
    /// Ranges of the log found damaged.
    pub damaged_ranges: u64,
}

impl Store {
    /// What the store has done and holds.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let Inner {
            log,
            counters,
            outbox,
            index,
            ..
        } = &*self.inner;
        let log = &log.inner;
        let (quarantined, quarantine_evicted) = self.inner.keeper.quarantine.counts();
        let (reserved_bytes, reserve_missing_bytes) = self.inner.keeper.reserve.held();
        let durable = Seq(log.through());
        let segments = log.segment_count();
        Usage {
            state: log.state().borrow().clone(),
            first_seq: log.first_seq(),
            durable,
            records: counters.records.get(),
            groups: counters.groups.get(),
            fdatasyncs: counters.fdatasyncs.get(),
            other_syncs: counters.other_syncs.get(),
            bytes_written: counters.bytes_written.get(),
            waiting_bytes: log.waiting() as u64,
            refused_full: counters.refused_full.get(),
            segments,
            log_bytes: segments * log.options.segment_bytes,
            log_budget_bytes: self.inner.log_budget_bytes,
            suspect_segments: counters.suspect_segments.get(),
            recycled_segments: counters.recycled_segments.get(),
            unprepared_segments: counters.unprepared_segments.get(),
            recycled_past_snapshot: counters.recycled_past_snapshot.get(),
            copied_forward: counters.copied_forward.get(),
            outbox_trimmed: counters.outbox_trimmed.get(),
            outbox_depth: outbox.depth(),
            outbox_bytes: outbox.bytes(),
            quarantined,
            quarantine_evicted,
            index_lag: durable.0.saturating_sub(index.through().0),
            index_rebuilds: counters.index_rebuilds.get(),
            index_checkpoints: counters.index_checkpoints.get(),
            index_bytes: index.bytes(),
            reserved_bytes,
            reserve_missing_bytes,
            damaged_ranges: counters.damaged_ranges.get(),
        }
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(std::sync::atomic::AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, std::sync::atomic::Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// What is counted while the store works.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) records: Counter,
    pub(crate) groups: Counter,
    pub(crate) fdatasyncs: Counter,
    pub(crate) other_syncs: Counter,
    pub(crate) bytes_written: Counter,
    pub(crate) refused_full: Counter,
    pub(crate) suspect_segments: Counter,
    pub(crate) recycled_segments: Counter,
    pub(crate) unprepared_segments: Counter,
    pub(crate) recycled_past_snapshot: Counter,
    pub(crate) copied_forward: Counter,
    pub(crate) outbox_trimmed: Counter,
    pub(crate) index_rebuilds: Counter,
    pub(crate) index_checkpoints: Counter,
    pub(crate) damaged_ranges: Counter,
}

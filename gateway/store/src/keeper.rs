//! The thread that keeps the log within its budget and prepares what the writer will need.

use crate::atomic_file::{self, Points};
use crate::error::StoreError;
use crate::failpoint;
use crate::index::Index;
use crate::log::{LogInner, Segment};
use crate::outbox::Outbox;
use crate::quarantine::Quarantine;
use crate::reserve::{Reserve, Wanted, was_full};
use crate::snapshot::Snapshots;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tillwatch_protocol::Seq;
use tokio::sync::watch;

/// How often it looks around without being woken.
const ROUND: Duration = Duration::from_secs(1);
/// Segments that the log may exceed its budget by while it waits for a detectors' snapshot, or for
/// the index to be opened.
const GRACE_SEGMENTS: u64 = 4;
/// Segments before the budget at which a snapshot is asked for.
const ASK_AHEAD: u64 = 2;
const POINTS: Points = [
    "outbox_state.temporary_written",
    "outbox_state.temporary_synced",
    "outbox_state.renamed",
    "outbox_state.folder_synced",
];

/// What the keeper works on.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) log: Arc<LogInner>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) index: Arc<Index>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) snapshot_wanted: watch::Sender<Seq>,
    pub(crate) quarantine: Arc<Quarantine>,
    pub(crate) reserve: Arc<Reserve>,
    /// Bytes reserved beside the budgets; `None` when nothing is.
    pub(crate) headroom: Option<u64>,
    pub(crate) state_path: PathBuf,
    pub(crate) closing: AtomicBool,
    /// `bytes_written` when the outbox's state was saved last.
    pub(crate) state_saved_at: AtomicU64,
}

impl Keeper {
    pub(crate) fn run(&self) {
        let mut told = String::new();
        while !self.closing.load(Ordering::Acquire) {
            // Once per kind of trouble, not once per second.
            let trouble = self
                .round()
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            if !trouble.is_empty() && trouble != told {
                tracing::error!(error = trouble, "the log is not in order yet");
            }
            told = trouble;
            self.log.wait_for_keeper(ROUND);
        }
    }

    fn round(&self) -> Result<(), StoreError> {
        let budget = self.log.options.budget_segments;
        let log_io = |error| StoreError::io("prepare a segment in", &self.log.options.dir)(error);
        self.ask_for_snapshot(budget);
        while self.log.segment_count() > budget {
            let before = self.log.segment_count();
            if !self.recycle_oldest(budget)? || self.log.segment_count() >= before {
                break;
            }
        }
        if self.log.wants_spare() {
            let recycled = self.log.segment_count() >= budget && self.recycle_oldest(budget)?;
            let missing = !recycled || self.log.wants_spare();
            if missing && !self.closing.load(Ordering::Acquire) {
                self.log.prepare_spare().map_err(log_io)?;
            }
        }
        self.reserve();
        let written = self.log.counters.bytes_written.get();
        let saved = self.state_saved_at.load(Ordering::Relaxed);
        if written.saturating_sub(saved) >= self.log.options.segment_bytes / 2 {
            self.save_state()?;
        }
        Ok(())
    }

    /// Holds the space that the budgets still allow. Returns how many bytes are missing.
    pub(crate) fn reserve(&self) -> u64 {
        let wanted = self.headroom.map_or(Wanted::default(), |headroom| Wanted {
            // Recycling itself needs room: for what is copied forward.
            log: self.log.to_come(GRACE_SEGMENTS) + self.quarantine.to_come(),
            rest: self.index.to_come() + headroom,
        });
        self.reserve.adjust(wanted, Instant::now())
    }

    /// Saves the outbox's state, so that the next start replays less.
    pub(crate) fn save_state(&self) -> Result<(), StoreError> {
        let (_, body) = self.outbox.encode_state()?;
        let counters = &self.log.counters;
        let (disk, path) = (self.log.disk.as_ref(), &self.state_path);
        self.reserve.with_room(was_full, || {
            atomic_file::write(disk, path, &body, POINTS, counters)
        })?;
        self.state_saved_at
            .store(counters.bytes_written.get(), Ordering::Relaxed);
        Ok(())
    }

    fn ask_for_snapshot(&self, budget: u64) {
        if self.log.segment_count() + ASK_AHEAD < budget {
            return;
        }
        let Some(oldest) = self.log.oldest() else {
            return;
        };
        if self
            .snapshots
            .oldest()
            .is_none_or(|through| through < oldest.last_seq())
        {
            let through = Seq(self.log.through());
            self.snapshot_wanted.send_if_modified(|wanted| {
                // Once per segment's worth of records, not at every round.
                let far = wanted.0 <= oldest.last_seq();
                if far {
                    *wanted = through;
                }
                far
            });
        }
    }

    /// Recycles the oldest segment; false when it has to stay for now.
    fn recycle_oldest(&self, budget: u64) -> Result<bool, StoreError> {
        let Some(oldest) = self.log.oldest() else {
            return Ok(false);
        };
        let (first, last) = (oldest.base_seq, oldest.last_seq());
        let needed = self
            .snapshots
            .oldest()
            .is_some_and(|through| through < last);
        let within_grace = self.log.segment_count() < budget + GRACE_SEGMENTS;
        // An index that is not open yet cannot forget what it has of the segment.
        if within_grace && (needed || !self.index.is_open()) {
            return Ok(false);
        }
        if needed {
            tracing::warn!(
                first,
                last,
                "recycled although the detectors' snapshot lies before"
            );
            self.log.counters.recycled_past_snapshot.add(1);
        }
        self.recycle(oldest, first, last)
    }

    fn recycle(&self, oldest: Arc<Segment>, first: u64, last: u64) -> Result<bool, StoreError> {
        let dir = self.log.options.dir.clone();
        let io = |error| StoreError::io("recycle a segment in", &dir)(error);
        failpoint::hit("recycle.begun").map_err(io)?;
        if !self.outbox.copy_forward(first, last)? {
            return Ok(false);
        }
        failpoint::hit("recycle.copied_forward").map_err(io)?;
        self.index.forget(first, last);
        failpoint::hit("recycle.index_forgot").map_err(io)?;
        self.log.recycle(oldest).map_err(io)?;
        Ok(true)
    }
}

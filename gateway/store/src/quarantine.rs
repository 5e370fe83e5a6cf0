//! Input that could not be used: a small log of its own in `<data>/quarantine`, with the format and
//! the guarantees of the main one, that recycles its oldest segment whatever is in it.

use crate::disk::Disk;
use crate::error::{AppendError, StoreError};
use crate::log::{Log, LogOpened, LogOptions, Urgency, read};
use crate::reserve::Reserve;
use crate::usage::Counters;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tillwatch_protocol::{LogId, QUARANTINE_BYTES, Quarantined, Record, Seq};

/// Segments that share the budget.
const SEGMENTS: u64 = 4;
const SMALLEST_SEGMENT: u64 = 64 << 10;
/// How long an item may wait for company.
const DELAY: Duration = Duration::from_millis(100);
const GROUP: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Quarantine {
    log: Log,
}

impl Quarantine {
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        data: &Path,
        log_id: LogId,
        budget_bytes: u64,
        reserve: Arc<Reserve>,
        counters: Arc<Counters>,
    ) -> Result<(Quarantine, LogOpened), StoreError> {
        let segment_bytes = (budget_bytes / SEGMENTS / 4096 * 4096).max(SMALLEST_SEGMENT);
        let options = LogOptions {
            dir: data.join("quarantine"),
            aside: data.join("aside"),
            log_id,
            segment_bytes,
            budget_segments: SEGMENTS,
            group_delay: DELAY,
            group_bytes: GROUP,
            claimed: 0,
            self_maintained: true,
            reserve: Some(reserve),
            retry: None,
        };
        let (log, opened) = Log::open(disk, options, counters)?;
        log.start("tw-quarantine", None)?;
        Ok((Quarantine { log }, opened))
    }

    /// Keeps an item, its bytes cut to [`QUARANTINE_BYTES`]; it is on disk when this returns.
    pub(crate) async fn add(&self, item: Quarantined) -> Result<(), AppendError> {
        let seq = self.append(item)?;
        let log = &self.log.inner;
        let mut durable = log.durable();
        let reached = durable.wait_for(|now| *now >= seq || log.stopped()).await;
        match reached {
            Ok(now) if *now >= seq => Ok(()),
            _ => Err(AppendError::Closed),
        }
    }

    fn append(&self, mut item: Quarantined) -> Result<Seq, AppendError> {
        item.raw.truncate(QUARANTINE_BYTES);
        let mut group = self.log.inner.begin()?;
        group.add(&Record::Quarantined(item))?;
        group.finish(Urgency::Normal).map(|range| range.last)
    }

    /// Newest first.
    pub(crate) fn newest(&self, limit: usize) -> Vec<Quarantined> {
        let log = &self.log.inner;
        let (first, last) = (log.first_seq().0, log.through());
        let items = (first..=last)
            .rev()
            .filter_map(|seq| match read(log, Seq(seq)) {
                Ok(Some(Record::Quarantined(item))) => Some(item),
                Ok(_) => None,
                Err(error) => {
                    tracing::warn!(%error, "quarantined item not readable");
                    None
                }
            });
        items.take(limit).collect()
    }

    /// Items over its life, and how many of them had to go.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let log = &self.log.inner;
        (log.last_seq().0, log.first_seq().0 - 1)
    }

    /// Bytes that it may still take.
    pub(crate) fn to_come(&self) -> u64 {
        self.log.inner.to_come(0)
    }

    pub(crate) fn close(&self) {
        self.log.close();
    }
}

//! Reading durable records.

use super::LogInner;
use super::segment::{Advance, RawRecord, Walk};
use crate::error::StoreError;
use std::sync::Arc;
use tillwatch_protocol::{Record, RecordError, Seq};

/// Walks over the log up to what was durable when it began, the store's own records included.
#[derive(Debug)]
pub(crate) struct RawScan {
    log: Arc<LogInner>,
    walk: Option<Walk>,
    next: u64,
    last: u64,
}

impl RawScan {
    pub(crate) fn new(log: &Arc<LogInner>, from: Seq) -> RawScan {
        RawScan {
            log: Arc::clone(log),
            walk: None,
            next: from.0.max(1),
            last: log.through(),
        }
    }

    /// The last position that it covers.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The next record; an error for what cannot be read, after which it goes on.
    pub(crate) fn step(&mut self) -> Option<Result<RawRecord<'_>, StoreError>> {
        loop {
            if self.next > self.last {
                return None;
            }
            let walk = match &mut self.walk {
                Some(walk) => walk,
                none => none.insert(Self::segment_at(&self.log, &mut self.next)?),
            };
            match walk.advance() {
                Advance::Record => break,
                Advance::Failed(error, next) => {
                    self.next = next;
                    return Some(Err(error));
                }
                Advance::End(next) => {
                    self.next = self.next.max(next);
                    self.walk = None;
                }
            }
        }
        let record = self.walk.as_ref()?.current()?;
        self.next = record.seq + 1;
        (record.seq <= self.last).then_some(Ok(record))
    }

    /// Begins the segment that holds `next`, or the oldest if that was recycled meanwhile, or the
    /// one behind the gap that it lies in.
    fn segment_at(log: &LogInner, next: &mut u64) -> Option<Walk> {
        let segments = crate::read(&log.segments);
        *next = (*next).max(segments.first()?.base_seq);
        let after = segments.partition_point(|segment| segment.base_seq <= *next);
        let mut from_here = segments.get(after.checked_sub(1)?..)?.iter();
        let segment = from_here.find(|segment| segment.last_seq() >= *next)?;
        *next = (*next).max(segment.base_seq);
        Some(segment.walk(*next))
    }
}

/// Reads records in order, up to what was durable when it was made. Types that this version does
/// not know are passed over; what cannot be read comes as an error, and the walk goes on after it.
#[derive(Debug)]
pub struct Scan(pub(crate) RawScan);

impl Iterator for Scan {
    type Item = Result<(Seq, Record), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let raw = match self.0.step()? {
                Ok(raw) => raw,
                Err(error) => return Some(Err(error)),
            };
            match Record::decode(Seq(raw.seq), raw.kind, raw.version, raw.body) {
                Ok(record) => return Some(Ok((Seq(raw.seq), record))),
                Err(RecordError::Unknown { .. }) => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

/// Reads one durable record; `None` when there is none at that position, or none that this version
/// knows.
pub(crate) fn read(log: &Arc<LogInner>, seq: Seq) -> Result<Option<Record>, StoreError> {
    let mut scan = RawScan::new(log, seq);
    let raw = match scan.step() {
        Some(Ok(raw)) if raw.seq == seq.0 => raw,
        Some(Err(error)) => return Err(error),
        _ => return Ok(None),
    };
    match Record::decode(seq, raw.kind, raw.version, raw.body) {
        Ok(record) => Ok(Some(record)),
        Err(RecordError::Unknown { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

//! What waits to be written, and putting records into it.

use super::format::{MAX_BODY, RECORD_HEADER, RecordHeader, join};
use super::{LogInner, MAX_WAITING, SeqRange, Urgency};
use crate::error::AppendError;
use std::sync::MutexGuard;
use std::time::Instant;
use tillwatch_protocol::{Record, RecordError, Seq};

/// Records that wait for the writer.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Whole records, unsealed.
    pub(crate) bytes: Vec<u8>,
    pub(crate) next_seq: u64,
    pub(crate) urgent: bool,
    /// Since when the oldest waits.
    pub(crate) since: Option<Instant>,
    /// Bytes that the writer has taken and not yet made durable.
    pub(crate) in_flight: usize,
    pub(crate) closing: bool,
}

impl Queue {
    pub(crate) fn new(next_seq: u64) -> Queue {
        Queue {
            bytes: Vec::new(),
            next_seq,
            urgent: false,
            since: None,
            in_flight: 0,
            closing: false,
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.bytes.len() + self.in_flight
    }
}

/// Builds one atomic group under the append lock. Dropped without [`Appender::finish`], nothing of
/// it stays.
#[derive(Debug)]
pub(crate) struct Appender<'a> {
    log: &'a LogInner,
    queue: MutexGuard<'a, Queue>,
    start: usize,
    first: u64,
    last_record: Option<usize>,
    finished: bool,
}

impl LogInner {
    /// Takes the append lock.
    pub(crate) fn begin(&self) -> Result<Appender<'_>, AppendError> {
        let queue = crate::lock(&self.queue);
        if queue.closing {
            return Err(AppendError::Closed);
        }
        let (start, first) = (queue.bytes.len(), queue.next_seq);
        Ok(Appender {
            log: self,
            queue,
            start,
            first,
            last_record: None,
            finished: false,
        })
    }
}

impl Appender<'_> {
    /// The position that the next record gets.
    pub(crate) fn next_seq(&self) -> u64 {
        self.queue.next_seq
    }

    /// Adds a record; returns its size in the log.
    pub(crate) fn add(&mut self, record: &Record) -> Result<usize, AppendError> {
        self.add_body(record.kind(), record.version(), |bytes| {
            record.encode_into(bytes)
        })
    }

    /// Adds a record that is already encoded.
    pub(crate) fn add_raw(
        &mut self,
        kind: u16,
        version: u16,
        body: &[u8],
    ) -> Result<usize, AppendError> {
        self.add_body(kind, version, |bytes| {
            bytes.extend_from_slice(body);
            Ok(())
        })
    }

    /// The body is encoded where it will be written from. What a failure leaves behind is taken back
    /// with the group.
    fn add_body(
        &mut self,
        kind: u16,
        version: u16,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), RecordError>,
    ) -> Result<usize, AppendError> {
        let queue = &mut *self.queue;
        let at = queue.bytes.len();
        let body_at = at + RECORD_HEADER;
        queue.bytes.resize(body_at, 0);
        encode(&mut queue.bytes)?;
        let bytes = queue.bytes.len() - body_at;
        if bytes > MAX_BODY {
            return Err(AppendError::TooLarge {
                bytes,
                most: MAX_BODY,
            });
        }
        let header = RecordHeader {
            // At most 1 MiB, checked above.
            len: bytes as u32,
            crc: 0,
            seq: queue.next_seq,
            kind,
            version,
            flags: 0,
            back: 0,
        };
        queue.bytes.resize(at + header.size(), 0);
        if let Some(place) = queue.bytes.get_mut(at..body_at) {
            place.copy_from_slice(&header.encode());
        }
        if let Some(previous) = self.last_record {
            join(&mut queue.bytes, previous);
        }
        queue.next_seq += 1;
        self.last_record = Some(at);
        Ok(header.size())
    }

    /// Lets the next record begin an atomic group of its own.
    #[cfg(test)]
    pub(crate) fn separate(&mut self) {
        self.last_record = None;
    }

    /// Hands the group to the writer.
    pub(crate) fn finish(mut self, urgency: Urgency) -> Result<SeqRange, AppendError> {
        let log = self.log;
        let bytes = self.queue.bytes.len() - self.start;
        let range = SeqRange {
            first: Seq(self.first),
            last: Seq(self.queue.next_seq - 1),
        };
        if bytes == 0 {
            self.finished = true;
            return Ok(range);
        }
        let most = log.largest_unit();
        if bytes > most {
            return Err(AppendError::TooLarge { bytes, most });
        }
        let waiting = self.queue.waiting();
        if waiting > MAX_WAITING {
            log.counters.refused_full.add(1);
            return Err(AppendError::Full {
                waiting: waiting - bytes,
            });
        }
        self.finished = true;
        let queue = &mut *self.queue;
        let was_empty = self.start == 0;
        let was_urgent = queue.urgent;
        queue.urgent |= urgency == Urgency::Now;
        queue.since.get_or_insert_with(Instant::now);
        let filled =
            queue.bytes.len() >= log.options.group_bytes && self.start < log.options.group_bytes;
        if was_empty || filled || (queue.urgent && !was_urgent) {
            log.wake.notify_one();
        }
        log.counters.records.add(range.last.0 + 1 - range.first.0);
        Ok(range)
    }
}

impl Drop for Appender<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let (start, first) = (self.start, self.first);
            self.queue.bytes.truncate(start);
            self.queue.next_seq = first;
        }
    }
}

//! The writer thread: makes groups durable, one `fdatasync` each.

use super::format::{LAST_GENERATION, RecordHeader, SEGMENT_HEADER, SegmentHeader, seal};
use super::segment::Segment;
use super::{LogInner, Prepared};
use crate::failpoint;
use crate::usage::LogState;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tillwatch_protocol::Seq;

/// Pause before the next try when nothing can be written.
const RETRY: Duration = Duration::from_secs(1);

/// The segment that takes the next group.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) segment: Arc<Segment>,
    pub(crate) offset: u64,
    pub(crate) generation: u8,
    /// Its header still says that it is only prepared.
    pub(crate) header: Option<SegmentHeader>,
}

/// The writer's own state.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) log: Arc<LogInner>,
    pub(crate) current: Option<Current>,
    pub(crate) group: Vec<u8>,
    /// Failures in a row.
    pub(crate) failures: u32,
    pub(crate) last_try: bool,
}

impl Writer {
    /// Runs until the log is closed and everything is written.
    pub(crate) fn run(mut self) {
        while self.take() {
            let done = self.write_group();
            let mut queue = crate::lock(&self.log.queue);
            queue.in_flight = 0;
            drop(queue);
            self.group.clear();
            self.log.room.notify_waiters();
            if !done {
                break;
            }
            if self.log.options.self_maintained {
                self.log.maintain_self();
            }
        }
        self.log.stop();
    }

    /// Waits for a group and takes it; false when the log is closed and empty.
    fn take(&mut self) -> bool {
        let log = Arc::clone(&self.log);
        let mut queue = crate::lock(&log.queue);
        loop {
            let waited = queue.since.map(|since| since.elapsed());
            let due = waited.is_some_and(|waited| {
                queue.urgent
                    || queue.closing
                    || queue.bytes.len() >= log.options.group_bytes
                    || waited >= log.options.group_delay
            });
            if due {
                break;
            }
            if queue.closing {
                return false;
            }
            queue = match waited {
                None => crate::wait(&log.wake, queue),
                Some(waited) => crate::wait_for(&log.wake, queue, log.options.group_delay - waited),
            };
        }
        std::mem::swap(&mut queue.bytes, &mut self.group);
        queue.in_flight = self.group.len();
        queue.urgent = false;
        queue.since = None;
        drop(queue);
        log.counters.groups.add(1);
        true
    }

    /// Makes the group durable, in as few writes as segments allow; false when the log was closed
    /// while nothing could be written.
    fn write_group(&mut self) -> bool {
        let mut start = 0;
        while start < self.group.len() {
            match self.write_some(start) {
                Ok(end) => {
                    start = end;
                    self.failures = 0;
                    self.log.set_state(LogState::Writable);
                }
                Err(error) => {
                    self.failures += 1;
                    self.give_up_segment();
                    tracing::error!(%error, failures = self.failures, "the log cannot be written");
                    if self.failures > 1 {
                        self.log.set_state(LogState::Broken {
                            why: error.to_string(),
                        });
                        // After closing there is one more try, on a new segment.
                        if self.pause() && std::mem::replace(&mut self.last_try, true) {
                            return false;
                        }
                    }
                }
            }
        }
        true
    }

    /// Writes what fits from `start` on and syncs it; returns where it ended.
    fn write_some(&mut self, start: usize) -> io::Result<usize> {
        failpoint::hit("group.taken")?;
        let log = Arc::clone(&self.log);
        let rest = self.group.len() - start;
        let first_unit = unit_end(&self.group, start, 1) - start;
        let room = self.current.as_ref().map_or(0, Current::room);
        // A group stays together where it can: one write, one sync. Only a large one fills the
        // segment first.
        let rotate = self.current.is_none()
            || first_unit > room
            || (rest > room && rest <= log.capacity() / 4);
        if rotate {
            let began = RecordHeader::parse(&self.group[start..]).map_or(0, |header| header.seq);
            self.current = Some(log.take_segment(began, self.current.as_ref())?);
            failpoint::hit("rotate.begun")?;
        }
        let Some(current) = &mut self.current else {
            return Ok(start);
        };
        let end = unit_end(&self.group, start, current.room());
        let chunk = &mut self.group[start..end];
        seal(chunk, current.segment.salt, current.generation);
        let file = &current.segment.file;
        if let Some(header) = current.header {
            file.write_all_at(&header.encode(), 0)?;
            log.counters.bytes_written.add(SEGMENT_HEADER as u64);
            failpoint::hit("group.header_written")?;
        }
        file.write_all_at(chunk, current.offset)?;
        failpoint::hit("group.written")?;
        file.sync_data()?;
        log.counters.fdatasyncs.add(1);
        log.counters.bytes_written.add(chunk.len() as u64);
        failpoint::hit("group.synced")?;

        let (first, last) = seq_range(chunk);
        let (began, ended) = (current.offset, current.offset + chunk.len() as u64);
        current.offset = ended;
        current.segment.publish(first, began, last, ended);
        if current.header.take().is_some() {
            log.add_segment(Arc::clone(&current.segment));
        }
        log.publish(Seq(last));
        failpoint::hit("group.published")?;
        Ok(end)
    }

    /// After a failed write or sync the kernel may have dropped the pages: they are never written
    /// again. What is durable in the segment stays readable.
    fn give_up_segment(&mut self) {
        let Some(current) = self.current.take() else {
            return;
        };
        self.log.counters.suspect_segments.add(1);
        tracing::warn!(
            segment = current.segment.ordinal,
            "segment sealed as suspect"
        );
        if current.header.is_some()
            && let Err(error) = self.log.disk.remove(&current.segment.path)
        {
            tracing::warn!(%error, segment = current.segment.ordinal, "suspect segment not removed");
        }
    }

    /// Waits before the next try; true when the log was closed meanwhile.
    fn pause(&self) -> bool {
        let queue = crate::lock(&self.log.queue);
        if queue.closing {
            return true;
        }
        let pause = self.log.options.retry.unwrap_or(RETRY);
        let waiting = crate::wait_until(&self.log.pause, queue, pause, |queue| queue.closing);
        waiting.closing
    }
}

impl Current {
    fn room(&self) -> usize {
        usize::try_from(self.segment.file_len.saturating_sub(self.offset)).unwrap_or(usize::MAX)
    }
}

impl LogInner {
    /// The segment that begins with `base_seq`: the prepared one, else one made now.
    fn take_segment(&self, base_seq: u64, before: Option<&Current>) -> io::Result<Current> {
        let newest = before
            .map_or(0, |current| current.segment.ordinal)
            .max(self.newest_ordinal());
        let prepared = match self.usable_spare(newest)? {
            Some(spare) => spare,
            None => {
                // The first one of a log nobody could have prepared before.
                self.counters.unprepared_segments.add(u64::from(newest > 0));
                // The keeper may be about to: then that one is the next, and no other is made.
                let _preparing = crate::lock(&self.preparing);
                match self.usable_spare(newest)? {
                    Some(spare) => spare,
                    None => self.prepare()?,
                }
            }
        };
        self.wake_keeper();
        let Prepared {
            ordinal,
            path,
            file,
            file_len,
        } = prepared;
        let nonce = uuid::Uuid::new_v4().as_u64_pair().0;
        let gap = self.gap.filter(|gap| gap.resume == base_seq);
        let header = SegmentHeader {
            log_id: *self.options.log_id.0.as_bytes(),
            ordinal,
            base_seq,
            nonce,
            gap_from: gap.map_or(0, |gap| gap.after + 1),
        };
        let segment = Segment::new(ordinal, path, file, file_len, base_seq, header.salt());
        Ok(Current {
            segment: Arc::new(segment),
            offset: SEGMENT_HEADER as u64,
            generation: 0,
            header: Some(header),
        })
    }

    /// Takes what was prepared; one with a number that was passed over is removed.
    fn usable_spare(&self, newest: u64) -> io::Result<Option<Prepared>> {
        match crate::lock(&self.spare).take() {
            Some(old) if old.ordinal <= newest => {
                self.disk.remove(&old.path)?;
                Ok(None)
            }
            spare => Ok(spare),
        }
    }

    fn publish(&self, seq: Seq) {
        {
            let mut through = crate::lock(&self.through);
            *through = seq.0;
            self.advanced.notify_all();
        }
        if let Some(observer) = self.observer.get() {
            observer(seq);
        }
        self.durable.send_replace(seq);
    }

    fn set_state(&self, state: LogState) {
        self.state.send_if_modified(|now| {
            let changed = *now != state;
            if changed {
                *now = state;
            }
            changed
        });
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.nudge();
        // Those who wait for a position that will not come see that the log ended.
        self.durable.send_modify(|_| {});
        self.room.notify_waiters();
    }
}

/// Where the last whole atomic group ends that begins at or after `start` and fits into `room`; at
/// least one is taken.
fn unit_end(group: &[u8], start: usize, room: usize) -> usize {
    let mut at = start;
    let mut whole = start;
    while let Some(header) = RecordHeader::parse(&group[at..]) {
        at += header.size();
        if !header.joined() {
            if at - start > room && whole > start {
                break;
            }
            whole = at;
        }
        if at - start > room && whole > start {
            break;
        }
    }
    whole
}

fn seq_range(chunk: &[u8]) -> (u64, u64) {
    let first = RecordHeader::parse(chunk).map_or(0, |header| header.seq);
    let mut last = first;
    let mut rest = chunk;
    while let Some(header) = RecordHeader::parse(rest) {
        last = header.seq;
        rest = rest.get(header.size()..).unwrap_or_default();
    }
    (first, last)
}

/// Whether a segment of an earlier life can be continued.
pub(crate) fn continuable(generation: u8) -> bool {
    generation < LAST_GENERATION
}

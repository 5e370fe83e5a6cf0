//! The thread that writes footage: one `fdatasync` per group.

use super::batch::{Batch, Current, NEW_SEGMENT};
use super::format::{Kind, SEGMENT_HEADER, SegmentHeader, record_size};
use super::ladder::choose;
use super::queue::{Done, Item};
use super::usage::{MediaState, ReserveState};
use super::{Inner, MediaError};
use crate::failpoint;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tillwatch_protocol::FrameKey;

/// Pause while segments are still being made.
const MAKING: Duration = Duration::from_millis(20);

/// Why a write did not come about.
#[derive(Debug)]
pub(super) enum Trouble {
    Io(io::Error),
    /// There is no segment, and none can be given up.
    NoSegment,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Io(error)
    }
}

/// The writer's own state.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) media: Arc<Inner>,
    pub(crate) current: Option<Current>,
    /// Failures in a row.
    pub(crate) failures: u32,
    pub(crate) last_try: bool,
    /// Segments are being made free.
    pub(crate) refilling: bool,
}

impl Writer {
    /// Runs until the media are closed and everything is written.
    pub(crate) fn run(mut self) {
        self.seal_left_over();
        self.refill();
        while let Some(items) = self.take() {
            let done = self.write_items(items);
            crate::lock(&self.media.queue).in_flight = 0;
            if !done {
                break;
            }
            self.refill();
        }
        // Those who still wait are told by what they wait on being gone.
        if failpoint::hit("media.close.drained").is_err() {
            tracing::warn!("closing the media failed");
        }
    }

    /// Waits for a group and takes it; `None` when the media are closed and nothing waits.
    fn take(&self) -> Option<VecDeque<Item>> {
        let options = &self.media.options;
        let mut queue = crate::lock(&self.media.queue);
        loop {
            let waited = queue.since.map(|since| since.elapsed());
            let due = waited.is_some_and(|waited| {
                queue.urgent
                    || queue.closing
                    || queue.bytes() >= options.taken_bytes()
                    || waited >= options.group_delay
            });
            if due {
                return Some(queue.take(options.taken_bytes()));
            }
            if queue.closing && queue.is_empty() {
                return None;
            }
            queue = match waited {
                None => crate::wait(&self.media.wake, queue),
                Some(waited) => {
                    crate::wait_for(&self.media.wake, queue, options.group_delay - waited)
                }
            };
        }
    }

    /// Makes items durable, in as few writes as segments allow; false when the media were closed
    /// while nothing could be written.
    pub(super) fn write_items(&mut self, mut items: VecDeque<Item>) -> bool {
        while !items.is_empty() {
            match self.write_some(&mut items) {
                Ok(()) => {
                    self.failures = 0;
                    self.media.set_state(MediaState::Writable);
                }
                Err(Trouble::NoSegment) => self.lose(&mut items),
                Err(Trouble::Io(error)) => {
                    self.failures += 1;
                    self.give_up_segment();
                    tracing::error!(%error, failures = self.failures, "footage cannot be written");
                    if self.failures > 1 {
                        self.media.set_state(MediaState::Broken {
                            why: error.to_string(),
                        });
                        // After closing there is one more try, on another segment.
                        if self.pause() && std::mem::replace(&mut self.last_try, true) {
                            return false;
                        }
                    }
                }
            }
        }
        true
    }

    /// Waits before the next try; true when the media were closed meanwhile.
    fn pause(&self) -> bool {
        let queue = crate::lock(&self.media.queue);
        let retry = self.media.options.retry;
        crate::wait_until(&self.media.wake, queue, retry, |queue| queue.closing).closing
    }

    /// Gives up the frames for which there is no segment; changes of clips have room of their own.
    fn lose(&mut self, items: &mut VecDeque<Item>) {
        self.media.set_state(MediaState::Full);
        let frames = items.iter().filter_map(|item| match item {
            Item::Frame(frame) => Some(frame.key),
            _ => None,
        });
        let frames: Vec<FrameKey> = frames.collect();
        if frames.is_empty() {
            // Not even those have room.
            for item in items.drain(..) {
                if let Item::Change(_, Some(done)) = item {
                    let _ = done.send(Err(MediaError::NoRoom));
                }
            }
            return;
        }
        tracing::error!(
            frames = frames.len(),
            "footage lost: all segments are being recorded or read"
        );
        let lost = frames.len() as u64;
        self.media.counters.lost_full.add(lost);
        self.media.written.send_modify(|written| *written += lost);
        crate::lock(&self.media.held).lose(&frames);
        items.retain(|item| matches!(item, Item::Change(..)));
    }

    /// Writes what fits and syncs it.
    fn write_some(&mut self, items: &mut VecDeque<Item>) -> Result<(), Trouble> {
        failpoint::hit("media.group.taken")?;
        self.need_segment(items.front())?;
        let media = Arc::clone(&self.media);
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let (mut batch, lone_table) = begin(&media, current);
        let mut replies: Vec<(Option<Done>, Result<(), MediaError>)> = Vec::new();
        let mut taken = 0;
        for item in items.iter_mut() {
            let room = current.room(batch.entries.len());
            let used = batch.len();
            match item {
                Item::Frame(frame) | Item::Copy(frame) => {
                    let need = record_size(frame.jpeg.len()) as u64 + media.options.clip_reserve();
                    if used + need > room {
                        break;
                    }
                    batch.add_frame(frame);
                }
                Item::Change(change, done) => {
                    let changed = crate::lock(&media.held).change(
                        change,
                        current.ordinal,
                        &batch,
                        &media.options,
                    );
                    match changed {
                        Err(error) => replies.push((done.take(), Err(error))),
                        Ok(clips) => {
                            let bodies: Vec<_> = clips.iter().map(|clip| clip.encode()).collect();
                            let need: usize =
                                bodies.iter().map(|body| record_size(body.len())).sum();
                            if used + need as u64 > room {
                                break;
                            }
                            bodies
                                .into_iter()
                                .for_each(|body| batch.add_own(Kind::Clip, body));
                            batch.clips.extend(clips);
                            replies.push((done.take(), Ok(())));
                        }
                    }
                }
            }
            if let Item::Frame(frame) = item {
                batch.newest.push(frame.key);
            }
            taken += 1;
        }
        if taken == 0 {
            // It is full, or the item fits nowhere.
            return if lone_table {
                Err(Trouble::NoSegment)
            } else {
                self.finish_segment();
                Ok(())
            };
        }
        if !batch.is_empty()
            && let Err(error) = write(&media, current, &batch)
        {
            // Not acknowledged: they are written again, and answered then.
            for (item, (done, _)) in items
                .iter_mut()
                .filter(|item| matches!(item, Item::Change(..)))
                .zip(replies)
            {
                if let Item::Change(_, held) = item {
                    *held = done;
                }
            }
            return Err(error.into());
        }
        media.publish(current, &batch, items.iter().take(taken));
        items.drain(..taken);
        for (done, reply) in replies {
            if let Some(done) = done {
                // Whoever asked may not care any more.
                let _ = done.send(reply);
            }
        }
        failpoint::hit("media.group.published")?;
        Ok(())
    }

    /// Has a segment with room for this item.
    fn need_segment(&mut self, item: Option<&Item>) -> Result<(), Trouble> {
        let need = match item {
            Some(Item::Frame(frame) | Item::Copy(frame)) => {
                record_size(frame.jpeg.len()) as u64 + self.media.options.clip_reserve()
            }
            _ => 0,
        };
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.room(1) >= need)
        {
            return Ok(());
        }
        let slot = self.free_slot()?;
        self.finish_segment();
        let media = &self.media;
        let path = crate::lock(&media.held).pool.path(slot);
        let opened = media.disk.open(&path);
        let mut held = crate::lock(&media.held);
        let file = match opened {
            Ok(file) => file,
            Err(error) => {
                held.pool.busy.remove(&slot);
                held.pool.free.push_back(slot);
                return Err(error.into());
            }
        };
        let ordinal = held.pool.next_ordinal;
        held.pool.next_ordinal += 1;
        drop(held);
        let header = media.header(ordinal);
        self.current = Some(Current {
            ordinal,
            slot,
            file,
            bytes: header.bytes,
            salt: header.salt(),
            offset: NEW_SEGMENT,
            chain: header.salt(),
            write: 0,
            records: 0,
            header: Some(header),
        });
        Ok(())
    }

    /// A segment for the next records. Usually one is ready; after failures one may have to go
    /// without its clips being told so on disk first: then the new segment's table tells it.
    fn free_slot(&mut self) -> Result<u32, Trouble> {
        let media = Arc::clone(&self.media);
        let mut held = crate::lock(&media.held);
        loop {
            if let Some(slot) = held.pool.free.pop_front() {
                held.pool.busy.insert(slot);
                return Ok(slot);
            }
            let making = matches!(&*media.reserve.borrow(), ReserveState::Working);
            if !making || media.closing() {
                break;
            }
            held = crate::wait_for(&media.made, held, MAKING);
        }
        if !self.refilling && self.current.is_some() {
            // In order: what goes is told on disk before it goes.
            drop(held);
            self.refill();
            held = crate::lock(&media.held);
            if let Some(slot) = held.pool.free.pop_front() {
                held.pool.busy.insert(slot);
                return Ok(slot);
            }
        }
        let now = media.now();
        let Some(choice) = choose(&held.pool, &held.table, &media.options, now, false) else {
            return Err(Trouble::NoSegment);
        };
        tracing::warn!(
            step = choice.step.word(),
            "a segment is used again in a hurry"
        );
        media.counters.hurried.add(1);
        for id in &choice.clips {
            if let Some(clip) = held.table.get(*id).cloned() {
                held.table.apply(clip.given_up(choice.step.reason()));
                media.told_dropped(*id, choice.step);
            }
        }
        let Some(used) = held.pool.used.remove(&choice.ordinal) else {
            return Err(Trouble::NoSegment);
        };
        held.pool.busy.insert(used.slot);
        drop(held);
        // Before anything is written over it the disk says that it is nobody's: a start after a cut
        // sees by that which clips it cost.
        let freed = media.free(&used);
        let slot = used.slot;
        if let Err(error) = freed {
            let mut held = crate::lock(&media.held);
            held.pool.busy.remove(&slot);
            held.pool.used.insert(choice.ordinal, used);
            return Err(error.into());
        }
        media.counters.recycled[choice.step as usize].add(1);
        Ok(slot)
    }

    /// After a failed write or sync the kernel may have dropped the pages: they are never written
    /// again as they are. What is durable in the segment stays readable.
    fn give_up_segment(&mut self) {
        let Some(current) = self.current.take() else {
            return;
        };
        let mut held = crate::lock(&self.media.held);
        held.pool.current = None;
        if current.header.is_some() {
            // Nothing in it counts: the next try writes all of it anew, under another salt.
            held.pool.busy.remove(&current.slot);
            held.pool.free.push_back(current.slot);
            return;
        }
        self.media.counters.suspect_segments.add(1);
        tracing::warn!(segment = current.ordinal, "media segment sealed as suspect");
        if let Some(used) = held.pool.used.get_mut(&current.ordinal) {
            used.suspect = true;
        }
    }

    /// Nothing more comes into the current segment: it gets its index.
    fn finish_segment(&mut self) {
        let Some(current) = self.current.take() else {
            return;
        };
        crate::lock(&self.media.held).pool.current = None;
        if current.header.is_some() {
            let mut held = crate::lock(&self.media.held);
            held.pool.busy.remove(&current.slot);
            held.pool.free.push_back(current.slot);
            return;
        }
        if let Err(error) = self.media.seal(&current) {
            tracing::warn!(%error, segment = current.ordinal, "media segment not sealed: the next start reads all of it");
            if let Some(used) = crate::lock(&self.media.held)
                .pool
                .used
                .get_mut(&current.ordinal)
            {
                used.suspect = true;
            }
        }
    }
}

/// A new write, with the table before everything else if it is the segment's first. True when
/// there is nothing in the segment yet.
fn begin(media: &Inner, current: &Current) -> (Batch, bool) {
    let held = crate::lock(&media.held);
    let runs = held.pool.used.get(&current.ordinal);
    let mut batch = Batch::new(
        current,
        runs.map(|used| used.runs.clone()).unwrap_or_default(),
    );
    let new = current.header.is_some();
    if new {
        batch.add_own(Kind::Table, held.table.encode());
    }
    (batch, new)
}

/// Writes and syncs.
fn write(media: &Inner, current: &Current, batch: &Batch) -> io::Result<()> {
    if let Some(header) = current.header {
        current.file.write_all_at(&header.encode(), 0)?;
        media.counters.bytes_written.add(SEGMENT_HEADER as u64);
        failpoint::hit("media.group.header_written")?;
    }
    batch.write_to(current.file.as_ref())?;
    media.counters.bytes_written.add(batch.len());
    failpoint::hit("media.group.written")?;
    current.file.sync_data()?;
    media.counters.fdatasyncs.add(1);
    failpoint::hit("media.group.synced")?;
    Ok(())
}

impl Inner {
    /// The header of a segment's next life; 0 makes it free.
    pub(super) fn header(&self, ordinal: u64) -> SegmentHeader {
        SegmentHeader {
            log_id: self.log_id,
            ordinal,
            nonce: uuid::Uuid::new_v4().as_u64_pair().0,
            bytes: self.options.segment_bytes,
        }
    }
}

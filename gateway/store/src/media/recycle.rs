//! Making segments free again.

use super::batch::Current;
use super::format::{Entry, Kind, SEGMENT_HEADER};
use super::ladder::{Choice, Step, choose};
use super::pool::Used;
use super::queue::{Change, Item, Thinned};
use super::read::{entries_of, frame_at};
use super::table::Clip;
use super::usage::ReserveState;
use super::writer::Writer;
use super::{Inner, StoredFrame};
use crate::failpoint;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use tillwatch_protocol::FrameKey;
use tillwatch_protocol::time::SECOND_NS;

/// Segments kept free in a pool of eight and more; one in a smaller one.
const SPARE: usize = 2;

impl Writer {
    /// Has free segments ready before they are needed.
    pub(super) fn refill(&mut self) {
        self.refilling = true;
        while self.refill_one() {}
        self.refilling = false;
    }

    /// Makes one segment free; false when there are enough, or none can go.
    fn refill_one(&mut self) -> bool {
        let choice = {
            let held = crate::lock(&self.media.held);
            let making = matches!(&*self.media.reserve.borrow(), ReserveState::Working);
            let spare = if held.pool.files() < 8 { 1 } else { SPARE };
            if making || held.pool.free.len() >= spare {
                return false;
            }
            let may_thin = self.current.is_some() && !held.pool.free.is_empty();
            choose(
                &held.pool,
                &held.table,
                &self.media.options,
                self.media.now(),
                may_thin,
            )
        };
        let Some(choice) = choice else { return false };
        match self.recycle(&choice) {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(%error, "media segment not recycled");
                false
            }
        }
    }

    /// Gives up what is in a segment and makes it free; false when it has to stay.
    fn recycle(&mut self, choice: &Choice) -> io::Result<bool> {
        failpoint::hit("media.recycle.begun")?;
        let mut moved = true;
        if choice.step == Step::Thin {
            let (items, gains) = self.thin(choice)?;
            moved = gains;
            if !self.write_items(items) {
                return Ok(false);
            }
            failpoint::hit("media.recycle.copied_forward")?;
        } else if !choice.clips.is_empty() {
            let drops = choice.clips.iter();
            let drops = drops.map(|id| Item::Change(Change::Drop(*id, choice.step), None));
            if !self.write_items(drops.collect()) {
                return Ok(false);
            }
            failpoint::hit("media.recycle.dropped")?;
        }
        if !moved {
            // It stays, and is known to be as thin as it gets: another one goes.
            return Ok(true);
        }
        let used = {
            let mut held = crate::lock(&self.media.held);
            let (now, pin_for) = (self.media.now(), self.media.options.pin_for);
            let needed = held.table.needs().contains_key(&choice.ordinal);
            let wanted = held.pool.used.get(&choice.ordinal);
            let wanted = wanted.is_none_or(|used| held.pool.claimed(used))
                || held.pool.pinned(choice.ordinal, now, pin_for);
            if needed || wanted {
                return Ok(false);
            }
            let readers = held.pool.pins.values();
            let late = readers.filter(|pin| pin.ordinals.contains(&choice.ordinal));
            self.media.counters.pins_expired.add(late.count() as u64);
            let Some(used) = held.pool.used.remove(&choice.ordinal) else {
                return Ok(false);
            };
            held.pool.busy.insert(used.slot);
            used
        };
        self.media.counters.recycled[choice.step as usize].add(1);
        let freed = self.media.free(&used);
        let mut held = crate::lock(&self.media.held);
        held.pool.busy.remove(&used.slot);
        let fits = used.bytes == self.media.options.segment_bytes
            && held.pool.files() < self.media.options.segments();
        if !fits {
            drop(held);
            let path = super::pool::slot_path(&self.media.dir, used.slot);
            self.media.disk.remove(&path)?;
            return Ok(true);
        }
        // Nobody needs it, whether the disk knows already or not: the next header says so too.
        held.pool.free.push_back(used.slot);
        drop(held);
        freed.map(|()| true)
    }

    /// What is copied forward of a segment, one frame a second of each camera, and what that makes
    /// of its clips. Without copies, when they would save less than half.
    fn thin(&self, choice: &Choice) -> io::Result<(VecDeque<Item>, bool)> {
        let (used, clips) = {
            let mut held = crate::lock(&self.media.held);
            held.copied_to.clear();
            let clips = choice.clips.iter().filter_map(|id| held.table.get(*id));
            let clips: Vec<Arc<Clip>> = clips.map(Arc::clone).collect();
            let Some(used) = held.pool.used.get(&choice.ordinal) else {
                return Ok((VecDeque::new(), false));
            };
            (used.clone(), clips)
        };
        let file = self.media.disk.open(&self.media.path(used.slot))?;
        let entries = entries_of(file.as_ref(), &used)?;
        let frames = entries.iter().filter(|entry| entry.kind == Kind::Frame);
        let needed: BTreeMap<FrameKey, &Entry> = frames
            .filter(|entry| clips.iter().any(|clip| has(clip, entry)))
            .map(|entry| (entry.key, entry))
            .collect();
        let kept = one_a_second(needed.values().copied());
        let bytes = |keys: &BTreeSet<FrameKey>| -> u64 {
            let kept = keys.iter().filter_map(|key| needed.get(key));
            kept.map(|entry| u64::from(entry.len)).sum()
        };
        let all = needed.values().map(|entry| u64::from(entry.len));
        let gains = bytes(&kept) * 2 <= all.sum::<u64>();
        let mut items = VecDeque::new();
        if gains {
            for entry in kept.iter().filter_map(|key| needed.get(key)) {
                // What cannot be read any more is not lost by leaving it behind.
                if let Ok(jpeg) = frame_at(file.as_ref(), used.salt, entry) {
                    items.push_back(Item::Copy(StoredFrame {
                        key: entry.key,
                        monotonic_ns: entry.monotonic_ns,
                        utc_us: entry.utc_us,
                        jpeg,
                    }));
                }
            }
            self.media.counters.thinned_frames.add(items.len() as u64);
        }
        for clip in clips {
            let mut gone: BTreeMap<u8, (u32, u64)> = BTreeMap::new();
            let here = needed.values().filter(|entry| has(&clip, entry));
            for entry in here.filter(|entry| gains && !kept.contains(&entry.key)) {
                let (frames, bytes) = gone.entry(entry.key.camera).or_default();
                *frames += 1;
                *bytes += u64::from(entry.len);
            }
            let thinned = Thinned {
                clip_id: clip.request.clip_id,
                ordinal: choice.ordinal,
                moved: gains,
                gone,
            };
            items.push_back(Item::Change(Change::Thin(Box::new(thinned)), None));
        }
        Ok((items, gains))
    }

    /// Segments that an earlier life did not seal get their index now.
    pub(super) fn seal_left_over(&mut self) {
        let open: Vec<(u64, Used)> = {
            let held = crate::lock(&self.media.held);
            let open = held.pool.used.iter().filter(|(ordinal, used)| {
                used.index_at.is_none() && held.pool.current != Some(**ordinal)
            });
            open.map(|(ordinal, used)| (*ordinal, used.clone()))
                .collect()
        };
        for (ordinal, used) in open {
            let Some(last) = used.entries.last() else {
                continue;
            };
            let end = u64::from(last.offset) + super::format::record_size(last.len as usize) as u64;
            let sealed = self.media.disk.open(&self.media.path(used.slot));
            let sealed = sealed.and_then(|file| {
                let current = Current {
                    ordinal,
                    slot: used.slot,
                    file,
                    bytes: used.bytes,
                    salt: used.salt,
                    offset: end,
                    // What follows a seal is not read as a chain.
                    chain: used.salt,
                    write: u32::MAX - 1,
                    records: used.entries.len(),
                    header: None,
                };
                if last.kind == Kind::Index && tells_all(&current, &used, last.offset)? {
                    let size = end - u64::from(last.offset);
                    return self
                        .media
                        .write_seal(&current, last.offset, size, used.runs.clone());
                }
                self.media.seal(&current)
            });
            if let Err(error) = sealed {
                tracing::warn!(%error, segment = ordinal, "media segment not sealed: the next start reads all of it");
            }
        }
    }
}

/// Whether the index at `at` names every record that was found. One that says less would hide what
/// can be read.
fn tells_all(current: &Current, used: &Used, at: u32) -> io::Result<bool> {
    let index = super::read::index_at_offset(current.file.as_ref(), current.salt, at)?;
    let told = index.unwrap_or_default();
    let mut told = told.iter();
    // Both are in the order of their places.
    Ok(used
        .entries
        .iter()
        .filter(|entry| entry.kind != Kind::Index)
        .all(|entry| told.any(|named| named == entry)))
}

impl Inner {
    /// Takes a segment's life from it: no byte in it is valid from here on.
    pub(super) fn free(&self, used: &Used) -> io::Result<()> {
        let file = self.disk.open(&self.path(used.slot))?;
        file.write_all_at(&self.header(0).encode(), 0)?;
        self.counters.bytes_written.add(SEGMENT_HEADER as u64);
        failpoint::hit("media.recycle.header_written")?;
        file.sync_data()?;
        self.counters.other_syncs.add(1);
        failpoint::hit("media.recycle.header_synced")?;
        // Where the system keeps files in large pieces, a write to a part of an old piece would
        // write all of it: a third more, measured.
        file.forget();
        Ok(())
    }
}

/// Whether a frame belongs to a clip.
pub(super) fn has(clip: &Clip, entry: &Entry) -> bool {
    clip.report.cameras.iter().any(|track| {
        track.camera == entry.key.camera
            && track.boot == entry.key.boot
            && (track.first_seq..=track.last_seq).contains(&entry.key.seq)
    })
}

/// One frame a second of each camera and boot; `entries` in their order.
fn one_a_second<'a>(entries: impl Iterator<Item = &'a Entry>) -> BTreeSet<FrameKey> {
    let mut last: Option<&Entry> = None;
    let mut kept = BTreeSet::new();
    for entry in entries {
        let near = last.is_some_and(|last| {
            last.key.camera == entry.key.camera
                && last.key.boot == entry.key.boot
                && entry.monotonic_ns.saturating_sub(last.monotonic_ns) < SECOND_NS
        });
        if !near {
            kept.insert(entry.key);
            last = Some(entry);
        }
    }
    kept
}

//! What follows a write: it is known to readers; and what closes a segment.

use super::Inner;
use super::batch::{Batch, Current};
use super::changes::TABLE_STEP;
use super::format::{
    Kind, RECORD_HEADER, RecordHeader, SEAL_RUNS, Seal, encode_index, record_size, salted,
};
use super::pool::{Run, Used};
use super::queue::{Change, Item};
use crate::failpoint;
use std::collections::BTreeMap;
use std::io;
use tillwatch_protocol::FrameKey;

impl Inner {
    /// A write became durable.
    pub(super) fn publish<'a>(
        &self,
        current: &mut Current,
        batch: &Batch,
        items: impl Iterator<Item = &'a Item>,
    ) {
        let mut held = crate::lock(&self.held);
        if !batch.is_empty() {
            current.offset = batch.end;
            current.chain = batch.chain;
            current.write += 1;
            current.records += batch.entries.len();
        }
        if !batch.is_empty() && current.header.take().is_some() {
            held.pool.busy.remove(&current.slot);
            let used = Used {
                slot: current.slot,
                salt: current.salt,
                bytes: current.bytes,
                runs: Vec::new(),
                entries: Vec::new(),
                index_at: None,
                written: self.now(),
                suspect: false,
            };
            held.pool.used.insert(current.ordinal, used);
        }
        held.pool.current = current.header.is_none().then_some(current.ordinal);
        let now = self.now();
        if let Some(used) = held.pool.used.get_mut(&current.ordinal) {
            used.runs.clone_from(&batch.runs);
            used.entries.extend_from_slice(&batch.entries);
            used.written = now;
        }
        let mut steps = BTreeMap::new();
        for item in items {
            let change = match item {
                Item::Change(change, _) => change,
                Item::Copy(_) => {
                    held.copied_to.insert(current.ordinal);
                    continue;
                }
                Item::Frame(_) => continue,
            };
            let id = change.clip_id();
            match change {
                Change::Commit(_) if batch.clips.iter().any(|c| c.request.clip_id == id) => {
                    held.pool.claims.remove(&id);
                }
                Change::Drop(_, step) => {
                    steps.insert(id, *step);
                }
                Change::Thin(thinned) if thinned.moved => self.told_thinned(thinned),
                _ => {}
            }
        }
        for clip in &batch.clips {
            let id = clip.request.clip_id;
            held.table.apply(clip.clone());
            if clip.dropped().is_some() {
                self.told_dropped(id, steps.get(&id).copied().unwrap_or(TABLE_STEP));
            }
        }
        drop(held);
        self.counters.payload_bytes.add(batch.payload);
        if !batch.newest.is_empty() {
            self.durable.send_modify(|durable| {
                for key in &batch.newest {
                    let highest = durable.entry(key.camera).or_insert(*key);
                    *highest = (*highest).max(*key);
                }
            });
            let frames = batch.newest.len() as u64;
            self.written.send_modify(|written| *written += frames);
        }
    }

    /// Closes a segment with its index and the seal that names it.
    pub(super) fn seal(&self, current: &Current) -> io::Result<()> {
        let (entries, runs) = {
            let held = crate::lock(&self.held);
            let Some(used) = held.pool.used.get(&current.ordinal) else {
                return Ok(());
            };
            (used.entries.clone(), used.runs.clone())
        };
        let body = encode_index(&entries);
        let size = record_size(body.len());
        if current.offset + size as u64 > current.bytes {
            return Err(io::Error::other("its index has no room"));
        }
        let header = RecordHeader {
            len: body.len() as u32,
            body_crc: salted(current.salt, &[&body]),
            chain: current.chain,
            write: current.write + 1,
            kind: Kind::Index,
            key: FrameKey {
                camera: 0,
                boot: 0,
                seq: 0,
            },
            monotonic_ns: 0,
            utc_us: 0,
            check: 0,
        };
        let (_, header) = header.encode(current.salt);
        let padding = vec![0; size - RECORD_HEADER - body.len()];
        let parts: [&[u8]; 3] = [&header, &body, &padding];
        current.file.write_all_parts_at(&parts, current.offset)?;
        self.counters.bytes_written.add(size as u64);
        // A segment is at most 256 MiB.
        self.write_seal(current, current.offset as u32, size as u64, runs)
    }

    /// Writes the seal that names an index which was written before, and syncs both.
    pub(super) fn write_seal(
        &self,
        current: &Current,
        index_at: u32,
        index_size: u64,
        runs: Vec<Run>,
    ) -> io::Result<()> {
        let seal = Seal {
            index_at,
            end: index_at.saturating_add(index_size as u32),
            runs: (runs.len() <= SEAL_RUNS).then_some(runs),
        };
        let (at, bytes) = seal.encode(current.salt);
        current.file.write_all_at(&bytes, at)?;
        self.counters.bytes_written.add(bytes.len() as u64);
        failpoint::hit("media.seal.written")?;
        current.file.sync_data()?;
        self.counters.other_syncs.add(1);
        failpoint::hit("media.seal.synced")?;
        if let Some(used) = crate::lock(&self.held).pool.used.get_mut(&current.ordinal) {
            used.index_at = Some(seal.index_at);
            used.entries = Vec::new();
        }
        Ok(())
    }
}

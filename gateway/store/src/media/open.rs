//! What an opening finds.

use super::MediaError;
use super::batch::Current;
use super::format::{Kind, SEGMENT_HEADER, Seal, SegmentHeader};
use super::options::MediaOptions;
use super::pool::{Pool, Run, Used, add_to_runs, slot_of, slot_path};
use super::read::{body_at, index_at_offset};
use super::scan::{Scanned, scan};
use super::table::{Clip, Table};
use super::usage::MediaCounters;
use crate::disk::{Disk, DiskFile};
use crate::failpoint;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tillwatch_protocol::ClipId;

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaOpened {
    /// Clips, those that were given up not counted.
    pub clips: usize,
    /// Bytes read: one header per segment, and what was not sealed.
    pub bytes_read: u64,
    /// Records of the write in flight when the power failed; none was acknowledged.
    pub torn_records: u64,
    /// Clips whose footage is not there any more although nobody gave them up: a file is missing
    /// or its header is damaged.
    pub lost: Vec<ClipId>,
    /// Sentences for the technician.
    pub notices: Vec<String>,
}

pub(super) struct Recovered {
    pub(super) pool: Pool,
    pub(super) table: Table,
    pub(super) current: Option<Current>,
    pub(super) opened: MediaOpened,
}

/// A segment in use, as its file says.
struct Found {
    slot: u32,
    file: Arc<dyn DiskFile>,
    salt: u32,
    bytes: u64,
    seal: Option<Seal>,
    /// Of one that is not sealed.
    scanned: Option<Scanned>,
}

pub(super) fn recover(
    disk: &dyn Disk,
    dir: &Path,
    options: &MediaOptions,
    log_id: [u8; 16],
    counters: &MediaCounters,
) -> Result<Recovered, MediaError> {
    disk.make_dir(dir).map_err(MediaError::io("create", dir))?;
    let mut opened = MediaOpened::default();
    let mut pool = Pool {
        dir: dir.to_owned(),
        next_ordinal: 1,
        ..Pool::default()
    };
    let found = read_headers(disk, options, log_id, &mut pool, &mut opened)?;
    let table = table_of(&found, options, &mut opened).map_err(MediaError::io("read", dir))?;
    let mut table = table.unwrap_or_else(|| Table::new(options.tombstones()));

    let newest = found.last_key_value().map(|(ordinal, _)| *ordinal);
    let mut current = None;
    for (ordinal, segment) in found {
        pool.next_ordinal = pool.next_ordinal.max(ordinal.saturating_add(1));
        if let Some(scanned) = &segment.scanned {
            let path = slot_path(dir, segment.slot);
            rewrite_tail(segment.file.as_ref(), scanned, counters)
                .map_err(MediaError::io("write", &path))?;
        }
        let continued = Some(ordinal) == newest && segment.bytes == options.segment_bytes;
        if let Some(scanned) = segment.scanned.as_ref().filter(|_| continued)
            && scanned
                .entries
                .last()
                .is_some_and(|last| last.kind != Kind::Index)
        {
            pool.current = Some(ordinal);
            current = Some(Current {
                ordinal,
                slot: segment.slot,
                file: Arc::clone(&segment.file),
                bytes: segment.bytes,
                salt: segment.salt,
                offset: scanned.end,
                chain: scanned.chain,
                write: scanned.write,
                records: scanned.entries.len(),
                header: None,
            });
        }
        let used = used(segment, &mut opened).map_err(MediaError::io("read", dir))?;
        pool.used.insert(ordinal, used);
    }
    // Names that an earlier life made may not be on disk yet.
    disk.sync_dir(dir).map_err(MediaError::io("fsync", dir))?;
    counters.other_syncs.add(1);

    let missing = |clip: &&Arc<Clip>| {
        let mut places = clip.places.iter();
        places.any(|place| !pool.used.contains_key(&place.ordinal))
    };
    let lost: Vec<Arc<Clip>> = table.oldest_first().filter(missing).cloned().collect();
    for clip in lost {
        opened.lost.push(clip.request.clip_id);
        table.apply(clip.given_up("a part of its footage was not on the disk any more"));
    }
    if !opened.lost.is_empty() {
        opened.notices.push(format!(
            "{} clips have lost footage that was on the disk before",
            opened.lost.len()
        ));
    }
    let there = table.oldest_first().filter(|clip| clip.dropped().is_none());
    opened.clips = there.count();
    counters.opening_bytes_read.add(opened.bytes_read);
    Ok(Recovered {
        pool,
        table,
        current,
        opened,
    })
}

/// Sorts the files into those in use and those that are free.
fn read_headers(
    disk: &dyn Disk,
    options: &MediaOptions,
    log_id: [u8; 16],
    pool: &mut Pool,
    opened: &mut MediaOpened,
) -> Result<BTreeMap<u64, Found>, MediaError> {
    let dir = pool.dir.clone();
    let mut found = BTreeMap::new();
    let (mut free, mut foreign, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for name in disk.list(&dir).map_err(MediaError::io("list", &dir))? {
        let path = dir.join(&name);
        let Some(slot) = slot_of(&name) else {
            if name.ends_with(".tmp") {
                disk.remove(&path)
                    .map_err(MediaError::io("remove", &path))?;
            }
            continue;
        };
        let file = disk.open(&path).map_err(MediaError::io("open", &path))?;
        let bytes = file.len().map_err(MediaError::io("stat", &path))?;
        let mut area = vec![0; SEGMENT_HEADER];
        let got = file
            .read_at(&mut area, 0)
            .map_err(MediaError::io("read", &path))?;
        opened.bytes_read += got as u64;
        area.truncate(got);
        let Some(header) = SegmentHeader::decode(&area) else {
            broken.push((slot, bytes));
            continue;
        };
        if header.log_id != log_id {
            foreign.push((slot, bytes));
            continue;
        }
        if header.ordinal == 0 {
            free.push((slot, bytes));
            continue;
        }
        let salt = header.salt();
        let seal = Seal::decode(&area, salt);
        let scanned = match &seal {
            Some(_) => None,
            None => Some(scan(file.as_ref(), salt).map_err(MediaError::io("read", &path))?),
        };
        if let Some(scanned) = &scanned {
            opened.bytes_read += scanned.bytes_read;
            opened.torn_records += scanned.torn;
            if scanned.holes > 0 {
                opened.notices.push(format!(
                    "{} parts of media segment {} are damaged; frames in them are lost",
                    scanned.holes, header.ordinal
                ));
            }
            if scanned.entries.is_empty() {
                // Its first write did not come to its end.
                free.push((slot, bytes));
                continue;
            }
        }
        let segment = Found {
            slot,
            file,
            salt,
            bytes,
            seal,
            scanned,
        };
        if let Some(twin) = found.insert(header.ordinal, segment) {
            broken.push((twin.slot, twin.bytes));
        }
    }
    for (files, what) in [
        (&foreign, "belong to another log"),
        (&broken, "are damaged"),
    ] {
        if !files.is_empty() {
            opened.notices.push(format!(
                "{} media segments {what}: they will be written over",
                files.len()
            ));
        }
    }
    // What may still interest somebody is used last.
    for (slot, bytes) in free.into_iter().chain(broken).chain(foreign) {
        let within = ((found.len() + pool.free.len()) as u64) < options.segments();
        if bytes == options.segment_bytes && within {
            pool.free.push_back(slot);
        } else {
            let path = pool.path(slot);
            disk.remove(&path)
                .map_err(MediaError::io("remove", &path))?;
        }
    }
    Ok(found)
}

/// The table of clips: as the newest segment that has one begins, and every change since.
fn table_of(
    found: &BTreeMap<u64, Found>,
    options: &MediaOptions,
    opened: &mut MediaOpened,
) -> std::io::Result<Option<Table>> {
    let mut parts = Vec::new();
    for segment in found.values().rev() {
        let part = match &segment.scanned {
            Some(scanned) => scanned.table.clone(),
            None => sealed_table(segment, opened)?,
        };
        let begins = part
            .iter()
            .any(|(kind, body)| *kind == Kind::Table && Table::decode(body, 0).is_some());
        parts.push(part);
        if begins {
            break;
        }
    }
    let mut table: Option<Table> = None;
    for (kind, body) in parts.into_iter().rev().flatten() {
        match kind {
            Kind::Table => table = Table::decode(&body, options.tombstones()).or(table),
            _ => {
                if let Some(clip) = Clip::decode(&body) {
                    table
                        .get_or_insert_with(|| Table::new(options.tombstones()))
                        .apply(clip);
                }
            }
        }
    }
    Ok(table)
}

/// The table's records of a sealed segment.
fn sealed_table(
    segment: &Found,
    opened: &mut MediaOpened,
) -> std::io::Result<Vec<(Kind, Vec<u8>)>> {
    let file = segment.file.as_ref();
    let mut records = Vec::new();
    let index_at = segment.seal.as_ref().map_or(0, |seal| seal.index_at);
    let Some(entries) = index_at_offset(file, segment.salt, index_at)? else {
        let scanned = scan(file, segment.salt)?;
        opened.bytes_read += scanned.bytes_read;
        return Ok(scanned.table);
    };
    opened.bytes_read += super::format::record_size(entries.len() * super::format::ENTRY) as u64;
    for entry in entries {
        if !matches!(entry.kind, Kind::Table | Kind::Clip) {
            continue;
        }
        if let Some((header, body)) = body_at(file, segment.salt, u64::from(entry.offset))? {
            opened.bytes_read += header.size() as u64;
            records.push((header.kind, body));
        }
    }
    Ok(records)
}

fn used(segment: Found, opened: &mut MediaOpened) -> std::io::Result<Used> {
    let (mut entries, mut index_at) = (Vec::new(), None);
    let runs = match (segment.scanned, segment.seal) {
        (Some(scanned), _) => {
            entries = scanned.entries;
            runs_of(&entries)
        }
        (None, Some(seal)) => {
            index_at = Some(seal.index_at);
            match seal.runs {
                Some(runs) => runs,
                None => {
                    let file = segment.file.as_ref();
                    let found = index_at_offset(file, segment.salt, seal.index_at)?;
                    let found = found.unwrap_or_default();
                    opened.bytes_read +=
                        super::format::record_size(found.len() * super::format::ENTRY) as u64;
                    runs_of(&found)
                }
            }
        }
        (None, None) => Vec::new(),
    };
    Ok(Used {
        slot: segment.slot,
        salt: segment.salt,
        bytes: segment.bytes,
        runs,
        entries,
        index_at,
        written: Duration::ZERO,
        suspect: false,
    })
}

fn runs_of(entries: &[super::format::Entry]) -> Vec<Run> {
    let mut runs = Vec::new();
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Frame) {
        add_to_runs(&mut runs, entry.key, entry.monotonic_ns);
    }
    runs
}

/// After a killed process the last write may be in the page cache only; after a failed sync in
/// pages that were called clean. Now it is durable before anybody is told so.
fn rewrite_tail(
    file: &dyn DiskFile,
    scanned: &Scanned,
    counters: &MediaCounters,
) -> std::io::Result<()> {
    let len = usize::try_from(scanned.end - scanned.last_write_at).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len];
    let got = file.read_at(&mut bytes, scanned.last_write_at)?;
    bytes.truncate(got);
    file.write_all_at(&bytes, scanned.last_write_at)?;
    counters.bytes_written.add(bytes.len() as u64);
    failpoint::hit("media.recover.tail_rewritten")?;
    file.sync_data()?;
    counters.other_syncs.add(1);
    failpoint::hit("media.recover.tail_synced")
}

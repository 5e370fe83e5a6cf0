//! Opening a log after whatever happened.

use super::format::{
    HeaderState, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, SegmentHeader, valid_record,
};
use super::gap::Gap;
use super::segment::Segment;
use super::writer::{Current, continuable};
use super::{LogOptions, Prepared};
use crate::disk::Disk;
use crate::error::StoreError;
use crate::failpoint;
use crate::usage::Counters;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillwatch_protocol::{LogId, Seq};

/// Most files kept in the folder for damaged parts; more are reported, not copied.
const MAX_ASIDE: usize = 64;

/// Part of the log that could not be read at open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Ordinal of the segment.
    pub segment: u64,
    /// Where in its file it begins.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// First record lost.
    pub from: Seq,
    /// Last record lost; 0 when a whole segment was lost and it is not known.
    pub to: Seq,
    /// Where a copy of the bytes was put.
    pub aside: Option<PathBuf>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage {
            segment,
            offset,
            bytes,
            from,
            to,
            aside,
        } = self;
        if to.0 > 0 {
            write!(f, "records {from} to {to} of the log are lost: ")?;
        }
        write!(
            f,
            "{bytes} bytes at {offset} of segment {segment} are damaged"
        )?;
        match aside {
            Some(path) => write!(f, "; a copy lies in {}", path.display()),
            None => Ok(()),
        }
    }
}

/// What opening found.
#[derive(Debug, Default)]
pub(crate) struct LogOpened {
    pub(crate) created: bool,
    pub(crate) torn_records: u64,
    pub(crate) damages: Vec<Damage>,
    pub(crate) notices: Vec<String>,
    /// Records accepted before that are missing at the end, at least.
    pub(crate) lost: u64,
}

pub(super) struct Recovered {
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) current: Option<Current>,
    pub(super) spare: Option<Prepared>,
    pub(super) next_ordinal: u64,
    pub(super) last_seq: u64,
    pub(super) gap: Option<Gap>,
    pub(super) opened: LogOpened,
}

struct Candidate {
    header: SegmentHeader,
    whole: bool,
    prepared: Prepared,
}

pub(super) fn segment_path(dir: &Path, ordinal: u64) -> PathBuf {
    dir.join(format!("{ordinal:016}.seg"))
}

fn ordinal_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 16).then(|| digits.parse().ok())?
}

fn header_of(disk: &dyn Disk, path: &Path) -> Result<(HeaderState, Prepared), StoreError> {
    let file = disk.open(path).map_err(StoreError::io("open", path))?;
    let file_len = file.len().map_err(StoreError::io("stat", path))?;
    let mut area = [0; SEGMENT_HEADER];
    let got = file
        .read_at(&mut area, 0)
        .map_err(StoreError::io("read", path))?;
    let state = SegmentHeader::decode(&area[..got]);
    Ok((
        state,
        Prepared {
            ordinal: 0,
            path: path.to_owned(),
            file,
            file_len,
        },
    ))
}

/// The identity that the newest segment names; for a data directory whose identity file is lost.
pub(crate) fn log_id_of(disk: &dyn Disk, dir: &Path) -> Option<LogId> {
    let names = disk.list(dir).ok()?;
    names
        .iter()
        .rev()
        .filter(|name| ordinal_of(name).is_some())
        .find_map(|name| match header_of(disk, &dir.join(name)).ok()?.0 {
            HeaderState::Active { header, .. } | HeaderState::Prepared(header) => {
                Some(LogId(uuid::Uuid::from_bytes(header.log_id)))
            }
            HeaderState::Invalid => None,
        })
}

pub(super) fn recover(
    disk: &dyn Disk,
    options: &LogOptions,
    counters: &Counters,
) -> Result<Recovered, StoreError> {
    let dir = &options.dir;
    disk.make_dir(dir).map_err(StoreError::io("create", dir))?;
    let mut opened = LogOpened::default();
    let mut candidates = Vec::new();
    let mut spares = Vec::new();
    let mut next_ordinal = 1;
    for name in disk.list(dir).map_err(StoreError::io("list", dir))? {
        let path = dir.join(&name);
        let Some(ordinal) = ordinal_of(&name) else {
            if name.ends_with(".tmp") {
                disk.remove(&path)
                    .map_err(StoreError::io("remove", &path))?;
            }
            continue;
        };
        next_ordinal = next_ordinal.max(ordinal + 1);
        let (state, file) = header_of(disk, &path)?;
        let prepared = Prepared { ordinal, ..file };
        let ours = |header: &SegmentHeader| {
            header.ordinal == ordinal && header.log_id == *options.log_id.0.as_bytes()
        };
        match state {
            HeaderState::Active { header, whole } if ours(&header) => {
                candidates.push(Candidate {
                    header,
                    whole,
                    prepared,
                });
            }
            HeaderState::Prepared(header) if ours(&header) => spares.push(prepared),
            _ => opened
                .damages
                .push(set_segment_aside(disk, options, prepared)?),
        }
    }

    let (segments, tail) = arrange(disk, candidates)?;
    let last_ordinal = segments.last().map_or(0, |segment| segment.ordinal);
    let mut spare = None;
    for prepared in spares {
        let usable = prepared.file_len == options.segment_bytes && prepared.ordinal > last_ordinal;
        if usable && spare.is_none() {
            spare = Some(prepared);
        } else {
            disk.remove(&prepared.path)
                .map_err(StoreError::io("remove", &prepared.path))?;
        }
    }

    opened.created = segments.is_empty() && opened.damages.is_empty() && options.claimed == 0;
    let mut recovered = Recovered {
        segments,
        current: None,
        spare,
        next_ordinal,
        last_seq: 0,
        gap: None,
        opened,
    };
    if let (Some(segment), Some(tail)) = (recovered.segments.last().map(Arc::clone), tail) {
        recover_tail(disk, options, counters, &segment, &tail, &mut recovered)?;
    }
    if let Some(gap) = Gap::of(recovered.last_seq, options.claimed) {
        // A jump needs a segment of its own, whose header says so.
        recovered.current = None;
        recovered.last_seq = gap.resume - 1;
        recovered.opened.lost = gap.records();
        recovered.opened.notices.push(gap.to_string());
        recovered.gap = Some(gap);
        counters.damaged_ranges.add(1);
    }
    // Names that an earlier life made may not be on disk yet, and what follows relies on them.
    disk.sync_dir(dir).map_err(StoreError::io("fsync", dir))?;
    counters.other_syncs.add(1);
    let opened = &mut recovered.opened;
    counters.damaged_ranges.add(opened.damages.len() as u64);
    opened
        .notices
        .extend(opened.damages.iter().map(Damage::to_string));
    Ok(recovered)
}

/// Sorts segments and gives each its range: a later segment wins from its first record on. What
/// nothing is left of is removed: a segment that was suspect before anything in it was durable.
fn arrange(
    disk: &dyn Disk,
    mut candidates: Vec<Candidate>,
) -> Result<(Vec<Arc<Segment>>, Option<Candidate>), StoreError> {
    candidates.sort_by_key(|candidate| candidate.header.ordinal);
    let mut segments = Vec::new();
    let mut tail = None;
    let mut before = u64::MAX;
    let mut end = u64::MAX;
    for candidate in candidates.into_iter().rev() {
        let (header, file) = (&candidate.header, &candidate.prepared);
        if header.base_seq >= before {
            disk.remove(&file.path)
                .map_err(StoreError::io("remove", &file.path))?;
            continue;
        }
        let segment = Segment::new(
            header.ordinal,
            file.path.clone(),
            Arc::clone(&file.file),
            file.file_len,
            header.base_seq,
            header.salt(),
        );
        if tail.is_some() {
            segment.set_extent(end, file.file_len);
        }
        before = header.base_seq;
        end = match header.gap_from {
            0 => before,
            from => from,
        } - 1;
        segments.push(Arc::new(segment));
        tail.get_or_insert(candidate);
    }
    segments.reverse();
    Ok((segments, tail))
}

fn recover_tail(
    disk: &dyn Disk,
    options: &LogOptions,
    counters: &Counters,
    segment: &Arc<Segment>,
    tail: &Candidate,
    recovered: &mut Recovered,
) -> Result<(), StoreError> {
    let path = &segment.path;
    let len = usize::try_from(segment.file_len).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len];
    let got = segment
        .file
        .read_at(&mut bytes, 0)
        .map_err(StoreError::io("read", path))?;
    bytes.truncate(got);
    let found = scan_tail(&bytes, segment.salt, segment.base_seq);
    for hole in &found.holes {
        let damaged = bytes.get(hole.offset..hole.end).unwrap_or_default();
        let aside = copy_aside(disk, options, segment.ordinal, hole.offset, damaged)?;
        recovered.opened.damages.push(Damage {
            segment: segment.ordinal,
            offset: hole.offset as u64,
            bytes: damaged.len() as u64,
            from: Seq(hole.from),
            to: Seq(hole.to),
            aside,
        });
    }
    recovered.opened.torn_records = found.torn;
    // Not so where records that were accepted are missing.
    if found.torn > 0 && found.last_seq >= options.claimed {
        recovered.opened.notices.push(format!(
            "the log ends at record {}: what was being written when the power failed ({} records) was never accepted",
            found.last_seq, found.torn
        ));
    }

    // The last group may be in the page cache only, or, after a failed sync, in pages that the
    // kernel calls clean. Written again it is dirty again, and the sync means what it says.
    if !tail.whole {
        let area = tail.header.encode();
        segment
            .file
            .write_all_at(&area, 0)
            .map_err(StoreError::io("write", path))?;
    }
    let last_group = bytes.get(found.last_group..found.end).unwrap_or_default();
    segment
        .file
        .write_all_at(last_group, found.last_group as u64)
        .map_err(StoreError::io("write", path))?;
    failpoint::hit("recover.tail_rewritten").map_err(StoreError::io("write", path))?;
    segment
        .file
        .sync_data()
        .map_err(StoreError::io("fdatasync", path))?;
    failpoint::hit("recover.tail_synced").map_err(StoreError::io("fdatasync", path))?;
    counters.bytes_written.add(last_group.len() as u64);
    counters.other_syncs.add(1);

    segment.set_extent(found.last_seq, found.end as u64);
    recovered.last_seq = found.last_seq;
    if continuable(found.generation) {
        recovered.current = Some(Current {
            segment: Arc::clone(segment),
            offset: found.end as u64,
            generation: found.generation + 1,
            header: None,
        });
    }
    Ok(())
}

/// A damaged range in a segment's bytes.
#[derive(Debug, PartialEq, Eq)]
struct Hole {
    offset: usize,
    end: usize,
    from: u64,
    to: u64,
}

/// What the last segment holds.
#[derive(Debug, Default)]
struct Tail {
    last_seq: u64,
    /// Where the last whole atomic group ends.
    end: usize,
    /// Where the last write began.
    last_group: usize,
    /// The highest generation of any valid record, those beyond the end included.
    generation: u8,
    holes: Vec<Hole>,
    /// Valid records beyond the end.
    torn: u64,
}

/// Finds the end of the log in its last segment.
///
/// Records of one write are on disk in any order until its sync is done; the next write begins
/// after that. So an invalid record is damage only if something was written after its write was
/// synced: a valid record whose write began above the missing position. Otherwise the log ends.
fn scan_tail(bytes: &[u8], salt: u32, base_seq: u64) -> Tail {
    let mut tail = Tail {
        last_seq: base_seq - 1,
        end: SEGMENT_HEADER,
        last_group: SEGMENT_HEADER,
        ..Tail::default()
    };
    let (mut offset, mut expect, mut group_at) = (SEGMENT_HEADER, base_seq, SEGMENT_HEADER);
    loop {
        let here = valid_record(salt, bytes.get(offset..).unwrap_or_default())
            .filter(|header| header.seq == expect && header.generation() >= tail.generation);
        if let Some(header) = here {
            if header.back == 0 {
                group_at = offset;
            }
            offset += header.size();
            expect += 1;
            tail.generation = header.generation();
            if !header.joined() {
                tail.end = offset;
                tail.last_seq = header.seq;
                tail.last_group = group_at;
            }
            continue;
        }
        let beyond = valid_beyond(bytes, salt, offset, expect);
        let proven = beyond
            .iter()
            .any(|(_, header)| header.generation() >= tail.generation && proves(header, expect));
        let resume = beyond
            .iter()
            .find(|(_, header)| header.generation() >= tail.generation);
        let Some((at, header)) = resume.filter(|_| proven) else {
            // Whole records before the end of an unfinished atomic group fall away too.
            tail.torn = expect - 1 - tail.last_seq + beyond.len() as u64;
            let highest = beyond.iter().map(|(_, header)| header.generation()).max();
            tail.generation = tail.generation.max(highest.unwrap_or(0));
            return tail;
        };
        tail.holes.push(Hole {
            offset,
            end: *at,
            from: expect,
            to: header.seq - 1,
        });
        (offset, expect, group_at) = (*at, header.seq, *at);
    }
}

/// Whether a record shows that the write which held `missing` was synced.
fn proves(header: &RecordHeader, missing: u64) -> bool {
    header.back < u16::MAX && header.write_began() > missing
}

/// All valid records from `offset` on with positions above `missing`.
fn valid_beyond(
    bytes: &[u8],
    salt: u32,
    offset: usize,
    missing: u64,
) -> Vec<(usize, RecordHeader)> {
    let furthest = missing.saturating_add((bytes.len() / RECORD_HEADER) as u64);
    let mut found = Vec::new();
    let mut at = offset;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= RECORD_HEADER) {
        let likely =
            RecordHeader::parse(rest).is_some_and(|h| h.seq > missing && h.seq <= furthest);
        match likely.then(|| valid_record(salt, rest)).flatten() {
            Some(header) => {
                found.push((at, header));
                at += header.size();
            }
            None => at += 8,
        }
    }
    found
}

fn copy_aside(
    disk: &dyn Disk,
    options: &LogOptions,
    ordinal: u64,
    offset: usize,
    bytes: &[u8],
) -> Result<Option<PathBuf>, StoreError> {
    let dir = &options.aside;
    disk.make_dir(dir).map_err(StoreError::io("create", dir))?;
    let name = format!("{ordinal:016}-{offset}.damaged");
    let path = dir.join(&name);
    let held = disk.list(dir).map_err(StoreError::io("list", dir))?;
    if held.contains(&name) {
        return Ok(Some(path));
    }
    if held.len() >= MAX_ASIDE {
        return Ok(None);
    }
    let file = disk
        .create(&path, 0)
        .map_err(StoreError::io("create", &path))?;
    file.write_all_at(bytes, 0)
        .map_err(StoreError::io("write", &path))?;
    file.sync_data()
        .map_err(StoreError::io("fdatasync", &path))?;
    disk.sync_dir(dir).map_err(StoreError::io("fsync", dir))?;
    Ok(Some(path))
}

/// A segment file whose header is not valid, or that belongs to another log, leaves the folder.
fn set_segment_aside(
    disk: &dyn Disk,
    options: &LogOptions,
    prepared: Prepared,
) -> Result<Damage, StoreError> {
    let dir = &options.aside;
    disk.make_dir(dir).map_err(StoreError::io("create", dir))?;
    let to = dir.join(format!("{:016}.seg", prepared.ordinal));
    disk.rename(&prepared.path, &to)
        .map_err(StoreError::io("rename", &to))?;
    disk.sync_dir(dir).map_err(StoreError::io("fsync", dir))?;
    Ok(Damage {
        segment: prepared.ordinal,
        offset: 0,
        bytes: prepared.file_len,
        from: Seq(0),
        to: Seq(0),
        aside: Some(to),
    })
}

//! One segment file that holds records, and walking over them.

use super::format::{RECORD_HEADER, RecordHeader, SEGMENT_HEADER, valid_record};
use crate::disk::DiskFile;
use crate::error::StoreError;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tillwatch_protocol::Seq;

/// Bytes read at once while walking.
const READ: usize = 64 << 10;
/// Distance of remembered places within a segment, in bytes.
const MARK_EVERY: u64 = 16 << 10;

/// A segment that is or was written to.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) ordinal: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) file_len: u64,
    pub(crate) base_seq: u64,
    pub(crate) salt: u32,
    extent: Mutex<Extent>,
}

#[derive(Debug)]
struct Extent {
    /// Its last durable record; `base_seq - 1` when there is none.
    last_seq: u64,
    /// Where that record ends; for a segment of an earlier life the file's end.
    end: u64,
    /// Some places, ascending: (position, offset).
    marks: Vec<(u64, u64)>,
}

impl Segment {
    pub(crate) fn new(
        ordinal: u64,
        path: PathBuf,
        file: Arc<dyn DiskFile>,
        file_len: u64,
        base_seq: u64,
        salt: u32,
    ) -> Segment {
        let extent = Extent {
            last_seq: base_seq.saturating_sub(1),
            end: SEGMENT_HEADER as u64,
            marks: Vec::new(),
        };
        Segment {
            ordinal,
            path,
            file,
            file_len,
            base_seq,
            salt,
            extent: Mutex::new(extent),
        }
    }

    pub(crate) fn last_seq(&self) -> u64 {
        crate::lock(&self.extent).last_seq
    }

    /// A write from `offset` up to `end` became durable; it holds `first_seq` to `last_seq`.
    pub(crate) fn publish(&self, first_seq: u64, offset: u64, last_seq: u64, end: u64) {
        let mut extent = crate::lock(&self.extent);
        extent.last_seq = last_seq;
        extent.end = end;
        extent.mark(first_seq, offset);
    }

    /// What a segment of an earlier life holds.
    pub(crate) fn set_extent(&self, last_seq: u64, end: u64) {
        let mut extent = crate::lock(&self.extent);
        extent.last_seq = last_seq;
        extent.end = end;
    }

    /// Begins walking at `seq`, or at the nearest remembered place before it.
    pub(crate) fn walk(self: &Arc<Segment>, seq: u64) -> Walk {
        let extent = crate::lock(&self.extent);
        let after = extent.marks.partition_point(|(marked, _)| *marked <= seq);
        let (expect, offset) = match after.checked_sub(1) {
            Some(at) => extent.marks[at],
            None => (self.base_seq, SEGMENT_HEADER as u64),
        };
        Walk {
            segment: Arc::clone(self),
            buffer: Vec::new(),
            buffer_at: 0,
            offset,
            expect,
            from: seq,
            last: extent.last_seq,
            end: extent.end,
            generation: 0,
            current: None,
        }
    }
}

impl Extent {
    fn mark(&mut self, seq: u64, offset: u64) {
        // Walks come by in any order: after a restart new records are marked before old ones.
        let place = self.marks.partition_point(|(marked, _)| *marked < seq);
        let before = place.checked_sub(1).map(|before| self.marks[before].1);
        let after = self.marks.get(place).map(|(_, at)| *at);
        let far = before.is_none_or(|at| at + MARK_EVERY <= offset)
            && after.is_none_or(|at| offset + MARK_EVERY <= at);
        if far {
            self.marks.insert(place, (seq, offset));
        }
    }
}

/// A record as it lies in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawRecord<'a> {
    pub(crate) seq: u64,
    pub(crate) kind: u16,
    pub(crate) version: u16,
    pub(crate) size: u32,
    pub(crate) body: &'a [u8],
}

/// Walks over the durable records of one segment.
#[derive(Debug)]
pub(crate) struct Walk {
    segment: Arc<Segment>,
    buffer: Vec<u8>,
    buffer_at: u64,
    offset: u64,
    expect: u64,
    /// Records below are passed over silently.
    from: u64,
    last: u64,
    end: u64,
    generation: u8,
    /// The record that was found last: its place in the buffer.
    current: Option<(usize, RecordHeader)>,
}

/// What a walk came to.
#[derive(Debug)]
pub(crate) enum Advance {
    /// A record: see [`Walk::current`].
    Record,
    /// Something that cannot be read; the walk goes on at this position.
    Failed(StoreError, u64),
    /// The end of the segment; the next one begins at this position or above.
    End(u64),
}

enum Found {
    Record(usize, RecordHeader),
    Missing { from: u64, to: u64, offset: u64 },
}

impl Walk {
    /// Goes to the next record.
    pub(crate) fn advance(&mut self) -> Advance {
        self.current = None;
        while self.expect <= self.last {
            match self.find() {
                Err(error) => {
                    // Nothing more can be had from this segment.
                    self.expect = self.last + 1;
                    return Advance::Failed(error, self.expect);
                }
                Ok(Found::Missing { from, to, offset }) => {
                    if to >= self.from {
                        let (segment, from, to) = (self.segment.ordinal, from.max(self.from), to);
                        let damaged = StoreError::Damaged {
                            segment,
                            offset,
                            from: Seq(from),
                            to: Seq(to),
                        };
                        return Advance::Failed(damaged, to + 1);
                    }
                }
                Ok(Found::Record(at, header)) => {
                    if header.seq >= self.from {
                        self.current = Some((at, header));
                        return Advance::Record;
                    }
                }
            }
        }
        Advance::End(self.last + 1)
    }

    /// The record that [`Walk::advance`] came to.
    pub(crate) fn current(&self) -> Option<RawRecord<'_>> {
        let (at, header) = self.current?;
        let body = at + RECORD_HEADER..at + RECORD_HEADER + header.len as usize;
        Some(RawRecord {
            seq: header.seq,
            kind: header.kind,
            version: header.version,
            // A record is at most a body of 1 MiB and its header.
            size: header.size() as u32,
            body: self.buffer.get(body)?,
        })
    }

    fn find(&mut self) -> Result<Found, StoreError> {
        if let Some((at, header)) = self.valid_at(self.offset)?
            && header.seq == self.expect
        {
            crate::lock(&self.segment.extent).mark(header.seq, self.offset);
            self.pass(&header);
            return Ok(Found::Record(at, header));
        }
        let (from, offset) = (self.expect, self.offset);
        // From here on, not from behind it: opening goes on with a position that jumps without a
        // hole, and what it accepted must be read.
        let mut candidate = offset;
        while candidate + RECORD_HEADER as u64 <= self.end {
            if let Some((_, header)) = self.valid_at(candidate)?
                && header.seq > from
                && header.seq <= self.last
            {
                self.offset = candidate;
                self.expect = header.seq;
                return Ok(Found::Missing {
                    from,
                    to: header.seq - 1,
                    offset,
                });
            }
            candidate += 8;
        }
        self.expect = self.last + 1;
        Ok(Found::Missing {
            from,
            to: self.last,
            offset,
        })
    }

    fn pass(&mut self, header: &RecordHeader) {
        self.offset += header.size() as u64;
        self.expect = header.seq + 1;
        self.generation = header.generation();
    }

    /// A valid record at `offset` of the file, with its place in the buffer.
    fn valid_at(&mut self, offset: u64) -> Result<Option<(usize, RecordHeader)>, StoreError> {
        let Some(at) = self.fill(offset, RECORD_HEADER)? else {
            return Ok(None);
        };
        let Some(header) = RecordHeader::parse(&self.buffer[at..]) else {
            return Ok(None);
        };
        if header.generation() < self.generation || header.seq > self.last {
            return Ok(None);
        }
        let Some(at) = self.fill(offset, header.size())? else {
            return Ok(None);
        };
        Ok(valid_record(self.segment.salt, &self.buffer[at..]).map(|header| (at, header)))
    }

    /// Makes the buffer hold `need` bytes from `offset`; `None` beyond the end.
    fn fill(&mut self, offset: u64, need: usize) -> Result<Option<usize>, StoreError> {
        if offset + need as u64 > self.end {
            return Ok(None);
        }
        let held = self.buffer_at..self.buffer_at + self.buffer.len() as u64;
        if !(held.start <= offset && offset + need as u64 <= held.end) {
            let most = usize::try_from(self.end - offset).unwrap_or(usize::MAX);
            self.buffer.resize(need.max(READ).min(most), 0);
            let segment = &self.segment;
            let got = segment.file.read_at(&mut self.buffer, offset);
            let got = got.map_err(StoreError::io("read", &segment.path))?;
            self.buffer.truncate(got);
            self.buffer_at = offset;
            if got < need {
                return Ok(None);
            }
        }
        Ok(usize::try_from(offset - self.buffer_at).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_remembered_in_any_order() {
        let mut extent = Extent {
            last_seq: 2_000,
            end: 1 << 20,
            marks: Vec::new(),
        };
        // After a restart: new records first, then a walk over the old ones.
        extent.mark(1_000, 600 << 10);
        extent.mark(1, 4 << 10);
        extent.mark(2, 5 << 10);
        extent.mark(500, 300 << 10);
        extent.mark(999, 599 << 10);
        assert_eq!(
            extent.marks,
            [(1, 4 << 10), (500, 300 << 10), (1_000, 600 << 10)]
        );
    }
}

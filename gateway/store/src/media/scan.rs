//! Reading a segment that has no seal, record by record.

use super::format::{Entry, Kind, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, salted};
use crate::disk::DiskFile;
use std::io;

/// Bytes read at once.
const READ: usize = 256 << 10;

/// What a segment without a seal holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// All valid records, in order.
    pub(crate) entries: Vec<Entry>,
    /// Bodies of the table's records.
    pub(crate) table: Vec<(Kind, Vec<u8>)>,
    /// Where the last valid record ends.
    pub(crate) end: u64,
    /// Its check; the salt when there is none.
    pub(crate) chain: u32,
    /// Number of the last write.
    pub(crate) write: u32,
    /// Where that write begins.
    pub(crate) last_write_at: u64,
    /// Valid records behind the end: of a write that a cut ended.
    pub(crate) torn: u64,
    /// Parts in the middle that are damaged.
    pub(crate) holes: u64,
    /// Bytes read.
    pub(crate) bytes_read: u64,
}

/// Reads a segment whose checksums begin with `salt`.
///
/// The records of one write are on disk in any order until its sync is done, and the next write
/// begins after that. So an invalid record is damage only if something was written after its write
/// was synced: a valid record of the write after the next. Otherwise the segment ends there.
pub(crate) fn scan(file: &dyn DiskFile, salt: u32) -> io::Result<Scanned> {
    let mut window = Window::new(file)?;
    let begin = SEGMENT_HEADER as u64;
    let mut scanned = Scanned {
        end: begin,
        chain: salt,
        last_write_at: begin,
        ..Scanned::default()
    };
    let mut resumed = false;
    loop {
        let at = scanned.end;
        let next = window.record(at, salt)?.filter(|header| {
            let follows = header.chain == scanned.chain
                && (header.write == scanned.write || header.write == scanned.write + 1);
            follows || resumed
        });
        resumed = false;
        if let Some(header) = next {
            if header.write != scanned.write {
                scanned.last_write_at = at;
            }
            if matches!(header.kind, Kind::Table | Kind::Clip) {
                let body = window.get(at + RECORD_HEADER as u64, header.len as usize)?;
                scanned
                    .table
                    .push((header.kind, body.unwrap_or_default().to_vec()));
            }
            scanned.entries.push(Entry::of(&header, offset(at)));
            scanned.end = at + header.size() as u64;
            scanned.chain = header.check;
            scanned.write = header.write;
            continue;
        }
        let beyond = Beyond::look(&mut window, salt, at + 8)?;
        if beyond.highest_write < scanned.write.saturating_add(2) {
            scanned.torn = beyond.records;
            break;
        }
        let Some(first) = beyond.first else { break };
        scanned.holes += 1;
        scanned.end = first;
        resumed = true;
    }
    scanned.bytes_read = window.bytes_read;
    Ok(scanned)
}

/// Offsets fit: a segment is at most 256 MiB.
fn offset(at: u64) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[derive(Default)]
struct Beyond {
    first: Option<u64>,
    highest_write: u32,
    records: u64,
}

impl Beyond {
    /// All valid records from `at` on.
    fn look(window: &mut Window<'_>, salt: u32, mut at: u64) -> io::Result<Beyond> {
        let mut beyond = Beyond::default();
        while at + RECORD_HEADER as u64 <= window.len {
            match window.record(at, salt)? {
                Some(header) => {
                    beyond.first.get_or_insert(at);
                    beyond.highest_write = beyond.highest_write.max(header.write);
                    beyond.records += 1;
                    at += header.size() as u64;
                }
                None => at += 8,
            }
        }
        Ok(beyond)
    }
}

/// A piece of a file in memory.
struct Window<'a> {
    file: &'a dyn DiskFile,
    len: u64,
    at: u64,
    bytes: Vec<u8>,
    bytes_read: u64,
}

impl<'a> Window<'a> {
    fn new(file: &'a dyn DiskFile) -> io::Result<Window<'a>> {
        Ok(Window {
            len: file.len()?.min(u64::from(u32::MAX)),
            file,
            at: 0,
            bytes: Vec::new(),
            bytes_read: 0,
        })
    }

    /// A valid record at `at`, body included.
    fn record(&mut self, at: u64, salt: u32) -> io::Result<Option<RecordHeader>> {
        let header = self
            .get(at, RECORD_HEADER)?
            .and_then(|bytes| RecordHeader::decode(bytes, salt));
        let Some(header) = header else {
            return Ok(None);
        };
        if at + header.size() as u64 > self.len {
            return Ok(None);
        }
        let body = self.get(at + RECORD_HEADER as u64, header.len as usize)?;
        let right = body.is_some_and(|body| salted(salt, &[body]) == header.body_crc);
        Ok(right.then_some(header))
    }

    fn get(&mut self, at: u64, need: usize) -> io::Result<Option<&[u8]>> {
        let end = at + need as u64;
        if end > self.len {
            return Ok(None);
        }
        if at < self.at || end > self.at + self.bytes.len() as u64 {
            let rest = usize::try_from(self.len - at).unwrap_or(usize::MAX);
            self.bytes.resize(need.max(READ).min(rest), 0);
            let got = self.file.read_at(&mut self.bytes, at)?;
            self.bytes.truncate(got);
            self.bytes_read += got as u64;
            self.at = at;
        }
        let from = (at - self.at) as usize;
        Ok(self.bytes.get(from..from + need))
    }
}

//! Bytes of the media segments; the words are in the documentation of the parent module.

use super::pool::Run;
use crc32fast::Hasher;
use tillwatch_protocol::FrameKey;

/// Bytes before the first record: two copies of the header, and the seal between them.
pub(crate) const SEGMENT_HEADER: usize = 4096;
const COPIES: [usize; 2] = [0, 2048];
const COPY: usize = 64;
const MAGIC: &[u8; 8] = b"TWMEDIA1";

const SEAL_AT: usize = 512;
const SEAL_END: usize = 2048;
const SEAL_HEADER: usize = 24;
const SEAL_MAGIC: &[u8; 4] = b"SEAL";
const RUN: usize = 48;
/// Runs that a seal has room for; more are read from the index.
pub(crate) const SEAL_RUNS: usize = (SEAL_END - SEAL_AT - SEAL_HEADER - 4) / RUN;

/// Bytes before a record's body.
pub(crate) const RECORD_HEADER: usize = 64;
/// Largest body: a picture, or the table of clips.
pub(crate) const MAX_BODY: usize = 4 << 20;
/// Bytes of one entry of an index.
pub(crate) const ENTRY: usize = 48;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A picture.
    Frame,
    /// All clips as they stand; the first record of every segment.
    Table,
    /// One clip as it stands from here on.
    Clip,
    /// What the segment holds; the last record of a sealed one.
    Index,
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Frame => 1,
            Self::Table => 2,
            Self::Clip => 3,
            Self::Index => 4,
        }
    }

    fn of(number: u8) -> Option<Kind> {
        [Self::Frame, Self::Table, Self::Clip, Self::Index]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log_id: [u8; 16],
    /// Counts segments as they are taken into use; 0 while this one is free.
    pub(crate) ordinal: u64,
    /// Chosen anew whenever the header is written for another life of the file.
    pub(crate) nonce: u64,
    /// Of the file.
    pub(crate) bytes: u64,
}

impl SegmentHeader {
    fn encode_copy(&self) -> [u8; COPY] {
        let mut bytes = [0; COPY];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[16..32].copy_from_slice(&self.log_id);
        bytes[32..40].copy_from_slice(&self.ordinal.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.nonce.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.bytes.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..COPY - 4]);
        bytes[COPY - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header area, with no seal.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; SEGMENT_HEADER];
        for at in COPIES {
            bytes[at..at + COPY].copy_from_slice(&self.encode_copy());
        }
        bytes
    }

    fn decode_copy(bytes: &[u8]) -> Option<SegmentHeader> {
        let bytes = bytes.get(..COPY)?;
        let right =
            &bytes[..8] == MAGIC && crc32fast::hash(&bytes[..COPY - 4]) == u32_at(bytes, COPY - 4)?;
        right.then_some(SegmentHeader {
            log_id: bytes[16..32].try_into().ok()?,
            ordinal: u64_at(bytes, 32)?,
            nonce: u64_at(bytes, 40)?,
            bytes: u64_at(bytes, 48)?,
        })
    }

    /// Reads a header area. Of two copies that differ the one in use wins, and of two in use the
    /// later: both are written at once and a cut may keep either. When a segment is freed the other
    /// way round, nothing depends on it any more, whichever copy is believed.
    pub(crate) fn decode(bytes: &[u8]) -> Option<SegmentHeader> {
        let copies = COPIES.map(|at| bytes.get(at..).and_then(Self::decode_copy));
        copies.into_iter().flatten().max_by_key(|copy| copy.ordinal)
    }

    /// What the checksums of this life of the file begin with.
    pub(crate) fn salt(&self) -> u32 {
        let mut hasher = Hasher::new();
        hasher.update(&self.log_id);
        hasher.update(&self.ordinal.to_le_bytes());
        hasher.update(&self.nonce.to_le_bytes());
        hasher.finalize()
    }
}

/// Written when nothing more comes into a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seal {
    /// Where the index begins.
    pub(crate) index_at: u32,
    /// Where the index ends.
    pub(crate) end: u32,
    /// What the segment holds; `None` when there was no room to say so.
    pub(crate) runs: Option<Vec<Run>>,
}

impl Seal {
    /// The seal and where in the file it goes.
    pub(crate) fn encode(&self, salt: u32) -> (u64, Vec<u8>) {
        let runs = self.runs.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(SEAL_HEADER + runs.len() * RUN + 4);
        bytes.extend_from_slice(SEAL_MAGIC);
        bytes.extend_from_slice(&self.index_at.to_le_bytes());
        bytes.extend_from_slice(&self.end.to_le_bytes());
        let count = self
            .runs
            .as_ref()
            .map_or(u32::MAX, |runs| runs.len() as u32);
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        for run in runs {
            bytes.extend_from_slice(&u32::from(run.camera).to_le_bytes());
            bytes.extend_from_slice(&run.frames.to_le_bytes());
            for number in [
                run.boot,
                run.first_seq,
                run.last_seq,
                run.first_ns,
                run.last_ns,
            ] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        let crc = salted(salt, &[&bytes]);
        bytes.extend_from_slice(&crc.to_le_bytes());
        (SEAL_AT as u64, bytes)
    }

    /// Reads the seal of this life of the file from its header area.
    pub(crate) fn decode(area: &[u8], salt: u32) -> Option<Seal> {
        let bytes = area.get(SEAL_AT..SEAL_END)?;
        if &bytes[..4] != SEAL_MAGIC {
            return None;
        }
        let count = u32_at(bytes, 12)?;
        let listed = count != u32::MAX;
        let count = if listed { count as usize } else { 0 };
        if count > SEAL_RUNS {
            return None;
        }
        let end = SEAL_HEADER + count * RUN;
        if salted(salt, &[bytes.get(..end)?]) != u32_at(bytes, end)? {
            return None;
        }
        let runs = (0..count).map(|n| {
            let bytes = bytes.get(SEAL_HEADER + n * RUN..)?;
            Some(Run {
                camera: *bytes.first()?,
                frames: u32_at(bytes, 4)?,
                boot: u64_at(bytes, 8)?,
                first_seq: u64_at(bytes, 16)?,
                last_seq: u64_at(bytes, 24)?,
                first_ns: u64_at(bytes, 32)?,
                last_ns: u64_at(bytes, 40)?,
            })
        });
        let runs = runs.collect::<Option<Vec<_>>>()?;
        Some(Seal {
            index_at: u32_at(bytes, 4)?,
            end: u32_at(bytes, 8)?,
            runs: listed.then_some(runs),
        })
    }
}

/// What precedes a record's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) len: u32,
    /// Of the body, begun with the salt.
    pub(crate) body_crc: u32,
    /// The check of the record before; the salt for the first.
    pub(crate) chain: u32,
    /// Number of the write within the segment, from 1.
    pub(crate) write: u32,
    pub(crate) kind: Kind,
    /// Of a picture; zero otherwise.
    pub(crate) key: FrameKey,
    pub(crate) monotonic_ns: u64,
    pub(crate) utc_us: i64,
    /// Of all before it, begun with the salt.
    pub(crate) check: u32,
}

impl RecordHeader {
    /// Completes the header with its check.
    pub(crate) fn encode(mut self, salt: u32) -> (RecordHeader, [u8; RECORD_HEADER]) {
        let mut bytes = [0; RECORD_HEADER];
        bytes[..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.body_crc.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.chain.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.write.to_le_bytes());
        bytes[16] = self.kind.number();
        bytes[17] = self.key.camera;
        bytes[24..32].copy_from_slice(&self.key.boot.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.key.seq.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.monotonic_ns.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.utc_us.to_le_bytes());
        self.check = salted(salt, &[&bytes[..60]]);
        bytes[60..].copy_from_slice(&self.check.to_le_bytes());
        (self, bytes)
    }

    /// Reads a header of this life of the file. The body is not looked at.
    pub(crate) fn decode(bytes: &[u8], salt: u32) -> Option<RecordHeader> {
        let bytes = bytes.get(..RECORD_HEADER)?;
        let kind = Kind::of(bytes[16])?;
        let len = u32_at(bytes, 0)?;
        let check = u32_at(bytes, 60)?;
        if len as usize > MAX_BODY || salted(salt, &[&bytes[..60]]) != check {
            return None;
        }
        Some(RecordHeader {
            len,
            body_crc: u32_at(bytes, 4)?,
            chain: u32_at(bytes, 8)?,
            write: u32_at(bytes, 12)?,
            kind,
            key: FrameKey {
                camera: bytes[17],
                boot: u64_at(bytes, 24)?,
                seq: u64_at(bytes, 32)?,
            },
            monotonic_ns: u64_at(bytes, 40)?,
            utc_us: u64_at(bytes, 48)?.cast_signed(),
            check,
        })
    }

    /// Bytes of the whole record, padding included.
    pub(crate) fn size(&self) -> usize {
        record_size(self.len as usize)
    }
}

/// Bytes of a record with a body of this length.
pub(crate) const fn record_size(body: usize) -> usize {
    RECORD_HEADER + body.next_multiple_of(8)
}

/// Where a record lies in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) key: FrameKey,
    pub(crate) monotonic_ns: u64,
    pub(crate) utc_us: i64,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

impl Entry {
    pub(crate) fn of(header: &RecordHeader, offset: u32) -> Entry {
        Entry {
            kind: header.kind,
            key: header.key,
            monotonic_ns: header.monotonic_ns,
            utc_us: header.utc_us,
            offset,
            len: header.len,
        }
    }
}

/// The body of an index.
pub(crate) fn encode_index(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY);
    for entry in entries {
        bytes.extend_from_slice(&[entry.kind.number(), entry.key.camera, 0, 0, 0, 0, 0, 0]);
        for number in [
            entry.key.boot,
            entry.key.seq,
            entry.monotonic_ns,
            entry.utc_us.cast_unsigned(),
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&entry.offset.to_le_bytes());
        bytes.extend_from_slice(&entry.len.to_le_bytes());
    }
    bytes
}

/// Reads the body of an index.
pub(crate) fn decode_index(body: &[u8]) -> Option<Vec<Entry>> {
    let entries = body.chunks(ENTRY).map(|bytes| {
        Some(Entry {
            kind: Kind::of(*bytes.first()?)?,
            key: FrameKey {
                camera: *bytes.get(1)?,
                boot: u64_at(bytes, 8)?,
                seq: u64_at(bytes, 16)?,
            },
            monotonic_ns: u64_at(bytes, 24)?,
            utc_us: u64_at(bytes, 32)?.cast_signed(),
            offset: u32_at(bytes, 40)?,
            len: u32_at(bytes, 44)?,
        })
    });
    entries.collect()
}

/// CRC-32 of the parts, begun with the salt.
pub(crate) fn salted(salt: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new_with_initial(salt);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

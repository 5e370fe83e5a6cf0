//! Bytes of the log; the words are in the documentation of the parent module.

use crc32fast::Hasher;

/// Bytes before the first record of a segment: two copies of the header, each in its own sector.
pub(crate) const SEGMENT_HEADER: usize = 4096;
const COPIES: [usize; 2] = [0, 2048];
const COPY: usize = 72;
const MAGIC: &[u8; 8] = b"TWLOGSEG";
const FORMAT: u32 = 1;

/// Bytes before a record's body.
pub(crate) const RECORD_HEADER: usize = 24;
/// Largest record body.
pub(crate) const MAX_BODY: usize = 1 << 20;
/// The next record belongs to the same atomic group.
pub(crate) const JOINED: u16 = 1;
const GENERATION_SHIFT: u16 = 8;
/// The highest generation of a segment; the next opening begins a new segment.
pub(crate) const LAST_GENERATION: u8 = u8::MAX;

/// The store's own types begin at 0xff00: readers outside do not know and pass over them. The next free number of each lane (three u64): what remains when all entries were recycled.
pub(crate) const KIND_LANE_NUMBERS: u16 = 0xff01;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log_id: [u8; 16],
    pub(crate) ordinal: u64,
    /// Position of its first record; 0 while it is only prepared.
    pub(crate) base_seq: u64,
    /// Chosen anew whenever the segment is taken into use.
    pub(crate) nonce: u64,
    /// Where the log begins anew behind a gap: one above the last record before it. Else 0.
    pub(crate) gap_from: u64,
}

/// What the header area of a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderState {
    /// In use; `whole` when both copies agree.
    Active { header: SegmentHeader, whole: bool },
    /// Prepared, never used.
    Prepared(SegmentHeader),
    /// Neither copy is valid.
    Invalid,
}

impl SegmentHeader {
    fn encode_copy(&self) -> [u8; COPY] {
        let mut bytes = [0; COPY];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.log_id);
        bytes[32..40].copy_from_slice(&self.ordinal.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.base_seq.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.nonce.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.gap_from.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..COPY - 4]);
        bytes[COPY - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header area.
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        for at in COPIES {
            bytes[at..at + COPY].copy_from_slice(&self.encode_copy());
        }
        bytes
    }

    fn decode_copy(bytes: &[u8]) -> Option<SegmentHeader> {
        let bytes = bytes.get(..COPY)?;
        let right = &bytes[..8] == MAGIC
            && u32_at(bytes, 8)? == FORMAT
            && crc32fast::hash(&bytes[..COPY - 4]) == u32_at(bytes, COPY - 4)?;
        right.then_some(SegmentHeader {
            log_id: bytes[16..32].try_into().ok()?,
            ordinal: u64_at(bytes, 32)?,
            base_seq: u64_at(bytes, 40)?,
            nonce: u64_at(bytes, 48)?,
            gap_from: u64_at(bytes, 56)?,
        })
    }

    /// Reads a header area. A copy that is in use wins over one that is only prepared: taking into
    /// use writes both, and a cut may keep either.
    pub(crate) fn decode(bytes: &[u8]) -> HeaderState {
        let copies = COPIES.map(|at| bytes.get(at..).and_then(Self::decode_copy));
        let whole = copies[0] == copies[1];
        let used = copies.iter().flatten().find(|copy| copy.base_seq > 0);
        match (used, copies.iter().flatten().next()) {
            (Some(header), _) => HeaderState::Active {
                header: *header,
                whole,
            },
            (None, Some(header)) => HeaderState::Prepared(*header),
            (None, None) => HeaderState::Invalid,
        }
    }

    /// What the checksums of this segment's records begin with, so that no record of another
    /// segment, or of an earlier life of this file, is ever valid here.
    pub(crate) fn salt(&self) -> u32 {
        let mut hasher = Hasher::new();
        hasher.update(&self.log_id);
        hasher.update(&self.ordinal.to_le_bytes());
        hasher.update(&self.nonce.to_le_bytes());
        hasher.finalize()
    }
}

/// What precedes a record's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) len: u32,
    pub(crate) crc: u32,
    pub(crate) seq: u64,
    pub(crate) kind: u16,
    pub(crate) version: u16,
    pub(crate) flags: u16,
    /// Records of the same write before this one, at most 65535.
    pub(crate) back: u16,
}

impl RecordHeader {
    /// The header at the start of `bytes`, if it could be one.
    pub(crate) fn parse(bytes: &[u8]) -> Option<RecordHeader> {
        let bytes = bytes.get(..RECORD_HEADER)?;
        let header = RecordHeader {
            len: u32_at(bytes, 0)?,
            crc: u32_at(bytes, 4)?,
            seq: u64_at(bytes, 8)?,
            kind: u16_at(bytes, 16)?,
            version: u16_at(bytes, 18)?,
            flags: u16_at(bytes, 20)?,
            back: u16_at(bytes, 22)?,
        };
        let possible = header.len as usize <= MAX_BODY && header.seq > 0 && header.kind > 0;
        possible.then_some(header)
    }

    /// The header's bytes.
    pub(crate) fn encode(&self) -> [u8; RECORD_HEADER] {
        let mut bytes = [0; RECORD_HEADER];
        bytes[..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.crc.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..18].copy_from_slice(&self.kind.to_le_bytes());
        bytes[18..20].copy_from_slice(&self.version.to_le_bytes());
        bytes[20..22].copy_from_slice(&self.flags.to_le_bytes());
        bytes[22..24].copy_from_slice(&self.back.to_le_bytes());
        bytes
    }

    /// Bytes of the record with header and padding.
    pub(crate) fn size(&self) -> usize {
        (RECORD_HEADER + self.len as usize).next_multiple_of(8)
    }

    pub(crate) fn joined(&self) -> bool {
        self.flags & JOINED != 0
    }

    pub(crate) fn generation(&self) -> u8 {
        // The shift leaves eight bits.
        (self.flags >> GENERATION_SHIFT) as u8
    }

    /// Position of the first record of the same write, as far as `back` reaches.
    pub(crate) fn write_began(&self) -> u64 {
        self.seq.saturating_sub(u64::from(self.back))
    }
}

/// Checksum of a record: length, then everything after the checksum up to the end of the body.
fn checksum(salt: u32, record: &[u8], len: usize) -> u32 {
    let mut hasher = Hasher::new_with_initial(salt);
    hasher.update(&record[..4]);
    hasher.update(&record[8..RECORD_HEADER + len]);
    hasher.finalize()
}

/// Whether the bytes begin with a valid record of the segment with this salt.
pub(crate) fn valid_record(salt: u32, bytes: &[u8]) -> Option<RecordHeader> {
    let header = RecordHeader::parse(bytes)?;
    let len = header.len as usize;
    (bytes.len() >= header.size() && checksum(salt, bytes, len) == header.crc).then_some(header)
}

/// Marks the next record as part of the same atomic group.
pub(crate) fn join(buffer: &mut [u8], record_at: usize) {
    if let Some(flags) = buffer.get_mut(record_at + 20) {
        *flags |= JOINED as u8;
    }
}

/// Fills in what is known only when a group is written: its generation, each record's place in it,
/// the checksums. `group` is whole records.
pub(crate) fn seal(group: &mut [u8], salt: u32, generation: u8) {
    let mut rest = group;
    let mut back: u16 = 0;
    while let Some(header) = RecordHeader::parse(rest) {
        let (record, after) = rest.split_at_mut(header.size().min(rest.len()));
        record[21] = generation;
        record[22..24].copy_from_slice(&back.to_le_bytes());
        let crc = checksum(salt, record, header.len as usize);
        record[4..8].copy_from_slice(&crc.to_le_bytes());
        back = back.saturating_add(1);
        rest = after;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

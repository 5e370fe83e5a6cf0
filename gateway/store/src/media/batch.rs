//! One write: records with what they become, in the order in which they go to the disk.

use super::format::{
    ENTRY, Entry, Kind, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, SegmentHeader, record_size,
    salted,
};
use super::pool::{Run, add_to_runs};
use super::table::Clip;
use crate::disk::DiskFile;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use tillwatch_protocol::FrameKey;

/// The segment that takes the next write.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) ordinal: u64,
    pub(crate) slot: u32,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) bytes: u64,
    pub(crate) salt: u32,
    pub(crate) offset: u64,
    pub(crate) chain: u32,
    /// Number of the last write.
    pub(crate) write: u32,
    /// Records in it.
    pub(crate) records: usize,
    /// Not on disk yet.
    pub(crate) header: Option<SegmentHeader>,
}

impl Current {
    /// Bytes left beside the index that will close the segment.
    pub(crate) fn room(&self, more_records: usize) -> u64 {
        let index = record_size((self.records + more_records + 1) * ENTRY) as u64;
        self.bytes.saturating_sub(self.offset + index)
    }
}

/// What a record's body is made of: a picture goes to the disk from where the camera put it.
#[derive(Debug)]
enum Body {
    Picture(Bytes),
    Own(Vec<u8>),
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Picture(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// Records to be written together.
#[derive(Debug)]
pub(crate) struct Batch {
    salt: u32,
    begin: u64,
    pub(crate) end: u64,
    pub(crate) chain: u32,
    write: u32,
    headers: Vec<[u8; RECORD_HEADER]>,
    bodies: Vec<Body>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) runs: Vec<Run>,
    /// The clips as they will be.
    pub(crate) clips: Vec<Clip>,
    /// The frames that came from outside.
    pub(crate) newest: Vec<FrameKey>,
    pub(crate) payload: u64,
}

impl Batch {
    /// The next write to a segment that holds `runs` already.
    pub(crate) fn new(current: &Current, runs: Vec<Run>) -> Batch {
        Batch {
            salt: current.salt,
            begin: current.offset,
            end: current.offset,
            chain: current.chain,
            write: current.write + 1,
            headers: Vec::new(),
            bodies: Vec::new(),
            entries: Vec::new(),
            runs,
            clips: Vec::new(),
            newest: Vec::new(),
            payload: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    pub(crate) fn len(&self) -> u64 {
        self.end - self.begin
    }

    pub(crate) fn add_own(&mut self, kind: Kind, body: Vec<u8>) {
        let key = FrameKey {
            camera: 0,
            boot: 0,
            seq: 0,
        };
        self.add(kind, key, 0, 0, Body::Own(body));
    }

    pub(crate) fn add_frame(&mut self, frame: &super::StoredFrame) {
        let body = Body::Picture(frame.jpeg.clone());
        self.add(
            Kind::Frame,
            frame.key,
            frame.monotonic_ns,
            frame.utc_us,
            body,
        );
        add_to_runs(&mut self.runs, frame.key, frame.monotonic_ns);
        self.payload += frame.jpeg.len() as u64;
    }

    fn add(&mut self, kind: Kind, key: FrameKey, monotonic_ns: u64, utc_us: i64, body: Body) {
        let bytes = body.bytes();
        let header = RecordHeader {
            // Bodies are checked against their bounds before they come here.
            len: bytes.len() as u32,
            body_crc: salted(self.salt, &[bytes]),
            chain: self.chain,
            write: self.write,
            kind,
            key,
            monotonic_ns,
            utc_us,
            check: 0,
        };
        let (header, bytes) = header.encode(self.salt);
        // A segment is at most 256 MiB.
        self.entries.push(Entry::of(&header, self.end as u32));
        self.end += header.size() as u64;
        self.chain = header.check;
        self.headers.push(bytes);
        self.bodies.push(body);
    }

    /// Writes all of it; nothing is copied on the way.
    pub(crate) fn write_to(&self, file: &dyn DiskFile) -> io::Result<()> {
        const ZEROS: [u8; 8] = [0; 8];
        let mut parts: Vec<&[u8]> = Vec::with_capacity(self.bodies.len() * 3);
        for (header, body) in self.headers.iter().zip(&self.bodies) {
            let body = body.bytes();
            parts.push(header);
            parts.push(body);
            let padding = body.len().next_multiple_of(8) - body.len();
            parts.push(ZEROS.get(..padding).unwrap_or_default());
        }
        file.write_all_parts_at(&parts, self.begin)
    }
}

/// Bytes that a new segment has before its first frame, without the table's body.
pub(crate) const NEW_SEGMENT: u64 = SEGMENT_HEADER as u64;

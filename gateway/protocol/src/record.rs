//! What the log is made of.
//!
//! On disk a record is a type number, a version and a postcard body; the log adds length, sequence
//! and checksum. Numbers are never reused. A reader skips types and versions it does not know, so
//! that an older program can read on after a rollback.

use crate::alert::Alert;
use crate::clip::{ClipReport, ClipRequest};
use crate::event::Event;
use crate::finding::{Finding, NotJudged, Notice};
use crate::ids::Seq;
use crate::lane::{OutboxEntry, OutboxMark};
use crate::look::Look;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};

/// Bytes that came from outside and could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// When it arrived.
    pub stamp: Stamp,
    /// Where it came from: `pos.mqtt`, `pos.http`, `printer` …
    pub source: String,
    /// A short word for counting.
    pub reason: String,
    /// The reason in words.
    pub text: String,
    /// Topic, path or address it came by.
    pub origin: String,
    /// The bytes, at most [`QUARANTINE_BYTES`].
    #[serde(with = "crate::blob")]
    pub raw: Vec<u8>,
    /// How many bytes there were.
    pub size: u64,
}

/// Most bytes of one quarantined input that are kept.
pub const QUARANTINE_BYTES: usize = 16 * 1024;

/// One record of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Something happened.
    Event(Event),
    /// An alert, or a new revision of one.
    Alert(Alert),
    /// A finding that is no alert.
    Finding(Finding),
    /// A rule that could not be applied.
    NotJudged(NotJudged),
    /// A notice for the technician, raised by a detector.
    Notice(Notice),
    /// A message accepted for head office.
    Outbox(OutboxEntry),
    /// What became of a message.
    OutboxMark(OutboxMark),
    /// Input that could not be used (lives in the quarantine's own log).
    Quarantined(Quarantined),
    /// A clip is wanted.
    ClipRequest(ClipRequest),
    /// What became of a clip.
    ClipReport(ClipReport),
    /// Somebody saw footage.
    Look(Look),
}

/// Writes behind what a buffer holds. postcard's own writers take the buffer away and lose it on
/// an error.
struct Behind<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Behind<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer program, or by one with other parts.
    #[error("record {seq}: type {kind} version {version} is not known to this version")]
    Unknown {
        /// Position.
        seq: Seq,
        /// Type number.
        kind: u16,
        /// Version.
        version: u16,
    },
    /// The checksum was right and the body is not.
    #[error("record {seq}: the body of type {kind} version {version} cannot be read: {why}")]
    Body {
        /// Position.
        seq: Seq,
        /// Type number.
        kind: u16,
        /// Version.
        version: u16,
        /// What the decoder says.
        why: String,
    },
    /// It cannot be written.
    #[error("a record of type {kind} cannot be encoded: {why}")]
    Encode {
        /// Type number.
        kind: u16,
        /// What the encoder says.
        why: String,
    },
}

impl Record {
    /// Its type number.
    #[must_use]
    pub fn kind(&self) -> u16 {
        match self {
            Self::Event(_) => 1,
            Self::Alert(_) => 2,
            Self::Finding(_) => 3,
            Self::NotJudged(_) => 4,
            Self::Notice(_) => 5,
            Self::Outbox(_) => 6,
            Self::OutboxMark(_) => 7,
            Self::Quarantined(_) => 8,
            Self::ClipRequest(_) => 9,
            Self::ClipReport(_) => 10,
            Self::Look(_) => 11,
        }
    }

    /// The version of its body that this program writes.
    #[must_use]
    pub fn version(&self) -> u16 {
        1
    }

    /// Appends the body to `buffer`. What stood there before stays, also when this fails.
    ///
    /// # Errors
    /// [`RecordError::Encode`] when a value has no postcard form, which no type here has; then
    /// `buffer` may hold a part of the body.
    pub fn encode_into(&self, buffer: &mut Vec<u8>) -> Result<(), RecordError> {
        fn put<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> postcard::Result<()> {
            postcard::serialize_with_flavor(value, Behind(buffer))
        }
        match self {
            Self::Event(v) => put(v, buffer),
            Self::Alert(v) => put(v, buffer),
            Self::Finding(v) => put(v, buffer),
            Self::NotJudged(v) => put(v, buffer),
            Self::Notice(v) => put(v, buffer),
            Self::Outbox(v) => put(v, buffer),
            Self::OutboxMark(v) => put(v, buffer),
            Self::Quarantined(v) => put(v, buffer),
            Self::ClipRequest(v) => put(v, buffer),
            Self::ClipReport(v) => put(v, buffer),
            Self::Look(v) => put(v, buffer),
        }
        .map_err(|why| RecordError::Encode {
            kind: self.kind(),
            why: why.to_string(),
        })
    }

    /// Reads the body of a record.
    ///
    /// # Errors
    /// [`RecordError::Unknown`] for a type or version of another program, [`RecordError::Body`]
    /// when the body does not fit its type.
    pub fn decode(seq: Seq, kind: u16, version: u16, body: &[u8]) -> Result<Record, RecordError> {
        fn get<'a, T: Deserialize<'a>>(body: &'a [u8]) -> postcard::Result<T> {
            postcard::from_bytes(body)
        }
        if version != 1 {
            return Err(RecordError::Unknown { seq, kind, version });
        }
        match kind {
            1 => get(body).map(|event: Event| Record::Event(Event { seq, ..event })),
            2 => get(body).map(Record::Alert),
            3 => get(body).map(Record::Finding),
            4 => get(body).map(Record::NotJudged),
            5 => get(body).map(Record::Notice),
            6 => get(body).map(Record::Outbox),
            7 => get(body).map(Record::OutboxMark),
            8 => get(body).map(Record::Quarantined),
            9 => get(body).map(Record::ClipRequest),
            10 => get(body).map(Record::ClipReport),
            11 => get(body).map(Record::Look),
            _ => return Err(RecordError::Unknown { seq, kind, version }),
        }
        .map_err(|why| RecordError::Body {
            seq,
            kind,
            version,
            why: why.to_string(),
        })
    }
}

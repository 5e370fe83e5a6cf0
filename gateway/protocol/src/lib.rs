//! The words that travel: what enters a register gateway, what it keeps and what it sends.
//!
//! No I/O happens here. Every type has two fixed shapes: JSON on the wire and postcard on disk;
//! both are pinned by fixed bytes in the tests, so that neither changes by accident.
//!
//! | module | what |
//! | --- | --- |
//! | [`time`] | [`Stamp`]: boot ordinal, monotonic time, wall time; lenient reading of timestamps |
//! | [`money`] | [`Money`]: minor units, exact decimals |
//! | [`ids`] | stores, registers, alerts, messages, log positions |
//! | [`pos`] | events of the till and how leniently they are read |
//! | [`receipt`] | what was printed |
//! | [`event`] | [`Event`]: everything that happens, in one ordered stream |
//! | [`finding`] | scores, contributions, findings, technician notices |
//! | [`alert`] | alerts with their revisions, reviews, the text block a person reads |
//! | [`clip`] | footage: frames, clips, what they are asked for, what became of them |
//! | [`look`] | who saw footage |
//! | [`settings`] | what a detector may be told; a change of it is an event |
//! | [`lane`] | lanes, outbox entries, and the envelope of every queued message |
//! | [`topics`] | MQTT topics, built and taken apart |
//! | [`record`] | what the log is made of: types, versions, encoding |

pub mod alert;
mod blob;
pub mod clip;
pub mod event;
pub mod finding;
pub mod ids;
pub mod lane;
pub mod look;
pub mod money;
pub mod pos;
pub mod receipt;
pub mod record;
pub mod settings;
pub mod time;
pub mod topics;

pub use alert::{Alert, Review, Verdict};
pub use clip::{ClipId, ClipReport, ClipRequest, ClipState, ClipTrack, FrameKey, PictureState};
pub use event::{Event, EventBody, Witness, WitnessState};
pub use finding::{Contribution, Finding, Notice, Rule, Score, Severity};
pub use ids::{AlertId, LogId, MessageId, RegisterId, Seq, StoreCode};
pub use lane::{Lane, OutboxEntry};
pub use look::{Look, Shown};
pub use money::Money;
pub use pos::{PosEvent, PosEventType};
pub use receipt::{Receipt, ReceiptKind};
pub use record::{QUARANTINE_BYTES, Quarantined};
pub use record::{Record, RecordError};
pub use settings::{DetectionSettings, ReceiptPolicy};
pub use time::{Clock, Stamp};

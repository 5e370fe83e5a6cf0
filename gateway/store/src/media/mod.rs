//! Footage: frames of the cameras, and the clips that are made of them.
//!
//! This page is the specification of the format and of every procedure that writes it, with each
//! sync named and what a power cut leaves behind at that point. What is assumed of the disk is what
//! the [log](crate::log) assumes.
//!
//! Frames are stored once, under their own name (camera, boot, number); a clip is a description of
//! ranges over them. Nothing here decides what is recorded: a frame stays because a clip has it, a
//! claim covers it, or it is still young; everything else is free for what comes next.
//!
//! # Invariants
//!
//! 1. No byte of another life of a file, of another segment or of a write that did not come to its
//!    end is ever served as a frame: each record proves by its checksums whose it is.
//! 2. A clip whose commit was acknowledged has all its frames on disk, before its description.
//! 3. Footage of a clip is written over only after the disk says that the clip was given up (or, in
//!    a hurry, that its segment is nobody's: see *Recycle*).
//! 4. The table of clips comes from the segments alone. The same records give the same table.
//! 5. A caller never waits for the disk: what has no room is refused and counted.
//!
//! # Format
//!
//! All integers are little-endian. A folder holds `NNNNN.vid`, numbered files of a fixed length that
//! is reserved with `fallocate`, as many as the budget allows. Names never change; `*.tmp` are
//! remains and removed at open. A file is *free* or one *segment*, and begins with 4096 bytes:
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..64, 2048..2112 | the header, twice, each in a sector of its own |
//! | 512..2048 | the seal |
//!
//! | header | field |
//! | --- | --- |
//! | 0..8 | magic `TWMEDIA1` |
//! | 8..16 | zero |
//! | 16..32 | log id (UUID) |
//! | 32..40 | ordinal: counts segments as they are taken into use; 0 for a free file |
//! | 40..48 | nonce, random, chosen whenever the header is written |
//! | 48..56 | length of the file |
//! | 56..60 | zero |
//! | 60..64 | CRC-32 of the bytes before |
//!
//! Of two copies that differ the higher ordinal counts. Records follow from 4096 on, each padded
//! with zeros to a multiple of 8:
//!
//! | record | field |
//! | --- | --- |
//! | 0..4 | length of the body, at most 4 MiB |
//! | 4..8 | CRC-32 of the body, begun with the segment's salt |
//! | 8..12 | check of the record before; the salt for the first |
//! | 12..16 | number of the write within the segment, from 1 |
//! | 16 | kind: 1 frame, 2 table, 3 clip, 4 index |
//! | 17 | camera |
//! | 18..24 | zero |
//! | 24..32 | boot |
//! | 32..40 | number of the frame |
//! | 40..48 | when it was captured, monotonic nanoseconds |
//! | 48..56 | the same in wall time, microseconds since 1970 |
//! | 56..60 | zero |
//! | 60..64 | check: CRC-32 of the bytes before, begun with the salt |
//! | 64.. | body |
//!
//! The salt is the CRC-32 of log id, ordinal and nonce (invariant 1). The chain of checks does the
//! same within a life: what a cut left behind the end does not follow what is written there later.
//!
//! A frame's body is the JPEG as it came. A *table* holds all clips (version, next order, then each
//! with its length; postcard) and is the first record of every segment. A *clip* is one of them as
//! it stands from there on. An *index* is the last record of a segment and lists the others: kind,
//! key, times, offset, length, 48 bytes each. The *seal* says where the index lies and what runs of
//! frames there are (31 at most; else the index is read for them), under a CRC-32 begun with the
//! salt.
//!
//! # Put, commit
//!
//! [`Media::put`] queues the picture as the camera made it; [`Media::commit`] queues a description
//! behind it. The writer thread takes what waits when it reaches 4 MiB, or the oldest waited 1 s, or
//! a commit is among it, at most a quarter of a segment. Then:
//!
//! 1. If the next record does not fit: *rotate*.
//! 2. Write headers and pictures with one `pwritev`; no picture is copied on the way. A new segment
//!    gets its header in the same step, and the table as its first record.
//! 3. **`fdatasync` of the segment**: the only one.
//! 4. Frames become readable, clips enter the table, commits resolve, watchers wake.
//!
//! A cut before 3: any sectors of the write may be there; nobody was told. A new segment without a
//! whole first record is free. A cut after 3: all of it is there.
//!
//! **If 2 or 3 fails** the segment is sealed as suspect and not written on; what is durable in it
//! stays readable, and the same records are made anew for another segment. A segment that never had
//! a synced write goes back to the free ones: its next try writes every byte of it again, under
//! another salt, so nothing depends on pages that the kernel may call clean. After a second failure
//! in a row the state is [`MediaState::Broken`]; it is tried again every second while the queue is
//! within its bound.
//!
//! # Rotate, seal
//!
//! 1. Write the index behind the last record, and the seal.
//! 2. **`fdatasync` of the segment.**
//! 3. Take a free file; its header becomes durable with its first write.
//!
//! A cut before 2 leaves a segment without a seal, or with a seal whose index is not whole: it is
//! read from end to end once, and sealed by the next start.
//!
//! # Recycle
//!
//! Two files are kept free (one in a pool of less than eight). When there are fewer, the *ladder*
//! chooses a segment: each stands on the rung of the most valuable thing in it, the lowest rung goes
//! first, and on a rung the oldest. See [`Step`]. What is claimed, pinned or being written stays.
//!
//! 1. Step *thin*: one frame a second of what the clips have there is copied forward, with a record
//!    for each clip that says so. Any other step: a record for each clip that says that it was given
//!    up, and why.
//! 2. **The writer's `fdatasync`.** Who follows [`Media::events`] is told.
//! 3. Write the header of a free file. 4. **`fdatasync` of the file.** It is free.
//!
//! A cut before 2 leaves all as it was. A cut between 2 and 4 leaves a segment that nobody needs.
//!
//! After failed writes there may be no free file and no segment that 1 could be written to. Then a
//! segment is taken *in a hurry*: 3 and 4 come first, and the table that no longer has its clips is
//! written with what follows. A cut before that may leave clips in an older table whose footage is
//! gone; each clip names the ordinals of its segments, so the next start sees it and says so
//! ([`MediaOpened::lost`]). If 3 or 4 fails, nothing is written over it.
//!
//! # Reserve
//!
//! A thread of its own makes the files of the budget, one after another: create `N.tmp` with its
//! length reserved, write a free header, **`fdatasync`**, rename to `N.vid`, **`fsync` of the
//! folder**. It stops before the disk has less than [`MediaOptions::keep_free_bytes`] left, says so
//! ([`ReserveState::Short`]), and tries again every minute. Nobody waits for it but the writer.
//!
//! # Recover
//!
//! 1. Read 4096 bytes of every file. No valid header, or another log's: free, used last, reported.
//! 2. A segment without a valid seal is read record by record. Its end is where a record does not
//!    follow; if a record of the write after the next is found beyond, this is damage: counted,
//!    reported, stepped over. Its last write is written again, the same bytes to the same place, and
//!    **`fdatasync`ed**: after a killed process it may have been in the page cache only.
//! 3. The table is the first record of the newest segment that has one, and every clip's record
//!    after it.
//! 4. **`fsync` of the folder.** The newest segment is written on; others without a seal get one.
//!
//! Pictures of sealed segments are not read: opening reads a header per segment and what was not
//! sealed, which is one segment unless syncs failed ([`MediaUsage::opening_bytes_read`]).
//!
//! # Bounds
//!
//! | what | bound | beyond it |
//! | --- | --- | --- |
//! | disk | [`MediaOptions::budget_bytes`] | the ladder |
//! | pictures that wait | 8 MiB | refused, `refused_queue` |
//! | clips | 2,048, and 1/16 of a segment for their table | the lowest goes, `dropped` |
//! | clips remembered after they went | 256 | the oldest is forgotten |
//! | a clip's description | 8 KiB | refused |
//! | readers | 16, 10 minutes each | refused; their footage may go, `pins_expired` |
//! | clips being recorded | 64 | refused |
//! | held | half of the budget | refused |
//! | footage without a segment | | lost, `lost_full` |

mod batch;
mod changes;
mod error;
mod format;
mod handle;
mod ladder;
mod open;
mod options;
mod pool;
mod publish;
mod queue;
mod read;
mod recycle;
mod reserve;
mod scan;
mod table;
mod usage;
mod writer;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod hurry_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod scan_tests;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod tests;

pub use error::{MediaError, MediaFull, Refusal};
pub use handle::Media;
pub use ladder::Step;
pub use open::MediaOpened;
pub use options::MediaOptions;
pub use read::Pin;
pub use table::Clip;
pub use usage::{MediaState, MediaUsage, ReserveState};

use crate::disk::Disk;
use bytes::Bytes;
use changes::Held;
use queue::{Queue, Thinned};
use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::pin::Pin as Pinned;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tillwatch_protocol::{ClipId, ClipReport, ClipRequest, FrameKey, Score};
use tokio::sync::{broadcast, oneshot, watch};
use usage::MediaCounters;

/// A frame to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFrame {
    /// Its name; of one camera in ascending order, but for [`Media::put_late`].
    pub key: FrameKey,
    /// When it was captured, in nanoseconds of its boot.
    pub monotonic_ns: u64,
    /// The same in wall time, microseconds since 1970 UTC, as believed then.
    pub utc_us: i64,
    /// The picture. The bytes go to the disk from where they are.
    pub jpeg: Bytes,
}

/// A frame that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRef {
    /// Its name.
    pub key: FrameKey,
    /// When it was captured, in nanoseconds of its boot.
    pub monotonic_ns: u64,
    /// The same in wall time, microseconds since 1970 UTC.
    pub utc_us: i64,
    /// Bytes of the picture.
    pub bytes: u32,
}

/// A clip whose frames were put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClipDescriptor {
    /// What was asked for.
    pub request: ClipRequest,
    /// What is there.
    pub report: ClipReport,
}

/// What became known of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// A person judged its alert.
    Reviewed,
    /// Head office has it.
    Sent,
    /// Its alert has this score now.
    Score(Score),
}

/// Something happened to footage without being asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaEvent {
    /// A clip was given up. It is so on disk.
    Dropped {
        /// The clip.
        clip_id: ClipId,
        /// The step of the ladder.
        step: Step,
        /// In words.
        reason: String,
    },
    /// Part of a clip was thinned: its tracks say what is left.
    Thinned {
        /// The clip.
        clip_id: ClipId,
        /// Frames that are not there any more.
        frames: u32,
        /// Bytes of them.
        bytes: u64,
    },
    /// The state of the reservation changed.
    Reserve(ReserveState),
    /// Whether footage can be written changed.
    State(MediaState),
}

/// Waits for a change: with `.await`, or with [`Commit::wait`] where there is no runtime.
#[derive(Debug)]
pub struct Commit(pub(crate) oneshot::Receiver<Result<(), MediaError>>);

impl Commit {
    /// Blocks until the change is on disk.
    ///
    /// # Errors
    /// As of the call that began it; [`MediaError::Closed`] when the media were closed before.
    pub fn wait(self) -> Result<(), MediaError> {
        self.0.blocking_recv().unwrap_or(Err(MediaError::Closed))
    }
}

impl IntoFuture for Commit {
    type Output = Result<(), MediaError>;
    type IntoFuture = Pinned<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.0.await.unwrap_or(Err(MediaError::Closed)) })
    }
}

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Inner {
    options: MediaOptions,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    log_id: [u8; 16],
    begun: Instant,
    counters: MediaCounters,
    queue: Mutex<Queue>,
    /// The writer sleeps here.
    wake: Condvar,
    /// The reservation sleeps here between tries.
    reserve_wake: Condvar,
    held: Mutex<Held>,
    /// A segment was made.
    made: Condvar,
    durable: watch::Sender<BTreeMap<u8, FrameKey>>,
    /// Frames taken since the opening that are on disk or lost.
    written: watch::Sender<u64>,
    state: watch::Sender<MediaState>,
    reserve: watch::Sender<ReserveState>,
    events: broadcast::Sender<MediaEvent>,
}

impl Inner {
    /// Time since the opening.
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn path(&self, slot: u32) -> PathBuf {
        pool::slot_path(&self.dir, slot)
    }

    fn closing(&self) -> bool {
        crate::lock(&self.queue).closing
    }

    fn tell(&self, event: MediaEvent) {
        // Nobody may listen.
        let _ = self.events.send(event);
    }

    fn told_dropped(&self, clip_id: ClipId, step: Step) {
        self.counters.dropped[step as usize].add(1);
        let reason = step.reason().to_owned();
        tracing::info!(clip = %clip_id, step = step.word(), "clip given up");
        self.tell(MediaEvent::Dropped {
            clip_id,
            step,
            reason,
        });
    }

    fn told_thinned(&self, thinned: &Thinned) {
        let gone = thinned.gone.values();
        let (frames, bytes) = gone.fold((0_u32, 0), |(frames, bytes), gone| {
            (frames.saturating_add(gone.0), bytes + gone.1)
        });
        self.tell(MediaEvent::Thinned {
            clip_id: thinned.clip_id,
            frames,
            bytes,
        });
    }

    fn set_state(&self, state: MediaState) {
        let changed = self.state.send_if_modified(|now| {
            let changed = *now != state;
            if changed {
                now.clone_from(&state);
            }
            changed
        });
        if changed {
            self.tell(MediaEvent::State(state));
        }
    }

    fn set_reserve(&self, state: ReserveState) {
        let changed = self.reserve.send_if_modified(|now| {
            let changed = *now != state;
            if changed {
                now.clone_from(&state);
            }
            changed
        });
        if changed {
            self.tell(MediaEvent::Reserve(state));
        }
    }
}

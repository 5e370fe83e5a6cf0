//! The log: append-only segments, the truth that everything else is derived from.
//!
//! This page is the specification of the format and of every procedure that writes it, with each
//! sync named and what a power cut leaves behind at that point.
//!
//! # What is assumed of the disk
//!
//! 1. What was written before a successful `fdatasync` stays. What was written after it stays
//!    sector by sector (512 bytes), in any order, or not at all.
//! 2. Names created, renamed or removed before a successful `fsync` of their folder stay so; after
//!    it, as a prefix of what was done.
//! 3. After a failed `fdatasync` the kernel may call the pages clean without having written them
//!    (Linux does): a second sync of the same pages proves nothing.
//!
//! # Invariants
//!
//! 1. Positions (`seq`) count from 1 without gaps. A position that was durable is never given to
//!    another record.
//! 2. An atomic group (one append) lies in one segment and is there as a whole or not at all.
//! 3. At most one write is in flight; the next begins after its `fdatasync` succeeded.
//! 4. A segment is in use only when its name is on disk. Segments are in use in the order of their
//!    ordinals; from the first position of a later segment on, the later one counts.
//! 5. No byte that an earlier write, an earlier segment or an earlier life of a file left behind is
//!    ever read as a record.
//!
//! # Format
//!
//! All integers are little-endian. A folder holds `NNNNNNNNNNNNNNNN.seg`, sixteen decimal digits of
//! the segment's ordinal, each of a fixed length that is reserved with `fallocate`; `*.tmp` are
//! remains and removed at open.
//!
//! A segment begins with 4096 bytes that hold its header twice, at 0 and at 2048:
//!
//! | bytes | field |
//! | --- | --- |
//! | 0..8 | magic `TWLOGSEG` |
//! | 8..12 | format, 1 |
//! | 12..16 | zero |
//! | 16..32 | log id (UUID) |
//! | 32..40 | ordinal, as in the name |
//! | 40..48 | position of the first record; 0 while the segment is only prepared |
//! | 48..56 | nonce, random, chosen when the segment is taken into use |
//! | 56..68 | zero |
//! | 68..72 | CRC-32 of the bytes before |
//!
//! A copy that is in use wins over one that is only prepared. Records follow from 4096 on, each
//! padded with zeros to a multiple of 8:
//!
//! | bytes | field |
//! | --- | --- |
//! | 0..4 | length of the body, at most 1 MiB |
//! | 4..8 | CRC-32 of bytes 0..4 and 8..24 and the body, begun with the segment's salt |
//! | 8..16 | position |
//! | 16..18 | type; 0 is never valid, from 0xff00 on the store's own |
//! | 18..20 | version of the body |
//! | 20 | bit 0 *joined*: the next record belongs to the same atomic group |
//! | 21 | generation: how often this segment was continued after an opening |
//! | 22..24 | records of the same write before this one, 65535 for more |
//! | 24.. | body (postcard) |
//!
//! The salt is the CRC-32 of log id, ordinal and nonce: records of another segment, or of the file's
//! life before it was recycled, never validate (invariant 5). The generation does the same within a
//! segment: a record with a lower generation than the one before it is a remnant of a write that a
//! cut had ended, and not valid.
//!
//! The store's own type 0xff01 is *lane numbers*: the next free number of each outbox lane (three
//! u64).
//!
//! # Append
//!
//! Under the append lock a record gets its position and is encoded behind those that wait; length,
//! position, type and *joined* are filled in. Nothing blocks: when more than 4 MiB wait (those being
//! written included), the append is refused. What fails in between is taken back with its positions.
//!
//! # Group commit
//!
//! The writer thread takes everything that waits when it reaches 64 KiB, or the oldest waited 50 ms,
//! or something urgent is among it. Then:
//!
//! 1. If the group does not fit into the segment: *rotate*.
//! 2. *Seal*: generation, place within the write and checksum of every record, as the segment
//!    demands.
//! 3. Write. In a new segment, its header goes in the same step.
//! 4. **`fdatasync` of the segment**: the only one.
//! 5. The durable position advances: outbox entries become pending, watchers wake.
//!
//! A cut before 4: any sectors of the write may be there; nobody was told. A cut after 4: all of it
//! is there. A group larger than the rest of the segment and than a quarter of one is written in
//! parts, each with its sync, each of whole atomic groups.
//!
//! **If 3 or 4 fails** the segment is sealed as suspect and never written again; what is durable in
//! it stays readable. The same bytes are sealed again for another segment that begins with the first
//! of their positions, and written there. Whatever of them is in the suspect one is overruled by
//! invariant 4. After a second failure in a row the log is [`LogState::Broken`]: appends are accepted
//! until 4 MiB wait, and writing is tried again every second, each time in a new file.
//!
//! # Prepare and rotate
//!
//! The keeper thread has the next segment ready before it is needed:
//!
//! 1. Create `N.tmp`, reserve its length, write a header with first position 0. On a full disk the
//!    store's own reserve gives way by this length first.
//! 2. **`fdatasync` of the file.**
//! 3. Rename to `N.seg`. 4. **`fsync` of the folder.**
//!
//! A cut before 4 leaves a `.tmp` that the next opening removes, or a prepared segment that it uses.
//! Rotating takes the prepared segment and chooses its nonce; the header becomes durable with the
//! first group. A cut in between leaves it prepared: remnants of that group do not validate under the
//! nonce of the next try.
//!
//! # Recycle, with copy-forward
//!
//! When the budget is used up and a segment is needed, the oldest goes:
//!
//! 1. Its outbox entries that are still pending are appended again, with their lane numbers and what
//!    is known of attempts, and then the lane numbers; all urgent.
//! 2. Wait until these are durable (**the writer's `fdatasync`**).
//! 3. The index forgets the segment's records. If a cut takes that back, they point to nothing and
//!    are passed over.
//! 4. Rename the file to `recycled.tmp`. 5. **`fsync` of the folder.**
//! 6. Write a prepared header with the next ordinal. 7. **`fdatasync` of the file.**
//! 8. Rename to its new name. 9. **`fsync` of the folder.**
//!
//! A cut before 5 leaves the old segment, and copies that say the same: an entry that is in the log
//! twice is the same entry, the later place counts. Between 5 and 9 it leaves a `.tmp`, whose space
//! comes free at the next opening. Readers pin a segment: then its file is unlinked instead of used
//! again.
//!
//! A detectors' snapshot holds back what comes after it: a new one is asked for two segments before
//! the budget is reached, the budget may be exceeded by four segments meanwhile, then the log goes
//! on without (counted).
//!
//! # Recover
//!
//! 1. Remove `*.tmp`. Read the headers. Files without a valid one, or of another log, are moved to
//!    `<data>/aside` and reported.
//! 2. Each segment reaches up to the first position of the next one. What has nothing left is
//!    removed; a prepared segment is kept for the writer.
//! 3. Read the last segment. At an invalid record, look on: a valid one **whose write began above
//!    the missing position** was written after the missing one's sync succeeded (invariant 3), so
//!    this is damage: the bytes are copied to `<data>/aside`, the range is reported, and reading goes
//!    on at the next valid record. Otherwise this is the torn end of the write in flight: the log
//!    ends, before the atomic group that is not whole.
//! 4. Write the last group again, the same bytes to the same place, and **`fdatasync` the segment**.
//!    After a killed process it may have been in the page cache only; after a failed sync in pages
//!    that were called clean. Now it is durable before anybody is told so.
//! 5. **`fsync` of the folder**, for names that the last life made.
//! 6. Writing goes on in the same segment with the next generation, or in a new one after 255.
//!
//! 7. Where the log ends before a position that the outbox's state or a snapshot knows to have been
//!    durable, it was deleted or shortened. That is reported, and it goes on far above in a new
//!    segment, whose header says where the gap begins: no position is given twice. Readers step over
//!    the gap; it is no hole.
//!
//! Earlier segments are not read: damage there is found, reported and stepped over by whoever reads
//! them. So opening reads headers and one segment, whatever the log's size.

mod format;
mod gap;
mod queue;
mod read;
mod recover;
mod recycle;
mod segment;
mod writer;

pub(crate) use format::KIND_LANE_NUMBERS;
pub(crate) use gap::Gap;
pub(crate) use queue::Appender;
pub use read::Scan;
pub(crate) use read::{RawScan, read};
pub use recover::Damage;
pub(crate) use recover::{LogOpened, log_id_of};
pub(crate) use segment::RawRecord;
pub(crate) use segment::Segment;

use crate::disk::{Disk, DiskFile};
use crate::error::StoreError;
use crate::reserve::Reserve;
use crate::usage::{Counters, LogState};
use format::SEGMENT_HEADER;
use queue::Queue;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tillwatch_protocol::{LogId, Seq};
use tokio::sync::{Notify, watch};

/// Most bytes that may wait to be written; beyond it appends are refused.
pub(crate) const MAX_WAITING: usize = 4 << 20;
/// What nobody waits for stays behind this, so that what somebody waits for has little before it.
pub(crate) const CALM_WAITING: usize = 128 << 10;
/// Largest atomic group, so that it fits the bound even beside a waiting one.
const MAX_UNIT: usize = 2 << 20;

/// How soon records must be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// With the next group: after 64 KiB or 50 ms.
    Normal,
    /// At once, with whatever waits.
    Now,
}

/// Positions given to the records of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqRange {
    /// Of the first record.
    pub first: Seq,
    /// Of the last record; one below `first` when there were none.
    pub last: Seq,
}

/// What a log is told.
#[derive(Debug, Clone)]
pub(crate) struct LogOptions {
    pub(crate) dir: PathBuf,
    /// Where damaged parts are put.
    pub(crate) aside: PathBuf,
    pub(crate) log_id: LogId,
    pub(crate) segment_bytes: u64,
    pub(crate) budget_segments: u64,
    pub(crate) group_delay: Duration,
    pub(crate) group_bytes: usize,
    /// The highest position that is known from elsewhere to have been on disk.
    pub(crate) claimed: u64,
    /// Recycles its oldest segment by itself, whatever is in it.
    pub(crate) self_maintained: bool,
    /// Space in reserve for segments, used when the disk is full.
    pub(crate) reserve: Option<Arc<Reserve>>,
    /// Pause between tries while nothing can be written; `None` for the usual second.
    pub(crate) retry: Option<Duration>,
}

/// A segment file with a synced header and name that holds no records yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    ordinal: u64,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    file_len: u64,
}

type Observer = Box<dyn Fn(Seq) + Send + Sync>;

/// The state that threads share.
pub(crate) struct LogInner {
    pub(crate) options: LogOptions,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) counters: Arc<Counters>,
    queue: Mutex<Queue>,
    /// The writer sleeps here.
    wake: Condvar,
    /// The writer sleeps here between tries.
    pause: Condvar,
    pub(crate) segments: RwLock<Vec<Arc<Segment>>>,
    spare: Mutex<Option<Prepared>>,
    /// Held while a segment is prepared, so that the writer and the keeper do not both.
    preparing: Mutex<()>,
    next_ordinal: AtomicU64,
    /// What opening found missing at the end.
    pub(crate) gap: Option<Gap>,
    durable: watch::Sender<Seq>,
    /// The same position for threads that are no tasks.
    through: Mutex<u64>,
    advanced: Condvar,
    pub(crate) room: Notify,
    state: watch::Sender<LogState>,
    /// Told of every advance before the watch is.
    observer: OnceLock<Observer>,
    keeper_wanted: Mutex<bool>,
    keeper_wake: Condvar,
    stopped: AtomicBool,
}

impl fmt::Debug for LogInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogInner")
            .field("dir", &self.options.dir)
            .finish_non_exhaustive()
    }
}

/// A log with its writer thread.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) inner: Arc<LogInner>,
    writer: Mutex<Option<JoinHandle<()>>>,
    pending_writer: Mutex<Option<writer::Writer>>,
}

impl Log {
    /// Recovers the log in its folder, or begins one. Writing starts with [`Log::start`].
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        counters: Arc<Counters>,
    ) -> Result<(Log, LogOpened), StoreError> {
        let recovered = recover::recover(disk.as_ref(), &options, &counters)?;
        let inner = Arc::new(LogInner {
            options,
            disk,
            counters,
            queue: Mutex::new(Queue::new(recovered.last_seq + 1)),
            wake: Condvar::new(),
            pause: Condvar::new(),
            segments: RwLock::new(recovered.segments),
            spare: Mutex::new(recovered.spare),
            preparing: Mutex::new(()),
            next_ordinal: AtomicU64::new(recovered.next_ordinal),
            gap: recovered.gap,
            durable: watch::Sender::new(Seq(recovered.last_seq)),
            through: Mutex::new(recovered.last_seq),
            advanced: Condvar::new(),
            room: Notify::new(),
            state: watch::Sender::new(LogState::Writable),
            observer: OnceLock::new(),
            keeper_wanted: Mutex::new(true),
            keeper_wake: Condvar::new(),
            stopped: AtomicBool::new(false),
        });
        let writer = writer::Writer {
            log: Arc::clone(&inner),
            current: recovered.current,
            group: Vec::new(),
            failures: 0,
            last_try: false,
        };
        let log = Log {
            inner,
            writer: Mutex::new(None),
            pending_writer: Mutex::new(Some(writer)),
        };
        Ok((log, recovered.opened))
    }

    /// Starts the writer thread. `observer` is told of every advance of the durable position, by
    /// the writer, before anybody who watches it.
    pub(crate) fn start(&self, name: &str, observer: Option<Observer>) -> Result<(), StoreError> {
        if let Some(observer) = observer {
            let _ = self.inner.observer.set(observer);
        }
        let Some(writer) = crate::lock(&self.pending_writer).take() else {
            return Ok(());
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || writer.run())
            .map_err(StoreError::io(
                "start a thread for",
                &self.inner.options.dir,
            ))?;
        *crate::lock(&self.writer) = Some(thread);
        Ok(())
    }

    /// Refuses further appends, writes what waits, and ends the writer thread.
    pub(crate) fn close(&self) {
        crate::lock(&self.inner.queue).closing = true;
        self.inner.wake.notify_all();
        self.inner.pause.notify_all();
        self.inner.wake_keeper();
        if let Some(thread) = crate::lock(&self.writer).take()
            && thread.join().is_err()
        {
            tracing::error!("the log writer panicked");
        }
        self.inner.room.notify_waiters();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

impl LogInner {
    /// Bytes of records that one segment takes.
    fn capacity(&self) -> usize {
        usize::try_from(self.options.segment_bytes).unwrap_or(usize::MAX) - SEGMENT_HEADER
    }

    fn largest_unit(&self) -> usize {
        self.capacity().min(MAX_UNIT)
    }

    pub(crate) fn durable(&self) -> watch::Receiver<Seq> {
        self.durable.subscribe()
    }

    pub(crate) fn state(&self) -> watch::Receiver<LogState> {
        self.state.subscribe()
    }

    /// Highest durable position.
    pub(crate) fn through(&self) -> u64 {
        *crate::lock(&self.through)
    }

    pub(crate) fn last_seq(&self) -> Seq {
        Seq(crate::lock(&self.queue).next_seq - 1)
    }

    pub(crate) fn waiting(&self) -> usize {
        crate::lock(&self.queue).waiting()
    }

    /// Oldest position kept; one above the last when there is none.
    pub(crate) fn first_seq(&self) -> Seq {
        let segments = crate::read(&self.segments);
        segments
            .first()
            .map_or_else(|| Seq(self.through() + 1), |segment| Seq(segment.base_seq))
    }

    /// Whether a durable position is in a segment, as far as segments know without reading.
    pub(crate) fn holds(&self, seq: u64) -> bool {
        let segments = crate::read(&self.segments);
        let after = segments.partition_point(|segment| segment.base_seq <= seq);
        let segment = after.checked_sub(1).and_then(|at| segments.get(at));
        segment.is_some_and(|segment| seq <= segment.last_seq())
    }

    /// Resolves when an append would not be refused for want of room.
    pub(crate) async fn room(&self) {
        self.waiting_below(MAX_WAITING / 2).await;
    }

    /// Resolves when less than `bytes` wait to be written, or the log ended.
    pub(crate) async fn waiting_below(&self, bytes: usize) {
        loop {
            let notified = self.room.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.waiting() < bytes || self.stopped.load(Ordering::Acquire) {
                return;
            }
            notified.await;
        }
    }

    /// Blocks until the durable position is above `seq`, the log ended, or the time is over.
    /// Returns the position.
    pub(crate) fn wait_above(&self, seq: u64, timeout: Duration) -> u64 {
        let through = crate::lock(&self.through);
        let stopped = || self.stopped.load(Ordering::Acquire);
        *crate::wait_until(&self.advanced, through, timeout, |through| {
            *through > seq || stopped()
        })
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Lets threads that wait for an advance look around.
    pub(crate) fn nudge(&self) {
        let _through = crate::lock(&self.through);
        self.advanced.notify_all();
    }

    fn add_segment(&self, segment: Arc<Segment>) {
        crate::write(&self.segments).push(segment);
    }

    fn newest_ordinal(&self) -> u64 {
        crate::read(&self.segments)
            .last()
            .map_or(0, |segment| segment.ordinal)
    }

    pub(crate) fn wake_keeper(&self) {
        *crate::lock(&self.keeper_wanted) = true;
        self.keeper_wake.notify_all();
    }

    /// Blocks until the keeper is wanted or the time is over.
    pub(crate) fn wait_for_keeper(&self, timeout: Duration) {
        let wanted = crate::lock(&self.keeper_wanted);
        *crate::wait_until(&self.keeper_wake, wanted, timeout, |wanted| *wanted) = false;
    }
}

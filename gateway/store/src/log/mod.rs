//! The log.

mod format;
mod queue;
mod read;
mod recover;
mod recycle;
mod segment;
mod writer;

pub(crate) use format::KIND_LANE_NUMBERS;
pub(crate) use queue::Appender;
pub(crate) use read::{RawScan, read};
pub(crate) use segment::RawRecord;
pub use read::Scan;
pub use recover::Damage;
pub(crate) use recover::{LogOpened, log_id_of};
pub(crate) use segment::Segment;

use crate::disk::{Disk, DiskFile};
use crate::error::StoreError;
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
    /// Recycles its oldest segment by itself, whatever is in it.
    pub(crate) self_maintained: bool,
    /// Space in reserve, given up when the disk is full.
    pub(crate) ballast: Option<PathBuf>,
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
    next_ordinal: AtomicU64,
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
        f.debug_struct("LogInner").field("dir", &self.options.dir).finish_non_exhaustive()
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
            next_ordinal: AtomicU64::new(recovered.next_ordinal),
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
        let log = Log { inner, writer: Mutex::new(None), pending_writer: Mutex::new(Some(writer)) };
        Ok((log, recovered.opened))
    }

    /// Starts the writer thread. `observer` is told of every advance of the durable position, by
    /// the writer, before anybody who watches it.
    pub(crate) fn start(&self, name: &str, observer: Option<Observer>) -> Result<(), StoreError> {
        if let Some(observer) = observer {
            let _ = self.inner.observer.set(observer);
        }
        let Some(writer) = crate::lock(&self.pending_writer).take() else { return Ok(()) };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || writer.run())
            .map_err(StoreError::io("start a thread for", &self.inner.options.dir))?;
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
        segments.first().map_or_else(|| Seq(self.through() + 1), |segment| Seq(segment.base_seq))
    }

    /// Resolves when an append would not be refused for want of room.
    pub(crate) async fn room(&self) {
        loop {
            let notified = self.room.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.waiting() < MAX_WAITING / 2 || self.stopped.load(Ordering::Acquire) {
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
        *crate::wait_until(&self.advanced, through, timeout, |through| *through > seq || stopped())
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
        crate::read(&self.segments).last().map_or(0, |segment| segment.ordinal)
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

//! The store as others see it.

use crate::disk::{Disk, RealDisk};
use crate::error::{AppendError, StoreError};
use crate::failpoint;
use crate::identity::{self, Identity};
use crate::index::{Index, IndexOptions};
use crate::keeper::Keeper;
use crate::log::{self, Log, LogOptions, Scan, SeqRange, Urgency, log_id_of};
use crate::media::{Media, MediaError, MediaOpened, MediaOptions};
use crate::opening::{Opened, last_boot, read_state, take_lock};
use crate::options::StoreOptions;
use crate::outbox::{self, Numbers, Outbox};
use crate::quarantine::Quarantine;
use crate::reserve::{Reserve, was_full};
use crate::snapshot::Snapshots;
use crate::usage::{Counters, LogState};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tillwatch_protocol::{LogId, Quarantined, Record, Seq};
use tokio::sync::watch;

/// The store: log, outbox, index, snapshots, quarantine. A handle; clones share it. The last one
/// to go closes it.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    identity: Identity,
    pub(crate) log: Log,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) index: Arc<Index>,
    snapshots: Arc<Snapshots>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) keeper: Arc<Keeper>,
    keeper_thread: Mutex<Option<JoinHandle<()>>>,
    closed: AtomicBool,
    pub(crate) log_budget_bytes: u64,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    media_opened: AtomicBool,
    /// Given back when everything else is done.
    lock: File,
}

impl Store {
    /// Opens or creates the store in `dir`, which no other process may use meanwhile. Blocks while
    /// it reads the log's tail.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it, [`StoreError::Options`] for options that
    /// make no sense, [`StoreError::Io`] when a call fails. Damage is no error: it is set aside and
    /// told in [`Opened`].
    pub fn open(dir: &Path, options: StoreOptions) -> Result<(Store, Opened), StoreError> {
        std::fs::create_dir_all(dir).map_err(StoreError::io("create", dir))?;
        Self::open_on(Arc::new(RealDisk), dir, options, None)
    }

    /// The same over any disk. Lock and index are real files all the same.
    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: StoreOptions,
        retry: Option<Duration>,
    ) -> Result<(Store, Opened), StoreError> {
        options.check()?;
        let lock = take_lock(dir)?;
        disk.make_dir(dir).map_err(StoreError::io("create", dir))?;
        let counters = Arc::new(Counters::default());
        let mut notices = Vec::new();
        let log_dir = dir.join("log");
        let boot_id = options
            .boot_id
            .clone()
            .unwrap_or_else(identity::kernel_boot_id);
        let mut known = true;
        let identity = identity::read(disk.as_ref(), dir, &mut notices)?.unwrap_or_else(|| {
            let log_id = log_id_of(disk.as_ref(), &log_dir);
            known = log_id.is_some();
            Identity::of(log_id.unwrap_or_else(|| LogId(uuid::Uuid::new_v4())))
        });
        let state_path = dir.join("outbox.state");
        let mut state = read_state(disk.as_ref(), &state_path, identity.log_id, &mut notices)?;
        let snapshots = Snapshots::open(
            Arc::clone(&disk),
            dir.join("snapshots"),
            Arc::clone(&counters),
        )?;
        let snapshots = Arc::new(snapshots);
        // A log with a new identity has no earlier life.
        let snapshot = snapshots.newest().filter(|_| known).unwrap_or(0);
        let reserve = Arc::new(Reserve::open(Arc::clone(&disk), dir.join("ballast")));
        let log_options = LogOptions {
            dir: log_dir,
            aside: dir.join("aside"),
            log_id: identity.log_id,
            segment_bytes: options.segment_bytes,
            budget_segments: options.log_budget_bytes / options.segment_bytes,
            group_delay: options.group_delay,
            group_bytes: options.group_bytes,
            claimed: state.applied().0.max(snapshot),
            self_maintained: false,
            reserve: Some(Arc::clone(&reserve)),
            retry,
        };
        let (log, found) = Log::open(Arc::clone(&disk), log_options, Arc::clone(&counters))?;
        // Saved before anything is written under this id.
        let logged = if identity.boot_ordinal == 0 {
            last_boot(&log.inner)
        } else {
            0
        };
        let identity = match identity.booted(&boot_id, logged, options.cameras.as_deref()) {
            None => identity,
            Some(next) => {
                reserve.with_room(was_full, || {
                    identity::save(disk.as_ref(), dir, &next, &counters)
                })?;
                next
            }
        };
        let mut opened = Opened {
            created: found.created,
            first_seq: log.inner.first_seq(),
            last_seq: log.inner.last_seq(),
            torn_records: found.torn_records,
            lost_records: found.lost,
            damages: found.damages,
            notices,
        };
        opened.notices.extend(found.notices);

        outbox::replay(&log.inner, &mut state);
        let limits = options.outbox_limits();
        let outbox = Outbox::new(Arc::clone(&log.inner), limits, state, Arc::clone(&counters));
        let outbox = Arc::new(outbox);
        let (quarantine, found) = Quarantine::open(
            Arc::clone(&disk),
            dir,
            identity.log_id,
            options.quarantine_budget_bytes,
            Arc::clone(&reserve),
            Arc::clone(&counters),
        )?;
        opened.notices.extend(
            found
                .damages
                .iter()
                .map(|damage| format!("quarantine: {damage}")),
        );

        let index_options = IndexOptions {
            dir: dir.join("index"),
            aside: dir.join("aside"),
            kind: options.index,
            checkpoint: options.index_checkpoint,
            delay: options.index_delay,
            pace: options.index_pace,
            budget_bytes: options.index_budget_bytes,
        };
        let index = Index::open(Arc::clone(&log.inner), index_options, Arc::clone(&counters))?;
        let index = Arc::new(index);

        // Weak: the outbox holds the log, and a closed store must let go of its files.
        let observed = Arc::downgrade(&outbox);
        let observer = move |seq| {
            if let Some(outbox) = observed.upgrade() {
                outbox.durable(seq);
            }
        };
        log.start("tw-log", Some(Box::new(observer)))?;
        if log.inner.gap.is_some()
            && let Err(error) = outbox.append_numbers()
        {
            // It puts the new position on disk; the next start would jump again.
            tracing::warn!(%error, "the lanes' numbers are not written behind the gap");
        }
        let keeper = Arc::new(Keeper {
            log: Arc::clone(&log.inner),
            outbox: Arc::clone(&outbox),
            index: Arc::clone(&index),
            snapshots: Arc::clone(&snapshots),
            snapshot_wanted: watch::Sender::new(Seq(0)),
            quarantine: Arc::new(quarantine),
            reserve,
            headroom: options.reserve.then_some(options.headroom_bytes),
            state_path,
            closing: AtomicBool::new(false),
            state_saved_at: AtomicU64::new(0),
        });
        let missing = keeper.reserve();
        if missing > 0 {
            opened.notices.push(format!(
                "the disk is too full to reserve all that log and index may take: {} MiB are missing",
                missing.div_ceil(1 << 20)
            ));
        }
        let runs = Arc::clone(&keeper);
        let keeper_thread = std::thread::Builder::new()
            .name("tw-keeper".into())
            .spawn(move || runs.run())
            .map_err(StoreError::io("start a thread for", dir))?;
        let inner = Inner {
            identity,
            log,
            outbox,
            index,
            snapshots,
            counters,
            keeper,
            keeper_thread: Mutex::new(Some(keeper_thread)),
            closed: AtomicBool::new(false),
            log_budget_bytes: options.log_budget_bytes,
            disk,
            dir: dir.to_owned(),
            media_opened: AtomicBool::new(false),
            lock,
        };
        Ok((
            Store {
                inner: Arc::new(inner),
            },
            opened,
        ))
    }

    /// The life of this log; also the outbox's epoch.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.inner.identity.log_id
    }

    /// Ordinal of this boot, from 1: one more than the last boot that opened this store.
    #[must_use]
    pub fn boot_ordinal(&self) -> u64 {
        self.inner.identity.boot_ordinal
    }

    /// What people called the cameras in that boot, by their numbers; nothing when it is not known.
    #[must_use]
    pub fn cameras_of(&self, boot: u64) -> &[String] {
        self.inner.identity.cameras_of(boot)
    }

    /// Appends records, all or none of which survive a power cut. Never blocks on the disk. They
    /// are on disk when [`Store::durable`] reaches the returned range.
    ///
    /// # Errors
    /// [`AppendError`]; then nothing was appended and no number used up.
    pub fn append(&self, records: &[Record], urgency: Urgency) -> Result<SeqRange, AppendError> {
        let outgoing =
            |record: &Record| matches!(record, Record::Outbox(_) | Record::OutboxMark(_));
        if records.iter().any(outgoing) {
            return self.inner.outbox.append(records, urgency);
        }
        let mut group = self.inner.log.inner.begin()?;
        for record in records {
            group.add(record)?;
        }
        group.finish(urgency)
    }

    /// The same with records that are built under the append lock, and may take numbers of lanes
    /// and know their own positions. The closure must not call the store.
    ///
    /// # Errors
    /// [`AppendError`]; then nothing was appended and no number used up. [`AppendError::Number`]
    /// when a number was taken and no entry has it.
    pub fn append_with<F>(&self, urgency: Urgency, build: F) -> Result<SeqRange, AppendError>
    where
        F: FnOnce(&mut Numbers) -> Vec<Record>,
    {
        self.inner.outbox.append_with(urgency, build)
    }

    /// Resolves when an append will not be refused as [`AppendError::Full`], or the store was
    /// closed.
    pub async fn room(&self) {
        self.inner.log.inner.room().await;
    }

    /// Whether little waits to be written: 128 KiB. Who has much that is not urgent waits for
    /// [`Store::calm`], because an alert is written behind whatever waits already.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.inner.log.inner.waiting() < log::CALM_WAITING
    }

    /// Resolves when little waits to be written, or the store was closed.
    pub async fn calm(&self) {
        self.inner.log.inner.waiting_below(log::CALM_WAITING).await;
    }

    /// The highest position such that everything up to it is on disk.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<Seq> {
        self.inner.log.inner.durable()
    }

    /// Waits until everything up to `seq` is on disk. Asks for no extra sync.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when the store was closed before.
    pub async fn durable_through(&self, seq: Seq) -> Result<(), StoreError> {
        let log = &self.inner.log.inner;
        let mut durable = log.durable();
        let reached = durable.wait_for(|now| *now >= seq || log.stopped()).await;
        match reached {
            Ok(now) if *now >= seq => Ok(()),
            _ => Err(StoreError::Closed),
        }
    }

    /// Whether the log can be written. While it cannot, records wait in memory up to 4 MiB.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LogState> {
        self.inner.log.inner.state()
    }

    /// The last position that was given, durable or not.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        self.inner.log.inner.last_seq()
    }

    /// The oldest position kept; one above the last durable one when nothing is.
    #[must_use]
    pub fn first_seq(&self) -> Seq {
        self.inner.log.inner.first_seq()
    }

    /// Reads a durable record. `None` when it is not durable, was recycled, or is of a type that
    /// this version does not know. A bounded blocking read.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`], [`StoreError::Record`].
    pub fn read(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        log::read(&self.inner.log.inner, seq)
    }

    /// Reads durable records in order, from `from` (or the oldest kept) up to what is durable now.
    ///
    /// # Errors
    /// None at present; what cannot be read comes as an item, and the rest follows.
    pub fn scan(&self, from: Seq) -> Result<Scan, StoreError> {
        Ok(Scan(log::RawScan::new(&self.inner.log.inner, from)))
    }

    /// Saves the detectors' state as of `through`; waits until everything up to there is durable.
    /// The two newest are kept. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Broken`] when the log cannot be written at present, [`StoreError::Closed`],
    /// [`StoreError::Io`].
    pub fn save_snapshot(&self, through: Seq, bytes: &[u8]) -> Result<(), StoreError> {
        let log = &self.inner.log.inner;
        while log.through() < through.0 {
            if let LogState::Broken { why } = &*log.state().borrow() {
                return Err(StoreError::Broken { why: why.clone() });
            }
            if log.stopped() {
                return Err(StoreError::Closed);
            }
            log.wait_above(through.0 - 1, Duration::from_millis(200));
        }
        let saved = || self.inner.snapshots.save(through, bytes);
        self.inner.keeper.reserve.with_room(was_full, saved)?;
        log.wake_keeper();
        Ok(())
    }

    /// The detectors' states kept, newest first. Damaged ones are passed over.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn snapshots(&self) -> Result<Vec<(Seq, Vec<u8>)>, StoreError> {
        self.inner
            .snapshots
            .all(Seq(self.inner.log.inner.through()))
    }

    /// Changes to a position when the log would like a snapshot that reaches it, so that old
    /// segments can go.
    #[must_use]
    pub fn snapshot_wanted(&self) -> watch::Receiver<Seq> {
        self.inner.keeper.snapshot_wanted.subscribe()
    }

    /// The messages accepted for head office.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.inner.outbox
    }

    /// Questions about the log.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.inner.index
    }

    /// Keeps input that could not be used; its bytes are cut to
    /// [`tillwatch_protocol::QUARANTINE_BYTES`]. It is on disk when this returns.
    ///
    /// # Errors
    /// [`AppendError`].
    pub async fn quarantine(&self, item: Quarantined) -> Result<(), AppendError> {
        self.inner.keeper.quarantine.add(item).await
    }

    /// Quarantined input, newest first.
    #[must_use]
    pub fn quarantined(&self, limit: usize) -> Vec<Quarantined> {
        self.inner.keeper.quarantine.newest(limit)
    }

    /// Whether there is footage beside the log, from whatever time.
    #[must_use]
    pub fn has_media(&self) -> bool {
        Media::is_there(self.inner.disk.as_ref(), &self.inner.dir.join("media"))
    }

    /// Opens the footage beside the log, once; it is closed before the store is. Blocks while it
    /// reads headers and what was not sealed.
    ///
    /// # Errors
    /// [`MediaError::Options`] for options that make no sense or when it was opened before,
    /// [`MediaError::Io`]. Damage is no error: it is told in
    /// [`MediaOpened`].
    pub fn open_media(&self, options: MediaOptions) -> Result<(Media, MediaOpened), MediaError> {
        let Inner {
            disk,
            dir,
            identity,
            ..
        } = &*self.inner;
        if self.inner.media_opened.swap(true, Ordering::AcqRel) {
            let text = "the footage was opened before".into();
            return Err(MediaError::Options(text));
        }
        Media::open_on(
            Arc::clone(disk),
            &dir.join("media"),
            identity.log_id,
            options,
        )
    }

    #[cfg(test)]
    pub(crate) fn inner_log(&self) -> &Arc<log::LogInner> {
        &self.inner.log.inner
    }

    /// Writes what waits, saves the outbox's state, and ends the threads; also for all clones.
    pub fn close(self) {
        self.inner.close();
    }
}

impl Inner {
    fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.keeper.closing.store(true, Ordering::Release);
        self.log.close();
        if let Some(thread) = crate::lock(&self.keeper_thread).take()
            && thread.join().is_err()
        {
            tracing::error!("the keeper panicked");
        }
        let saved = failpoint::hit("close.drained")
            .map_err(StoreError::io("close", &self.keeper.state_path))
            .and_then(|()| self.keeper.save_state())
            .and_then(|()| {
                failpoint::hit("close.state_saved")
                    .map_err(StoreError::io("close", &self.keeper.state_path))
            });
        if let Err(error) = saved {
            tracing::error!(%error, "outbox state not saved: the next start replays more of the log");
        }
        self.index.close();
        self.keeper.quarantine.close();
        // By name: a child process that is being started may hold a copy of the handle a little.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "data directory not unlocked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

//! The footage as others see it.

use super::changes::Held;
use super::pool::Claim;
use super::queue::{Change, Queue};
use super::usage::MediaCounters;
use super::writer::Writer;
use super::{
    Clip, ClipDescriptor, Commit, Inner, Mark, MediaError, MediaEvent, MediaFull, MediaOpened,
    MediaOptions, MediaState, Pin, Refusal, ReserveState, StoredFrame, open,
};
use crate::disk::{Disk, RealDisk};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;
use tillwatch_protocol::{ClipId, FrameKey, LogId};
use tokio::sync::{broadcast, watch};

/// What is told and not read yet, before a slow reader misses the oldest.
const EVENTS: usize = 256;

/// The footage of one store. A handle; clones share it. The last one to go closes it.
#[derive(Debug, Clone)]
pub struct Media {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Media {
    /// The same as [`crate::Store::open_media`] without a store: nothing keeps another process out.
    /// For tests that make up the files.
    ///
    /// # Errors
    /// As there.
    #[doc(hidden)]
    pub fn open_alone(
        dir: &Path,
        log_id: LogId,
        options: MediaOptions,
    ) -> Result<(Media, MediaOpened), MediaError> {
        Self::open_on(Arc::new(RealDisk), dir, log_id, options)
    }

    /// Whether `dir` holds segments.
    pub(crate) fn is_there(disk: &dyn Disk, dir: &Path) -> bool {
        let files = disk.list(dir).unwrap_or_default();
        files.iter().any(|name| name.ends_with(".vid"))
    }

    /// Opens the media in `dir`. Blocks while it reads headers and what was not sealed.
    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        log_id: LogId,
        options: MediaOptions,
    ) -> Result<(Media, MediaOpened), MediaError> {
        options.check()?;
        let counters = MediaCounters::default();
        let log_id = *log_id.0.as_bytes();
        let recovered = open::recover(disk.as_ref(), dir, &options, log_id, &counters)?;
        let newest = recovered.pool.newest();
        let last = newest
            .values()
            .map(|key| (key.camera, (key.boot, key.seq)))
            .collect();
        let inner = Arc::new(Inner {
            options,
            disk,
            dir: dir.to_owned(),
            log_id,
            begun: Instant::now(),
            counters,
            queue: Mutex::new(Queue::new(last)),
            wake: Condvar::new(),
            reserve_wake: Condvar::new(),
            held: Mutex::new(Held::new(recovered.pool, recovered.table)),
            made: Condvar::new(),
            durable: watch::Sender::new(newest),
            written: watch::Sender::new(0),
            state: watch::Sender::new(MediaState::Writable),
            reserve: watch::Sender::new(ReserveState::Working),
            events: broadcast::Sender::new(EVENTS),
        });
        let writer = Writer {
            media: Arc::clone(&inner),
            current: recovered.current,
            failures: 0,
            last_try: false,
            refilling: false,
        };
        let shared = Shared {
            inner: Arc::clone(&inner),
            threads: Mutex::new(Vec::new()),
        };
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(run)
                .map_err(MediaError::io("start a thread for", dir))
        };
        let reserves = Arc::clone(&inner);
        let reserve = start("tw-media-space", Box::new(move || reserves.run_reserve()))?;
        crate::lock(&shared.threads).push(reserve);
        let writer = start("tw-media", Box::new(move || writer.run()))?;
        crate::lock(&shared.threads).push(writer);
        let media = Media {
            shared: Arc::new(shared),
        };
        Ok((media, recovered.opened))
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.shared.inner
    }

    /// Queues a frame, later than all of its camera before it. Never waits for the disk. Gives its
    /// place among all frames taken, for [`Media::written`].
    ///
    /// # Errors
    /// [`MediaFull`] with the frame, which was not taken; counted.
    pub fn put(&self, frame: StoredFrame) -> Result<u64, Box<MediaFull>> {
        self.queue(frame, false)
    }

    /// The same for a frame that may be older than others of its camera: a rule that concludes late
    /// asks for what came before footage that is stored already. The caller sees to it that each is
    /// put once.
    ///
    /// # Errors
    /// As [`Media::put`].
    pub fn put_late(&self, frame: StoredFrame) -> Result<u64, Box<MediaFull>> {
        self.queue(frame, true)
    }

    fn queue(&self, frame: StoredFrame, late: bool) -> Result<u64, Box<MediaFull>> {
        let inner = self.inner();
        let options = &inner.options;
        let put =
            crate::lock(&inner.queue).put(frame, late, options.queue_bytes, options.max_frame());
        match &put {
            Ok(_) => {
                inner.counters.frames.add(1);
                inner.wake.notify_all();
            }
            Err(full) if full.why == Refusal::Queue => inner.counters.refused_queue.add(1),
            Err(_) => inner.counters.refused_other.add(1),
        }
        put
    }

    /// Bytes of pictures that the queue and the write in flight hold.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        crate::lock(&self.inner().queue).waiting() as u64
    }

    /// The number that the next frame of a camera must have at least; a restart within the same
    /// boot goes on counting there.
    #[must_use]
    pub fn next_seq(&self, camera: u8, boot: u64) -> u64 {
        let last = crate::lock(&self.inner().queue).last_of(camera);
        last.filter(|(last, _)| *last == boot)
            .map_or(1, |(_, seq)| seq + 1)
    }

    /// By camera: every frame that was taken, up to this one, is on disk (or was lost because all
    /// segments were being recorded or read: [`super::MediaUsage::lost_full`]).
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<BTreeMap<u8, FrameKey>> {
        self.inner().durable.subscribe()
    }

    /// How many of the frames taken since the opening, in the order in which they were taken, are on
    /// disk (or were lost, as above).
    #[must_use]
    pub fn written(&self) -> watch::Receiver<u64> {
        self.inner().written.subscribe()
    }

    /// Asks that what waits is written now.
    pub fn flush(&self) {
        let mut queue = crate::lock(&self.inner().queue);
        queue.urgent = !queue.is_empty();
        drop(queue);
        self.inner().wake.notify_all();
    }

    /// Protects the frames of all cameras of a time from being recycled, those to come included,
    /// until the clip is committed or released. In memory only. Again with the same id: replaces.
    ///
    /// # Errors
    /// [`MediaError::Claims`] when too many are being recorded.
    pub fn claim(
        &self,
        clip_id: ClipId,
        boot: u64,
        from_ns: u64,
        to_ns: u64,
    ) -> Result<(), MediaError> {
        let most = self.inner().options.max_claims;
        let mut held = crate::lock(&self.inner().held);
        let claims = &mut held.pool.claims;
        if claims.len() >= most && !claims.contains_key(&clip_id) {
            return Err(MediaError::Claims(most));
        }
        let claim = Claim {
            boot,
            from_ns,
            to_ns,
        };
        claims.insert(clip_id, claim);
        Ok(())
    }

    /// Gives a claim up.
    pub fn release(&self, clip_id: ClipId) {
        crate::lock(&self.inner().held).pool.claims.remove(&clip_id);
    }

    /// Writes a clip's description behind all frames put before, at once, and ends its claim. Again
    /// with the same id: replaces. When the returned [`Commit`] resolves, frames and description
    /// are on disk.
    ///
    /// # Errors
    /// [`MediaError::Busy`], [`MediaError::Closed`]; from the commit also
    /// [`MediaError::FramesLost`] for a clip that is called complete and is not,
    /// [`MediaError::TooLong`], [`MediaError::NoRoom`].
    pub fn commit(&self, clip: ClipDescriptor) -> Result<Commit, MediaError> {
        let change = Change::Commit(Box::new((clip.request, clip.report)));
        self.change(change, true)
    }

    /// Notes what became known of a clip; on disk with the next group.
    ///
    /// # Errors
    /// [`MediaError::Busy`], [`MediaError::Closed`]; from the commit also
    /// [`MediaError::NoSuchClip`] and [`MediaError::Dropped`].
    pub fn mark(&self, clip_id: ClipId, mark: Mark) -> Result<Commit, MediaError> {
        self.change(Change::Mark(clip_id, mark), false)
    }

    /// Keeps a clip whatever happens, on behalf of somebody.
    ///
    /// # Errors
    /// [`MediaError::HoldsFull`] when more than half of the media would be held; otherwise as
    /// [`Media::mark`].
    pub fn hold(&self, clip_id: ClipId, by: &str) -> Result<Commit, MediaError> {
        let total = self.inner().options.budget_bytes;
        let held = crate::lock(&self.inner().held).held_segment_bytes(Some(clip_id));
        if held > total / 2 {
            return Err(MediaError::HoldsFull { held, total });
        }
        let by: String = by.chars().take(64).collect();
        self.change(Change::Hold(clip_id, Some(by)), true)
    }

    /// Ends a hold.
    ///
    /// # Errors
    /// As [`Media::mark`].
    pub fn unhold(&self, clip_id: ClipId) -> Result<Commit, MediaError> {
        self.change(Change::Hold(clip_id, None), false)
    }

    fn change(&self, change: Change, urgent: bool) -> Result<Commit, MediaError> {
        let commit = crate::lock(&self.inner().queue).change(change, urgent);
        self.inner().wake.notify_all();
        commit
    }

    /// A clip; one that was given up says why, as long as it is remembered.
    #[must_use]
    pub fn clip(&self, clip_id: ClipId) -> Option<Arc<Clip>> {
        crate::lock(&self.inner().held).table.get(clip_id).cloned()
    }

    /// All clips, newest first.
    #[must_use]
    pub fn clips(&self) -> Vec<Arc<Clip>> {
        let held = crate::lock(&self.inner().held);
        held.table.oldest_first().rev().cloned().collect()
    }

    /// Opens a clip for reading. Reads indexes, not pictures.
    ///
    /// # Errors
    /// [`MediaError::NoSuchClip`], [`MediaError::Dropped`], [`MediaError::Pins`],
    /// [`MediaError::Io`].
    pub fn pin_clip(&self, clip_id: ClipId) -> Result<Pin, MediaError> {
        Pin::clip(self.inner(), clip_id)
    }

    /// Opens whatever is stored of a time, of all cameras.
    ///
    /// # Errors
    /// [`MediaError::Pins`], [`MediaError::Io`].
    pub fn pin_time(&self, boot: u64, from_ns: u64, to_ns: u64) -> Result<Pin, MediaError> {
        Pin::time(self.inner(), boot, from_ns, to_ns)
    }

    /// What happens without being asked for.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<MediaEvent> {
        self.inner().events.subscribe()
    }

    /// Whether footage can be written.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<MediaState> {
        self.inner().state.subscribe()
    }

    /// Whether the budget's space was set aside.
    #[must_use]
    pub fn reserve(&self) -> watch::Receiver<ReserveState> {
        self.inner().reserve.subscribe()
    }

    /// Writes what waits and ends the threads; also for all clones.
    pub fn close(self) {
        self.shared.close();
    }
}

impl Shared {
    fn close(&self) {
        crate::lock(&self.inner.queue).closing = true;
        self.inner.wake.notify_all();
        self.inner.reserve_wake.notify_all();
        let threads = std::mem::take(&mut *crate::lock(&self.threads));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the media panicked");
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

//! The cameras and the ring that they fill: what those who record and those who look share.

use super::ring::{Ring, RingCounters, RingFrame, RingLimits};
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tillwatch_protocol::FrameKey;
use tokio::sync::Notify;

/// Time between two frames of a camera that has not said how fast it is, in nanoseconds.
const UNKNOWN_PERIOD_NS: u64 = 1_000_000_000 / 15;

/// What every camera saw a moment ago. A handle; clones share it.
#[derive(Debug, Clone)]
pub struct Cameras(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ring: Mutex<Ring>,
    cameras: Vec<Camera>,
    /// Somebody waits for frames.
    watched: AtomicBool,
    fresh: Notify,
}

#[derive(Debug)]
struct Camera {
    name: String,
    working: AtomicBool,
    period_ns: AtomicU64,
}

impl Cameras {
    /// For these cameras, in the order of their numbers, in this boot.
    #[must_use]
    pub fn new(names: Vec<String>, boot: u64, now_ns: u64, limits: RingLimits) -> Self {
        let cameras = u8::try_from(names.len()).unwrap_or(u8::MAX);
        let named = names.into_iter().map(|name| Camera {
            name,
            working: AtomicBool::new(false),
            period_ns: AtomicU64::new(UNKNOWN_PERIOD_NS),
        });
        Self(Arc::new(Inner {
            ring: Mutex::new(Ring::new(cameras, boot, now_ns, limits)),
            cameras: named.collect(),
            watched: AtomicBool::new(false),
            fresh: Notify::new(),
        }))
    }

    /// How many cameras there are; they are numbered from 0.
    #[must_use]
    pub fn cameras(&self) -> u8 {
        u8::try_from(self.0.cameras.len()).unwrap_or(u8::MAX)
    }

    /// What people call a camera.
    #[must_use]
    pub fn name(&self, camera: u8) -> Option<&str> {
        let camera = self.0.cameras.get(usize::from(camera))?;
        Some(&camera.name)
    }

    /// The number of a camera by its name.
    #[must_use]
    pub fn numbered(&self, name: &str) -> Option<u8> {
        let at = self.0.cameras.iter().position(|camera| camera.name == name);
        at.and_then(|at| u8::try_from(at).ok())
    }

    /// Usual time between two frames, in nanoseconds.
    #[must_use]
    pub fn period_ns(&self, camera: u8) -> u64 {
        let camera = self.0.cameras.get(usize::from(camera));
        camera.map_or(UNKNOWN_PERIOD_NS, |camera| {
            camera.period_ns.load(Ordering::Relaxed)
        })
    }

    /// A camera was opened and delivers at this pace.
    pub fn working(&self, camera: u8, period_ns: u64) {
        if let Some(camera) = self.0.cameras.get(usize::from(camera)) {
            camera.period_ns.store(period_ns.max(1), Ordering::Relaxed);
            camera.working.store(true, Ordering::Release);
        }
    }

    /// A camera delivers nothing any more; nobody waits for it.
    pub fn lost(&self, camera: u8) {
        if let Some(camera) = self.0.cameras.get(usize::from(camera)) {
            camera.working.store(false, Ordering::Release);
        }
    }

    /// Whether a camera delivers.
    #[must_use]
    pub fn is_working(&self, camera: u8) -> bool {
        let camera = self.0.cameras.get(usize::from(camera));
        camera.is_some_and(|camera| camera.working.load(Ordering::Acquire))
    }

    /// Takes a frame; see [`Ring::push`].
    pub fn push(&self, camera: u8, monotonic_ns: u64, jpeg: Bytes) -> Option<FrameKey> {
        let key = self.ring().push(camera, monotonic_ns, jpeg);
        if self.0.watched.load(Ordering::Acquire) {
            self.0.fresh.notify_one();
        }
        key
    }

    /// See [`Ring::newest`].
    #[must_use]
    pub fn newest(&self, camera: u8) -> Option<RingFrame> {
        self.ring().newest(camera).cloned()
    }

    /// When each camera that delivers saw its newest frame.
    #[must_use]
    pub fn seen_ns(&self) -> Vec<u64> {
        let ring = self.ring();
        let working = (0..self.cameras()).filter(|camera| self.is_working(*camera));
        working
            .map(|camera| ring.newest(camera).map_or(0, |frame| frame.monotonic_ns))
            .collect()
    }

    /// What became of frames.
    #[must_use]
    pub fn counters(&self) -> RingCounters {
        self.ring().counters()
    }

    /// Bytes of pictures in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ring().bytes()
    }

    /// Whether somebody wants to know of every new frame.
    pub fn watch(&self, watched: bool) {
        self.0.watched.store(watched, Ordering::Release);
    }

    /// Resolves when a frame has come since the last time, while it is watched.
    pub async fn fresh(&self) {
        self.0.fresh.notified().await;
    }

    pub(super) fn ring(&self) -> MutexGuard<'_, Ring> {
        // Between any two statements that can panic the ring is consistent.
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

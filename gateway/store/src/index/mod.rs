//! The index: what can be asked about the log.
//!
//! A projection of the log into an ordered map (`keys` lists the keys), kept by a thread of its
//! own that follows what is durable. It is a moment behind the log and never ahead of it, carries
//! the position it reflects in the same batch as its changes, and can be thrown away: it is rebuilt
//! from the log. Damage or a panic in the engine sets its directory aside and does just that.
//! Nothing of it is on the hot path: it is made durable every 30 s, and what a power cut takes is
//! projected again.
//!
//! It lets records gather for a moment, so that its writing does not meet the log's, and
//! hurries when somebody waits.
//!
//! Its thread runs at a lower priority than those that witness. It also opens the engine, which may
//! take long because sled reads its whole file: not before somebody asks, or the delay in the options
//! is over. Who asks meanwhile waits, a bounded time.

mod clips;
mod engine;
mod follow;
mod keys;
mod memory_engine;
mod opening;
mod projection;
mod query;
mod sled_engine;

use crate::log::LogInner;
use crate::options::IndexKind;
use crate::usage::Counters;
use engine::{IndexEngine, IndexError};
use opening::Gate;
use serde::{Deserialize, Serialize};
use sled_engine::SledEngine;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tillwatch_protocol::{Alert, AlertId, Review, Seq, Stamp};
use tokio::sync::watch;

/// What became of an alert's latest message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// No message was made for it.
    None,
    /// Its message is in the log, not yet acknowledged by the broker.
    Accepted,
    /// The broker said Success for it.
    Acknowledged,
    /// Its message will never be sent.
    Abandoned,
}

/// Which alerts are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlertFilter {
    /// Only open alerts without a review.
    pub pending_only: bool,
    /// Only alerts whose cause is not before this, in microseconds since 1970 UTC.
    pub since_us: Option<i64>,
    /// Only alerts that were raised before this one; none when nobody knows it.
    pub before: Option<AlertId>,
    /// At most so many; 0 means the default of 100.
    pub limit: usize,
}

/// An alert as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRow {
    /// Its highest revision.
    pub alert: Alert,
    /// The newest review.
    pub review: Option<Review>,
    /// The position of that revision.
    pub seq: Seq,
    /// Whether it is in the log on disk; always so for what the index shows.
    pub accepted: bool,
    /// What became of its message.
    pub delivery: Delivery,
}

/// What the log holds of an event of the till: positions and stamps of the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeenPos {
    /// With the same store, register, event id and body: this is a redelivery.
    pub same: Option<(Seq, Stamp)>,
    /// With the same store, register and event id, whatever its body.
    pub id: Option<(Seq, Stamp)>,
}

/// What an index is told.
#[derive(Debug, Clone)]
pub(crate) struct IndexOptions {
    pub(crate) dir: PathBuf,
    pub(crate) aside: PathBuf,
    pub(crate) kind: IndexKind,
    pub(crate) checkpoint: Duration,
    pub(crate) delay: Duration,
    pub(crate) pace: Duration,
    pub(crate) budget_bytes: u64,
}

struct Shared {
    log: Arc<LogInner>,
    options: IndexOptions,
    counters: Arc<Counters>,
    engine: RwLock<Arc<dyn IndexEngine>>,
    /// Held while the engine is changed, so that one step reads what it changes.
    writing: Mutex<()>,
    /// The engine failed: the follower rebuilds.
    broken: AtomicBool,
    through: watch::Sender<Seq>,
    /// The log's durable position when the index was opened or begun anew: it lacks what was known
    /// before until it has reached this.
    goal: AtomicU64,
    /// Records up to here leave the log and are not taken in any more.
    forgotten: AtomicU64,
    gate: Gate,
    closing: AtomicBool,
}

/// Queries over the log. They block for a bounded read, and up to ten seconds while the index is
/// being opened: call them outside the async threads. Where the engine fails they answer what they
/// have, and the index rebuilds itself.
pub struct Index {
    shared: Arc<Shared>,
    follower: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("through", &self.through())
            .finish_non_exhaustive()
    }
}

impl Index {
    /// How far the index reflects the log.
    #[must_use]
    pub fn through(&self) -> Seq {
        *self.shared.through.borrow()
    }

    /// Resolves when the index reflects the log up to `seq`, or the store was closed.
    pub async fn caught_up(&self, seq: Seq) {
        let _waiter = self.shared.gate.waiter();
        let mut through = self.shared.through.subscribe();
        let shared = Arc::clone(&self.shared);
        let _ = through
            .wait_for(|now| *now >= seq || shared.closing.load(Ordering::Acquire))
            .await;
    }

    /// Bytes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        if self.is_open() {
            self.shared.engine().bytes()
        } else {
            SledEngine::bytes_at(&self.shared.options.dir)
        }
    }

    /// Bytes that its budget still allows.
    pub(crate) fn to_come(&self) -> u64 {
        match self.shared.options.kind {
            IndexKind::Memory => 0,
            IndexKind::Sled => self
                .shared
                .options
                .budget_bytes
                .saturating_sub(self.bytes()),
        }
    }

    pub(crate) fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.log.nudge();
        self.shared.gate.nudge();
        if let Some(thread) = crate::lock(&self.follower).take()
            && thread.join().is_err()
        {
            tracing::error!("the index thread panicked");
        }
        // Wakes those who wait for a position that will not come any more.
        self.shared.through.send_modify(|_| {});
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn engine(&self) -> Arc<dyn IndexEngine> {
        Arc::clone(&crate::read(&self.engine))
    }

    /// The value, or nothing and a rebuild.
    fn or_broken<T: Default>(&self, result: Result<T, IndexError>) -> T {
        result.unwrap_or_else(|error| {
            tracing::error!(%error, "the index will be rebuilt");
            self.broken.store(true, Ordering::Release);
            self.log.nudge();
            T::default()
        })
    }
}

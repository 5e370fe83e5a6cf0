//! Opening the engine behind everybody's back.

use super::engine::IndexEngine;
use super::{Index, Shared};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tillwatch_protocol::Seq;
use tokio::sync::watch;

/// How long a question waits for an index that is being opened.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a question waits for the newest records; an index that is rebuilt takes longer.
const CATCH_UP: Duration = Duration::from_millis(500);

/// Between those who ask and the thread that opens.
#[derive(Debug)]
pub(super) struct Gate {
    wanted: Mutex<bool>,
    /// How many wait for a position.
    waiting: AtomicUsize,
    changed: Condvar,
    open: watch::Sender<Option<Opened>>,
}

/// An engine is there.
#[derive(Debug, Clone, Default)]
pub(super) struct Opened {
    /// What there is to tell the technician.
    pub(super) notice: Option<String>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            wanted: Mutex::new(false),
            waiting: AtomicUsize::new(0),
            changed: Condvar::new(),
            open: watch::Sender::new(None),
        }
    }
}

impl Gate {
    /// Somebody asks: there is no reason to wait any longer.
    pub(super) fn want(&self) {
        *crate::lock(&self.wanted) = true;
        self.changed.notify_all();
    }

    /// Lets those who wait look around.
    pub(super) fn nudge(&self) {
        let _wanted = crate::lock(&self.wanted);
        self.changed.notify_all();
    }

    /// Somebody waits for a position from now on, until the answer is dropped.
    pub(super) fn waiter(&self) -> Waiter<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.want();
        Waiter(self)
    }

    /// Blocks until somebody waits for a position, the time is over, or the index is to be closed.
    pub(super) fn wait_until_asked(&self, time: Duration, closing: impl Fn() -> bool) {
        let wanted = crate::lock(&self.wanted);
        drop(crate::wait_until(&self.changed, wanted, time, |_| {
            self.waiting.load(Ordering::Acquire) > 0 || closing()
        }));
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.borrow().is_some()
    }

    pub(super) fn opened(&self, opened: Opened) {
        self.open.send_replace(Some(opened));
        self.nudge();
    }

    /// Blocks until somebody asks, the time is over, or the index is to be closed.
    pub(super) fn wait_for_question(&self, delay: Duration, closing: impl Fn() -> bool) {
        let wanted = crate::lock(&self.wanted);
        drop(crate::wait_until(&self.changed, wanted, delay, |wanted| {
            *wanted || closing()
        }));
    }
}

/// Somebody who waits for a position.
pub(super) struct Waiter<'a>(&'a Gate);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    fn rebuilding(&self, broken: bool, through: Seq) -> Option<(Seq, Seq)> {
        if broken {
            return Some((Seq(0), Seq(self.log.through())));
        }
        let goal = Seq(self.goal.load(Ordering::Acquire));
        (through < goal).then_some((through, goal))
    }

    /// The engine, once it is there; an empty one after [`PATIENCE`].
    pub(super) fn ready(&self) -> Arc<dyn IndexEngine> {
        if !self.gate.is_open() {
            self.gate.want();
            let wanted = crate::lock(&self.gate.wanted);
            drop(crate::wait_until(
                &self.gate.changed,
                wanted,
                PATIENCE,
                |_| self.gate.is_open() || self.closing.load(Ordering::Acquire),
            ));
        }
        self.engine()
    }
}

impl Index {
    /// Waits until the index reflects what is durable now, at most [`CATCH_UP`], so that nobody misses
    /// what he has just done.
    pub(super) fn catch_up(&self) {
        let shared = &self.shared;
        shared.ready();
        let durable = shared.log.through();
        let reached = || shared.through.borrow().0 >= durable;
        if reached() || !shared.gate.is_open() {
            return;
        }
        let waiter = shared.gate.waiter();
        let wanted = crate::lock(&shared.gate.wanted);
        drop(crate::wait_until(
            &shared.gate.changed,
            wanted,
            CATCH_UP,
            |_| reached() || shared.closing.load(Ordering::Acquire),
        ));
        drop(waiter);
    }

    /// How far the index is, and what it must reach before its answers are complete: the position
    /// that the log had when the store was opened, or when the index was begun anew. `None` once it
    /// is there; what came after that is at most a moment missing. Does not wait.
    #[must_use]
    pub fn rebuilding(&self) -> Option<(Seq, Seq)> {
        // Broken first: whoever takes that back has lowered the position before.
        let broken = self.shared.broken.load(Ordering::Acquire);
        self.shared.rebuilding(broken, self.through())
    }

    /// Resolves when [`Index::rebuilding`] says `None`, or the store was closed. Lets the index be
    /// opened now.
    pub async fn rebuilt(&self) {
        let shared = &self.shared;
        let _waiter = shared.gate.waiter();
        let mut through = shared.through.subscribe();
        let done = |now: &Seq| {
            let broken = shared.broken.load(Ordering::Acquire);
            shared.rebuilding(broken, *now).is_none() || shared.closing.load(Ordering::Acquire)
        };
        let _ = through.wait_for(done).await;
    }

    /// Whether the engine is there.
    pub(crate) fn is_open(&self) -> bool {
        self.shared.gate.is_open()
    }

    /// Resolves when the index is there, with what there is to tell the technician about it; `None`
    /// also when the store was closed before.
    pub async fn opened(&self) -> Option<String> {
        let mut open = self.shared.gate.open.subscribe();
        let closing = || self.shared.closing.load(Ordering::Acquire);
        let opened = open.wait_for(|open| open.is_some() || closing()).await;
        opened.ok()?.as_ref()?.notice.clone()
    }
}

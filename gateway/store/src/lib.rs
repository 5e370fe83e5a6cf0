//! The only place that touches the data directory: the log, and what is derived from it.
//!
//! ```text
//! <data>/lock            exclusive flock; holds the process id
//! <data>/identity        log id, boot ordinal, boot id (atomic file)
//! <data>/log/*.seg       the log: the truth
//! <data>/outbox.state    the outbox as of one log position (atomic file; rebuildable)
//! <data>/snapshots/      the detectors' states (atomic files; rebuildable)
//! <data>/index/          sled, a projection of the log (rebuildable)
//! <data>/quarantine/     a second log: input that could not be used
//! <data>/media/*.vid     footage, and the clips that it makes
//! <data>/ballast         space in reserve for all of this
//! <data>/access/         logins, sessions, keys (private files)
//! <data>/aside/          damaged parts, for whoever wants to look
//! ```
//!
//! | module | what |
//! | --- | --- |
//! | [`log`] | format and procedures, with every fsync named |
//! | `outbox` | what is owed to head office: numbers, limits, what became of each message |
//! | [`index`] | questions about the log |
//! | [`media`] | footage: frames, clips, what goes first when there is no room |
//! | [`private_file`] | small files with secrets |
//! | `snapshot`, `quarantine`, `identity` | the smaller files |
//! | `keeper` | the thread that prepares, recycles and saves |
//! | `reserve` | space that belongs to us before we need it |
//! | [`failpoint`] | named points between every two durable steps, for tests |
//!
//! Threads of its own do the work; [`Store`] is a handle. What is asynchronous is so only by
//! `tokio::sync`, so any runtime can wait on it.

pub mod failpoint;
pub mod index;
pub mod log;
pub mod media;
pub mod private_file;

mod atomic_file;
mod disk;
mod error;
mod identity;
mod keeper;
mod opening;
mod options;
mod outbox;
mod quarantine;
mod reserve;
mod snapshot;
mod store;
mod usage;

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod full_disk_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod sim_disk;

pub use error::{AppendError, ErrorKind, StoreError};
pub use index::{AlertFilter, AlertRow, Delivery, Index, SeenPos};
pub use log::{Damage, Scan, SeqRange, Urgency};
pub use opening::{Opened, holder};
pub use options::{IndexKind, OutboxLimits, StoreOptions};
pub use outbox::{DeadLetter, Numbers, Outbox, OutboxRef};
pub use store::Store;
pub use usage::{LogState, Usage};

use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::Duration;

// A panic while a lock is held does not make the rest of the store unusable: what these locks guard
// is consistent between any two statements that can panic.

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

fn wait_for<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    time: Duration,
) -> MutexGuard<'a, T> {
    condvar
        .wait_timeout(guard, time)
        .unwrap_or_else(PoisonError::into_inner)
        .0
}

/// Waits until `done` or the time is over.
fn wait_until<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    time: Duration,
    mut done: impl FnMut(&T) -> bool,
) -> MutexGuard<'a, T> {
    let waited = condvar.wait_timeout_while(guard, time, |value| !done(value));
    waited.unwrap_or_else(PoisonError::into_inner).0
}

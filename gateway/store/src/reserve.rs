//! Space on the disk that belongs to us before we need it: `<data>/ballast`, a file of reserved blocks
//! without content, so that it costs neither time nor wear.
//!
//! It holds what the budgets of log, quarantine and index still allow, a few segments beyond the log's,
//! and some head room for small files. As they grow it shrinks: on a disk with room a little later, on a full one just before, so
//! that a disk that others fill cannot stop the log. Nothing of it needs to survive: opening makes it
//! anew.
//!
//! It leaves a twentieth of the disk, at most 256 MiB, to others. What cannot be reserved is told when
//! the store is opened, shown in [`crate::Usage::reserve_missing_bytes`], and tried again every minute.

use crate::disk::{Disk, DiskFile};
use crate::error::StoreError;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What is left to others at most.
const KEEP_FREE: u64 = 256 << 20;
/// Differences below this are not worth a call.
const STEP: u64 = 1 << 20;
/// Given up at once for a small file.
const SMALL: u64 = 1 << 20;
/// Pause before what is missing is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// What should be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    /// For log and quarantine: never given to anything else.
    pub(crate) log: u64,
    /// For what can be rebuilt, and for small files.
    pub(crate) rest: u64,
}

/// The reserve.
#[derive(Debug)]
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<Arc<dyn DiskFile>>,
    held: u64,
    wanted: Wanted,
    /// When growing failed last.
    failed: Option<Instant>,
}

impl Reserve {
    /// Takes over what the last life left; [`Reserve::adjust`] makes it right.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: PathBuf) -> Reserve {
        let file = disk.open(&path).ok();
        let held = file.as_ref().and_then(|file| file.len().ok()).unwrap_or(0);
        let state = State {
            file,
            held,
            ..State::default()
        };
        Reserve {
            disk,
            path,
            state: Mutex::new(state),
        }
    }

    /// Brings it to what is wanted now, as far as the disk allows. Returns how many bytes are missing.
    pub(crate) fn adjust(&self, wanted: Wanted, now: Instant) -> u64 {
        let mut state = crate::lock(&self.state);
        state.wanted = wanted;
        let target = wanted.log + wanted.rest;
        if target == 0 {
            self.drop_all(&mut state);
        } else if state.held > target + STEP {
            self.shrink(&mut state, target);
        } else if state.held + STEP < target {
            let soon = |at: Instant| now.saturating_duration_since(at) < RETRY;
            if !state.failed.is_some_and(soon) {
                self.grow(&mut state, target);
                let missing = state.held + STEP < target;
                state.failed = missing.then_some(now);
            }
        }
        state.missing()
    }

    /// Bytes held, and bytes missing.
    pub(crate) fn held(&self) -> (u64, u64) {
        let state = crate::lock(&self.state);
        (state.held, state.missing())
    }

    /// The log found the disk full and needs `bytes`; true when so much was given to it.
    pub(crate) fn give_to_log(&self, bytes: u64) -> bool {
        let mut state = crate::lock(&self.state);
        let rest = state.held.checked_sub(bytes);
        rest.is_some_and(|rest| {
            tracing::warn!(
                left = rest,
                "the disk is full: the log takes space in reserve"
            );
            self.shrink(&mut state, rest)
        })
    }

    /// Runs what writes a small file; once more with space in reserve when the disk is full.
    pub(crate) fn with_room<T, E>(
        &self,
        is_full: impl Fn(&E) -> bool,
        write: impl Fn() -> Result<T, E>,
    ) -> Result<T, E> {
        match write() {
            Err(error) if is_full(&error) && self.give_small() => write(),
            other => other,
        }
    }

    fn give_small(&self) -> bool {
        let mut state = crate::lock(&self.state);
        let rest = state.held.checked_sub(SMALL);
        rest.is_some_and(|rest| rest >= state.wanted.log && self.shrink(&mut state, rest))
    }

    fn shrink(&self, state: &mut State, to: u64) -> bool {
        let done = state.file.as_ref().map(|file| file.resize(to));
        match done {
            Some(Ok(())) => state.held = to,
            Some(Err(error)) => {
                tracing::warn!(%error, "space in reserve is not given back in part, but as a whole");
                self.drop_all(state);
            }
            None => return false,
        }
        true
    }

    fn drop_all(&self, state: &mut State) {
        state.held = 0;
        if state.file.take().is_some()
            && let Err(error) = self.disk.remove(&self.path)
        {
            tracing::warn!(%error, "space in reserve not given back");
        }
    }

    fn file(&self, state: &mut State) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = &state.file {
            return Ok(Arc::clone(file));
        }
        let file = self.disk.create(&self.path, 0)?;
        state.file = Some(Arc::clone(&file));
        Ok(file)
    }

    fn grow(&self, state: &mut State, target: u64) {
        let room = match self.disk.room(&self.path) {
            Ok(Some(room)) => room,
            // In memory: nothing lasts there anyway.
            Ok(None) => {
                state.wanted = Wanted::default();
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "space not reserved");
                return;
            }
        };
        let keep = (room.total / 20).min(KEEP_FREE);
        let to = target.min((state.held + room.free).saturating_sub(keep));
        if to <= state.held {
            return;
        }
        let grown = self.file(state).and_then(|file| file.resize(to));
        match grown {
            Ok(()) => state.held = to,
            Err(error) => {
                tracing::debug!(%error, bytes = to, "space not reserved");
                // How much of it the disk took all the same is not known.
                self.drop_all(state);
            }
        }
    }
}

impl State {
    fn missing(&self) -> u64 {
        let missing = (self.wanted.log + self.wanted.rest).saturating_sub(self.held);
        if missing <= STEP { 0 } else { missing }
    }
}

/// Whether the disk was full.
pub(crate) fn was_full(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { source, .. } if is_full(source))
}

/// Whether an error says that the disk is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_disk::SimDisk;
    use std::path::Path;

    const MIB: u64 = 1 << 20;

    fn reserve(disk: &SimDisk) -> Reserve {
        Reserve::open(Arc::new(disk.clone()), PathBuf::from("/d/ballast"))
    }

    fn wanted(log: u64, rest: u64) -> Wanted {
        Wanted {
            log: log * MIB,
            rest: rest * MIB,
        }
    }

    #[test]
    fn it_holds_what_is_wanted_and_gives_back_what_is_not() {
        let disk = SimDisk::default();
        let (held, now) = (reserve(&disk), Instant::now());
        assert_eq!(held.adjust(wanted(40, 10), now), 0);
        assert_eq!(disk.used(), 50 * MIB);
        assert_eq!(held.adjust(wanted(20, 10), now), 0);
        assert_eq!(disk.used(), 30 * MIB);
        drop(held);
        let again = reserve(&disk);
        assert_eq!(again.held(), (30 * MIB, 0));
        assert_eq!(again.adjust(Wanted::default(), now), 0);
        assert_eq!(disk.used(), 0);
    }

    #[test]
    fn a_disk_without_room_is_asked_again_later_and_others_keep_some() {
        let disk = SimDisk::default();
        disk.limit(100 * MIB);
        let (held, now) = (reserve(&disk), Instant::now());
        let others = disk.create(Path::new("/others"), 60 * MIB).unwrap();
        assert_eq!(held.adjust(wanted(40, 10), now), 15 * MIB);
        assert_eq!(disk.used(), 95 * MIB, "a twentieth is not ours");
        others.resize(0).unwrap();
        assert_eq!(
            held.adjust(wanted(40, 10), now),
            15 * MIB,
            "not every second"
        );
        assert_eq!(held.adjust(wanted(40, 10), now + RETRY), 0);
    }

    #[test]
    fn on_a_full_disk_the_log_may_have_all_and_small_files_only_the_rest() {
        let disk = SimDisk::default();
        let held = reserve(&disk);
        held.adjust(wanted(8, 2), Instant::now());
        disk.limit(10 * MIB);
        let full = || disk.create(Path::new("/small"), 4096);
        assert!(is_full(&full().unwrap_err()));
        held.with_room(is_full, full).unwrap();
        assert_eq!(held.held().0, 9 * MIB);
        let fill = disk.create(Path::new("/others"), MIB - 4096);
        fill.unwrap();
        held.with_room(is_full, || disk.create(Path::new("/two"), 4096))
            .unwrap();
        disk.create(Path::new("/more"), MIB - 4096).unwrap();
        let third = held.with_room(is_full, || disk.create(Path::new("/three"), 4096));
        assert!(is_full(&third.unwrap_err()), "the log's part is the log's");
        assert!(held.give_to_log(8 * MIB));
        assert!(!held.give_to_log(1));
        disk.create(Path::new("/segment"), 8 * MIB).unwrap();
    }
}

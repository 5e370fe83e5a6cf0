//! A disk in memory that can lose power.
//!
//! What was written and not synced survives a cut sector by sector, or not; what was created,
//! renamed or removed and not synced survives as a prefix, as a journal keeps it. A failed sync
//! drops the dirty pages and still shows them to readers, as Linux does.

use crate::disk::{Disk, DiskFile, Room};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const SECTOR: usize = 512;

/// What survives of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing.
    Drop,
    /// Each sector or not, by the seed.
    Half(u64),
    /// Everything: only the process died.
    Kill,
}

#[derive(Debug, Clone, Default)]
struct Inode {
    now: Vec<u8>,
    synced: Vec<u8>,
    dirty: Vec<(usize, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

#[derive(Debug, Clone, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    synced_names: BTreeMap<PathBuf, u64>,
    changes: Vec<NameChange>,
    next: u64,
    failing_syncs: u32,
    failed_syncs: u32,
    /// So many syncs succeed, then one fails, and the next one stands still.
    until_failure: Option<u32>,
    /// Syncs wait, as in the moment before a cut.
    stalled: bool,
    /// Bytes that new files may still take; no bound without.
    free: Option<u64>,
    in_sync: u32,
    /// Syncs that may go on all the same.
    allowed: u32,
    /// Syncs that came to their end.
    ended: u32,
    /// Bytes that fit on it; `None` for any number.
    limit: Option<u64>,
}

impl State {
    /// Bytes of all files that have a name.
    fn used(&self) -> u64 {
        let files = self.names.values().map(|inode| &self.inodes[inode]);
        files.map(|inode| inode.now.len() as u64).sum()
    }

    fn check_room(&self, more: u64) -> io::Result<()> {
        match self.limit {
            Some(limit) if self.used() + more > limit => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct SimFile(Arc<Mutex<State>>, u64);

fn apply(names: &mut BTreeMap<PathBuf, u64>, change: &NameChange) {
    match change {
        NameChange::Link(path, inode) => {
            names.insert(path.clone(), *inode);
        }
        NameChange::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
        NameChange::Unlink(path) => {
            names.remove(path);
        }
    }
}

fn next_random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

impl SimDisk {
    /// The disk as the next start finds it.
    pub(crate) fn after(&self, cut: Cut) -> SimDisk {
        let mut state = self.0.lock().unwrap().clone();
        let mut seed = match cut {
            Cut::Half(seed) => seed | 1,
            _ => 1,
        };
        let kept_changes = match cut {
            Cut::Drop => 0,
            Cut::Kill => state.changes.len(),
            Cut::Half(_) => next_random(&mut seed) as usize % (state.changes.len() + 1),
        };
        for change in &state.changes[..kept_changes] {
            apply(&mut state.synced_names, change);
        }
        state.changes.clear();
        state.names = state.synced_names.clone();
        for inode in state.inodes.values_mut() {
            if cut == Cut::Kill {
                // The page cache stays, and what of it is dirty is still to be written.
                continue;
            }
            for (offset, bytes) in std::mem::take(&mut inode.dirty) {
                let end = offset + bytes.len();
                let mut at = offset;
                while at < end {
                    let sector_end = ((at / SECTOR + 1) * SECTOR).min(end);
                    if cut != Cut::Drop && next_random(&mut seed) >> 33 & 1 == 1 {
                        if inode.synced.len() < sector_end {
                            inode.synced.resize(sector_end, 0);
                        }
                        inode.synced[at..sector_end]
                            .copy_from_slice(&bytes[at - offset..sector_end - offset]);
                    }
                    at = sector_end;
                }
            }
            inode.now = inode.synced.clone();
        }
        (state.failing_syncs, state.until_failure, state.allowed) = (0, None, 0);
        (state.stalled, state.in_sync) = (false, 0);
        SimDisk(Arc::new(Mutex::new(state)))
    }

    /// From now on no more than `bytes` fit on it.
    pub(crate) fn limit(&self, bytes: u64) {
        self.0.lock().unwrap().limit = Some(bytes);
    }

    /// Bytes of all files.
    pub(crate) fn used(&self) -> u64 {
        self.0.lock().unwrap().used()
    }

    /// Lets syncs wait, or go on.
    pub(crate) fn stall(&self, stalled: bool) {
        self.0.lock().unwrap().stalled = stalled;
    }

    /// Lets one sync go on while they wait, and waits for the one behind it.
    pub(crate) fn step(&self) {
        let before = {
            let mut state = self.0.lock().unwrap();
            state.allowed = 1;
            state.ended
        };
        let stands = |state: &State| state.ended > before && state.in_sync > 0;
        let begin = std::time::Instant::now();
        while !stands(&self.0.lock().unwrap()) {
            assert!(begin.elapsed().as_secs() < 20, "there is no sync behind it");
            std::thread::yield_now();
        }
    }

    /// How many syncs wait.
    pub(crate) fn in_sync(&self) -> u32 {
        self.0.lock().unwrap().in_sync
    }

    /// Lets the next `n` syncs of files fail.
    pub(crate) fn fail_syncs(&self, n: u32) {
        self.0.lock().unwrap().failing_syncs = n;
    }

    /// Bytes that new files may still take.
    pub(crate) fn set_free(&self, bytes: u64) {
        self.0.lock().unwrap().free = Some(bytes);
    }

    /// Lets `n` more syncs of files succeed and the one behind them fail; the next one then stands
    /// still until [`SimDisk::stall`] says otherwise.
    pub(crate) fn fail_after_syncs(&self, n: u32) {
        self.0.lock().unwrap().until_failure = Some(n);
    }

    pub(crate) fn failed_syncs(&self) -> u32 {
        self.0.lock().unwrap().failed_syncs
    }

    /// Changes, behind everybody's back, the one file that holds these bytes, and tells where.
    /// Which number a segment in use has depends on who prepared it first.
    pub(crate) fn damage_where(&self, held: &[u8], change: impl FnOnce(&mut Vec<u8>, usize)) {
        let mut state = self.0.lock().unwrap();
        let find = |bytes: &[u8]| bytes.windows(held.len()).position(|window| window == held);
        let mut holders = state
            .inodes
            .values_mut()
            .filter_map(|inode| find(&inode.now).map(|at| (inode, at)));
        let (inode, at) = holders.next().expect("a file holds the bytes");
        assert!(holders.next().is_none(), "one file holds the bytes");
        change(&mut inode.now, at);
        inode.synced = inode.now.clone();
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().inodes[&self.1].now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.0.lock().unwrap();
        let bytes = &state.inodes[&self.1].now;
        let from = (offset as usize).min(bytes.len());
        let n = buffer.len().min(bytes.len() - from);
        buffer[..n].copy_from_slice(&bytes[from..from + n]);
        Ok(n)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let inode = state.inodes.get_mut(&self.1).unwrap();
        let (from, end) = (offset as usize, offset as usize + bytes.len());
        if inode.now.len() < end {
            inode.now.resize(end, 0);
        }
        inode.now[from..end].copy_from_slice(bytes);
        inode.dirty.push((from, bytes.to_vec()));
        Ok(())
    }

    fn resize(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let now = state.inodes[&self.1].now.len() as u64;
        state.check_room(len.saturating_sub(now))?;
        // Lengths are on disk at once here: nothing relies on this file's.
        let inode = state.inodes.get_mut(&self.1).unwrap();
        inode.now.resize(len as usize, 0);
        inode.synced.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.in_sync += 1;
        while state.stalled && state.allowed == 0 {
            drop(state);
            std::thread::yield_now();
            state = self.0.lock().unwrap();
        }
        state.allowed = state.allowed.saturating_sub(1);
        state.in_sync -= 1;
        state.ended += 1;
        let now = state.until_failure == Some(0);
        let fails = state.failing_syncs > 0 || now;
        if fails {
            state.failing_syncs = state.failing_syncs.saturating_sub(1);
            state.failed_syncs += 1;
        }
        state.stalled |= now;
        state.until_failure = match state.until_failure {
            Some(left) if !now => Some(left - 1),
            _ => None,
        };
        let inode = state.inodes.get_mut(&self.1).unwrap();
        let dirty = std::mem::take(&mut inode.dirty);
        if fails {
            return Err(io::Error::from_raw_os_error(nix::libc::EIO));
        }
        for (from, bytes) in dirty {
            let end = from + bytes.len();
            if inode.synced.len() < end {
                inode.synced.resize(end, 0);
            }
            inode.synced[from..end].copy_from_slice(&bytes);
        }
        Ok(())
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path, len: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock().unwrap();
        state.check_room(len)?;
        if let Some(free) = state.free {
            if free < len {
                return Err(io::Error::from_raw_os_error(nix::libc::ENOSPC));
            }
            state.free = Some(free - len);
        }
        state.next += 1;
        let inode = state.next;
        let bytes = vec![0; len as usize];
        state.inodes.insert(
            inode,
            Inode {
                now: bytes.clone(),
                synced: bytes,
                dirty: Vec::new(),
            },
        );
        let change = NameChange::Link(path.to_owned(), inode);
        apply(&mut state.names, &change);
        state.changes.push(change);
        Ok(Arc::new(SimFile(Arc::clone(&self.0), inode)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.0.lock().unwrap();
        let inode = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile(Arc::clone(&self.0), *inode)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock().unwrap();
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let change = NameChange::Rename(from.to_owned(), to.to_owned());
        apply(&mut state.names, &change);
        state.changes.push(change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let change = NameChange::Unlink(path.to_owned());
        apply(&mut state.names, &change);
        state.changes.push(change);
        Ok(())
    }

    fn make_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        for change in std::mem::take(&mut state.changes) {
            apply(&mut state.synced_names, &change);
        }
        Ok(())
    }

    fn room(&self, _path: &Path) -> io::Result<Option<Room>> {
        let state = self.0.lock().unwrap();
        let total = state.limit.unwrap_or(u64::MAX);
        Ok(Some(Room {
            free: total.saturating_sub(state.used()),
            total,
        }))
    }
}

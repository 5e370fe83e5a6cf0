//! Detectors' states with the log positions they cover: `<data>/snapshots/<position>.snap`, atomic
//! files, the two newest kept.

use crate::atomic_file::{self, Points};
use crate::disk::Disk;
use crate::error::StoreError;
use crate::failpoint;
use crate::usage::Counters;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tillwatch_protocol::Seq;

const KEPT: usize = 2;
const POINTS: Points = [
    "snapshot.temporary_written",
    "snapshot.temporary_synced",
    "snapshot.renamed",
    "snapshot.folder_synced",
];

/// The folder of snapshots.
#[derive(Debug)]
pub(crate) struct Snapshots {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    counters: Arc<Counters>,
    /// Positions held, ascending.
    held: Mutex<Vec<u64>>,
}

fn path_of(dir: &Path, through: u64) -> PathBuf {
    dir.join(format!("{through:016}.snap"))
}

impl Snapshots {
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        counters: Arc<Counters>,
    ) -> Result<Self, StoreError> {
        disk.make_dir(&dir)
            .map_err(StoreError::io("create", &dir))?;
        let names = disk.list(&dir).map_err(StoreError::io("list", &dir))?;
        let mut held: Vec<u64> = names
            .iter()
            .filter_map(|name| name.strip_suffix(".snap")?.parse().ok())
            .collect();
        held.sort_unstable();
        Ok(Snapshots {
            disk,
            dir,
            counters,
            held: Mutex::new(held),
        })
    }

    /// Saves a snapshot that is already covered by durable records; removes all but the newest two.
    pub(crate) fn save(&self, through: Seq, bytes: &[u8]) -> Result<(), StoreError> {
        let mut held = crate::lock(&self.held);
        let path = path_of(&self.dir, through.0);
        atomic_file::write(self.disk.as_ref(), &path, bytes, POINTS, &self.counters)?;
        if let Err(at) = held.binary_search(&through.0) {
            held.insert(at, through.0);
        }
        while held.len() > KEPT {
            let old = path_of(&self.dir, held[0]);
            self.disk
                .remove(&old)
                .map_err(StoreError::io("remove", &old))?;
            held.remove(0);
            failpoint::hit("snapshot.old_removed").map_err(StoreError::io("remove", &old))?;
        }
        Ok(())
    }

    /// Newest first. What is damaged, or covers more than the log has, is passed over and reported.
    pub(crate) fn all(&self, last: Seq) -> Result<Vec<(Seq, Vec<u8>)>, StoreError> {
        let held = crate::lock(&self.held);
        let mut found = Vec::new();
        for through in held.iter().rev() {
            match atomic_file::read(self.disk.as_ref(), &path_of(&self.dir, *through)) {
                Ok(Some(_)) if *through > last.0 => {
                    tracing::warn!(through, %last, "snapshot beyond the log's end passed over");
                }
                Ok(Some(bytes)) => found.push((Seq(*through), bytes)),
                Ok(None) => {}
                Err(error @ StoreError::StateFile { .. }) => {
                    tracing::error!(%error, "damaged snapshot passed over");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The position of the newest one kept.
    pub(crate) fn newest(&self) -> Option<u64> {
        crate::lock(&self.held).last().copied()
    }

    /// The position of the oldest one kept.
    pub(crate) fn oldest(&self) -> Option<u64> {
        crate::lock(&self.held).first().copied()
    }
}

//! The index in sled 0.34, used in the only way in which it is safe:
//!
//! - `flush` alone does not reach the disk: a checkpoint is `flush` and then `fdatasync` on a
//!   second handle to its file;
//! - values stay far below a quarter segment, else they become files that are never synced;
//! - a half-written `snap.*.generating` makes every later open fail, and is removed before;
//! - a flipped byte can panic `open` and later calls: every call is caught;
//! - one tree, one batch per step, so that what is applied and the position it reflects go together.

use super::engine::{Batch, IndexEngine, IndexError};
use crate::failpoint;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

const SEGMENT: usize = 4 << 20;
const CACHE: u64 = 8 << 20;
/// Reads behind a written batch, for each of its keys, so that sled frees what it replaced.
const STEPS_A_KEY: usize = 2;
/// Largest value; beyond it sled is not safe any more.
const MAX_VALUE: usize = 16 << 10;

/// sled in one directory.
pub(crate) struct SledEngine {
    db: sled::Db,
    path: PathBuf,
}

fn caught<T>(
    call: &'static str,
    work: impl FnOnce() -> Result<T, sled::Error>,
) -> Result<T, IndexError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(IndexError {
            call,
            why: error.to_string(),
        }),
        Err(_) => Err(IndexError {
            call,
            why: "it panicked".into(),
        }),
    }
}

impl SledEngine {
    /// Bytes of a database that is not open.
    pub(crate) fn bytes_at(path: &Path) -> u64 {
        fs::metadata(path.join("db")).map_or(0, |db| db.len())
    }

    /// Opens or creates the database.
    pub(crate) fn open(path: &Path) -> Result<SledEngine, IndexError> {
        let failed = |error: io::Error| IndexError {
            call: "open",
            why: error.to_string(),
        };
        fs::create_dir_all(path).map_err(failed)?;
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("snap.") && name.ends_with(".generating") {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        let fresh = !path.join("db").exists();
        let config = sled::Config::new()
            .path(path)
            .segment_size(SEGMENT)
            .cache_capacity(CACHE)
            .flush_every_ms(None)
            .use_compression(false);
        let db = caught("open", || config.open())?;
        if fresh {
            let folders = [Some(path), path.parent()];
            for folder in folders.into_iter().flatten() {
                File::open(folder)
                    .and_then(|folder| folder.sync_all())
                    .map_err(failed)?;
            }
        }
        Ok(SledEngine {
            db,
            path: path.to_owned(),
        })
    }
}

impl IndexEngine for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        caught("get", || Ok(self.db.get(key)?.map(|value| value.to_vec())))
    }

    fn apply(&self, batch: &Batch) -> Result<(), IndexError> {
        let mut sled_batch = sled::Batch::default();
        for (key, value) in batch {
            match value {
                Some(value) if value.len() <= MAX_VALUE => {
                    sled_batch.insert(key.as_slice(), value.as_slice());
                }
                Some(value) => {
                    tracing::error!(bytes = value.len(), "index value too large, left out");
                }
                None => sled_batch.remove(key.as_slice()),
            }
        }
        caught("apply", || {
            self.db.apply_batch(sled_batch)?;
            // A batch is one step of the collector of old pages, however long it is, and the
            // collector frees little at a step: without these, memory grows with what is written
            // (10 KB an event were measured) until there is none.
            for _ in 0..batch.len().saturating_mul(STEPS_A_KEY) {
                self.db.get(super::keys::POSITION)?;
            }
            Ok(())
        })
    }

    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), IndexError> {
        if from >= to {
            return Ok(());
        }
        caught("range", || {
            let mut range = self.db.range(from..to);
            loop {
                let next = if backwards {
                    range.next_back()
                } else {
                    range.next()
                };
                let Some(item) = next else { return Ok(()) };
                let (key, value) = item?;
                if !visit(&key, &value) {
                    return Ok(());
                }
            }
        })
    }

    fn checkpoint(&self) -> Result<(), IndexError> {
        let failed = |error: io::Error| IndexError {
            call: "checkpoint",
            why: error.to_string(),
        };
        caught("flush", || self.db.flush())?;
        failpoint::hit("index.flushed").map_err(failed)?;
        File::open(self.path.join("db"))
            .and_then(|file| file.sync_data())
            .map_err(failed)?;
        failpoint::hit("index.synced").map_err(failed)
    }

    fn bytes(&self) -> u64 {
        caught("size", || self.db.size_on_disk()).unwrap_or(0)
    }
}

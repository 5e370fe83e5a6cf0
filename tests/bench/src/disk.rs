//! A bare file to compare the log with: preallocated as the log's segments are, appended to and
//! synced, and nothing else.

use anyhow::{Context, Result};
use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

pub struct BareFile {
    file: File,
    offset: u64,
    size: u64,
}

impl BareFile {
    /// A preallocated file of `size` bytes, itself and its name on disk.
    pub fn create(path: &Path, size: u64) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        fallocate(&file, FallocateFlags::empty(), 0, i64::try_from(size)?)?;
        file.sync_all()?;
        let folder = path.parent().context("a file lies in a folder")?;
        File::open(folder)?.sync_all()?;
        Ok(Self {
            file,
            offset: 0,
            size,
        })
    }

    /// Writes behind what was written before, and waits until it is on disk.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.offset + bytes.len() as u64 > self.size {
            self.offset = 0;
        }
        self.file.write_all_at(bytes, self.offset)?;
        self.offset += bytes.len() as u64;
        self.file.sync_data()?;
        Ok(())
    }
}

/// Makes the kernel forget what it holds of the files below `folder`, so that reading them reads
/// the disk.
pub fn forget(folder: &Path) -> Result<()> {
    for path in files(folder)? {
        let file = File::open(&path)?;
        file.sync_all()?;
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    }
    Ok(())
}

/// All files below a folder.
pub fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Bytes that this process had written to a disk.
pub fn written_by_this_process() -> Result<u64> {
    written_by("self")
}

/// Bytes that a process (its number, or `self`) had written to a disk.
pub fn written_by(process: &str) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/io"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.context("the kernel counts what is written")?.parse()?)
}

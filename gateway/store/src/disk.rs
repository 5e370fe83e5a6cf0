//! The file operations that the store needs, so that tests can cut the power between them.

use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};
use nix::sys::statvfs::statvfs;
use nix::sys::uio::pwritev;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

const RAMFS_MAGIC: nix::sys::statfs::FsType = nix::sys::statfs::FsType(0x8584_58f6);

/// Parts of one `pwritev`: what Linux takes at once.
const MAX_PARTS: usize = 1024;

/// An open file.
pub(crate) trait DiskFile: Send + Sync + Debug {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Reads what is there, up to the buffer's length; fewer bytes only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes. They are on disk after [`DiskFile::sync_data`] succeeded, not before.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Writes all parts one behind the other, as [`DiskFile::write_all_at`] does, without copying
    /// them together first where the system can.
    fn write_all_parts_at(&self, parts: &[&[u8]], mut offset: u64) -> io::Result<()> {
        for part in parts {
            self.write_all_at(part, offset)?;
            offset += part.len() as u64;
        }
        Ok(())
    }
    /// Lets the system forget what it keeps of the file in memory; only a matter of speed.
    fn forget(&self) {}
    /// `fdatasync`.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes it longer, with the added bytes reserved, or shorter, with the bytes cut off given back.
    fn resize(&self, len: u64) -> io::Result<()>;
}

/// Room on a disk, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) free: u64,
    pub(crate) total: u64,
}

/// A file system. Names created, renamed or removed are on disk after [`Disk::sync_dir`].
pub(crate) trait Disk: Send + Sync + Debug {
    /// Creates a file, or empties it, with `len` bytes reserved.
    fn create(&self, path: &Path, len: u64) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Names in a folder, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Renames over whatever has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Creates a folder with its parents.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    /// `fsync` of a folder.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Room on the disk that will hold `path`; `None` where reserving it makes no sense, in memory.
    fn room(&self, path: &Path) -> io::Result<Option<Room>>;

    /// Bytes that a new file in this folder could take; `u64::MAX` when nobody knows.
    fn free_bytes(&self, _dir: &Path) -> u64 {
        u64::MAX
    }

    /// The whole content of a file; `None` when there is none.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        let got = file.read_at(&mut bytes, 0)?;
        bytes.truncate(got);
        Ok(Some(bytes))
    }
}

/// The real thing.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut got = 0;
        while got < buffer.len() {
            match FileExt::read_at(self, &mut buffer[got..], offset + got as u64) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(got)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn write_all_parts_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0);
        let mut at = i64::try_from(offset).map_err(io::Error::other)?;
        while !rest.is_empty() {
            let some = &rest[..rest.len().min(MAX_PARTS)];
            match pwritev(self, some, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    IoSlice::advance_slices(&mut rest, n);
                    at += n as i64;
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn forget(&self) {
        // Advice: whether it is followed or not, what is read is the same.
        let _ = posix_fadvise(self, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn resize(&self, len: u64) -> io::Result<()> {
        let now = self.metadata()?.len();
        if len > now {
            let signed = |n: u64| i64::try_from(n).map_err(io::Error::other);
            let (from, more) = (signed(now)?, signed(len - now)?);
            fallocate(self, FallocateFlags::empty(), from, more)?;
            return Ok(());
        }
        self.set_len(len)
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path, len: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        if len > 0 {
            let signed = i64::try_from(len).map_err(io::Error::other)?;
            match fallocate(&file, FallocateFlags::empty(), 0, signed) {
                Ok(()) => {}
                // No reservation on this file system: the space may then run out later.
                Err(nix::errno::Errno::EOPNOTSUPP) => file.set_len(len)?,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(
            OpenOptions::new().read(true).write(true).open(path)?,
        ))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn room(&self, path: &Path) -> io::Result<Option<Room>> {
        let dir = path.parent().unwrap_or(path);
        let stat = nix::sys::statfs::statfs(dir)?;
        let in_memory = [nix::sys::statfs::TMPFS_MAGIC, RAMFS_MAGIC];
        if in_memory.contains(&stat.filesystem_type()) {
            return Ok(None);
        }
        let block = u64::try_from(stat.block_size()).map_err(io::Error::other)?;
        Ok(Some(Room {
            free: stat.blocks_available().saturating_mul(block),
            total: stat.blocks().saturating_mul(block),
        }))
    }

    fn free_bytes(&self, dir: &Path) -> u64 {
        statvfs(dir).map_or(u64::MAX, |space| {
            space
                .blocks_available()
                .saturating_mul(space.fragment_size())
        })
    }
}

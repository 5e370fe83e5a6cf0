//! A clip's file in a folder, whole or not at all.
//!
//! 1. Room for all of it is reserved in a file of a hidden name beside its place; a disk that would be
//!    left with too little for the till's own work is refused before anything is written.
//! 2. Header and pictures are written, one picture in memory at a time, and synced.
//! 3. It gets its name, or the next one with a number when that is taken: never another file's.
//! 4. The folder is synced. Only now it is reported.
//!
//! Whatever fails in between, the hidden file goes. What a power cut left of one is removed by the
//! next export into that folder, an hour later at the earliest.

use super::footage::{Footage, Timeline};
use super::name::ClipName;
use super::remux::{Remux, RemuxError};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::{Builder, NamedTempFile};

/// Most files of one name, told apart by a number.
pub const MAX_SAME_NAME: u32 = 999;
/// Age at which a hidden file is taken for a power cut's.
pub const STALE_AFTER: Duration = Duration::from_secs(3_600);

const HIDDEN: &str = ".tillwatch-";
const PART: &str = ".part";
/// People are on these pictures: owner and group only.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
/// Bytes that are handed to the kernel at once, at least.
const BUFFER: usize = 256 << 10;

/// Where clips are exported to.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The folder of all clips; it is made if need be.
    pub folder: &'a Path,
    /// Bytes that must stay free on its disk.
    pub keep_free: u64,
}

/// A file that was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Where it is.
    pub path: PathBuf,
    /// The number in its name; 1 is not written. The manifest beside it gets the same.
    pub nth: u32,
    /// Its size.
    pub bytes: u64,
    /// Pictures in it.
    pub frames: usize,
}

/// Why a clip was not exported. No file was left.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The footage is not as it should be.
    #[error(transparent)]
    Footage(RemuxError),
    /// Not enough room on the disk.
    #[error("{}: no room for {needed} bytes", folder.display())]
    DiskFull {
        /// Where.
        folder: PathBuf,
        /// Size of the file.
        needed: u64,
    },
    /// There are [`MAX_SAME_NAME`] files of that name.
    #[error("{}: too many files of that name", path.display())]
    NameTaken {
        /// The first of them.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes what a camera shows in a clip to its file. Blocks.
///
/// # Errors
/// See [`ExportError`].
pub fn export(
    footage: impl Footage,
    camera: &str,
    timeline: &Timeline,
    name: &ClipName,
    to: Destination<'_>,
) -> Result<Exported, ExportError> {
    let remux = Remux::new(footage, camera, timeline).map_err(ExportError::Footage)?;
    let (bytes, frames) = (remux.len(), remux.frames());
    keep(bytes, frames, name, to, |out| {
        remux.write(0..bytes, &mut &mut *out)
    })
}

/// Writes a film of this length, which `fill` writes as a whole, to its file. Blocks.
///
/// # Errors
/// See [`ExportError`].
pub fn keep(
    bytes: u64,
    frames: usize,
    name: &ClipName,
    to: Destination<'_>,
    fill: impl FnOnce(&mut dyn io::Write) -> Result<(), RemuxError>,
) -> Result<Exported, ExportError> {
    let folder = to.folder.join(name.folder());
    make_folder(to.folder, &folder)?;
    sweep(&folder, SystemTime::now());
    check_room(&folder, bytes, to.keep_free)?;

    let full = || ExportError::DiskFull {
        folder: folder.clone(),
        needed: bytes,
    };
    let failed = |what, source: io::Error| {
        if is_full(&source) {
            return full();
        }
        let path = folder.clone();
        ExportError::Io { what, path, source }
    };
    // From here on the file goes with the value, unless it got its name.
    let hidden = Builder::new()
        .prefix(HIDDEN)
        .suffix(PART)
        .permissions(Permissions::from_mode(FILE_MODE))
        .tempfile_in(&folder)
        .map_err(|error| failed("cannot make a file", error))?;
    reserve(hidden.as_file(), bytes).map_err(|error| failed("cannot reserve room", error))?;
    let mut out = BufWriter::with_capacity(BUFFER, hidden.as_file());
    fill(&mut out).map_err(|error| match error {
        RemuxError::Output(error) => failed("cannot write", error),
        other => ExportError::Footage(other),
    })?;
    out.flush().map_err(|error| failed("cannot write", error))?;
    drop(out);
    hidden
        .as_file()
        .sync_all()
        .map_err(|error| failed("cannot sync", error))?;
    let (path, nth) = give_name(hidden, &folder, name)?;
    // Without its folder on disk the file may be gone after a power cut: then it is not reported.
    sync_folder(&folder).inspect_err(|_| {
        let _ = fs::remove_file(&path);
    })?;
    Ok(Exported {
        path,
        nth,
        bytes,
        frames,
    })
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// The day's folder, and the one above it, on disk when they are new.
fn make_folder(above: &Path, folder: &Path) -> Result<(), ExportError> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(|source| ExportError::Io {
            what: "cannot be made",
            path: folder.to_owned(),
            source,
        })?;
    sync_folder(above)?;
    match above.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> Result<(), ExportError> {
    match File::open(folder).and_then(|opened| opened.sync_all()) {
        // Some file systems of sticks and of the network have no such thing.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        outcome => outcome.map_err(|source| ExportError::Io {
            what: "cannot be synced",
            path: folder.to_owned(),
            source,
        }),
    }
}

/// A disk that does not say how much is free is not refused: writing will tell.
fn check_room(folder: &Path, needed: u64, keep_free: u64) -> Result<(), ExportError> {
    let Ok(disk) = statvfs(folder) else {
        return Ok(());
    };
    // Narrower than 64 bits on some machines.
    #[allow(clippy::useless_conversion)]
    let free = u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size()));
    if needed.saturating_add(keep_free) > free {
        return Err(ExportError::DiskFull {
            folder: folder.to_owned(),
            needed,
        });
    }
    Ok(())
}

/// So that a disk that fills up meanwhile stops the export before its work and not after it.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    let Ok(bytes) = i64::try_from(bytes) else {
        return Err(io::ErrorKind::FileTooLarge.into());
    };
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // Not every file system can.
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The first name that no file has. Atomic: of two exports at once each gets its own.
fn give_name(
    mut hidden: NamedTempFile,
    folder: &Path,
    name: &ClipName,
) -> Result<(PathBuf, u32), ExportError> {
    for nth in 1..=MAX_SAME_NAME {
        let path = folder.join(name.file(nth, "mp4"));
        match hidden.persist_noclobber(&path) {
            Ok(_) => return Ok((path, nth)),
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
                hidden = refused.file;
            }
            Err(refused) => {
                return Err(ExportError::Io {
                    what: "cannot be named",
                    path,
                    source: refused.error,
                });
            }
        }
    }
    Err(ExportError::NameTaken {
        path: folder.join(name.file(1, "mp4")),
    })
}

/// Removes what a power cut left of exports. One that is running writes all the time: its file is
/// young.
fn sweep(folder: &Path, now: SystemTime) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = name.starts_with(HIDDEN) && name.ends_with(PART);
        let age = entry
            .metadata()
            .and_then(|data| data.modified())
            .ok()
            .and_then(|written| now.duration_since(written).ok());
        if ours && age.is_some_and(|age| age >= STALE_AFTER) {
            // Whatever is in its way stays for the next one.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clips::footage::tests::{Shots, ZERO_UTC_US};
    use crate::clips::picture::tests::picture;
    use std::thread;

    fn shots() -> Shots {
        let mut shots = Shots::default();
        for n in 0..20_u8 {
            shots.push(u64::from(n) * 66_667, picture(64, 48, n));
        }
        shots
    }

    fn export_to(folder: &Path, keep_free: u64, shots: &Shots) -> Result<Exported, ExportError> {
        let timeline = Timeline::beginning_with(&shots.frames).unwrap();
        let name = ClipName::new(ZERO_UTC_US, "void", Some("E042"), None);
        let to = Destination { folder, keep_free };
        export(shots, "front", &timeline, &name, to)
    }

    /// Every file below a folder, hidden ones too.
    fn files(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files(&path));
            } else {
                found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
        found.sort();
        found
    }

    #[test]
    fn a_clip_gets_its_name_and_is_not_for_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let clips = dir.path().join("clips");
        let done = export_to(&clips, 0, &shots()).unwrap();
        assert_eq!(done.path, clips.join("2026-11-21/08-15-30_void_E042.mp4"));
        let file = fs::metadata(&done.path).unwrap();
        assert_eq!(file.len(), done.bytes);
        assert_eq!(file.permissions().mode() & 0o007, 0);
        assert_eq!((done.frames, done.nth), (20, 1));
        assert_eq!(files(&clips), ["08-15-30_void_E042.mp4"]);
    }

    #[test]
    fn a_file_of_that_name_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let first = export_to(dir.path(), 0, &shots()).unwrap();
        fs::write(&first.path, "evidence").unwrap();
        let second = export_to(dir.path(), 0, &shots()).unwrap();
        assert_eq!(second.nth, 2);
        assert_eq!(fs::read(&first.path).unwrap(), b"evidence");
        assert_eq!(
            files(dir.path()),
            ["08-15-30_void_E042-2.mp4", "08-15-30_void_E042.mp4"]
        );
    }

    #[test]
    fn exports_at_once_get_a_name_each() {
        let dir = tempfile::tempdir().unwrap();
        let shots = shots();
        let mut numbers: Vec<u32> = thread::scope(|scope| {
            let started: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| export_to(dir.path(), 0, &shots).unwrap().nth))
                .collect();
            started.into_iter().map(|one| one.join().unwrap()).collect()
        });
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(files(dir.path()).len(), 8);
    }

    #[test]
    fn a_picture_that_cannot_be_read_ends_it_by_name_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut shots = shots();
        let gone = shots.frames[13].key;
        shots.pictures.remove(&gone);
        let refused = export_to(dir.path(), 0, &shots).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "frame 0/7/1013 cannot be read: bad sector"
        );
        assert_eq!(files(dir.path()), [""; 0]);
    }

    #[test]
    fn a_disk_that_would_be_too_full_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let refused = export_to(dir.path(), u64::MAX, &shots()).unwrap_err();
        assert!(
            matches!(refused, ExportError::DiskFull { needed, .. } if needed > 10_000),
            "{refused}"
        );
        assert_eq!(files(dir.path()), [""; 0]);
    }

    #[test]
    fn a_file_in_the_way_of_the_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("clips");
        fs::write(&place, "").unwrap();
        let refused = export_to(&place, 0, &shots()).unwrap_err().to_string();
        assert!(
            refused.contains("clips/2026-11-21: cannot be made: "),
            "{refused}"
        );
    }

    #[test]
    fn what_a_power_cut_left_goes_later_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".tillwatch-x1.part", ".other", "08-15-30_void_E042.mp4"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let now = SystemTime::now();
        sweep(dir.path(), now + STALE_AFTER / 2);
        assert_eq!(files(dir.path()).len(), 3);
        sweep(dir.path(), now + STALE_AFTER * 2);
        assert_eq!(files(dir.path()), [".other", "08-15-30_void_E042.mp4"]);
    }
}

//! Small state files that are whole or absent: temporary file, fsync, rename, fsync of the folder.
//!
//! On disk: magic `TWSTATE1`, length of the body (u32), CRC-32 of the body (u32), body; integers
//! little-endian. A file that does not fit this is damaged, and its owner rebuilds what it held.

use crate::disk::Disk;
use crate::error::StoreError;
use crate::failpoint;
use crate::usage::Counters;
use std::path::Path;

const MAGIC: &[u8; 8] = b"TWSTATE1";
const HEADER: usize = 16;

/// Failpoints between the four steps.
pub(crate) type Points = [&'static str; 4];

/// Replaces the file. After `Ok` the new content survives a power cut; before, the old one does.
pub(crate) fn write(
    disk: &dyn Disk,
    path: &Path,
    body: &[u8],
    points: Points,
    counters: &Counters,
) -> Result<(), StoreError> {
    let len = u32::try_from(body.len()).map_err(|_| StoreError::StateFile {
        path: path.to_owned(),
        why: "it would be larger than 4 GiB".into(),
    })?;
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    bytes.extend_from_slice(body);

    let temporary = path.with_extension("tmp");
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = disk
        .create(&temporary, 0)
        .map_err(StoreError::io("create", &temporary))?;
    file.write_all_at(&bytes, 0)
        .map_err(StoreError::io("write", &temporary))?;
    failpoint::hit(points[0]).map_err(StoreError::io("write", &temporary))?;
    file.sync_data()
        .map_err(StoreError::io("fdatasync", &temporary))?;
    failpoint::hit(points[1]).map_err(StoreError::io("fdatasync", &temporary))?;
    disk.rename(&temporary, path)
        .map_err(StoreError::io("rename", path))?;
    failpoint::hit(points[2]).map_err(StoreError::io("rename", path))?;
    disk.sync_dir(folder)
        .map_err(StoreError::io("fsync", folder))?;
    failpoint::hit(points[3]).map_err(StoreError::io("fsync", folder))?;
    counters.other_syncs.add(2);
    counters.bytes_written.add(bytes.len() as u64);
    Ok(())
}

/// Reads the body; `None` when there is no such file.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(mut bytes) = disk.read(path).map_err(StoreError::io("read", path))? else {
        return Ok(None);
    };
    let damaged = |why: &str| StoreError::StateFile {
        path: path.to_owned(),
        why: why.into(),
    };
    let (Some(magic), Some(len), Some(crc)) = (bytes.get(..8), word(&bytes, 8), word(&bytes, 12))
    else {
        return Err(damaged("it is too short"));
    };
    if magic != MAGIC {
        return Err(damaged("it does not begin as a state file"));
    }
    if bytes.len() != HEADER + len as usize {
        return Err(damaged("its length is wrong"));
    }
    if crc32fast::hash(&bytes[HEADER..]) != crc {
        return Err(damaged("its checksum is wrong"));
    }
    bytes.drain(..HEADER);
    Ok(Some(bytes))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

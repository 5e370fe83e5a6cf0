//! The last state, for commands that find no gateway running.

use crate::Shared;
use crate::web::status::Status;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Largest state file that is read.
const MOST_BYTES: u64 = 1024 * 1024;

/// Where it is.
#[must_use]
pub fn path(data: &Path) -> PathBuf {
    data.join("state.json")
}

/// What is written.
#[must_use]
pub fn content(status: &Status) -> Vec<u8> {
    // A status always has a JSON form.
    let mut bytes = serde_json::to_vec_pretty(status).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Writes the state as it is now. Readers see the old file or the new one, never a part.
///
/// Nothing is synced: after a power cut an older state, or none, is no loss, and a sync every ten
/// seconds would wear the card.
///
/// # Errors
/// What the disk says, with the path.
pub fn write(data: &Path, shared: &Shared) -> io::Result<()> {
    replace(&path(data), &content(&Status::now(shared)))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let named = |why: io::Error| io::Error::new(why.kind(), format!("{}: {why}", path.display()));
    let beside = path.with_extension("json.new");
    fs::write(&beside, bytes)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(named)
}

/// The last state, `None` when there never was one.
///
/// # Errors
/// When it cannot be read, or was cut short by a power cut.
pub fn read(data: &Path) -> io::Result<Option<Status>> {
    let path = path(data);
    let named = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let size = match fs::metadata(&path) {
        Ok(meta) => meta.len(),
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(io::Error::new(why.kind(), named(&why))),
    };
    if size > MOST_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            named(&"is too large to be the last state"),
        ));
    }
    let bytes = fs::read(&path).map_err(|why| io::Error::new(why.kind(), named(&why)))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, named(&why)))
}

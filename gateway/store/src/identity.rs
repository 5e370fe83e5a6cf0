//! Which log this is and which boot: `<data>/identity`.

use crate::atomic_file::{self, Points};
use crate::disk::Disk;
use crate::error::StoreError;
use crate::usage::Counters;
use serde::{Deserialize, Serialize};
use std::path::Path;
use tillwatch_protocol::LogId;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const POINTS: Points = [
    "identity.temporary_written",
    "identity.temporary_synced",
    "identity.renamed",
    "identity.folder_synced",
];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) log_id: LogId,
    /// Ordinal of the present boot, from 1.
    pub(crate) boot_ordinal: u64,
    /// The kernel's id of it.
    boot_id: String,
}

/// The kernel's boot id; empty where there is none, and then every start counts as a boot.
pub(crate) fn kernel_boot_id() -> String {
    std::fs::read_to_string(BOOT_ID)
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// Reads the identity, counts the boot when it is another than the last one seen, and saves it.
/// When the file is lost, `known_log` (from a segment's header) goes on under its id.
pub(crate) fn load(
    disk: &dyn Disk,
    dir: &Path,
    boot_id: &str,
    known_log: Option<LogId>,
    notices: &mut Vec<String>,
    counters: &Counters,
) -> Result<Identity, StoreError> {
    let path = dir.join("identity");
    let read = match atomic_file::read(disk, &path) {
        Ok(body) => body.and_then(|body| postcard::from_bytes::<Identity>(&body).ok()),
        Err(error @ StoreError::StateFile { .. }) => {
            notices.push(format!(
                "the store's identity was lost ({error}); boots are counted anew"
            ));
            None
        }
        Err(error) => return Err(error),
    };
    let known = read.clone().unwrap_or_else(|| Identity {
        log_id: known_log.unwrap_or_else(|| LogId(uuid::Uuid::new_v4())),
        boot_ordinal: 0,
        boot_id: String::new(),
    });
    let same_boot = !boot_id.is_empty() && known.boot_id == boot_id;
    if same_boot && known.boot_ordinal > 0 {
        return Ok(known);
    }
    let identity = Identity {
        boot_ordinal: known.boot_ordinal + 1,
        boot_id: boot_id.to_owned(),
        ..known
    };
    save(disk, dir, &identity, counters)?;
    Ok(identity)
}

/// Raises the boot ordinal above one that the log already has, after the identity file was lost.
pub(crate) fn save(
    disk: &dyn Disk,
    dir: &Path,
    identity: &Identity,
    counters: &Counters,
) -> Result<(), StoreError> {
    let path = dir.join("identity");
    let body = postcard::to_extend(identity, Vec::new()).map_err(|why| StoreError::StateFile {
        path: path.clone(),
        why: why.to_string(),
    })?;
    atomic_file::write(disk, &path, &body, POINTS, counters)
}

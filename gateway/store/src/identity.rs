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

/// Reads the identity; `None` when there is none or it is damaged, which is noted.
pub(crate) fn read(
    disk: &dyn Disk,
    dir: &Path,
    notices: &mut Vec<String>,
) -> Result<Option<Identity>, StoreError> {
    match atomic_file::read(disk, &dir.join("identity")) {
        Ok(body) => Ok(body.and_then(|body| postcard::from_bytes(&body).ok())),
        Err(error @ StoreError::StateFile { .. }) => {
            notices.push(format!(
                "the store's identity was lost and is taken from the log: {error}"
            ));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Identity {
    /// The identity of a log whose boots are not known yet.
    pub(crate) fn of(log_id: LogId) -> Identity {
        Identity {
            log_id,
            boot_ordinal: 0,
            boot_id: String::new(),
        }
    }

    /// Counts the boot when it is another than the last one seen; `logged` is the highest ordinal
    /// that the log knows, for an identity that was lost. `None` when nothing changed.
    pub(crate) fn booted(&self, boot_id: &str, logged: u64) -> Option<Identity> {
        let same = self.boot_ordinal > 0 && !boot_id.is_empty() && self.boot_id == boot_id;
        let next = || Identity {
            log_id: self.log_id,
            boot_ordinal: self.boot_ordinal.max(logged) + 1,
            boot_id: boot_id.to_owned(),
        };
        (!same).then(next)
    }
}

/// Saves the identity.
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

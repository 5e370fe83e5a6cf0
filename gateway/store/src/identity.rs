//! Which log this is, which boot, and which camera a number means in it: `<data>/identity`.
//!
//! Frames are named (camera's number, boot, sequence), and numbers follow the configuration. When
//! that changes within a boot, so that a number would mean another camera, a new ordinal is given
//! out as if the machine had been started: then no clip mixes two cameras' pictures, and the names
//! that an unfinished clip needs stand beside the boot that it was recorded in.

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
    /// The newest boots' cameras, the oldest first. It stands behind the rest, where a version that
    /// does not know it reads over it.
    #[serde(skip)]
    cameras: Vec<Named>,
}

/// Boots whose cameras' names are kept.
const NAMED_BOOTS: usize = 16;

/// What people called the cameras in a boot, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    boot: u64,
    cameras: Vec<String>,
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
        Ok(body) => Ok(body.and_then(|body| Identity::decode(&body))),
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
            cameras: Vec::new(),
        }
    }

    fn decode(body: &[u8]) -> Option<Identity> {
        let (identity, behind) = postcard::take_from_bytes::<Identity>(body).ok()?;
        // Nothing stands behind what an earlier version wrote.
        let cameras = postcard::from_bytes(behind).unwrap_or_default();
        Some(Identity {
            cameras,
            ..identity
        })
    }

    fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        let body = postcard::to_extend(self, Vec::new())?;
        postcard::to_extend(&self.cameras, body)
    }

    /// Counts the boot when it is another than the last one seen, or when its `cameras` contradict
    /// those seen in it; `logged` is the highest ordinal that the log knows, for an identity that was
    /// lost. `None` when nothing changed.
    pub(crate) fn booted(
        &self,
        boot_id: &str,
        logged: u64,
        cameras: Option<&[String]>,
    ) -> Option<Identity> {
        let known = self.cameras_of(self.boot_ordinal);
        let named = cameras.unwrap_or_default();
        let agree = known.iter().zip(named).all(|(known, now)| known == now);
        let same = self.boot_ordinal > 0 && !boot_id.is_empty() && self.boot_id == boot_id;
        if same && agree && named.len() <= known.len() {
            return None;
        }
        let mut next = self.clone();
        if !(same && agree) {
            next.boot_ordinal = self.boot_ordinal.max(logged) + 1;
            next.boot_id = boot_id.to_owned();
        }
        next.cameras.retain(|of| of.boot != next.boot_ordinal);
        next.cameras.push(Named {
            boot: next.boot_ordinal,
            cameras: named.to_vec(),
        });
        let old = next.cameras.len().saturating_sub(NAMED_BOOTS);
        next.cameras.drain(..old);
        Some(next)
    }

    /// What people called the cameras in that boot, by their numbers; nothing when it is not known.
    pub(crate) fn cameras_of(&self, boot: u64) -> &[String] {
        let named = self.cameras.iter().find(|of| of.boot == boot);
        named.map_or(&[], |of| &of.cameras)
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
    let body = identity.encode().map_err(|why| StoreError::StateFile {
        path: path.clone(),
        why: why.to_string(),
    })?;
    atomic_file::write(disk, &path, &body, POINTS, counters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn started(before: &Identity, boot_id: &str, names: &[&str]) -> Identity {
        let next = before.booted(boot_id, 0, Some(&named(names)));
        next.unwrap_or_else(|| before.clone())
    }

    fn new() -> Identity {
        Identity::of(LogId(uuid::Uuid::from_u128(1)))
    }

    #[test]
    fn a_number_means_one_camera_in_a_boot() {
        let first = started(&new(), "a", &["counter"]);
        assert_eq!(first.boot_ordinal, 1);
        let ordinal = |names: &[&str]| started(&first, "a", names).boot_ordinal;
        assert_eq!(ordinal(&["counter"]), 1, "a restart");
        assert_eq!(ordinal(&["counter", "door"]), 1, "a number that is new");
        assert_eq!(ordinal(&[]), 1, "no camera");
        assert_eq!(ordinal(&["aisle", "counter"]), 2, "0 is another camera");

        let without = started(
            &started(&first, "a", &["counter", "door"]),
            "a",
            &["counter"],
        );
        assert_eq!(without.boot_ordinal, 1);
        let other = started(&without, "a", &["counter", "window"]);
        assert_eq!(other.boot_ordinal, 2, "1 was the door");
        assert_eq!(other.cameras_of(1), named(&["counter", "door"]));
        assert_eq!(other.cameras_of(2), named(&["counter", "window"]));
        assert_eq!(other.cameras_of(3), named(&[]));
    }

    #[test]
    fn who_does_not_record_changes_no_names() {
        let first = started(&new(), "a", &["counter"]);
        assert_eq!(first.booted("a", 0, None), None);
        let next = first.booted("b", 0, None).expect("another boot");
        assert_eq!(
            (next.boot_ordinal, next.cameras_of(1)),
            (2, &named(&["counter"])[..])
        );
    }

    #[test]
    fn the_names_of_so_many_boots_are_kept() {
        let mut identity = new();
        for n in 0..100 {
            identity = started(&identity, &n.to_string(), &["counter"]);
        }
        assert_eq!(identity.cameras.len(), NAMED_BOOTS);
        assert_eq!(identity.cameras_of(100), named(&["counter"]));
    }

    #[test]
    fn names_stand_where_an_earlier_version_reads_over_them() {
        let identity = started(&new(), "a", &["counter", "door"]);
        let body = identity.encode().expect("it encodes");
        assert_eq!(Identity::decode(&body), Some(identity.clone()));
        // What an earlier version reads, and what it wrote.
        let read: Identity = postcard::from_bytes(&body).expect("it is read");
        assert_eq!((read.boot_ordinal, read.boot_id.as_str()), (1, "a"));
        let early = postcard::to_extend(&identity, Vec::new()).expect("it encodes");
        let read = Identity::decode(&early).expect("it is read");
        assert_eq!((read.boot_ordinal, read.cameras.len()), (1, 0));
        assert_eq!(
            read.booted("a", 0, Some(&named(&["counter"])))
                .map(|of| of.boot_ordinal),
            Some(1)
        );
    }
}

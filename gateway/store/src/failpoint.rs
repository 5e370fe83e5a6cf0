//! Named points between every two durable steps, where a test may stop the process.
//!
//! Only with the feature `failpoints`; without it they are nothing. The environment variable
//! `TILLWATCH_FAILPOINT=name[:n]` aborts the process at the n-th hit (default the first) of that
//! point: no destructor runs and no buffer is written. `name=eio[:n]` and `name=enospc[:n]` make
//! the step before the point fail instead, once. `stall=FILE` makes every step at any point wait for
//! as long as that file is there: a disk that hangs, and goes on as if nothing had been.
//!
//! `small`, alone or before a point (`small,recycle.begun:2`), makes every procedure come round
//! within seconds in the whole program: log segments of 64 KiB, twelve of them, a checkpoint of the
//! index ten times a second, the detectors' state saved every 30 events, footage of sixteen segments
//! of 256 KiB of which nothing is kept without a clip. A small budget gives up records
//! that a real one keeps, so this is for logs that were begun small only: a log with a segment of
//! any other length is not opened and not touched.

/// Every point but those of the footage, in the order of the procedures.
pub const NAMES: &[&str] = &[
    "identity.temporary_written",
    "identity.temporary_synced",
    "identity.renamed",
    "identity.folder_synced",
    "prepare.created",
    "prepare.header_synced",
    "prepare.renamed",
    "prepare.folder_synced",
    "group.taken",
    "group.header_written",
    "group.written",
    "group.synced",
    "group.published",
    "rotate.begun",
    "recycle.begun",
    "recycle.copied_forward",
    "recycle.index_forgot",
    "recycle.renamed_away",
    "recycle.renamed_away_synced",
    "recycle.header_synced",
    "recycle.renamed_back",
    "recycle.folder_synced",
    "recover.tail_rewritten",
    "recover.tail_synced",
    "outbox_state.temporary_written",
    "outbox_state.temporary_synced",
    "outbox_state.renamed",
    "outbox_state.folder_synced",
    "snapshot.temporary_written",
    "snapshot.temporary_synced",
    "snapshot.renamed",
    "snapshot.folder_synced",
    "snapshot.old_removed",
    "index.applied",
    "index.flushed",
    "index.synced",
    "close.drained",
    "close.state_saved",
];

/// The points of the footage, in the order of the procedures.
pub const MEDIA_NAMES: &[&str] = &[
    "media.reserve.created",
    "media.reserve.header_synced",
    "media.reserve.renamed",
    "media.reserve.folder_synced",
    "media.group.taken",
    "media.group.header_written",
    "media.group.written",
    "media.group.synced",
    "media.group.published",
    "media.seal.written",
    "media.seal.synced",
    "media.recycle.begun",
    "media.recycle.copied_forward",
    "media.recycle.dropped",
    "media.recycle.header_written",
    "media.recycle.header_synced",
    "media.recover.tail_rewritten",
    "media.recover.tail_synced",
    "media.close.drained",
];

#[cfg(feature = "failpoints")]
mod active {
    use crate::error::StoreError;
    use crate::media::MediaOptions;
    use crate::options::StoreOptions;
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// Stands before the point in the variable, or alone.
    const SMALL: &str = "small";
    const SEGMENT_BYTES: u64 = 64 << 10;
    const SEGMENTS: u64 = 12;
    const CHECKPOINT: Duration = Duration::from_millis(100);
    const SNAPSHOT_EVENTS: u64 = 30;
    /// A disk that hangs is looked at this often.
    const STALL_LOOK: Duration = Duration::from_millis(10);
    const MEDIA_SEGMENTS: u64 = 16;

    /// What the variable says: whether the store is small, and the point.
    fn said() -> (bool, Option<String>) {
        let text = std::env::var("TILLWATCH_FAILPOINT").unwrap_or_default();
        let (small, point) = match text.strip_prefix(SMALL) {
            Some("") => (true, None),
            Some(rest) => match rest.strip_prefix(',') {
                Some(point) => (true, Some(point)),
                None => (false, Some(text.as_str())),
            },
            None => (false, Some(text.as_str())),
        };
        (small, point.map(str::to_owned))
    }

    fn small() -> bool {
        static SAID: OnceLock<bool> = OnceLock::new();
        *SAID.get_or_init(|| said().0)
    }

    /// The options that the daemon opens its store in `dir` with.
    ///
    /// # Errors
    /// [`StoreError::Options`] for a store that was not begun small, [`StoreError::Io`].
    pub fn options(dir: &Path, usual: StoreOptions) -> Result<StoreOptions, StoreError> {
        if small() {
            small_options(dir, usual)
        } else {
            Ok(usual)
        }
    }

    fn small_options(dir: &Path, usual: StoreOptions) -> Result<StoreOptions, StoreError> {
        let log = dir.join("log");
        let held = match std::fs::read_dir(&log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => Some(other.map_err(StoreError::io("list", &log))?),
        };
        for file in held.into_iter().flatten() {
            let file = file.map_err(StoreError::io("list", &log))?;
            let length = file
                .metadata()
                .map_err(StoreError::io("stat", &file.path()))?
                .len();
            let segment = file.path().extension().is_some_and(|end| end == "seg");
            if segment && length != SEGMENT_BYTES {
                return Err(StoreError::Options(format!(
                    "TILLWATCH_FAILPOINT asks for a small store, and {} was not begun as one",
                    log.display()
                )));
            }
        }
        Ok(StoreOptions {
            segment_bytes: SEGMENT_BYTES,
            log_budget_bytes: SEGMENTS * SEGMENT_BYTES,
            reserve: false,
            index_delay: Duration::ZERO,
            index_pace: Duration::ZERO,
            index_checkpoint: CHECKPOINT,
            ..usual
        })
    }

    /// The options that the daemon opens its footage with.
    #[must_use]
    pub fn media_options(usual: MediaOptions) -> MediaOptions {
        if !small() {
            return usual;
        }
        let small = MediaOptions::small();
        MediaOptions {
            budget_bytes: MEDIA_SEGMENTS * small.segment_bytes,
            ..small
        }
    }

    /// After how many events the detectors' state is saved.
    #[must_use]
    pub fn snapshot_events(usual: u64) -> u64 {
        if small() { SNAPSHOT_EVENTS } else { usual }
    }

    #[derive(Clone, Copy)]
    enum Action {
        Abort,
        Fail(i32),
    }

    struct Armed {
        name: String,
        action: Action,
        at: u64,
        hits: AtomicU64,
    }

    fn armed() -> Option<&'static Armed> {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        ARMED
            .get_or_init(|| {
                let text = said().1?;
                let (what, at) = match text.split_once(':') {
                    Some((what, n)) => (what, n.parse().ok()?),
                    None => (text.as_str(), 1),
                };
                let (name, action) = match what.split_once('=') {
                    Some((name, "eio")) => (name, Action::Fail(nix::libc::EIO)),
                    Some((name, "enospc")) => (name, Action::Fail(nix::libc::ENOSPC)),
                    Some(_) => return None,
                    None => (what, Action::Abort),
                };
                Some(Armed {
                    name: name.to_owned(),
                    action,
                    at,
                    hits: AtomicU64::new(0),
                })
            })
            .as_ref()
    }

    /// While this file is there, the disk hangs.
    fn stall() -> Option<&'static Path> {
        static STALL: OnceLock<Option<PathBuf>> = OnceLock::new();
        STALL
            .get_or_init(|| said().1?.strip_prefix("stall=").map(PathBuf::from))
            .as_deref()
    }

    /// Marks a point. Aborts, fails or waits here when it is armed.
    pub(crate) fn hit(name: &'static str) -> io::Result<()> {
        let mut known = super::NAMES.iter().chain(super::MEDIA_NAMES);
        debug_assert!(
            known.any(|known| *known == name),
            "{name} is not in the list"
        );
        while stall().is_some_and(Path::exists) {
            std::thread::sleep(STALL_LOOK);
        }
        let Some(armed) = armed().filter(|armed| armed.name == name) else {
            return Ok(());
        };
        if armed.hits.fetch_add(1, Ordering::Relaxed) + 1 != armed.at {
            return Ok(());
        }
        match armed.action {
            Action::Abort => std::process::abort(),
            Action::Fail(code) => Err(io::Error::from_raw_os_error(code)),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn with_segment(length: u64) -> (tempfile::TempDir, Result<StoreOptions, StoreError>) {
            let dir = tempfile::tempdir().unwrap();
            let log = dir.path().join("log");
            std::fs::create_dir(&log).unwrap();
            let segment = std::fs::File::create(log.join("0000000000000001.seg")).unwrap();
            segment.set_len(length).unwrap();
            let options = small_options(dir.path(), StoreOptions::default());
            (dir, options)
        }

        #[test]
        fn only_a_store_that_was_begun_small_is_kept_small() {
            let nowhere = tempfile::tempdir().unwrap();
            let begun = small_options(nowhere.path(), StoreOptions::default()).unwrap();
            assert_eq!(begun.segment_bytes, SEGMENT_BYTES);
            assert!(begun.check().is_ok());
            assert!(with_segment(SEGMENT_BYTES).1.is_ok());
            let (_dir, real) = with_segment(StoreOptions::default().segment_bytes);
            assert!(matches!(real, Err(StoreError::Options(_))), "{real:?}");
        }
    }
}

#[cfg(not(feature = "failpoints"))]
mod active {
    use crate::error::StoreError;
    use crate::media::MediaOptions;
    use crate::options::StoreOptions;
    use std::path::Path;

    /// Nothing, without the feature.
    #[inline(always)]
    pub(crate) fn hit(_name: &'static str) -> std::io::Result<()> {
        Ok(())
    }

    /// The usual ones, without the feature.
    ///
    /// # Errors
    /// None.
    #[inline(always)]
    pub fn options(_dir: &Path, usual: StoreOptions) -> Result<StoreOptions, StoreError> {
        Ok(usual)
    }

    /// The usual ones, without the feature.
    #[inline(always)]
    #[must_use]
    pub fn media_options(usual: MediaOptions) -> MediaOptions {
        usual
    }

    /// The usual number, without the feature.
    #[inline(always)]
    #[must_use]
    pub const fn snapshot_events(usual: u64) -> u64 {
        usual
    }
}

pub(crate) use active::hit;
pub use active::{media_options, options, snapshot_events};

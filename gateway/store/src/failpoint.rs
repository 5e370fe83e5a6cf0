//! Named points between every two durable steps, where a test may stop the process.
//!
//! Only with the feature `failpoints`; without it they are nothing. The environment variable
//! `TILLWATCH_FAILPOINT=name[:n]` aborts the process at the n-th hit (default the first) of that
//! point: no destructor runs and no buffer is written. `name=eio[:n]` and `name=enospc[:n]` make
//! the step before the point fail instead, once.

/// Every point, in the order of the procedures.
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

#[cfg(feature = "failpoints")]
mod active {
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

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
                let text = std::env::var("TILLWATCH_FAILPOINT").ok()?;
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

    /// Marks a point. Aborts or fails here when it is armed.
    pub(crate) fn hit(name: &'static str) -> io::Result<()> {
        debug_assert!(super::NAMES.contains(&name), "{name} is not in the list");
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
}

#[cfg(not(feature = "failpoints"))]
mod active {
    /// Nothing, without the feature.
    #[inline(always)]
    pub(crate) fn hit(_name: &'static str) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) use active::hit;

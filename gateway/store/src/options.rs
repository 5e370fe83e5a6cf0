//! What can be set about a store.

use crate::error::StoreError;
use std::time::Duration;

/// Bounds of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Most entries of all lanes that are not acknowledged.
    pub max_entries: u64,
    /// How many of them only the urgent lane may use.
    pub alert_reserve: u64,
    /// Most bytes of entries that are not acknowledged; at most half the log's budget counts.
    pub max_bytes: u64,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self {
            max_entries: 100_000,
            alert_reserve: 10_000,
            max_bytes: 192 << 20,
        }
    }
}

/// Which engine keeps the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IndexKind {
    /// sled, in `<data>/index`.
    #[default]
    Sled,
    /// In memory; rebuilt from the log at every start. For tests and for reading commands.
    Memory,
}

/// What can be set about a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Size of one log segment in bytes, a multiple of 4096, from 64 KiB to 64 MiB.
    pub segment_bytes: u64,
    /// Bytes that the log may take; at least four segments.
    pub log_budget_bytes: u64,
    /// Bytes that the quarantine may take; at least 256 KiB.
    pub quarantine_budget_bytes: u64,
    /// Bytes that the index should stay below: one that is larger is made anew at the next start,
    /// which compacts it.
    pub index_budget_bytes: u64,
    /// Whether what the budgets allow is reserved on the disk from the start, so that others cannot
    /// take it.
    pub reserve: bool,
    /// Bytes reserved beside the budgets, and beside the few segments by which the log may exceed its
    /// own: for small files.
    pub headroom_bytes: u64,
    /// How long a record may wait for company before it is written.
    pub group_delay: Duration,
    /// How many bytes are written without waiting for more.
    pub group_bytes: usize,
    /// Bounds of the outbox.
    pub outbox: OutboxLimits,
    /// Which engine keeps the index.
    pub index: IndexKind,
    /// How often the index is made durable when it changed.
    pub index_checkpoint: Duration,
    /// How long the index is left closed after the store was opened, unless somebody asks it: after
    /// a power cut the disk belongs first to those who witness.
    pub index_delay: Duration,
    /// How long records gather before the index takes them in, unless somebody waits for it.
    pub index_pace: Duration,
    /// The kernel's boot id; `None` reads `/proc/sys/kernel/random/boot_id`.
    pub boot_id: Option<String>,
    /// What people call the cameras, by their numbers. A number never means two cameras in one boot:
    /// where these names contradict those of the last start, this one counts as another boot. `None`
    /// when nobody records.
    pub cameras: Option<Vec<String>>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            log_budget_bytes: 512 << 20,
            quarantine_budget_bytes: 16 << 20,
            index_budget_bytes: 256 << 20,
            reserve: true,
            headroom_bytes: 8 << 20,
            group_delay: Duration::from_millis(50),
            group_bytes: 64 << 10,
            outbox: OutboxLimits::default(),
            index: IndexKind::Sled,
            index_checkpoint: Duration::from_secs(30),
            index_delay: Duration::from_secs(3),
            index_pace: Duration::from_millis(250),
            boot_id: None,
            cameras: None,
        }
    }
}

impl StoreOptions {
    /// A small store for tests: 64 KiB segments, 1 MiB of log, the index in memory.
    #[must_use]
    pub fn small() -> Self {
        Self {
            segment_bytes: 64 << 10,
            log_budget_bytes: 1 << 20,
            quarantine_budget_bytes: 256 << 10,
            index_budget_bytes: 64 << 20,
            reserve: false,
            headroom_bytes: 1 << 20,
            group_delay: Duration::from_millis(5),
            group_bytes: 16 << 10,
            outbox: OutboxLimits {
                max_entries: 1_000,
                alert_reserve: 100,
                max_bytes: 512 << 10,
            },
            index: IndexKind::Memory,
            index_delay: Duration::ZERO,
            index_pace: Duration::ZERO,
            ..Self::default()
        }
    }
}

impl StoreOptions {
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let segment = self.segment_bytes;
        if !(64 << 10..=64 << 20).contains(&segment) || !segment.is_multiple_of(4096) {
            let text = format!(
                "segment_bytes is {segment}; it must be a multiple of 4096 from 64 KiB to 64 MiB"
            );
            return Err(StoreError::Options(text));
        }
        if self.log_budget_bytes / segment < 4 {
            let text = format!(
                "log_budget_bytes is {}; it must hold four segments",
                self.log_budget_bytes
            );
            return Err(StoreError::Options(text));
        }
        Ok(())
    }

    /// The outbox's bounds: what is owed never takes more than half of the log, so that recycling
    /// always gains space.
    pub(crate) fn outbox_limits(&self) -> OutboxLimits {
        let max_bytes = self.outbox.max_bytes.min(self.log_budget_bytes / 2);
        OutboxLimits {
            max_bytes,
            ..self.outbox.clone()
        }
    }
}
